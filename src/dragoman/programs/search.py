"""A language model writes programs, trainings judge them, and it writes better ones.

The loop of Eureka (Ma et al., 2024): K candidates a round, and a round reads how the best program
so far has trained. What differs: the model reads names, units and bounds instead of the
environment's source; no program runs unchecked; the seeds on which a program is chosen are not
those on which the winner is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

from dragoman.errors import ConfigError, ProgramError
from dragoman.generation import Sampling
from dragoman.maths.seeds import derive_seed
from dragoman.programs.checks import Checks, check_program
from dragoman.programs.folder import Candidate, SearchFolder
from dragoman.programs.program import Program
from dragoman.programs.prompts import first_prompt, next_prompt
from dragoman.programs.results import ProgramResult, lipschitz, reflection
from dragoman.programs.sandbox import Sandbox
from dragoman.programs.schema import Schema
from dragoman.programs.source import code_of
from dragoman.programs.transitions import Transitions
from dragoman.types import GeneratingModel

Train: TypeAlias = Callable[[Program, int], ProgramResult]
"""Trains an agent with a program, by a seed, and says what came of it."""

MOST_ERRORS = 5
"""A prompt lists so many different errors, the latest first."""


@dataclass(frozen=True)
class Search:
    """What to write, how often to try, and on which seeds.

    Attributes:
        task: What the agent should do, in words.
        functions: Which functions to write: reward, potential, features.
        candidates: Programs a round, K.
        rounds: Rounds, I.
        sampling: How the model writes; each candidate draws by its own seed.
        chat: Ask in the model's chat template, as it was trained to be asked. A server asks so by
            itself.
        selection_seeds: Trainings that choose the best program.
        test_seeds: Trainings that test it afterwards; none of the selection seeds.
        checks: What values a program must keep to.
        seed: Names the draw of programs.
    """

    task: str
    functions: tuple[str, ...] = ("reward",)
    candidates: int = 4
    rounds: int = 3
    sampling: Sampling = Sampling(max_tokens=1024, temperature=0.8)
    chat: bool = False
    selection_seeds: tuple[int, ...] = (0, 1)
    test_seeds: tuple[int, ...] = (1000, 1001, 1002, 1003, 1004)
    checks: Checks = Checks()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("task", "functions", "candidates", "rounds", "selection_seeds", "test_seeds"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is {getattr(self, name)!r}", cure=f"set {name}")
        shared = sorted(set(self.selection_seeds) & set(self.test_seeds))
        if shared:
            raise ConfigError(
                f"the seeds {shared} choose the program and test it too, which flatters it",
                cure="test on seeds that no choice depends on",
            )


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        program: Text of the best program.
        path: Its folder.
        selection_scores: Its scores by selection seed: it was chosen for these.
        test_scores: Its scores by test seed: these are the result.
        counts: How many programs were trained, refused by a check, or failed in training.
    """

    program: str
    path: Path
    selection_scores: dict[int, float]
    test_scores: dict[int, float]
    counts: dict[str, int]


@dataclass(frozen=True)
class Writer:
    """Everything that a search works with.

    Attributes:
        model: Writes the programs.
        schema: What it may know of the environment.
        transitions: What programs are tried on.
        train: Judges a program.
        search: What to write, and how often to try.
        sandbox: Where programs run; one for this search alone unless given.
    """

    model: GeneratingModel
    schema: Schema
    transitions: Transitions
    train: Train
    search: Search
    sandbox: Sandbox | None = None

    def run(self, out: str | Path) -> Found:
        """Search, from where a search in this folder has ended.

        Args:
            out: The folder; see `dragoman.programs.folder`.

        Raises:
            ConfigError: No program could be trained in any round; the errors are in the folder.
            RunError: The folder belongs to another search.
            ModelError: The model fails. Run again to go on.
            MissingExtraError: The extra ``written`` is not installed.
        """
        if self.sandbox is None:
            with Sandbox() as sandbox:
                return replace(self, sandbox=sandbox).run(out)
        settings = {
            **asdict(self.search),
            "schema": self.schema.text(),
            "model": self.model.name,
            "sandbox": asdict(self.sandbox.limits),
        }
        folder = SearchFolder(out, settings)
        first = first_prompt(self.search.task, self.schema, self.search.functions)
        done: list[Candidate] = []
        for round_ in range(1, self.search.rounds + 1):
            prompt = self._prompt(first, done)
            folder.prompt(round_, prompt)
            candidates = [folder.candidate(round_, i + 1) for i in range(self.search.candidates)]
            for number, candidate in enumerate(candidates, start=1):
                self._write(candidate, prompt, round_, number)
                self._judge(candidate)
            done += candidates
        return self._finish(folder, done)

    def load(self, source: str) -> Program:
        """Read a program of this search, in its sandbox."""
        assert self.sandbox is not None
        return Program.load(
            source,
            self.schema,
            self.search.functions,
            sandbox=self.sandbox,
            largest=self.search.checks.largest,
        )

    def _prompt(self, first: str, done: Sequence[Candidate]) -> str:
        if not done:
            return first
        best = _best(done)
        shown = None
        if best is not None and best.program is not None:
            shown = (best.program, _statistics(best))
        errors = dict.fromkeys(item.error for item in reversed(done) if item.error)
        return next_prompt(first, best=shown, errors=list(errors)[:MOST_ERRORS], attempts=len(done))

    def _write(self, candidate: Candidate, prompt: str, round_: int, number: int) -> None:
        if candidate.answer is None:
            seed = derive_seed("write", self.search.seed, round_, number)
            sampling = replace(self.search.sampling, seed=seed)
            asked = self.model.chat(prompt) if self.search.chat else prompt  # type: ignore[attr-defined]
            (answer,) = self.model.generate([asked], sampling=sampling)
            candidate.keep_answer(answer.text)

    def _judge(self, candidate: Candidate) -> None:
        """Check and train a candidate, unless that was done before."""
        if candidate.status in ("refused", "failed", "trained"):
            return
        with _noting(candidate, "refused"):
            candidate.keep_program(code_of(candidate.answer or ""))
            source = candidate.program or ""
            program, values = check_program(
                lambda: self.load(source), self.transitions, self.search.checks
            )
            candidate.about = {
                "terms": {name: list(program.terms(name)) for name in program.functions},
                "steepness": {
                    name: lipschitz(terms, self.transitions, self.schema)
                    for name, terms in values.items()
                },
            }
            with _noting(candidate, "failed"):
                try:
                    self._train(program, self.search.selection_seeds, candidate, candidate.results)
                finally:
                    program.close()
                candidate.status = "trained"
        candidate.save()

    def _train(
        self,
        program: Program,
        seeds: Sequence[int],
        candidate: Candidate,
        results: dict[int, ProgramResult],
    ) -> None:
        for seed in seeds:
            if seed not in results:
                results[seed] = self.train(program, seed)
                candidate.save()

    def _finish(self, folder: SearchFolder, done: Sequence[Candidate]) -> Found:
        statuses = ("trained", "refused", "failed")
        counts = {status: sum(item.status == status for item in done) for status in statuses}
        best = _best(done)
        if best is None or best.program is None:
            raise ConfigError(
                f"none of {len(done)} programs could be trained; the last error was: "
                f"{done[-1].error}",
                cure=f"read {folder.path}; a larger model or more rounds may help",
            )
        program = self.load(best.program)
        try:
            self._train(program, self.search.test_seeds, best, best.tests)
        finally:
            program.close()
        result = Found(
            best.program,
            best.path,
            {seed: best.results[seed].score for seed in self.search.selection_seeds},
            {seed: best.tests[seed].score for seed in self.search.test_seeds},
            counts,
        )
        folder.finish(
            {
                "candidate": str(best.path.relative_to(folder.path)),
                "selection_scores": {
                    str(key): value for key, value in result.selection_scores.items()
                },
                "test_scores": {str(key): value for key, value in result.test_scores.items()},
                "counts": counts,
            }
        )
        return result


@contextmanager
def _noting(candidate: Candidate, status: str) -> Iterator[None]:
    """Take an error of the program for an answer, not for an end."""
    try:
        yield
    except ProgramError as error:
        candidate.status = "refused" if status == "refused" else "failed"
        candidate.error = f"{error.problem}. {error.cure[:1].upper()}{error.cure[1:]}."


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate with the highest score; of equals the earlier."""
    trained = [candidate for candidate in candidates if candidate.status == "trained"]
    return max(trained, key=lambda one: one.score, default=None)


def _statistics(candidate: Candidate) -> str:
    lines = [reflection(list(candidate.results.values()))]
    for function, steepness in candidate.about.get("steepness", {}).items():
        shown = ", ".join(f"{name} {value:.3g}" for name, value in steepness.items())
        lines.append(f"largest change of {function} for a change of one number: {shown}")
    return "\n".join(lines)

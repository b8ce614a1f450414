"""The loop of writing, checking, training and writing again, without a model or an environment."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dragoman.errors import ConfigError, ModelError, ProgramError, RunError
from dragoman.generation import Sampling
from dragoman.models.remote import Connection, RemoteModel
from dragoman.programs import Program, ProgramResult, Sandbox, Search, Writer
from dragoman.programs.prompts import RULES, first_prompt
from dragoman.programs.results import lipschitz, reflection, squeezed
from dragoman.testing import ScriptedModel
from tests.models.remote.stub_server import StubServer, chat_answer
from tests.programs.outcomes import HOSTILE, LIMITS, cart_pole
from tests.server_exchanges import MODEL, WRITERS, recorded, replaying

TASK = "keep the pole upright"
SEARCH = Search(TASK, candidates=3, rounds=2, selection_seeds=(0, 1), test_seeds=(7, 8))


def fenced(program: str) -> str:
    return f"Here is it:\n```python\n{program}```\n"


def scaled(scale: float) -> str:
    return (
        "def reward(state, action, next_state):\n"
        f'    return {{"upright": {scale} * (1 - abs(next_state["pole_angle"]))}}\n'
    )


HOSTILE_ANSWER = fenced((HOSTILE / "delete_file.py").read_text())
ANSWERS = [HOSTILE_ANSWER, fenced(scaled(0.25)), "I would rather not."]


class Trainer:
    """Pretends to train: an agent does the better, the more the reward says."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __call__(self, program: Program, seed: int) -> ProgramResult:
        self.seeds.append(seed)
        values = program.values("reward", cart_pole()[1].rows("reward"))
        score = 100 * float(values.mean()) + seed / 10
        curves = {name: np.linspace(0, score, 25) for name in program.terms("reward")}
        return ProgramResult(score, curves)


class Author:
    """Writes what it was told to in the first round, and twice the best program later."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers
        self.prompts: list[str] = []

    def __call__(self, prompt: str, seed: int) -> str:
        self.prompts.append(prompt)
        if "The best was" not in prompt:
            return self.answers[(len(self.prompts) - 1) % len(self.answers)]
        scale = float(prompt.split('"upright": ')[1].split(" ")[0])
        return fenced(scaled(2 * scale))


def writer(author: Author, train=None, search: Search = SEARCH, sandbox=None) -> Writer:
    schema, transitions = cart_pole()
    model = ScriptedModel(lambda text: [0.0], write=author)
    return Writer(model, schema, transitions, train or Trainer(), search, sandbox)


def record_of(folder: Path, round_: int, number: int):
    return json.loads((folder / f"round-{round_}/candidate-{number}/record.json").read_text())


def test_it_improves_by_reflection_and_counts_failures(tmp_path: Path) -> None:
    author, train = Author(ANSWERS), Trainer()
    result = writer(author, train).run(tmp_path)
    assert "0.5 *" in result.program
    assert result.path == tmp_path / "round-2/candidate-1"
    assert result.counts == {"trained": 4, "refused": 2, "failed": 0}
    assert result.test_scores[8] == pytest.approx(result.test_scores[7] + 0.1)
    assert list(result.selection_scores) == [0, 1]
    # Every candidate on the selection seeds, the winner alone on the others.
    assert train.seeds == [0, 1] * 4 + [7, 8]
    assert json.loads((tmp_path / "best.json").read_text())["counts"] == result.counts


def test_a_model_that_chats_is_asked_in_its_template(tmp_path: Path) -> None:
    author = Author(ANSWERS)
    asking = writer(author, search=replace(SEARCH, chat=True, rounds=1))
    asking.model.chat = lambda text: f"<user>{text}<answer>"
    asking.run(tmp_path)
    assert {prompt[:22] for prompt in author.prompts} == {"<user>You write Python"}
    assert {prompt[-8:] for prompt in author.prompts} == {"<answer>"}


def test_the_second_prompt_reflects(tmp_path: Path) -> None:
    author = Author(ANSWERS)
    writer(author).run(tmp_path)
    first, second = author.prompts[0], author.prompts[-1]
    assert first.startswith("You write Python")
    assert TASK in first
    assert RULES in first
    assert "'pole_angle': radians" in first
    assert second.startswith(first)
    assert scaled(0.25) in second
    assert "upright: [" in second
    assert "largest change of reward" in second
    assert "- line 1 'import os': os cannot be imported. Import only math" in second
    assert "- the answer holds no function: 'I would rather not.'" in second
    assert (tmp_path / "round-2/prompt.txt").read_text() == second


def test_actions_are_told_to_whoever_is_given_one() -> None:
    schema, _ = cart_pole()
    assert "push cart to the left" in first_prompt(TASK, schema, ["potential", "reward"])
    assert "push cart to the left" not in first_prompt(TASK, schema, ["potential", "features"])


def test_everything_is_kept(tmp_path: Path) -> None:
    writer(Author(ANSWERS)).run(tmp_path)
    assert (tmp_path / "round-1/candidate-1/answer.txt").read_text() == ANSWERS[0]
    refused, trained = record_of(tmp_path, 1, 1), record_of(tmp_path, 1, 2)
    assert (refused["status"], refused["results"]) == ("refused", {})
    assert "os cannot be imported" in refused["error"]
    assert (tmp_path / "round-1/candidate-2/program.py").read_text() == scaled(0.25)
    assert trained["status"] == "trained"
    assert trained["about"]["terms"] == {"reward": ["upright"]}
    assert set(trained["results"]) == {"0", "1"}
    assert not list(tmp_path.rglob("*.part"))


def test_candidates_draw_by_their_own_seeds(tmp_path: Path) -> None:
    seeds = []

    def write(prompt: str, seed: int) -> str:
        seeds.append(seed)
        return fenced(scaled(0.25))

    schema, transitions = cart_pole()
    model = ScriptedModel(lambda text: [0.0], write=write)
    Writer(model, schema, transitions, Trainer(), SEARCH).run(tmp_path)
    assert len(set(seeds)) == 6


class Stops(Exception):
    pass


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    whole = writer(Author(ANSWERS)).run(tmp_path / "whole")
    for stop in range(1, 10):
        folder = tmp_path / f"stopped-{stop}"
        calls = []

        def train(program: Program, seed: int, calls=calls, stop=stop) -> ProgramResult:
            calls.append(seed)
            if len(calls) == stop:
                raise Stops
            return Trainer()(program, seed)

        author = Author(ANSWERS)
        with pytest.raises(Stops):
            writer(author, train).run(folder)
        result = writer(author, train).run(folder)
        # What was written and trained before is not done again; the one that broke is.
        assert len(author.prompts) == 6
        assert len(calls) == 11
        assert (result.program, result.test_scores) == (whole.program, whole.test_scores)


def test_a_finished_search_asks_nothing(tmp_path: Path) -> None:
    result = writer(Author(ANSWERS)).run(tmp_path)
    author, train = Author(ANSWERS), Trainer()
    assert writer(author, train).run(tmp_path) == result
    assert (author.prompts, train.seeds) == ([], [])


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    writer(Author(ANSWERS)).run(tmp_path)
    other = Search(TASK, candidates=3, rounds=2, selection_seeds=(0, 1), test_seeds=(9,))
    with pytest.raises(RunError, match=r"in which test_seeds is \[7, 8\], not \[9\]"):
        writer(Author(ANSWERS), search=other).run(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="is not empty"):
        writer(Author(ANSWERS)).run(tmp_path)


def test_seeds_that_choose_cannot_test() -> None:
    with pytest.raises(ConfigError, match=r"the seeds \[1\] choose the program and test it too"):
        Search(TASK, selection_seeds=(0, 1), test_seeds=(1, 2))


@pytest.mark.parametrize("name", ["task", "candidates", "rounds", "selection_seeds", "test_seeds"])
def test_nothing_is_no_search(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is"):
        Search(**{"task": TASK, name: type(getattr(SEARCH, name))()})


def test_no_program_at_all(tmp_path: Path) -> None:
    author = Author(["no", HOSTILE_ANSWER])
    with pytest.raises(ConfigError, match="none of 6 programs could be trained"):
        writer(author).run(tmp_path)
    # Errors were told even though nothing has trained.
    assert "os cannot be imported" in author.prompts[-1]
    assert "The best was" not in author.prompts[-1]


def test_a_program_that_fails_in_training_is_counted(tmp_path: Path) -> None:
    def train(program: Program, seed: int) -> ProgramResult:
        if "0.25" in program.source:
            raise ProgramError("line 2: a division by zero", cure="mend it")
        return Trainer()(program, seed)

    author = Author([fenced(scaled(0.25)), fenced(scaled(0.5)), fenced(scaled(0.125))])
    result = writer(author, train).run(tmp_path)
    # The best of the first round is doubled three times in the second.
    assert result.counts == {"trained": 5, "refused": 0, "failed": 1}
    assert record_of(tmp_path, 1, 1)["error"] == "line 2: a division by zero. Mend it."


def test_a_sandbox_of_ones_own_stays_open(tmp_path: Path) -> None:
    author = Author([fenced("kept = [1]\n" + scaled(0.25)), HOSTILE_ANSWER, ANSWERS[2]])
    with Sandbox(LIMITS) as sandbox:
        result = writer(author, sandbox=sandbox).run(tmp_path)
        sandbox.open("1").close()
    assert result.counts["trained"] == 4
    assert json.loads((tmp_path / "search.json").read_text())["sandbox"]["seconds"] == 0.3


NASTY = [
    *(fenced(file.read_bytes().decode()) for file in sorted(HOSTILE.glob("*.py"))),
    *("def \ud800", "```\ndef f(\x00\n```", "def f(" * 3_000, "def x" + "[" * 9_000, "\x0cdef f"),
    *("<think>def f", "def " + "1" * 9_999, "# \ud800\n" + scaled(1), "def é(): '" + "é" * 9_000),
]


def test_whatever_a_model_writes_the_search_goes_on(tmp_path: Path) -> None:
    """A program may fail in any way: it is counted, and a rerun does not stop at it again."""
    search = Search(
        TASK, candidates=len(NASTY) + 1, rounds=1, selection_seeds=(0,), test_seeds=(7,)
    )
    author = Author([*NASTY, fenced(scaled(0.25))])
    with Sandbox(LIMITS) as sandbox:
        result = writer(author, search=search, sandbox=sandbox).run(tmp_path)
        assert len(author.prompts) == len(NASTY) + 1
        assert sum(result.counts.values()) == len(NASTY) + 1
        assert result.counts["failed"] == 0
        for record in tmp_path.rglob("record.json"):
            # As if each had been interrupted before its end was written down.
            record.unlink()
        again = writer(author, search=search, sandbox=sandbox).run(tmp_path)
    assert len(author.prompts) == len(NASTY) + 1
    assert (again.program, again.counts) == (result.program, result.counts)


def test_a_bound_of_the_checks_holds_in_training(tmp_path: Path) -> None:
    def train(program: Program, seed: int) -> ProgramResult:
        state = [0.0, 0.0, 1000.0 if "0.25" in program.source else 0.0, 0.0]
        program.values("reward", [(state, 0, state)])
        return Trainer()(program, seed)

    author = Author([fenced(scaled(0.25)), fenced(scaled(0.5)), fenced(scaled(0.125))])
    writer(author, train).run(tmp_path)
    record = record_of(tmp_path, 1, 1)
    assert record["status"] == "failed"
    assert "beyond ±100; with state = " in record["error"]


def test_a_real_protocol_and_its_recording(tmp_path: Path) -> None:
    """A search through a server is kept, and runs again when no server is there."""
    author = Author(ANSWERS)
    schema, transitions = cart_pole()
    search = Search(TASK, candidates=3, rounds=2, sampling=Sampling(max_tokens=99, temperature=0.5))
    connection = Connection(retries=0, timeout=10)
    with StubServer() as stub:
        stub.answer = lambda path, body: chat_answer(
            author(body["messages"][-1]["content"], body["seed"])
        )
        with RemoteModel("writer", stub.url, connection=connection) as model:
            result = Writer(model, schema, transitions, Trainer(), search).run(tmp_path)
        assert len({body["seed"] for body in stub.bodies}) == 6
        assert {body["max_tokens"] for body in stub.bodies} == {99}
        url = stub.url
    with RemoteModel("writer", url, connection=connection) as gone:
        with pytest.raises(ModelError):
            gone.generate(["anyone there?"])
        assert Writer(gone, schema, transitions, Trainer(), search).run(tmp_path) == result
    assert result.counts["trained"] == 4


def ask_for_programs(url: str, place: Path) -> None:
    """Search by what the default model behind a server writes, which is of no use so far."""
    schema, transitions = cart_pole()
    sampling = Sampling(max_tokens=120, temperature=0.5)
    search = Search(TASK, candidates=2, rounds=1, sampling=sampling)
    connection = Connection(retries=0, timeout=120)
    with (
        RemoteModel(MODEL, url, connection=connection) as model,
        pytest.raises(ConfigError, match="none of 2 programs could be trained"),
    ):
        Writer(model, schema, transitions, Trainer(), search).run(place)


def test_programs_that_a_real_server_wrote_are_replayed(tmp_path: Path) -> None:
    exchanges = recorded(WRITERS)
    with StubServer(replaying(exchanges)) as stub:
        ask_for_programs(stub.url, tmp_path)
        assert len(stub.bodies) == len(exchanges) == 2
    kept = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    for exchange in exchanges:
        # Whatever was written is kept, to be looked at.
        written = exchange["answer"]["choices"][0]["message"]["content"]
        assert written in kept or json.dumps(written)[1:-1] in kept


def test_reflection() -> None:
    first = ProgramResult(10.0, {"upright": [1.0, 2.0, 3.0]})
    second = ProgramResult(20.0, {"upright": [3.0, 4.0, 5.0]})
    assert reflection([first, second]) == (
        "return after training: 15 (seeds: [10, 20])\nupright: [2, 3, 4], max 4, mean 3, min 2"
    )
    np.testing.assert_allclose(squeezed(range(20)), np.arange(10) * 2 + 0.5)
    assert squeezed([]).size == 0


def test_a_result_is_a_number() -> None:
    with pytest.raises(ConfigError, match="the score is nan"):
        ProgramResult(float("nan"))


def test_steepness_finds_the_number_on_which_a_reward_jumps() -> None:
    schema, transitions = cart_pole()
    jumps = (transitions.next_states[:, 2:3] > 0) * 1.0
    result = lipschitz(jumps, transitions, schema)
    slope = lipschitz(3 * transitions.next_states[:, 2:3], transitions, schema)
    assert result["pole_angle"] > 10
    assert 2 < slope["pole_angle"] <= 3

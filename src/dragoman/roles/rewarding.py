"""The reward role at work: transitions of ``N`` running episodes in, one number a term out."""

from __future__ import annotations

import functools
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError, RunError
from dragoman.maths.seeding import derive_seed
from dragoman.maths.shaping import Schedule, shaping
from dragoman.models.cache import CachedModel
from dragoman.rewards.calling import Caller
from dragoman.rewards.preparing import Preparation, Prepares
from dragoman.roles.reward import Reward, Term
from dragoman.types import BoolArray, Describer, Info, LanguageModel

REMEMBERED = 200_000
"""Most texts whose potential is remembered."""


class BonusWarning(UserWarning):
    """A reward that may change which policy is best."""


@dataclass(frozen=True)
class States:
    """States of some of the environments.

    Attributes:
        observations: Unbatched, as the environment gave them.
        infos: One a state.
        describer: Puts them into words when they are asked for.
    """

    observations: Sequence[Any]
    infos: Sequence[Info]
    describer: Describer

    def __len__(self) -> int:
        return len(self.observations)

    def __add__(self, other: States) -> States:
        return States(
            [*self.observations, *other.observations],
            [*self.infos, *other.infos],
            self.describer,
        )

    @functools.cached_property
    def texts(self) -> list[str]:
        """Text of each state."""
        return [
            self.describer.observation(observation, info)
            for observation, info in zip(self.observations, self.infos, strict=True)
        ]


@dataclass
class Steps:
    """What some of the environments have just done.

    Attributes:
        envs: Their numbers, ``(n,)``.
        reached: The states they are in now; of an ended episode its last one.
        actions: What they did.
        is_terminal: Whether their episodes have terminated, ``(n,)``.
        step: Environment steps taken before, over all copies, for schedules.
    """

    envs: NDArray[np.int64]
    reached: States
    actions: Sequence[Any]
    is_terminal: BoolArray
    step: int = 0


class RunningTerm:
    """One term of the reward, with what it knows of the running episodes.

    Args:
        name: Its name.
        term: Its settings.
        caller: The reward function.
        model: The language model that it asks.
        num_envs: ``N``.
        gamma: The learner's discount.

    Attributes:
        skipped: How many numbers it failed to give and were counted as 0.
        said: Its critiques of texts, where it gives any.
        on_said: Told of each new critique.
    """

    def __init__(
        self,
        name: str,
        term: Term,
        caller: Caller,
        model: LanguageModel | None,
        num_envs: int,
        gamma: float,
    ) -> None:
        self.name = name
        self.term = term
        self.caller = caller
        self.model = model
        self.gamma = gamma
        self.skipped = 0
        self.step = 0
        self.said: dict[str, str] = {}
        self.on_said: Callable[[dict[str, Any]], None] = lambda row: None
        self._known: OrderedDict[str, float] = OrderedDict()
        # Potentials of the states that the episodes are in, times their weight at that moment.
        self._here = np.zeros(num_envs)
        self._previous: list[str] = [""] * num_envs
        self._memory: list[dict[str, Any]] = [{} for _ in range(num_envs)]
        self._counts: list[Counter[str]] = [Counter() for _ in range(num_envs)]

    @property
    def needs_texts(self) -> bool:
        """Whether states must be put into words for it."""
        return bool(self.caller.takes & {"texts", "previous"} or self.term.count_power)

    @property
    def weight(self) -> float:
        """Its weight at the moment."""
        return weight_at(self.term.weight, self.step)

    def recall(self, text: str, value: float, said: str) -> None:
        """Take over what was said of a text before."""
        self._known[text], self.said[text] = value, said

    def advance(
        self, steps: Steps, begun: NDArray[np.int64], fresh: States, action_texts: Callable[[], Any]
    ) -> NDArray[np.float64]:
        """Return the weighted reward of each step ``(n,)``, and begin new episodes.

        Args:
            steps: What was done.
            begun: Numbers of the environments in which an episode begins.
            fresh: The states in which they begin.
            action_texts: Gives the actions in words.
        """
        if self.term.shaping == "potential":
            return self._potential_step(steps, begun, fresh)
        values = self._bonus(steps, action_texts)
        self.step = steps.step
        self._begin(begun, fresh)
        return values * self.weight

    def _potential_step(
        self, steps: Steps, begun: NDArray[np.int64], fresh: States
    ) -> NDArray[np.float64]:
        before = self._here[steps.envs]
        count = len(steps.reached)
        # Together, so that one forward of the model serves the whole step.
        potentials = self._of_states(steps.reached + fresh if len(fresh) else steps.reached)
        self.step = steps.step
        potentials = potentials * self.weight
        self._here[steps.envs] = potentials[:count]
        self._here[begun] = potentials[count:]
        return shaping(before, potentials[:count], steps.is_terminal, self.gamma)

    def _of_states(self, states: States) -> NDArray[np.float64]:
        """Return the number of each state by itself, asking for each text once."""
        if "observations" in self.caller.takes:
            return self._called(self._given(states), len(states))
        texts = states.texts
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        known = {text: self._known[text] for text in texts if text in self._known}
        if new:
            values = self._called({"texts": new, "model": self.model}, len(new))
            known |= dict(zip(new, values.tolist(), strict=True))
            for text in new:
                self._known[text] = known[text]
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return np.array([known[text] for text in texts])

    def _called(self, given: Mapping[str, Any], count: int) -> NDArray[np.float64]:
        values, is_failed = self.caller(given, count, self.term.on_error)
        self.skipped += int(is_failed.sum())
        if hasattr(self.caller.function, "critique"):
            for text, value, failed in zip(given["texts"], values, is_failed, strict=True):
                if not failed and text not in self.said:
                    said = self.caller.function.critique(text, model=self.model)
                    self.said[text] = said
                    row = {"reward": self.name, "text": text, "value": float(value)}
                    self.on_said({**row, "critique": said})
        return values

    def _given(self, states: States) -> dict[str, Any]:
        given: dict[str, Any] = {"model": self.model, "observations": list(states.observations)}
        return given | ({"texts": states.texts} if self.needs_texts else {})

    def _bonus(self, steps: Steps, action_texts: Callable[[], Any]) -> NDArray[np.float64]:
        if not len(steps.envs):
            return np.zeros(0)
        if self.caller.is_potential:
            values = self._of_states(steps.reached)
        else:
            values = self._of_steps(steps, action_texts)
        if self.term.count_power:
            values = values / self._visits(steps) ** self.term.count_power
        if self.needs_texts:
            for i, text in zip(steps.envs, steps.reached.texts, strict=True):
                self._previous[i] = text
        return values

    def _of_steps(self, steps: Steps, action_texts: Callable[[], Any]) -> NDArray[np.float64]:
        given = self._given(steps.reached)
        given["previous"] = [self._previous[i] for i in steps.envs]
        given["memory"] = [self._memory[i] for i in steps.envs]
        if "actions" in self.caller.takes:
            given["actions"] = action_texts()
        return self._called(given, len(steps.envs))

    def _visits(self, steps: Steps) -> NDArray[np.float64]:
        """Count the texts that were reached, and return how often each was in its episode."""
        found = []
        for i, text in zip(steps.envs, steps.reached.texts, strict=True):
            self._counts[i][text] += 1
            found.append(self._counts[i][text])
        return np.array(found, dtype=np.float64)

    def _begin(self, begun: NDArray[np.int64], fresh: States) -> None:
        texts = fresh.texts if self.needs_texts else [""] * len(begun)
        for i, text in zip(begun, texts, strict=True):
            self._memory[i] = {}
            self._counts[i] = Counter([text])
            self._previous[i] = text


class Rewarder:
    """All terms of a reward role, for ``N`` running episodes.

    Args:
        settings: The role.
        describer: Puts states and actions into words.
        model: The experiment's language model, for the terms that ask it.
        num_envs: ``N``.
        gamma: The learner's own discount.
        seed: Seed of the training.

    Raises:
        ConfigError: The role names another discount, or a term cannot work.

    Attributes:
        terms: The terms by name.
        found: What the terms have found out before the training, by name.
    """

    def __init__(
        self,
        settings: Reward,
        describer: Describer,
        model: LanguageModel | None,
        *,
        num_envs: int,
        gamma: float,
        seed: int,
    ) -> None:
        if settings.gamma is not None and settings.gamma != gamma:
            raise ConfigError(
                f"reward.gamma is {settings.gamma}, but the learner discounts by {gamma}: shaping "
                "by another discount changes the optimal policy",
                cure="leave reward.gamma out, or set algorithm.settings.gamma to the same number",
            )
        self.settings = settings
        self.describer = describer
        self.seed = seed
        self.found: dict[str, Mapping[str, Any]] = {}
        self.terms = {
            name: self._term(name, term, model, num_envs, gamma)
            for name, term in settings.terms.items()
        }
        self._step = 0

    @property
    def models(self) -> list[LanguageModel]:
        """The language models that its terms ask."""
        return [term.model for term in self.terms.values() if term.model is not None]

    @property
    def env_weight(self) -> float:
        """Weight of the environment's own reward at the moment."""
        return weight_at(self.settings.env_weight, self._step)

    def prepare(self, sample: Callable[[int], list[str]], folder: Path) -> None:
        """Let the terms measure, ask and learn what they want to before the training.

        Args:
            sample: Plays so many steps at random and returns the texts of the states.
            folder: The run folder.
        """
        if self.settings.placebo is not None:
            return
        for name, term in self.terms.items():
            reward = term.caller.function
            if isinstance(reward, Prepares):
                asked = Preparation(name, term.model, sample, self.seed, folder)
                prepared, self.found[name] = reward.prepared(asked)
                term.caller = Caller.of(name, prepared)
                term.term.check_potential(term.caller)

    def begin(self, envs: NDArray[np.int64], observations: Sequence[Any], infos: Any) -> None:
        """Begin an episode in each of some environments."""
        nobody = Steps(np.zeros(0, np.int64), self._states([], []), [], np.zeros(0, np.bool_))
        self.advance(nobody, envs, observations, infos)

    def steps(
        self,
        envs: NDArray[np.int64],
        observations: Sequence[Any],
        infos: Sequence[Info],
        actions: Sequence[Any],
        is_terminal: BoolArray,
    ) -> Steps:
        """Return what some environments have done, for `advance`."""
        reached = self._states(observations, infos)
        return Steps(envs, reached, actions, is_terminal, self._step)

    def advance(
        self,
        steps: Steps,
        begun: NDArray[np.int64],
        observations: Sequence[Any],
        infos: Sequence[Info],
    ) -> dict[str, NDArray[np.float64]]:
        """Return the weighted reward of each term and step ``(n,)``, and begin new episodes.

        Args:
            steps: What was done.
            begun: Numbers of the environments in which an episode begins now.
            observations: The states in which they begin.
            infos: Their infos.
        """
        self._step += len(steps.envs)
        steps.step = self._step
        fresh = self._states(observations, infos)
        action_texts = functools.cache(
            lambda: [self.describer.action(action) for action in steps.actions]
        )
        return {
            name: term.advance(steps, begun, fresh, action_texts)
            for name, term in self.terms.items()
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what terms have learnt before the training, by name."""
        return {
            f"{name}.{key}": value
            for name, term in self.terms.items()
            if hasattr(term.caller.function, "state")
            for key, value in term.caller.function.state().items()
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned, instead of preparing.

        Raises:
            RunError: What a term has learnt is not there.
        """
        if self.settings.placebo is not None:
            return
        for name, term in self.terms.items():
            if hasattr(term.caller.function, "restored"):
                own = {
                    key.removeprefix(f"{name}."): value
                    for key, value in state.items()
                    if key.startswith(f"{name}.")
                }
                if not own:
                    raise RunError(
                        f"what the reward {name!r} has learnt was not saved with the run",
                        cure="train again",
                    )
                term.caller = Caller.of(name, term.caller.function.restored(own))

    def keep_critiques(self, keep: Callable[[dict[str, Any]], None]) -> None:
        """Have every new critique handed over as plain data."""
        for term in self.terms.values():
            term.on_said = keep

    def recall(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take over critiques that were kept, so that no model is asked for them again."""
        for row in rows:
            if row["reward"] in self.terms:
                self.terms[row["reward"]].recall(row["text"], row["value"], row["critique"])

    def critiques(self, text: str) -> tuple[str, ...]:
        """Return what the terms have said of a text, where they have said anything."""
        said = [(name, term.said.get(text)) for name, term in self.terms.items()]
        return tuple(f"{name}: {one}" for name, one in said if one)

    def _term(
        self, name: str, term: Term, model: LanguageModel | None, num_envs: int, gamma: float
    ) -> RunningTerm:
        placebo = self.settings.placebo
        caller = term.caller(name) if placebo is None else self._placebo(name, placebo)
        if term.shaping == "bonus":
            warnings.warn(
                f"the reward {name!r} is a plain bonus: the best policy for it may not be the "
                "best for the environment (shaping: potential leaves it as it is)",
                BonusWarning,
                stacklevel=4,
            )
        asked = None
        if "model" in caller.takes:
            asked = model if term.model is None else term.model.load()
            if asked is None:
                raise ConfigError(
                    f"the reward {name!r} asks a language model, but there is none",
                    cure="name one in 'model' of the experiment or of the reward",
                )
            asked = asked if isinstance(asked, CachedModel) else CachedModel(asked)
        return RunningTerm(name, term, caller, asked, num_envs, gamma)

    def _placebo(self, name: str, placebo: str) -> Caller:
        seed = self.seed

        def constant(texts: Sequence[str]) -> NDArray[np.float64]:
            return np.full(len(texts), 0.5)

        def noise(texts: Sequence[str]) -> NDArray[np.float64]:
            drawn = [derive_seed("noise reward", seed, name, text) for text in texts]
            return np.array(drawn) / 2.0**32

        return Caller.of(name, constant if placebo == "constant" else noise)

    def _states(self, observations: Sequence[Any], infos: Sequence[Info]) -> States:
        return States(observations, infos, self.describer)


def weight_at(weight: float | Schedule, step: int) -> float:
    """Return a weight after so many environment steps."""
    return weight.at(step) if isinstance(weight, Schedule) else float(weight)

"""One term of a reward, for ``N`` running episodes."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, RewardError
from dragoman.maths.shaping import shaping, weight_at
from dragoman.roles.reward.call import Caller
from dragoman.roles.reward.settings import Term
from dragoman.types import BoolArray, LanguageModel

QUANTILES = (0.05, 0.95)

REMEMBERED = 200_000
"""Most texts whose potential is remembered."""


@dataclass
class Steps:
    """What some of the environments have just done.

    Attributes:
        envs: Their numbers, ``(n,)``.
        reached: The moments they are in now; of an ended episode its last one.
        actions: What they did.
        is_terminal: Whether their episodes have terminated, ``(n,)``.
        step: Environment steps taken before, over all copies, for schedules.
    """

    envs: NDArray[np.int64]
    reached: Sequence[Moment]
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
        low: What it says of a state is shifted down by this, and
        span: divided by this.
        said: Its critiques of texts, where it gives any.
        on_said: Called with each new critique.
    """

    resumes = ("_known", "said", "skipped", "step")

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
        self.low, self.span = 0.0, 1.0
        self.said: dict[str, str] = {}
        self.on_said: Callable[[dict[str, Any]], None] = lambda row: None
        self._known: OrderedDict[str, float] = OrderedDict()
        # Potentials of the states that the episodes are in, times their weight at that moment.
        self._here = np.zeros(num_envs)
        self._previous: list[str] = [""] * num_envs
        self._previous_observations: list[Any] = [None] * num_envs
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

    def measure_range(self, texts: Sequence[str]) -> None:
        """Set ``low`` and ``span`` to the 5 % quantile and the distance to the 95 % quantile.

        Raises:
            ConfigError: It is no function of the text, or says the same of nearly all of them.
            RewardError: It failed on all of them.
        """
        if not self.caller.is_potential or "observations" in self.caller.takes:
            raise ConfigError(
                f"rescale of the reward {self.name!r} is on, but it is no function of the text",
                cure="set rescale to false",
            )
        values, is_failed = self._called({"texts": texts, "model": self.model}, len(texts))
        values = values[~is_failed]
        if not len(values):
            raise RewardError(
                f"the reward {self.name!r} failed on all of {len(texts)} texts of random play",
                cure="mend the reward, or set rescale to false",
            )
        low, high = np.quantile(values, QUANTILES).tolist()
        if high == low:
            raise ConfigError(
                f"the reward {self.name!r} says {low:.6g} of nearly all of {len(values)} texts of "
                "random play, which no scale separates",
                cure="ask for something in which states differ, or set rescale to false",
            )
        self.low, self.span = low, high - low

    def recall(self, text: str, value: float, said: str) -> None:
        """Take over what was said of a text before."""
        self._known[text], self.said[text] = value, said

    def advance(
        self,
        steps: Steps,
        begun: NDArray[np.int64],
        fresh: Sequence[Moment],
        action_texts: Callable[[], Any],
    ) -> NDArray[np.float64]:
        """Return the weighted reward of each step ``(n,)``, and begin new episodes.

        Args:
            steps: What was done.
            begun: Numbers of the environments in which an episode begins.
            fresh: The moments in which they begin.
            action_texts: Gives the actions in words.
        """
        if self.term.shaping == "potential":
            return self._potential_step(steps, begun, fresh)
        values = self._bonus(steps, action_texts)
        self.step = steps.step
        self._begin(begun, fresh)
        return values * self.weight

    def _potential_step(
        self, steps: Steps, begun: NDArray[np.int64], fresh: Sequence[Moment]
    ) -> NDArray[np.float64]:
        before = self._here[steps.envs]
        count = len(steps.reached)
        # Together, so that one forward of the model serves the whole step.
        potentials = self._of_states([*steps.reached, *fresh])
        self.step = steps.step
        potentials = potentials * self.weight
        self._here[steps.envs] = potentials[:count]
        self._here[begun] = potentials[count:]
        return shaping(before, potentials[:count], steps.is_terminal, self.gamma)

    def _of_states(self, states: Sequence[Moment]) -> NDArray[np.float64]:
        """Return the number of each state by itself, asking for each text once."""
        if "observations" in self.caller.takes:
            return self._called(self._given(states), len(states))[0]
        texts = [state.state for state in states]
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        known = {text: self._known[text] for text in texts if text in self._known}
        if new:
            values, is_failed = self._called({"texts": new, "model": self.model}, len(new))
            known |= dict(zip(new, values.tolist(), strict=True))
            # A failure is no answer: the next visit asks again.
            self._known.update((text, known[text]) for text in compress(new, ~is_failed))
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return np.array([known[text] for text in texts])

    def _called(
        self, given: Mapping[str, Any], count: int
    ) -> tuple[NDArray[np.float64], BoolArray]:
        """Return a number for each of ``count`` texts, 0 where it failed, and where that was."""
        values, is_failed = self.caller(given, count, self.term.on_error)
        values = np.where(is_failed, 0.0, (values - self.low) / self.span)
        self.skipped += int(is_failed.sum())
        if hasattr(self.caller.function, "critique"):
            for text, value, failed in zip(given["texts"], values, is_failed, strict=True):
                if not failed and text not in self.said:
                    said = self.caller.function.critique(text, model=self.model)
                    self.said[text] = said
                    row = {"reward": self.name, "text": text, "value": float(value)}
                    self.on_said({**row, "critique": said})
        return values, is_failed

    def _given(self, moments: Sequence[Moment]) -> dict[str, Any]:
        observations = [moment.observation for moment in moments]
        given: dict[str, Any] = {"model": self.model, "observations": observations}
        return given | ({"texts": [moment.state for moment in moments]} if self.needs_texts else {})

    def _bonus(self, steps: Steps, action_texts: Callable[[], Any]) -> NDArray[np.float64]:
        if not len(steps.envs):
            return np.zeros(0)
        if self.caller.is_potential:
            values = self._of_states(steps.reached)
        else:
            values = self._of_steps(steps, action_texts)
        if self.term.count_power:
            values = values / self._visits(steps) ** self.term.count_power
        self._remember(steps.envs, steps.reached)
        return values

    def _of_steps(self, steps: Steps, action_texts: Callable[[], Any]) -> NDArray[np.float64]:
        given = self._given(steps.reached)
        given["previous"] = [self._previous[i] for i in steps.envs]
        given["previous_observations"] = [self._previous_observations[i] for i in steps.envs]
        given["raw_actions"] = list(steps.actions)
        given["memory"] = [self._memory[i] for i in steps.envs]
        if "actions" in self.caller.takes:
            given["actions"] = action_texts()
        return self._called(given, len(steps.envs))[0]

    def _visits(self, steps: Steps) -> NDArray[np.float64]:
        """Count the texts that were reached, and return how often each was in its episode."""
        result = []
        for i, moment in zip(steps.envs, steps.reached, strict=True):
            self._counts[i][moment.state] += 1
            result.append(self._counts[i][moment.state])
        return np.array(result, dtype=np.float64)

    def _begin(self, begun: NDArray[np.int64], fresh: Sequence[Moment]) -> None:
        for i, moment in zip(begun, fresh, strict=True):
            self._memory[i] = {}
            self._counts[i] = Counter([moment.state] if self.needs_texts else [])
        self._remember(begun, fresh)

    def _remember(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Keep the states that the next actions are taken in."""
        for i, moment in zip(envs, moments, strict=True):
            if self.needs_texts:
                self._previous[i] = moment.state
            if "previous_observations" in self.caller.takes:
                # Some environments write into the array that they have given.
                self._previous_observations[i] = copy.deepcopy(moment.observation)

"""A played episode, step by step: what the agent saw, weighed, did and earned.

Plain data, so that pages are made of it without a training library; `dragoman.agents.record`
plays and fills it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dragoman.types import Info

Frame = bytes | str | None
"""An encoded picture (WebP), a text rendering, or nothing."""

Rows = tuple[tuple[str, str], ...]
"""Names and values, in their order."""

Weighing = Literal["probability", "action value"]
"""What the numbers beside the action texts are: a policy's probabilities or Q-values."""

Ending = Literal["terminated", "truncated", "cut"]
"""How an episode ended; ``cut`` means that only the recording stopped."""


@dataclass(frozen=True)
class Part:
    """One independent part of an action; most spaces have a single one.

    Attributes:
        name: What the part is called, empty where there is only one.
        options: Texts of a discrete part's options; empty for a continuous part.
        low: Lower bound of a continuous part.
        high: Upper bound of a continuous part.
    """

    name: str = ""
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Weighed:
    """What the policy made of one part of an action in one state.

    Attributes:
        weights: One number an option, or nothing for a continuous part.
        chosen: Index of the option taken, or the value of a continuous part.
        mean: Mean of a continuous part's distribution, before it is clipped to the bounds.
        spread: Its standard deviation.
    """

    weights: tuple[float, ...]
    chosen: float
    mean: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Step:
    """One state and what was done in it. The last of an episode has no action and no reward.

    Attributes:
        frame: The state as rendered.
        observation: The state in numbers, as rows of name and value; a name may be empty.
        text: The state as the model read it, or nothing where no model observes.
        action: The action in words.
        weighed: One entry for each `Part` of the action.
        value: The critic's estimate of the return still to come.
        reward: The environment's reward of the action.
        terms: What the reward is made of, by name.
        critiques: What a judge said of the step.
        said: What a policy that writes its actions wrote, with its thoughts.
    """

    frame: Frame
    observation: Rows
    text: str | None
    action: str = ""
    weighed: tuple[Weighed, ...] = ()
    value: float | None = None
    reward: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    critiques: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode.

    Attributes:
        seed: Seed of the environment's reset.
        steps: The states in order, one more than actions were taken.
        ending: How it ended.
    """

    seed: int
    steps: tuple[Step, ...]
    ending: Ending

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of the environment's own rewards."""
        return sum(step.reward for step in self.steps)

    @property
    def length(self) -> int:
        """Actions taken."""
        return len(self.steps) - 1


@dataclass(frozen=True)
class Recording:
    """Episodes of one run.

    Attributes:
        name: What the page calls the run.
        env: Id of the environment.
        about: Short facts by name: algorithm, model, steps trained, seed.
        parts: The parts of an action.
        weighing: What the numbers beside the options are.
        episodes: The episodes.
        note: What a reader must know, such as why there are no pictures.
        kind: What the run is in a comparison, if it is of one: arm, control or baseline.
    """

    name: str
    env: str
    about: Mapping[str, str]
    parts: tuple[Part, ...]
    weighing: Weighing
    episodes: tuple[RecordedEpisode, ...]
    note: str = ""
    kind: str = ""


def reward_terms(reward: float, info: Info) -> dict[str, float]:
    """Return what a reward is made of, by name, the environment's own reward first.

    An environment reports terms as a mapping under ``reward_terms``, or each under a key that
    starts with ``reward_``, as Gymnasium's MuJoCo environments do. What is no number is left out.
    """
    terms = {"environment": float(reward)}
    for key, value in info.items():
        if key == "reward_terms" and isinstance(value, Mapping):
            named = {str(name): term for name, term in value.items()}
            terms |= {name: float(term) for name, term in named.items() if _is_number(term)}
        elif key.startswith("reward_") and _is_number(value):
            terms[key.removeprefix("reward_").replace("_", " ")] = float(value)
    return terms


def critiques_of(info: Info) -> tuple[str, ...]:
    """Return what a judge said of a step: ``info["critiques"]``, one text or several."""
    said: str | Sequence[str] = info.get("critiques", ())
    return (said,) if isinstance(said, str) else tuple(str(text) for text in said)


def _is_number(value: Any) -> bool:
    # NumPy's scalars are no Python numbers, and a bool is one.
    return (
        not isinstance(value, bool | str)
        and getattr(value, "shape", ()) == ()
        and (hasattr(value, "__float__"))
    )

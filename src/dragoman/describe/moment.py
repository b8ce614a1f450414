"""What an environment says at one step, in words: made once, beneath every role.

Roles, replays and students read a `Moment`, never a describer: its texts are written when they are
first read, and kept, so that a step is described once whatever roles are on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.environment import EnvDescriber
from dragoman.describe.masks import MASK, TEXTS, bits
from dragoman.describe.synonyms import Synonyms
from dragoman.errors import ConfigError, SpaceError
from dragoman.types import BoolArray, Describer, Info

MOMENT = "moment"
"""Key of an info under which its moment stands."""

NOTHING = "(no valid action)"
"""What is said of a step in which a written text named none."""

Past = tuple[tuple[str, str], ...]
"""The last steps of an episode, oldest first: the text of an observation, and of the action."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One step of one environment.

    Attributes:
        observation: Unbatched, as the environment gave it.
        info: Of the same step.
        maker: How it is put into words.
        past: What was seen and done in the steps before, where that is remembered.
    """

    observation: Any
    info: Info
    maker: MomentMaker
    past: Past = ()

    @cached_property
    def state(self) -> str:
        """The observation in words, by itself: what rewards read."""
        text = self.maker.describer.observation(self.observation, self.info)
        if not isinstance(text, str):
            raise SpaceError(
                f"{type(self.maker.describer).__name__}.observation() returns {text!r}, no text",
                cure="return a str",
            )
        return self.maker.reword(text)

    @cached_property
    def text(self) -> str:
        """Goal, past, observation and choices, one a line: what a policy's language model reads."""
        return self.prompt(self.past)

    def prompt(self, past: Past) -> str:
        """Return the text with another past, such as a shorter one."""
        if not self.maker.is_prompt:
            return self.state
        goal = self.maker.goal
        lines = [] if goal is None else [f"Goal: {self.maker.reword(goal)}"]
        for seen, done in past:
            lines += [f"Observation: {seen}", f"Action: {done}"]
        lines.append(f"Observation: {self.state}")
        if self.maker.list_actions:
            lines.append(f"Actions: {', '.join(self.choices)}")
        return "\n".join(lines)

    @cached_property
    def key(self) -> bytes:
        """Bytes that two observations share only if they are equal, number for number."""
        return self.maker.key(self.observation)

    @cached_property
    def valid(self) -> BoolArray:
        """Which of the ``K`` actions of a Discrete space are valid now, bool ``(K,)``.

        Raises:
            SpaceError: The mask does not fit the action space.
        """
        return valid_actions(self.info, self.maker.count)

    @cached_property
    def action_texts(self) -> Sequence[str]:
        """What the ``K`` actions of a Discrete space are called now.

        Raises:
            SpaceError: The environment's own texts do not fit the action space.
        """
        texts: Sequence[str] | None = self.info.get(TEXTS)
        # A describer may use other words than those of the environment.
        if texts is None or not getattr(self.maker.describer, "heeds_actions", True):
            return self.maker.action_names
        if len(texts) != self.maker.count:
            raise SpaceError(
                f"info['action_texts'] has {len(texts)} texts for {self.maker.count} actions",
                cure="give one text for each action, empty where it is not valid",
            )
        return tuple(map(self.maker.reword, texts))

    @property
    def choices(self) -> tuple[str, ...]:
        """What the valid actions of a Discrete space are called now; nothing of another space.

        Raises:
            SpaceError: Mask or texts do not fit the action space.
        """
        if not self.maker.count:
            return ()
        pairs = zip(self.action_texts, self.valid, strict=True)
        return tuple(text for text, is_valid in pairs if is_valid)

    def action_text(self, action: Any) -> str:
        """Return what an action of any space is called if it is taken now."""
        if self.maker.is_nothing(action):
            return NOTHING
        describer = self.maker.describer
        if isinstance(describer, EnvDescriber):
            return self.maker.reword(describer.action_in(self.info, action))
        return self.maker.reword(describer.action(action))


class MomentMaker:
    r"""Makes the moments of one kind of environment.

    >>> from dragoman.describe import describe_env
    >>> env = gym.make("FrozenLake-v1")
    >>> describer = describe_env(env, observation="row {row}, column {column}")
    >>> make = MomentMaker(lambda: describer, env.action_space, goal="reach the gift")
    >>> print(make(1, {}, past=(("row 0, column 0", "move right"),)).text)
    Goal: reach the gift
    Observation: row 0, column 0
    Action: move right
    Observation: row 0, column 1

    Args:
        describe: Makes what puts observations and actions into words, when a text is first read.
        actions: The (unbatched) action space.
        goal: What the agent should do, if that is to be said.
        history: Number of steps that are remembered, by `dragoman.describe.history.Remember`.
        list_actions: Say behind the observation which actions of a Discrete space are valid.
        synonyms: What every text says instead of a word or phrase, see `Synonyms`.

    Attributes:
        reword: Puts a text in the words that are wanted.
        count: Number of actions ``K`` of a Discrete space, else 0.
        is_prompt: Whether texts have lines for goal, past or choices.

    Raises:
        ConfigError: Actions are to be listed that are no choice among named ones.
    """

    def __init__(
        self,
        describe: Callable[[], Describer],
        actions: gym.Space[Any],
        *,
        goal: str | None = None,
        history: int = 0,
        list_actions: bool = False,
        synonyms: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._describe = describe
        self.reword: Callable[[str], str] = Synonyms(synonyms) if synonyms else str
        self.goal = goal
        self.list_actions = list_actions
        self.is_prompt = goal is not None or history > 0 or list_actions
        self.count = int(actions.n) if isinstance(actions, gym.spaces.Discrete) else 0
        self._first = int(getattr(actions, "start", 0)) if self.count else 0
        if list_actions and not self.count:
            raise ConfigError(
                f"describe.list_actions is set, but the actions are a {type(actions).__name__} "
                "space, which has no list of them",
                cure="leave describe.list_actions out, or choose a task with Discrete actions",
            )

    def __call__(self, observation: Any, info: Info, past: Past = ()) -> Moment:
        """Return the moment of one step."""
        return Moment(observation, info, self, past)

    def is_nothing(self, action: Any) -> bool:
        """Return whether an action stands for a text that named none."""
        return action is None or (self.count > 0 and bool(np.asarray(action) == self._first - 1))

    @cached_property
    def describer(self) -> Describer:
        """What puts observations and actions into words."""
        return self._describe()

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """What the describer calls the actions, where the environment does not name them."""
        actions = range(self._first, self._first + self.count)
        return tuple(self.reword(self.describer.action(action)) for action in actions)

    def key(self, observation: Any) -> bytes:
        """Return the exact key of an observation, see `EnvDescriber.state_key`."""
        if not isinstance(self.describer, EnvDescriber):
            raise SpaceError(
                f"{type(self.describer).__name__} makes no exact keys of observations",
                cure="use the describer of describe_env",
            )
        return self.describer.state_key(observation)


def moment_of(observation: Any, info: Mapping[str, Any], make: MomentMaker) -> Moment:
    """Return the moment that an info holds, or a new one where it holds none."""
    result: Moment | None = info.get(MOMENT)
    return make(observation, info) if result is None else result


def moments_in(
    observations: Sequence[Any], infos: Sequence[Mapping[str, Any]], make: MomentMaker
) -> list[Moment]:
    """Return the moments of ``B`` observations and their infos, each as `moment_of` does."""
    pairs = zip(observations, infos, strict=True)
    return [moment_of(observation, info, make) for observation, info in pairs]


def valid_actions(info: Info, count: int) -> BoolArray:
    """Return which of ``count`` actions an info says are valid, bool ``(K,)``: all, if nothing.

    Raises:
        SpaceError: The mask does not fit the actions.
    """
    mask, texts = info.get(MASK), info.get(TEXTS)
    if mask is None:
        mask = np.ones(count) if texts is None else [bool(text) for text in texts]
    return bits(mask, count, "info['action_mask']")

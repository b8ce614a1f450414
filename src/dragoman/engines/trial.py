"""One random episode before a training: what is wrong with the environment, said before it costs.

Faults that a number, a flag or a type shows at once are found beneath all else, by
`dragoman.environments.checks`, here as in every later step. What is added here is the rest of the
observation's space, and that the roles can read what they will be given.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dragoman.describe.environment import observation_features
from dragoman.describe.features import slack
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.describe.numbers import shown
from dragoman.describe.rollout import random_action
from dragoman.engines.state import Random, given, taken
from dragoman.environments.checks import Checked, entry_of, place_of
from dragoman.errors import DragomanError, SpaceError, raised_in
from dragoman.maths.seeds import derive_seed

STEPS = 1_000
SECONDS = 5.0
"""What ends the episode where the environment does not."""

AS_DECLARED = "return what observation_space says, or correct the space"


class BoundsWarning(UserWarning):
    """An environment whose observations leave the bounds that it declares."""


class Misfit(NamedTuple):
    """What of an observation does not lie in its space.

    Attributes:
        text: Which entry, and its value.
        is_fatal: Nothing can be trained on it; otherwise it only leaves its bounds.
    """

    text: str
    is_fatal: bool = True


def try_episode(
    make: Callable[[], gym.Env[Any, Any]],
    moments: MomentMaker,
    readers: Sequence[Callable[[Moment], Any]],
) -> None:
    """Play an episode with random actions, and refuse an environment in which that fails.

    What the training will draw at random is left as it was.

    Args:
        make: Makes a copy of the environment, which is closed then.
        moments: Makes its moments.
        readers: What the experiment's roles will read of a moment, without a model.

    Raises:
        SpaceError: ``reset`` or ``step`` raises, or hands over what nothing can be trained on; the
            message names the entry, its value, the step, and the file and line that returned it.
        ConfigError: A setting of the describer or of a role does not fit what is observed.

    Warns:
        BoundsWarning: An observation left its bounds, and nothing that reads it minds.
    """
    # Gymnasium's warnings and the environment's own come again in the training.
    with _aside(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = make()
        try:
            left = _Trial(env, moments, readers).play()
        finally:
            env.close()
    if left is not None:
        warnings.warn(
            f"{left}; the training goes on with it: widen the space, or clip the value",
            BoundsWarning,
            stacklevel=5,
        )


class _Trial:
    """One episode on one environment."""

    def __init__(
        self,
        env: gym.Env[Any, Any],
        moments: MomentMaker,
        readers: Sequence[Callable[[Moment], Any]],
    ) -> None:
        self.env = env
        self.moments = moments
        self.readers = readers
        self.step = 0
        self.left: str | None = None
        self.names = tuple(feature.name for feature in observation_features(env) or ())
        below = env
        while isinstance(below, gym.Wrapper) and not isinstance(below, Checked):
            below = below.env
        if isinstance(below, Checked):
            below.names = self.names

    def play(self) -> str | None:
        """Play it, and say which observation first left its bounds, if one did."""
        env, until = self.env, time.monotonic() + SECONDS
        seed = derive_seed("trial")
        env.action_space.seed(seed)
        observation, info = self._called(lambda: env.reset(seed=seed))
        self._look(observation, info)
        is_over = False
        while not is_over and self.step < STEPS and time.monotonic() < until:
            self.step += 1
            action = random_action(env.action_space, info)
            observation, _, ended, cut, info = self._called(env.step, action)
            self._look(observation, info)
            is_over = bool(ended or cut)
        return self.left

    def _called(self, call: Callable[..., Any], *given: Any) -> Any:
        try:
            return call(*given)
        except DragomanError:
            raise
        except Exception as error:  # of Gymnasium's own check, or of a wrapper
            raise self._error(f"{type(error).__name__}: {error}", AS_DECLARED) from error

    def _look(self, observation: Any, info: Mapping[str, Any]) -> None:
        for misfit in misfits(self.env.observation_space, observation, names=self.names):
            if misfit.is_fatal:
                raise self._error(misfit.text, AS_DECLARED)
            self.left = self.left or self._where(misfit.text)
        moment = moment_of(observation, info, self.moments)
        try:
            for read in self.readers:
                read(moment)
        except SpaceError as error:
            raise self._error(error.problem, error.cure) from error
        except DragomanError:
            raise
        except Exception as error:
            problem = f"reading it raised {type(error).__name__}: {error}, in {raised_in(error)}"
            raise self._error(problem, "mend what reads the observation") from error

    def _error(self, problem: str, cure: str) -> SpaceError:
        return SpaceError(self._where(problem), cure=cure)

    def _where(self, problem: str) -> str:
        """Put the place in front of what is said, and the file and line behind it."""
        spec, method = self.env.spec, "step" if self.step else "reset"
        name = type(self.env.unwrapped).__name__ if spec is None else spec.id
        place = place_of(self.env, method)
        return f"environment {name!r}, episode 1, step {self.step}: {problem}{place}"


def misfits(
    space: gym.Space[Any], value: Any, path: str = "the observation", names: Sequence[str] = ()
) -> Iterator[Misfit]:
    """Yield what of a value does not lie in a space.

    >>> space = gym.spaces.Dict(battery=gym.spaces.Box(0, 1, (1,)), door=gym.spaces.Discrete(2))
    >>> for misfit in misfits(space, {"battery": np.array([1.5]), "door": 2}):
    ...     print(misfit.text)
    the observation['battery'][0] is 1.5, outside its bounds 0 to 1
    the observation['door'] is 2, which does not lie in Discrete(2)

    Args:
        space: What it should lie in.
        value: What was returned.
        path: What messages call it.
        names: What the numbers of a vector are called.
    """
    parts: dict[Any, gym.Space[Any]] | None = None
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            keys = (
                f"has the keys {sorted(map(str, value))}"
                if isinstance(value, Mapping)
                else (f"is {shown(value)}")
            )
            yield Misfit(f"{path} {keys}, but its space has {sorted(map(str, space.spaces))}")
            return
        parts = dict(space.spaces)
    elif isinstance(space, gym.spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            yield Misfit(f"{path} is {shown(value)}, but its space has {len(space.spaces)} parts")
            return
        parts = dict(enumerate(space.spaces))
    if parts is not None:
        for key, part in parts.items():
            yield from misfits(part, value[key], f"{path}[{key!r}]")
    elif isinstance(space, gym.spaces.Box):
        yield from _of_box(space, value, path, names)
    elif isinstance(space, _CHOICES) and not space.contains(value):
        yield Misfit(f"{path} is {shown(value)}, which does not lie in {space}")


_CHOICES = (gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)


def _of_box(space: gym.spaces.Box, value: Any, path: str, names: Sequence[str]) -> Iterator[Misfit]:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        yield Misfit(f"{path} is {shown(value)} of type {array.dtype}, which is no {space.dtype}")
        return
    if array.shape != space.shape:
        yield Misfit(f"{path} has shape {array.shape}, but its space says {space.shape}")
        return
    low, high = space.low - slack(space.low), space.high + slack(space.high)
    wrongs = {"outside its bounds {low:g} to {high:g}": (array < low) | (array > high)}
    if space.dtype.kind in "iu" and array.dtype.kind == "f":
        wrongs = {f"and {space.dtype} numbers are whole": array != np.trunc(array)} | wrongs
    for why, is_wrong in wrongs.items():
        if not is_wrong.any():
            continue
        place = tuple(int(i) for i in np.argwhere(is_wrong)[0])
        said = why.format(low=float(space.low[place]), high=float(space.high[place]))
        yield Misfit(
            f"{entry_of(path, place, names)} is {array[place]}, {said}",
            is_fatal=why.startswith("and"),
        )


@contextmanager
def _aside() -> Iterator[None]:
    """Leave the generators that environments share with a training as they were."""
    before = taken(Random())
    try:
        yield
    finally:
        given(Random(), before)

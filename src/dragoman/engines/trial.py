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
from typing import Any

import gymnasium as gym

from dragoman.describe.environment import observation_features
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.describe.rollout import random_action
from dragoman.engines.state import Random, given, taken
from dragoman.environments.checks import AS_DECLARED, place_of
from dragoman.environments.fits import misfits
from dragoman.environments.guard import BoundsWarning, checked_in
from dragoman.errors import DragomanError, SpaceError, raised_in
from dragoman.maths.seeds import derive_seed

STEPS = 1_000
SECONDS = 5.0
"""What ends the episode where the environment does not."""


def try_episode(
    make: Callable[[], gym.Env[Any, Any]],
    moments: MomentMaker,
    readers: Sequence[Callable[[Moment], Any]],
) -> bool:
    """Play an episode with random actions, and refuse an environment in which that fails.

    What the training will draw at random is left as it was.

    Args:
        make: Makes a copy of the environment, which is closed then.
        moments: Makes its moments.
        readers: What the experiment's roles will read of a moment, without a model.

    Returns:
        Whether it has warned.

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
    return left is not None


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
        if (below := checked_in(env)) is not None:
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


@contextmanager
def _aside() -> Iterator[None]:
    """Leave the generators that environments share with a training as they were."""
    before = taken(Random())
    try:
        yield
    finally:
        given(Random(), before)

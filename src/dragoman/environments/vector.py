"""Vector environments beneath the roles; the one place that knows autoreset modes.

Gymnasium resets a finished sub-environment in one of three ways (`AutoresetMode`):

* ``SAME_STEP``: in the step that ends the episode. The observation returned is already the new
  episode's first; the last one of the old episode is in ``infos["final_obs"]``.
* ``NEXT_STEP``: in the step after. That step ignores its action and has reward zero.
* ``DISABLED``: when the user calls ``reset(options={"reset_mask": ...})``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from dragoman.environments import make_environment
from dragoman.environments.copies import Copies
from dragoman.environments.guard import Faults, Guarded
from dragoman.environments.unlisted import Unlisted
from dragoman.errors import ConfigError
from dragoman.types import BoolArray

RESTING = "resting"
"""Key of an info which says that nothing was done in the step."""

Step = tuple[Any, NDArray[np.float64], BoolArray, BoolArray, dict[str, Any]]


def make_vector(
    spec: EnvSpec,
    num_envs: int,
    settings: Mapping[str, Any] | None = None,
    *,
    autoreset: AutoresetMode = AutoresetMode.SAME_STEP,
    faults: Faults | None = None,
    can_rest: bool = False,
) -> SyncVectorEnv:
    """Return copies of an environment.

    Args:
        spec: What `dragoman.environments.environment_spec` returned.
        num_envs: How many.
        settings: Keyword arguments of the environment's constructor.
        autoreset: When they reset by themselves.
        faults: Guards them, where that is wanted.
        can_rest: Whether single ones can be told to wait, see `Resting`.
    """
    tell = None if faults is None else faults.leaves_bounds
    makers: list[Callable[[], gym.Env[Any, Any]]] = [
        functools.partial(make_environment, spec, settings, index=i, leaves_bounds=tell)
        for i in range(num_envs)
    ]
    if faults is not None:
        makers = [functools.partial(Guarded, make, i, faults) for i, make in enumerate(makers)]
    if can_rest:
        makers = [functools.partial(_resting, make) for make in makers]
    return Copies(makers, autoreset_mode=autoreset)


class Resting(Unlisted):
    """One copy of an environment that can be told to wait at the beginning of its episode.

    While it waits, steps do nothing, and say so by ``info["resting"]``. So does a reset without a
    seed, such as that after an end: the next episode begins with the seed of its group, and this
    one is never played.

    Attributes:
        is_resting: Whether it waits.
    """

    is_resting: bool = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset, and remember where the episode begins."""
        self._begun = self.env.reset(seed=seed, options=options)
        observation, info = self._begun
        return (observation, info) if seed is not None else (observation, {**info, RESTING: True})

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or wait."""
        if not self.is_resting:
            return self.env.step(action)
        observation, info = self._begun
        return observation, 0.0, False, False, {**info, RESTING: True}


def _resting(make: Callable[[], gym.Env[Any, Any]]) -> gym.Env[Any, Any]:
    return Resting(make())


def autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """Return the mode that a vector environment declares.

    Raises:
        ConfigError: It declares none, so it is unknown which observation ends an episode.
    """
    mode = env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise ConfigError(
            f"{type(env.unwrapped).__name__} declares autoreset mode {mode!r}, "
            "which is no gymnasium.vector.AutoresetMode",
            cure='set metadata["autoreset_mode"] of the vector environment',
        )
    return mode


def acted_and_begun(
    was_ended: BoolArray, ended: BoolArray, mode: AutoresetMode, infos: Mapping[str, Any]
) -> tuple[BoolArray, NDArray[np.int64]]:
    """Return which sub-environments did something in a step ``(N,)``, and where episodes begin.

    Args:
        was_ended: Whose episodes ended in the step before, ``(N,)``.
        ended: Whose episodes ended in this step, ``(N,)``.
        mode: How they reset.
        infos: Of this step.
    """
    waits = np.asarray(infos.get(RESTING, np.zeros_like(ended)), dtype=np.bool_)
    if mode == AutoresetMode.NEXT_STEP:
        # The step after an end is the reset, in which nothing was done.
        return ~was_ended & ~waits, np.flatnonzero(was_ended & ~waits)
    # Of an episode that has ended, what waits is the one after it.
    return ended | ~waits, np.flatnonzero(ended & ~waits & (mode == AutoresetMode.SAME_STEP))


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Return one info a sub-environment from the dictionary of arrays that Gymnasium batches.

    A key is kept only for the sub-environments that reported it (its mask ``_key`` is true).
    """
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        # A mask has a partner of the same name without the underscore.
        if key.startswith("_") and key[1:] in infos:
            continue
        was_reported = infos.get(f"_{key}", np.ones(num_envs, dtype=np.bool_))
        parts = split_infos(values, num_envs) if isinstance(values, Mapping) else values
        for i in np.flatnonzero(was_reported):
            rows[i][key] = parts[i]
    return rows


@dataclass(frozen=True)
class Episode:
    """One finished episode, in the environment's own rewards.

    Attributes:
        env: Index of the sub-environment.
        length: Steps taken.
        episode_return: Undiscounted sum of the environment's own rewards.
        terminated: The environment reached a terminal state.
        truncated: The episode was cut off, by a time limit for instance.
    """

    env: int
    length: int
    episode_return: float
    terminated: bool
    truncated: bool


class EpisodeRecorder(VectorWrapper):
    """Records the environment's own returns; put it beneath every wrapper that changes them."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self._mode = autoreset_mode(env)
        self._finished: list[Episode] = []
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)

    def drain(self) -> Iterator[Episode]:
        """Yield the episodes that finished since the last call."""
        finished, self._finished = self._finished, []
        yield from finished

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments; their running returns start from zero."""
        everyone = np.ones(self.num_envs, dtype=np.bool_)
        self._clear((options or {}).get("reset_mask", everyone))
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments and note which episodes ended."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        ended = terminations | truncations
        # Under NEXT_STEP the step after an end is the reset: it belongs to no episode.
        acted, _ = acted_and_begun(self._ended, ended, self._mode, infos)
        self._clear(self._ended.copy())
        self._returns += np.where(acted, rewards, 0.0)
        self._lengths += acted
        self._ended = ended
        for i in np.flatnonzero(self._ended):
            self._finished.append(
                Episode(
                    env=int(i),
                    length=int(self._lengths[i]),
                    episode_return=float(self._returns[i]),
                    terminated=bool(terminations[i]),
                    truncated=bool(truncations[i]),
                )
            )
        return observations, rewards, terminations, truncations, infos

    def _clear(self, which: BoolArray) -> None:
        self._returns[which] = 0.0
        self._lengths[which] = 0
        self._ended[which] = False


def rows_of(batch: Any, which: int | slice | NDArray[Any]) -> Any:
    """Return rows of an array or a tensor, or of every one in a dictionary."""
    if isinstance(batch, dict):
        return {key: rows_of(part, which) for key, part in batch.items()}
    return batch[which]

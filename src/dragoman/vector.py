"""The vector environment with the roles on it; the one place that knows autoreset modes.

Gymnasium resets a finished sub-environment in one of three ways (`AutoresetMode`):

* ``SAME_STEP``: in the step that ends the episode. The observation returned is already the new
  episode's first; the last one of the old episode is in ``infos["final_obs"]``.
* ``NEXT_STEP``: in the step after. That step ignores its action and has reward zero.
* ``DISABLED``: when the user calls ``reset(options={"reset_mask": ...})``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, overload

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, create_empty_array, iterate
from numpy.typing import NDArray

from dragoman.describe import describe_env
from dragoman.environments import make_environment
from dragoman.errors import ConfigError
from dragoman.models.cache import CachedModel
from dragoman.models.catalog import load_model
from dragoman.roles.embedding import TokenObserver
from dragoman.roles.observe import Observe, Observer
from dragoman.roles.options import OptionsObserver
from dragoman.roles.raw import RawState
from dragoman.types import BoolArray, Describer, FloatArray, LanguageModel

Step = tuple[Any, NDArray[np.float64], BoolArray, BoolArray, dict[str, Any]]
AnyObserver = Observer | TokenObserver | OptionsObserver | RawState


def make_vector(
    spec: EnvSpec,
    num_envs: int,
    settings: Mapping[str, Any] | None = None,
) -> SyncVectorEnv:
    """Return ``num_envs`` copies of an environment that reset in the step that ends them."""
    return SyncVectorEnv(
        [functools.partial(make_environment, spec, settings, index=i) for i in range(num_envs)],
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """Return the mode that a vector environment declares.

    Raises:
        ConfigError: It declares none, so nobody can tell which observation ends an episode.
    """
    mode = env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise ConfigError(
            f"{type(env.unwrapped).__name__} declares autoreset mode {mode!r}, "
            "which is no gymnasium.vector.AutoresetMode",
            cure='set metadata["autoreset_mode"] of the vector environment',
        )
    return mode


def split_infos(infos: Mapping[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Return one info a sub-environment from the dictionary of arrays that Gymnasium batches.

    A key is kept only for the sub-environments that reported it (its mask ``_key`` is true).
    """
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in infos.items():
        # A key's own leading underscore is told from a mask by its partner being present.
        if key.startswith("_") and key[1:] in infos:
            continue
        was_reported = infos.get(f"_{key}", np.ones(num_envs, dtype=np.bool_))
        parts = split_infos(values, num_envs) if isinstance(values, Mapping) else values
        for i in np.flatnonzero(was_reported):
            rows[i][key] = parts[i]
    return rows


class ObserveVector(VectorWrapper):
    """A vector environment whose observations are what an observer makes of them.

    That is an array of features, or a dictionary of arrays.

    Works in all three autoreset modes. One forward serves a whole step: under ``SAME_STEP`` the
    final observations of ended episodes are encoded beside the new ones and replace
    ``infos["final_obs"]``.

    Args:
        env: The vector environment to read.
        observer: Observations to features.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], observer: AnyObserver) -> None:
        super().__init__(env)
        self.observer = observer
        self._mode = autoreset_mode(env)
        self.single_observation_space = observer.feature_space
        self.observation_space = batch_space(observer.feature_space, self.num_envs)
        self._features: Any = create_empty_array(observer.feature_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset (the masked) sub-environments and return features ``(N, D)``."""
        which = np.arange(self.num_envs)
        if options is not None and "reset_mask" in options:
            which = np.flatnonzero(options["reset_mask"])
        observations, infos = self.env.reset(seed=seed, options=options)
        rows, row_infos = self._rows(observations), split_infos(infos, self.num_envs)
        # The others were described when they stepped, and report no info now.
        features = self.observer([rows[i] for i in which], [row_infos[i] for i in which])
        self._features = _replaced(self._features, which, features)
        return self._features, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments; the first item is features ``(N, D)``."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        rows = self._rows(observations)
        row_infos = split_infos(infos, self.num_envs)
        ended = np.flatnonzero(terminations | truncations)
        if self._mode != AutoresetMode.SAME_STEP or not len(ended):
            self._features = self.observer(rows, row_infos)
            return self._features, rewards, terminations, truncations, infos

        rows += [infos["final_obs"][i] for i in ended]
        row_infos += [row_infos[i]["final_info"] for i in ended]
        features = self.observer(rows, row_infos)
        final = np.full(self.num_envs, None, dtype=object)
        for row, i in enumerate(ended, start=self.num_envs):
            final[i] = _rows_of(features, row)
        infos = {**infos, "final_obs": final}
        self._features = _rows_of(features, slice(self.num_envs))
        return self._features, rewards, terminations, truncations, infos

    def _rows(self, observations: Any) -> list[Any]:
        return list(iterate(self.env.observation_space, observations))


def _rows_of(features: Any, which: int | slice) -> Any:
    """Return rows of an array, or of every array of a dictionary."""
    if isinstance(features, dict):
        return {key: value[which] for key, value in features.items()}
    return features[which]


def _replaced(features: Any, which: NDArray[np.int64], rows: Any) -> Any:
    """Return features in which some rows are others."""
    if isinstance(features, dict):
        return {key: _replaced(value, which, rows[key]) for key, value in features.items()}
    changed = features.copy()
    changed[which] = rows
    return changed


class ObserveEnv(gym.Wrapper[FloatArray, Any, Any, Any], RecordConstructorArgs):
    """The twin of `ObserveVector` for a single environment: a batch of one."""

    def __init__(self, env: gym.Env[Any, Any], observer: Observer) -> None:
        # Recorded so that Gymnasium can rebuild the wrapper; a model is shared, never copied.
        RecordConstructorArgs.__init__(self, observer=observer, _disable_deepcopy=True)
        gym.Wrapper.__init__(self, env)
        self.observer = observer
        self.observation_space = observer.feature_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Reset and return features ``(D,)``."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.observer([observation], [info])[0], info

    def step(self, action: Any) -> tuple[FloatArray, Any, bool, bool, dict[str, Any]]:
        """Step; the first item is features ``(D,)``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.observer([observation], [info])[0], reward, terminated, truncated, info


@overload
def observe(
    env: VectorEnv[Any, Any, Any],
    model: str | LanguageModel = ...,
    settings: Observe = ...,
    describer: Describer | None = ...,
) -> ObserveVector: ...
@overload
def observe(
    env: gym.Env[Any, Any],
    model: str | LanguageModel = ...,
    settings: Observe = ...,
    describer: Describer | None = ...,
) -> ObserveEnv: ...
def observe(
    env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any],
    model: str | LanguageModel = "smollm2-135m",
    settings: Observe = Observe(),
    describer: Describer | None = None,
) -> ObserveEnv | ObserveVector:
    """Put a language model between an environment and whoever trains on it.

    >>> from dragoman.testing import ScriptedModel
    >>> env = gym.make("CartPole-v1")
    >>> observe(env, ScriptedModel(lambda text: [len(text)])).observation_space.shape
    (2,)

    Args:
        env: An environment or a vector environment, in any autoreset mode.
        model: A model, or the name or path of one.
        settings: What of the model becomes the observation.
        describer: Turns observations into text; read from the environment's own documentation
            unless given.

    Raises:
        ConfigError: The settings ask for an embedding that only a training can learn.
    """
    if not settings.uses_model:
        raise ConfigError(
            f"observe.encoder is {settings.encoder!r}, whose table is part of the policy network",
            cure="train an experiment with it, as in dragoman.train(experiment)",
        )
    if not isinstance(model, CachedModel):
        model = CachedModel(load_model(model) if isinstance(model, str) else model)
    describer = describer or describe_env(env)
    if isinstance(env, VectorEnv):
        space = env.single_observation_space
        return ObserveVector(env, Observer(model, describer, settings, space))
    return ObserveEnv(env, Observer(model, describer, settings, env.observation_space))


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
        # Under NEXT_STEP the step after an end is the reset: it belongs to no episode.
        acted = ~self._ended if self._mode == AutoresetMode.NEXT_STEP else np.ones_like(self._ended)
        self._clear(self._ended.copy())
        self._returns += np.where(acted, rewards, 0.0)
        self._lengths += acted
        self._ended = terminations | truncations
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

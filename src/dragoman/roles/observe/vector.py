"""The observe role on an environment: its observations are what an observer makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, overload

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, create_empty_array
from numpy.typing import NDArray

from dragoman.describe.moment import MOMENT, MomentMaker, moment_of
from dragoman.describe.own import describer_for
from dragoman.describe.vector import MomentVector, now_and_reached
from dragoman.environments import as_environment
from dragoman.environments.vector import Step, autoreset_mode, rows_of
from dragoman.errors import ConfigError
from dragoman.models.cache import CachedModel
from dragoman.models.spec import ModelSpec
from dragoman.roles.observe.observer import AnyObserver, Observer
from dragoman.roles.observe.raw import RawState
from dragoman.roles.observe.settings import Observe
from dragoman.settings import from_plain
from dragoman.types import Describer, FloatArray, LanguageModel


class ObserveVector(VectorWrapper):
    """A vector environment whose observations are what an observer makes of them.

    That is an array of features, or a dictionary of arrays.

    Works in all three autoreset modes. One forward serves a whole step: under ``SAME_STEP`` the
    final observations of ended episodes are encoded beside the new ones and replace
    ``infos["final_obs"]``.

    Args:
        env: The vector environment to read, above a `dragoman.describe.vector.MomentVector`.
        observer: Moments to features.
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
        _, infos = self.env.reset(seed=seed, options=options)
        # The others were read when they stepped, and report no info now.
        features = self.observer([infos[MOMENT][i] for i in which])
        self._features = _replaced(self._features, which, features)
        return self._features, infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments; the first item is features ``(N, D)``."""
        _, rewards, terminations, truncations, infos = self.env.step(actions)
        moments, reached = now_and_reached(infos, terminations | truncations, self._mode)
        ended = [i for i in range(self.num_envs) if reached[i] is not moments[i]]
        features = self.observer([*moments, *(reached[i] for i in ended)])
        if ended:
            final = np.full(self.num_envs, None, dtype=object)
            for row, i in enumerate(ended, start=self.num_envs):
                final[i] = rows_of(features, row)
            infos = {**infos, "final_obs": final}
            features = rows_of(features, slice(self.num_envs))
        self._features = features
        return features, rewards, terminations, truncations, infos


def _replaced(features: Any, which: NDArray[np.int64], rows: Any) -> Any:
    """Return features in which some rows are others."""
    if isinstance(features, dict):
        return {key: _replaced(value, which, rows[key]) for key, value in features.items()}
    changed = features.copy()
    changed[which] = rows
    return changed


class ObserveEnv(gym.Wrapper[FloatArray, Any, Any, Any], RecordConstructorArgs):
    """The twin of `ObserveVector` for a single environment: a batch of one."""

    def __init__(self, env: gym.Env[Any, Any], observer: Observer, make: MomentMaker) -> None:
        # Recorded so that Gymnasium can rebuild the wrapper; a model is shared, never copied.
        RecordConstructorArgs.__init__(self, observer=observer, make=make, _disable_deepcopy=True)
        gym.Wrapper.__init__(self, env)
        self.observer = observer
        self.make = make
        self.observation_space = observer.feature_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Reset and return features ``(D,)``."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.observer([moment_of(observation, info, self.make)])[0], info

    def step(self, action: Any) -> tuple[FloatArray, Any, bool, bool, dict[str, Any]]:
        """Step; the first item is features ``(D,)``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        features = self.observer([moment_of(observation, info, self.make)])[0]
        return features, reward, terminated, truncated, info


@overload
def observe(
    env: VectorEnv[Any, Any, Any],
    model: str | LanguageModel = ...,
    settings: Observe | Mapping[str, Any] = ...,
    describer: str | Describer | None = ...,
) -> ObserveVector: ...
@overload
def observe(
    env: str | gym.Env[Any, Any],
    model: str | LanguageModel = ...,
    settings: Observe | Mapping[str, Any] = ...,
    describer: str | Describer | None = ...,
) -> ObserveEnv: ...
def observe(
    env: str | gym.Env[Any, Any] | VectorEnv[Any, Any, Any],
    model: str | LanguageModel = "smollm2-135m",
    settings: Observe | Mapping[str, Any] = Observe(),
    describer: str | Describer | None = None,
) -> ObserveEnv | ObserveVector:
    """Put a language model between an environment and what trains on it.

    >>> from dragoman.testing import ScriptedModel
    >>> env = gym.make("CartPole-v1")
    >>> observe(env, ScriptedModel(lambda text: [len(text)])).observation_space.shape
    (2,)

    Args:
        env: An environment, or the name of one; or a vector environment, in any autoreset mode.
        model: A model, or the name or path of one; that of the settings goes first.
        settings: What of the model becomes the observation; also as an experiment's file has it.
        describer: Turns observations into text, or the path of what does; read from the
            environment's own documentation unless given.

    Raises:
        ConfigError: There is no such environment or describer, a setting does not fit, or raw
            observations hold nothing that can be read. No model has been loaded then.
        SpaceError: The observations hold nothing that can be described.
    """
    env = as_environment(env)
    settings = from_plain(Observe, settings, "observe")
    space, actions = _spaces(env)
    make = MomentMaker(partial(describer_for, env, describer), actions)
    # What cannot be described or read is refused before a model is loaded.
    if settings.reads_texts:
        make.describer  # noqa: B018
    if settings.raw:
        RawState(space)
    written = None if settings.written is None else settings.written.fitted(env, seed=0)
    reader = _reader(model, settings) if settings.reads_texts else None
    observer = Observer(reader, settings, space, written)
    if isinstance(env, VectorEnv):
        return ObserveVector(MomentVector(env, make), observer)
    return ObserveEnv(env, observer, make)


def _reader(model: str | LanguageModel, settings: Observe) -> CachedModel:
    if settings.model is not None or isinstance(model, str):
        model = (settings.model or ModelSpec(str(model))).load()
    if not isinstance(model, LanguageModel):
        raise ConfigError(
            f"{model!r} is no language model",
            cure="give a name such as 'smollm2-135m', or what dragoman.load_model returns",
        )
    return model if isinstance(model, CachedModel) else CachedModel(model)


def _spaces(
    env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any],
) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the (unbatched) spaces of observations and actions."""
    if isinstance(env, VectorEnv):
        return env.single_observation_space, env.single_action_space
    return env.observation_space, env.action_space

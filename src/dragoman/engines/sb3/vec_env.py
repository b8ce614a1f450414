"""A Gymnasium vector environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from dragoman.environments.indices import Indices
from dragoman.environments.vector import autoreset_mode, split_infos
from dragoman.errors import ConfigError


class VecAdapter(VecEnv):
    """A Gymnasium vector environment in the words of Stable-Baselines3.

    Stable-Baselines3 expects resets in the step that ends an episode, the last observation of
    the old episode in ``info["terminal_observation"]`` and a cut-off marked by
    ``info["TimeLimit.truncated"]``, which is where it bootstraps. It chooses by indices.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if autoreset_mode(env) != AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"the vector environment resets in mode {autoreset_mode(env).name}",
                cure="make it with autoreset_mode=AutoresetMode.SAME_STEP",
            )
        # Gymnasium's own classes take a list of seeds, though their base class does not say so.
        self.env: Any = env
        self._actions: Any = None
        self._indices = Indices(env.single_action_space)
        super().__init__(env.num_envs, env.single_observation_space, self._indices.space)

    def reset(self) -> Any:
        """Reset every sub-environment, with the seeds given to `seed` if any."""
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.env.reset(seed=seeds)
        self.reset_infos = split_infos(infos, self.num_envs)
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions that these indices stand for, for `step_wait`."""
        self._actions = self._indices.actions(actions)

    def step_wait(self) -> Any:
        """Step and return observations, rewards, dones and one info a sub-environment."""
        observations, rewards, terminations, truncations, batch = self.env.step(self._actions)
        dones = terminations | truncations
        infos = split_infos(batch, self.num_envs)
        for info in infos:
            # Stable-Baselines3 takes this key for its own record of returns; ours stands beneath.
            info.pop("episode", None)
        for i in np.flatnonzero(dones):
            infos[i]["terminal_observation"] = infos[i].pop("final_obs")
            infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the sub-environments."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the vector environment, once for each index."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: sub-environments may live in other processes."""
        raise NotImplementedError("attributes of sub-environments cannot be set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuse: sub-environments may live in other processes."""
        raise NotImplementedError("methods of sub-environments cannot be called")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Say that no sub-environment wears one of Stable-Baselines3's own wrappers."""
        return [False for _ in self._get_indices(indices)]

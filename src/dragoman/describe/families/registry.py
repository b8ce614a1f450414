"""Which family an environment belongs to, and what else is known of it by its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from dragoman.describe.documentation import Documentation, read_documentation
from dragoman.describe.families import (
    atari,
    box2d,
    classic_control,
    minigrid,
    mujoco,
    toy_text,
)
from dragoman.describe.families.family import Family
from dragoman.describe.masks import without_mask

FAMILIES: Mapping[str, Family] = {
    "AcrobotEnv": classic_control.Acrobot(),
    "AntEnv": mujoco.Ant(),
    "AtariEnv": atari.Atari(),
    "BipedalWalker": box2d.BipedalWalker(),
    "BlackjackEnv": toy_text.Blackjack(),
    "CartPoleEnv": classic_control.CartPole(),
    "CliffWalkingEnv": toy_text.CliffWalking(),
    "Continuous_MountainCarEnv": classic_control.MountainCar(flag=0.45),
    "FrozenLakeEnv": toy_text.FrozenLake(),
    "HalfCheetahEnv": mujoco.Runner(mujoco.CHEETAH, relative=True),
    "HopperEnv": mujoco.Runner(mujoco.HOPPER),
    "InvertedPendulumEnv": mujoco.InvertedPendulum(),
    "LunarLander": box2d.LunarLander(),
    "MiniGridEnv": minigrid.MiniGrid(),
    "MountainCarEnv": classic_control.MountainCar(flag=0.5),
    "PendulumEnv": classic_control.Pendulum(),
    "PusherEnv": mujoco.Pusher(),
    "ReacherEnv": mujoco.Reacher(),
    "SwimmerEnv": mujoco.Swimmer(),
    "TaxiEnv": toy_text.Taxi(),
    "Walker2dEnv": mujoco.Runner(mujoco.WALKER),
}
"""Families by the name of their class, so that describing needs none of their packages."""

PACKAGES = ("ale_py", "gymnasium", "minigrid")
"""Whose class names `FAMILIES` means: others may have classes of the same name."""


@dataclass(frozen=True)
class Knowledge:
    """What is known of an environment's class, as far as wrappers have left it true.

    Attributes:
        family: The family of the class, or of the nearest one that it inherits from.
        documentation: What its docstring says.
        env: The environment beneath its wrappers, or nothing where it is in another process.
        knows_observation: Whether no wrapper has changed the space of its observations.
        knows_action: Likewise for its actions.
        wrappers: The classes that change observations, as ``module:Class``; nothing where it is
            unknown what has changed the space.
    """

    family: Family
    documentation: Documentation
    env: Any
    knows_observation: bool
    knows_action: bool
    wrappers: tuple[str, ...] | None = ()

    @classmethod
    def of(cls, env: Any, inner: gym.Env[Any, Any] | None) -> Knowledge:
        """Return what is known of an environment, of which one copy may be in this process."""
        if inner is not None:
            plain = inner.unwrapped
            _, observation_space, action_space = parts_of(env)
            return cls(
                family=family_of(type(plain)),
                documentation=_documentation(type(plain), inner.spec),
                env=plain,
                knows_observation=observation_space
                in (plain.observation_space, without_mask(plain.observation_space)),
                knows_action=action_space == plain.action_space,
                wrappers=_wrappers(inner) if observation_space == inner.observation_space else None,
            )
        # The environments live in other processes: only their specification is here.
        spec = env.spec
        creator = None if spec is None or spec.entry_point is None else spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        if not isinstance(creator, type):
            return cls(Family(), Documentation(), None, False, False)
        return cls(
            family_of(creator), _documentation(creator, spec), None, True, True, _specified(spec)
        )

    def wrappers_of(self, package: str) -> frozenset[str] | None:
        """Return class names of a package's wrappers that change observations.

        Nothing stands for unknown wrappers that have changed the space.
        """
        if self.wrappers is None:
            return None
        paths = [path.partition(":") for path in self.wrappers]
        return frozenset(name for module, _, name in paths if module.partition(".")[0] == package)


def family_of(kind: type) -> Family:
    """Return the family of a class of environments; one that knows nothing where there is none."""
    names = (
        base.__name__ for base in kind.__mro__ if base.__module__.partition(".")[0] in PACKAGES
    )
    return next((FAMILIES[name] for name in names if name in FAMILIES), Family())


def _wrappers(env: Any) -> tuple[str, ...] | None:
    """Return the wrappers that change observations; nothing where others change their space."""
    result = []
    while isinstance(env, gym.Wrapper):
        kind = type(env)
        is_known = kind.__module__.partition(".")[0] in PACKAGES
        if isinstance(env, gym.ObservationWrapper):
            result.append(f"{kind.__module__}:{kind.__name__}")
        if not is_known and env.observation_space != env.env.observation_space:
            return None
        env = env.env
    return tuple(result)


def _specified(spec: Any) -> tuple[str, ...] | None:
    """Return the wrappers that a specification adds; nothing where one cannot be known."""
    result = [str(wrapper.entry_point) for wrapper in spec.additional_wrappers]
    for wrapper in spec.kwargs.get("wrappers") or ():
        kind = getattr(wrapper, "func", wrapper)
        if not isinstance(kind, type):
            return None
        if issubclass(kind, gym.ObservationWrapper):
            result.append(f"{kind.__module__}:{kind.__name__}")
    return tuple(result)


def changes_observations(env: Any) -> bool:
    """Whether a wrapper is made to change observations, even within their space."""
    while isinstance(env, gym.Wrapper | gym.vector.VectorWrapper):
        if isinstance(env, gym.ObservationWrapper | gym.vector.VectorObservationWrapper):
            return True
        env = env.env
    copies: Sequence[Any] = getattr(env, "envs", ())
    return len(copies) > 0 and changes_observations(copies[0])


def parts_of(env: Any) -> tuple[gym.Env[Any, Any] | None, gym.Space[Any], gym.Space[Any]]:
    """Return one environment if there is one in this process, and its two spaces."""
    if isinstance(env, gym.vector.VectorEnv):
        copies = getattr(env.unwrapped, "envs", None)
        inner = copies[0] if copies else None
        return inner, env.single_observation_space, env.single_action_space
    return env, env.observation_space, env.action_space


def _documentation(environment: type, spec: Any) -> Documentation:
    """Return the documentation of a class, or of its newest version where it has none."""
    result = read_documentation(environment)
    if result != Documentation() or spec is None:
        return result
    versions = [
        other
        for other in gym.registry.values()
        if (other.namespace, other.name) == (spec.namespace, spec.name)
        and isinstance(other.entry_point, str)
    ]
    if not versions:
        return result
    newest = max(versions, key=lambda other: other.version or 0)
    creator = load_env_creator(str(newest.entry_point))
    return read_documentation(creator) if isinstance(creator, type) else result

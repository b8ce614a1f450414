"""What a program may know of an environment: names, units and bounds of its numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from dragoman.describe.environment import action_features, describe_env, observation_features
from dragoman.describe.families.registry import parts_of
from dragoman.describe.features import Feature
from dragoman.errors import SpaceError

MOST_QUANTITIES = 256
"""Nobody names the pixels of an image one by one."""

RADIANS = {"degrees": "radians", "degrees per second": "radians per second"}
"""The describer writes degrees; a program gets the environment's own number."""

Read: TypeAlias = Callable[[Any], list[float]]


@dataclass(frozen=True)
class Quantity:
    """One number of an observation or an action.

    Attributes:
        name: What it is, as a Python name.
        unit: Its unit, or nothing.
        low: Lowest value, where there is one.
        high: Highest value, where there is one.
        whole: Whether it is a whole number.
        about: More in words, as the meaning of its values.
    """

    name: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    about: str = ""

    def text(self) -> str:
        """Return the quantity in one line."""
        bounds = [f"from {self.low:g}" if math.isfinite(self.low) else ""]
        bounds += [f"up to {self.high:g}" if math.isfinite(self.high) else ""]
        parts = [self.unit, "whole number" if self.whole else "", " ".join(filter(None, bounds))]
        ending = ", ".join(filter(None, [*parts, self.about]))
        return f"{self.name!r}: {ending or 'number'}"


@dataclass(frozen=True)
class Schema:
    """The numbers that a program sees: never the environment's source, never its reward.

    Attributes:
        state: What ``state`` and ``next_state`` map to numbers.
        action: What ``action`` maps to numbers; empty where it is one number.
        choices: What the values of such an action mean, from ``first`` on.
        first: Lowest value of a discrete action.
        read_state: One (unbatched) observation to its numbers, in order.
        read_action: One (unbatched) action to its numbers, in order.
    """

    state: tuple[Quantity, ...]
    action: tuple[Quantity, ...] = ()
    choices: tuple[str, ...] = ()
    first: int = 0
    read_state: Read = field(default=lambda value: _floats(value), compare=False, repr=False)
    read_action: Read = field(default=lambda value: _floats(value), compare=False, repr=False)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the numbers of a state, in order."""
        return tuple(item.name for item in self.state)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the numbers of an action, in order; empty where it is one number."""
        return tuple(item.name for item in self.action)

    def text(self, *, acts: bool = True) -> str:
        """Return the schema as a language model reads it.

        Args:
            acts: Say what actions are, for functions that are given one. Small models read it in
                others otherwise.
        """
        given = "state and next_state map" if acts else "state maps"
        lines = [f"{given} these names to numbers:"]
        lines += [f"  {item.text()}" for item in self.state]
        if not acts:
            return "\n".join(lines)
        if self.action:
            lines.append("action maps these names to numbers:")
            lines += [f"  {item.text()}" for item in self.action]
        else:
            lines.append("action is a number:")
            lines += [f"  {self.first + i}: {text}" for i, text in enumerate(self.choices)]
        return "\n".join(lines)


def schema_of(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> Schema:
    """Return the schema of an environment, from its spaces and its documentation.

    >>> print(schema_of(gym.make("CartPole-v1")).text().splitlines()[3])
      'pole_angle': radians, from -0.418879 up to 0.418879, positive means right

    Raises:
        SpaceError: Observations or actions are not a moderate number of numbers.
    """
    _, observations, spaces = parts_of(env)
    state, read_state = _numbers(observations, "value", observation_features(env))
    if isinstance(observations, gym.spaces.Discrete):
        write, ends = describe_env(env).observation, (int(state[0].low), int(state[0].high))
        meanings = (f"{end} means {write(end, {})}" for end in ends)
        state = [replace(state[0], about="; ".join(meanings))]
    if isinstance(spaces, gym.spaces.Discrete):
        describer = describe_env(env)
        first = int(spaces.start)
        choices = tuple(describer.action(first + i) for i in range(int(spaces.n)))
        return Schema(_unique(state), (), choices, first, read_state, _floats)
    action, read_action = _numbers(spaces, "value", action_features(env))
    return Schema(_unique(state), _unique(action), (), 0, read_state, read_action)


def _floats(value: Any) -> list[float]:
    numbers: list[float] = np.asarray(value, dtype=np.float64).ravel().tolist()
    return numbers


def _numbers(
    space: gym.Space[Any], name: str, features: Sequence[Feature] | None = None
) -> tuple[list[Quantity], Read]:
    match space:
        case gym.spaces.Box():
            return _box(space, name, features), _floats
        case gym.spaces.Discrete():
            high = float(space.start + space.n - 1)
            return [Quantity(name, "", float(space.start), high, whole=True)], _floats
        case gym.spaces.MultiDiscrete():
            high_values = (space.start + space.nvec - 1).ravel().tolist()
            lows = space.start.ravel().tolist()
            bounds = zip(lows, high_values, strict=True)
            return [
                Quantity(f"{name}_{i}", "", float(low), float(high), whole=True)
                for i, (low, high) in enumerate(bounds)
            ], _floats
        case gym.spaces.MultiBinary():
            count = int(np.prod(space.shape))
            return [Quantity(f"{name}_{i}", "", 0, 1, whole=True) for i in range(count)], _floats
        case gym.spaces.Dict():
            return _several([(str(key), part, key) for key, part in space.items()])
        case gym.spaces.Tuple():
            return _several([(f"part_{i}", part, i) for i, part in enumerate(space.spaces)])
    raise SpaceError(
        f"a program cannot read {space}, which is not made of numbers",
        cure="give a Schema of your own, with a function that reads numbers from an observation",
    )


def _box(space: gym.spaces.Box, name: str, features: Sequence[Feature] | None) -> list[Quantity]:
    lows, highs = space.low.ravel().tolist(), space.high.ravel().tolist()
    if len(lows) > MOST_QUANTITIES:
        raise SpaceError(
            f"{space} has {len(lows):,} numbers, too many to name (at most {MOST_QUANTITIES})",
            cure="give a Schema of your own, with a function that reads a few numbers",
        )
    if features is None:
        count = len(lows)
        features = [Feature(name if count == 1 else f"{name}_{i}") for i in range(count)]
    whole = space.dtype is not None and space.dtype.kind in "iub"
    return [
        Quantity(
            re.sub(r"\W+", "_", feature.name).strip("_"),
            RADIANS.get(feature.unit, feature.unit),
            _bound(low),
            _bound(high),
            whole=whole,
            about=f"positive means {feature.positive}" if feature.positive else "",
        )
        for feature, low, high in zip(features, lows, highs, strict=True)
    ]


def _bound(value: float) -> float:
    # Boxes without a real bound often carry the largest float. Adding zero turns -0.0 into 0.0.
    return value + 0.0 if abs(value) < 1e30 else math.copysign(math.inf, value)


def _several(parts: list[tuple[str, gym.Space[Any], Any]]) -> tuple[list[Quantity], Read]:
    result = [(key, *_numbers(part, name)) for name, part, key in parts]

    def read(value: Any) -> list[float]:
        return [number for key, _, read_part in result for number in read_part(value[key])]

    return [quantity for _, quantities, _ in result for quantity in quantities], read


def _unique(quantities: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """Return quantities whose names differ, by a number behind those that repeat."""

    def names() -> Iterator[str]:
        taken: set[str] = set()
        for quantity in quantities:
            name, count = quantity.name, 1
            while name in taken:
                count += 1
                name = f"{quantity.name}_{count}"
            taken.add(name)
            yield name

    return tuple(replace(one, name=name) for name, one in zip(names(), quantities, strict=True))

"""A value of any Gymnasium space as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.features import Feature, feature_texts, vector_writer
from dragoman.describe.numbers import number_writer
from dragoman.errors import SpaceError

Writer = Callable[[Any], str]

MOST_NUMBERS = 64
"""A box with more numbers and no names is summarised: nobody reads a list of 100,000."""
GRID = 3
"""Images are summarised by the mean brightness of this many rows and columns of regions."""


def space_writer(space: gym.Space[Any], *, precision: int = 3, limits: bool = True) -> Writer:
    """Return a function that describes a value of a space.

    It is deterministic, and refuses what lies outside the space.

    >>> space = gym.spaces.Dict(speed=gym.spaces.Box(0, 9, ()), gear=gym.spaces.Discrete(5))
    >>> space_writer(space)({"speed": np.array(2.5), "gear": 3})
    'speed: 2.5 (limits 0 to 9); gear: 3 of 0 to 4'

    Args:
        space: Any Gymnasium space, nested as you like.
        precision: Significant digits of numbers.
        limits: Say finite bounds beside the values.

    Raises:
        SpaceError: The space is of a kind that Gymnasium does not have. The returned function
            raises it for a value outside the space.
    """
    for kind, make in _WRITERS.items():
        if isinstance(space, kind):
            return make(space, precision, limits)
    raise SpaceError(
        f"{type(space).__name__} is not a space of Gymnasium's own kinds",
        cure="write a describer with the methods observation(observation, info) and action(action)",
    )


def checked(space: gym.Space[Any], write: Writer) -> Writer:
    """Return ``write`` behind a check that the value lies in the space."""

    def checked_write(value: Any) -> str:
        if not space.contains(value):
            raise SpaceError(
                f"{value!r} is not in {space}",
                cure="return what the environment's declared space contains",
            )
        return write(value)

    return checked_write


def _box(space: gym.spaces.Box, precision: int, limits: bool) -> Writer:
    size = int(np.prod(space.shape))
    if size > MOST_NUMBERS:
        return _large_box(space, precision)
    if space.shape == ():
        texts = feature_texts(space, [Feature("value")], precision=precision, limits=limits)
        return lambda value: texts(value)[0]
    indices = [index[0] if len(index) == 1 else index for index in np.ndindex(*space.shape)]
    features = [Feature(f"value {index}") for index in indices]
    return vector_writer(space, features, precision=precision, limits=limits)


def _large_box(space: gym.spaces.Box, precision: int) -> Writer:
    write_number = number_writer(precision)
    shape = " by ".join(map(str, space.shape))
    is_image = len(space.shape) in (2, 3) and space.dtype == np.uint8

    def image(value: Any) -> str:
        pixels = np.asarray(value, dtype=np.float64)
        bright = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
        means = [
            write_number(region.mean())
            for row in np.array_split(bright, GRID, axis=0)
            for region in np.array_split(row, GRID, axis=1)
        ]
        rows = [" ".join(means[i : i + GRID]) for i in range(0, GRID * GRID, GRID)]
        return f"image of {shape}, brightness from the top left: {' / '.join(rows)}"

    def numbers(value: Any) -> str:
        array = np.asarray(value, dtype=np.float64)
        if not np.isfinite(array).all():
            raise SpaceError(
                f"an array of {shape} numbers has values that are not finite",
                cure="find out where the environment computes them",
            )
        summary = (array.mean(), array.std(), array.min(), array.max())
        mean, std, least, most = map(write_number, summary)
        return f"{shape} numbers with mean {mean}, deviation {std}, from {least} to {most}"

    return checked(space, image if is_image else numbers)


def _discrete(space: gym.spaces.Discrete, precision: int, limits: bool) -> Writer:
    ending = f" of {space.start} to {space.start + space.n - 1}" if limits else ""
    return checked(space, lambda value: f"{int(value)}{ending}")


def _multi_discrete(space: gym.spaces.MultiDiscrete, precision: int, limits: bool) -> Writer:
    return checked(
        space,
        lambda value: ", ".join(
            f"value {i if len(space.shape) == 1 else index} {np.asarray(value)[index]}"
            for i, index in enumerate(np.ndindex(*space.shape))
        ),
    )


def _multi_binary(space: gym.spaces.MultiBinary, precision: int, limits: bool) -> Writer:
    def write(value: Any) -> str:
        bits = np.asarray(value)
        on = [
            str(index[0] if bits.ndim == 1 else index)
            for index in zip(*np.nonzero(bits), strict=True)
        ]
        return f"on: {', '.join(on) or 'none'} of {bits.size}"

    return checked(space, write)


def _text(space: gym.spaces.Text, precision: int, limits: bool) -> Writer:
    return checked(space, lambda value: str(value) or "(empty)")


def _dict(space: gym.spaces.Dict, precision: int, limits: bool) -> Writer:
    parts = {
        key: space_writer(part, precision=precision, limits=limits) for key, part in space.items()
    }

    def write(value: Any) -> str:
        if not isinstance(value, dict) or value.keys() != parts.keys():
            given = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise SpaceError(
                f"got {given} instead of the keys {sorted(parts)}",
                cure="return exactly the keys that the environment's space declares",
            )
        return "; ".join(f"{key}: {part(value[key])}" for key, part in parts.items())

    return write


def _tuple(space: gym.spaces.Tuple[Any], precision: int, limits: bool) -> Writer:
    parts = [space_writer(part, precision=precision, limits=limits) for part in space.spaces]

    def write(value: Any) -> str:
        if not isinstance(value, tuple | list) or len(value) != len(parts):
            raise SpaceError(
                f"got {value!r} instead of {len(parts)} parts",
                cure="return as many parts as the environment's space declares",
            )
        texts = (part(item) for part, item in zip(parts, value, strict=True))
        return "; ".join(f"part {i}: {text}" for i, text in enumerate(texts))

    return write


def _sequence(space: gym.spaces.Sequence, precision: int, limits: bool) -> Writer:
    part = space_writer(space.feature_space, precision=precision, limits=limits)

    def write(value: Any) -> str:
        items = value
        if space.stack:
            items = list(gym.vector.utils.iterate(space.stacked_feature_space, value))
        texts = [f"item {i}: {part(item)}" for i, item in enumerate(items)]
        return "; ".join([_count(len(texts), "item"), *texts])

    return checked(space, write)


def _graph(space: gym.spaces.Graph, precision: int, limits: bool) -> Writer:
    node = space_writer(space.node_space, precision=precision, limits=limits)
    edge = None
    if space.edge_space is not None:
        edge = space_writer(space.edge_space, precision=precision, limits=limits)

    def write(value: Any) -> str:
        links = [] if value.edge_links is None else value.edge_links.tolist()
        texts = [f"graph of {_count(len(value.nodes), 'node')} and {_count(len(links), 'edge')}"]
        texts += [f"node {i}: {node(item)}" for i, item in enumerate(value.nodes)]
        for i, (start, end) in enumerate(links):
            ending = f": {edge(value.edges[i])}" if edge and value.edges is not None else ""
            texts.append(f"edge from {start} to {end}{ending}")
        return "; ".join(texts)

    return checked(space, write)


def _one_of(space: gym.spaces.OneOf[Any], precision: int, limits: bool) -> Writer:
    parts = [space_writer(part, precision=precision, limits=limits) for part in space.spaces]
    return checked(space, lambda value: f"choice {value[0]}: {parts[value[0]](value[1])}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_WRITERS: dict[type[gym.Space[Any]], Callable[[Any, int, bool], Writer]] = {
    gym.spaces.Box: _box,
    gym.spaces.Discrete: _discrete,
    gym.spaces.MultiDiscrete: _multi_discrete,
    gym.spaces.MultiBinary: _multi_binary,
    gym.spaces.Text: _text,
    gym.spaces.Dict: _dict,
    gym.spaces.Tuple: _tuple,
    gym.spaces.Sequence: _sequence,
    gym.spaces.Graph: _graph,
    gym.spaces.OneOf: _one_of,
}

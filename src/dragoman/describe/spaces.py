"""A value of any Gymnasium space as text."""

from __future__ import annotations

import logging
import string
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from dragoman.describe.features import Feature, array_reader, feature_texts, vector_writer
from dragoman.describe.numbers import number_writer
from dragoman.environments.fits import lies_in
from dragoman.errors import SpaceError
from dragoman.phrases import counted, shown

log = logging.getLogger(__name__)

T = TypeVar("T")
Writer = Callable[[Any], str]

NOTHING = "(empty)"
"""Stands where a value has no parts, since no model reads an empty text."""

MOST_NUMBERS = 64
"""A box with more numbers and no names is summarised: a list of 100,000 is not read."""
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

    A space of somebody's own is read as what it holds, a text or an array of numbers. One that
    holds anything else is left out of a Dict or a Tuple, and a warning names it.

    Raises:
        SpaceError: The space, or every part of it, is of a kind that Gymnasium does not have and
            holds neither. The returned function raises it for a value outside the space.
    """
    known = known_space(space)
    for kind, make in _WRITERS.items():
        if isinstance(known, kind):
            return refusing(space, make(known, precision, limits))
    if holds_texts(space):
        return _own_text
    raise SpaceError(
        f"{type(space).__name__} is not a space of Gymnasium's own kinds, and holds neither a text "
        "nor an array of numbers",
        cure="write a describer with the methods observation(observation, info) and action(action)",
    )


def known_space(space: gym.Space[Any]) -> gym.Space[Any] | None:
    """Return a space of Gymnasium's kinds that holds the same values, or nothing.

    >>> known_space(gym.spaces.Discrete(3))
    Discrete(3)
    """
    if isinstance(space, tuple(_WRITERS)):
        return space
    dtype = space.dtype
    if space.shape is None or dtype is None or dtype.kind not in "fiub":
        return None
    return gym.spaces.Box(-np.inf, np.inf, space.shape, np.float64)


def holds_texts(space: gym.Space[Any]) -> bool:
    """Whether values are texts: of Gymnasium's own space, or of one such as MiniGrid's missions."""
    return space.dtype is not None and space.dtype.kind == "U"


def refusing(space: gym.Space[Any], write: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return ``write`` with one error for whatever is so unlike its space that it fails."""

    def refusing_write(value: Any) -> T:
        try:
            return write(value)
        except SpaceError:
            raise
        # What a value of another kind lacks: parts, keys, a length, a shape, a number.
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise outside(space, value) from error

    return refusing_write


def checked(space: gym.Space[Any], write: Writer) -> Writer:
    """Return ``write`` behind a check that the value lies in the space.

    Numbers of a box are checked one by one, by their values whatever their type.
    """
    read = array_reader(space) if isinstance(space, gym.spaces.Box) else None

    def checked_write(value: Any) -> str:
        if read is not None:
            read(value)
        elif not lies_in(space, value):
            raise outside(space, value)
        return write(value)

    return checked_write


def outside(space: gym.Space[Any], value: Any) -> SpaceError:
    """Return the error of a value that does not lie in its space."""
    return SpaceError(
        f"{shown(value)} is not in {shown(space)}",
        cure="return what the environment's declared space contains",
    )


def _box(space: gym.spaces.Box, precision: int, limits: bool) -> Writer:
    size = int(np.prod(space.shape))
    if size > MOST_NUMBERS:
        return _large_box(space, precision)
    if size == 0:
        return checked(space, lambda value: NOTHING)
    if size == 1:
        texts = feature_texts(space, [Feature("value")], precision=precision, limits=limits)
        return lambda value: texts(value)[0]
    indices = [index[0] if len(index) == 1 else index for index in np.ndindex(*space.shape)]
    features = [Feature(f"value {index}") for index in indices]
    return vector_writer(space, features, precision=precision, limits=limits)


def _own_text(value: Any) -> str:
    if not isinstance(value, str):
        raise SpaceError(
            f"got {shown(value)} instead of a text",
            cure="return what the environment's declared space contains",
        )
    return str(value) or NOTHING


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
            str(index[0] if bits.ndim == 1 else tuple(index))
            for index in np.argwhere(bits).tolist()
        ]
        return f"on: {', '.join(on) or 'none'} of {bits.size}"

    return checked(space, write)


def _text(space: gym.spaces.Text, precision: int, limits: bool) -> Writer:
    def write(value: Any) -> str:
        text = _own_text(value)
        strange = [letter for letter in value if letter not in space.character_set]
        if strange:
            more = "".join(sorted(set(strange) - set(string.printable)))
            raise SpaceError(
                f"{shown(value)} is not in {shown(space)}: {strange[0]!r} is not in its alphabet",
                cure="declare every letter, as in gymnasium.spaces.Text("
                f"{space.max_length}, charset=string.printable{f' + {more!r}' if more else ''})",
            )
        if not space.min_length <= len(value) <= space.max_length:
            raise SpaceError(
                f"{shown(value)} is not in {shown(space)}: it has {len(value)} letters, not "
                f"{space.min_length} to {space.max_length}",
                cure="declare the length, as in gymnasium.spaces.Text(1000, min_length=0)",
            )
        return text

    return write


def _dict(space: gym.spaces.Dict, precision: int, limits: bool) -> Writer:
    parts = part_writers(space, space.spaces, precision, limits)
    return dict_writer(space, {key: labelled(key, part) for key, part in parts.items()})


def dict_writer(space: gym.spaces.Dict, parts: Mapping[str, Writer]) -> Writer:
    """Return a function from a dictionary to the texts of its parts, one after another.

    Args:
        space: Its space.
        parts: Writers by key; other keys are not told.
    """
    parts = {key: named(key, part) for key, part in parts.items()}

    def write(value: Any) -> str:
        if not isinstance(value, dict) or value.keys() != space.spaces.keys():
            given = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise SpaceError(
                f"got {given} instead of the keys {sorted(space.spaces)}",
                cure="return exactly the keys that the environment's space declares",
            )
        return "; ".join(part(value[key]) for key, part in parts.items()) or NOTHING

    return write


def labelled(key: str, write: Writer) -> Writer:
    """Return a writer that says the key before the text."""
    return lambda value: f"{key}: {write(value)}"


def named(key: str, write: Writer) -> Writer:
    """Return a writer of a part, whose errors begin with the part's key."""

    def write_part(value: Any) -> str:
        try:
            return write(value)
        except SpaceError as error:
            raise SpaceError(f"{key}: {error.problem}", cure=error.cure) from None

    return write_part


def _tuple(space: gym.spaces.Tuple[Any], precision: int, limits: bool) -> Writer:
    parts = part_writers(space, dict(enumerate(space.spaces)), precision, limits)

    def write(value: Any) -> str:
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            raise SpaceError(
                f"got {shown(value)} instead of {len(space.spaces)} parts",
                cure="return as many parts as the environment's space declares",
            )
        return "; ".join(f"part {i}: {part(value[i])}" for i, part in parts.items()) or NOTHING

    return write


def part_writers(
    space: gym.Space[Any], spaces: Mapping[Any, gym.Space[Any]], precision: int, limits: bool
) -> dict[Any, Writer]:
    """Return writers of the parts that can be described, and warn of the others."""
    parts: dict[Any, Writer] = {}
    failed: dict[Any, SpaceError] = {}
    for key, part in spaces.items():
        try:
            parts[key] = space_writer(part, precision=precision, limits=limits)
        except SpaceError as error:
            failed[key] = error
    if failed and not parts:
        raise next(iter(failed.values()))
    for key, why in failed.items():
        log.warning("%r is left out of the text of an observation: %s", key, why.problem)
    return parts


def _sequence(space: gym.spaces.Sequence, precision: int, limits: bool) -> Writer:
    part = space_writer(space.feature_space, precision=precision, limits=limits)

    def write(value: Any) -> str:
        items = value
        if space.stack:
            items = gym.vector.utils.iterate(space.stacked_feature_space, value)
        elif not isinstance(value, tuple | list):
            raise outside(space, value)
        texts = [f"item {i}: {part(item)}" for i, item in enumerate(items)]
        return "; ".join([counted(len(texts), "item"), *texts])

    return write


def _graph(space: gym.spaces.Graph, precision: int, limits: bool) -> Writer:
    node = space_writer(space.node_space, precision=precision, limits=limits)
    edge = None
    if space.edge_space is not None:
        edge = space_writer(space.edge_space, precision=precision, limits=limits)

    def write(value: Any) -> str:
        if not isinstance(value, gym.spaces.GraphInstance):
            raise outside(space, value)
        links = [] if value.edge_links is None else value.edge_links.tolist()
        nodes, edges = list(value.nodes), value.edges if value.edges is None else list(value.edges)
        texts = [f"graph of {counted(len(nodes), 'node')} and {counted(len(links), 'edge')}"]
        texts += [f"node {i}: {node(item)}" for i, item in enumerate(nodes)]
        for i, (start, end) in enumerate(links):
            if not 0 <= min(start, end) <= max(start, end) < len(nodes):
                raise SpaceError(
                    f"edge {i} goes from node {start} to {end}, but there are {len(nodes)}",
                    cure="return what the environment's declared space contains",
                )
            ending = f": {edge(edges[i])}" if edge and edges is not None else ""
            texts.append(f"edge from {start} to {end}{ending}")
        return "; ".join(texts)

    return write


def _one_of(space: gym.spaces.OneOf[Any], precision: int, limits: bool) -> Writer:
    parts = [space_writer(part, precision=precision, limits=limits) for part in space.spaces]

    def write(value: Any) -> str:
        is_pair = isinstance(value, tuple | list) and len(value) == 2
        if not is_pair or value[0] not in range(len(parts)):
            raise outside(space, value)
        return f"choice {value[0]}: {parts[value[0]](value[1])}"

    return write


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

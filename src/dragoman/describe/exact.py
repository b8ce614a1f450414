"""Observations without rounding: as a key to compare, and as text behind a rounded sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.numbers import array_of
from dragoman.describe.spaces import MOST_NUMBERS, holds_texts, known_space, outside, refusing
from dragoman.errors import SpaceError

Key = Callable[[Any], bytes]

DIGEST_BYTES = 16
"""Two different observations share a digest with probability 2^-128."""


def key_writer(space: gym.Space[Any]) -> Key:
    """Return a function from a value of a space to bytes: equal values, equal bytes, and only they.

    >>> key = key_writer(gym.spaces.Box(-1, 1, (2,)))
    >>> key(np.array([0.0, 0.5], np.float32)) == key(np.array([-0.0, 0.5], np.float32))
    True

    Raises:
        SpaceError: The space is of a kind that Gymnasium does not have, and holds neither texts
            nor arrays of numbers. The returned function raises it for a value of another shape,
            or with NaN, which equals nothing.
    """
    if holds_texts(space):
        return lambda value: str(value).encode("utf-8", "surrogatepass")
    known = known_space(space)
    for kind, make in _KEYS.items():
        if isinstance(known, kind):
            return refusing(space, make(known))
    raise SpaceError(
        f"{type(space).__name__} is not a space of Gymnasium's own kinds, so nothing separates its "
        "values",
        cure="flatten the observation to a Box in a wrapper",
    )


def exact_writer(space: gym.Space[Any]) -> Callable[[Any], str]:
    """Return a function from a value of a space to a text that no other value has.

    Numbers have the fewest digits that separate them from their neighbours. More than 64 numbers,
    and what has no fixed number of parts, become a digest of 128 bits instead.

    >>> exact_writer(gym.spaces.Box(-1, 1, (2,)))(np.array([0.1, -1], np.float32))
    '0.1 -1'
    """
    if holds_texts(space):
        return lambda value: json.dumps(value, ensure_ascii=False)
    if isinstance(space, gym.spaces.Dict):
        named = {key: exact_writer(part) for key, part in space.items()}
        return refusing(
            space,
            lambda value: "; ".join(f"{key}: {part(value[key])}" for key, part in named.items()),
        )
    if isinstance(space, gym.spaces.Tuple):
        parts = [exact_writer(part) for part in space.spaces]
        return refusing(
            space,
            lambda value: "; ".join(part(item) for part, item in zip(parts, value, strict=True)),
        )
    if isinstance(space, gym.spaces.Box) and int(np.prod(space.shape)) <= MOST_NUMBERS:
        return lambda value: " ".join(map(_shortest, _array(space, value).ravel()))
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        return refusing(
            space,
            lambda value: " ".join(str(int(number)) for number in np.asarray(value).ravel()),
        )
    key = key_writer(space)
    return lambda value: hashlib.blake2b(key(value), digest_size=DIGEST_BYTES).hexdigest()


def rounds(space: gym.Space[Any]) -> bool:
    """Whether a sentence about a value of the space may say less than the value.

    >>> rounds(gym.spaces.Discrete(16)), rounds(gym.spaces.Box(0, 1))
    (False, True)
    """
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        parts: Iterable[gym.Space[Any]] = (
            space.values() if isinstance(space, gym.spaces.Dict) else space.spaces
        )
        return any(rounds(part) for part in parts)
    return not isinstance(
        space, gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary
    )


def _shortest(number: Any) -> str:
    # NumPy's own text of a number is the shortest that reads back as the same number.
    return str(number).removesuffix(".0")


def _array(space: gym.Space[Any], value: Any) -> Any:
    array = array_of(value)
    if array.shape != space.shape or array.dtype.kind not in "fiub" or np.isnan(array).any():
        raise SpaceError(
            f"got an array of shape {array.shape} and type {array.dtype}"
            f"{' with NaN' if array.dtype.kind == 'f' else ''}, but the space is {space}",
            cure="return what the environment's declared space contains",
        )
    # Plus zero, because -0.0 equals 0.0 and its bytes do not.
    return array + array.dtype.type(0) if array.dtype.kind == "f" else array


def _numbers(space: gym.Space[Any]) -> Key:
    is_float = space.dtype is not None and space.dtype.kind == "f"
    # Wide enough for every number of the space, so that one number has one key in any type.
    wide = np.float64 if is_float else np.uint64 if space.dtype == np.uint64 else np.int64

    def key(value: Any) -> bytes:
        array = _array(space, value)
        with np.errstate(invalid="ignore"):
            numbers = array.astype(wide)
        if array.dtype.kind == "f" and not is_float and not np.array_equal(numbers, array):
            raise outside(space, value)
        return bytes(numbers.tobytes())

    return key


def _framed(parts: Iterable[bytes]) -> bytes:
    """Join parts so that no other parts give the same bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _dict(space: gym.spaces.Dict) -> Key:
    parts = {key: key_writer(part) for key, part in space.items()}
    return lambda value: _framed(part(value[key]) for key, part in parts.items())


def _tuple(space: gym.spaces.Tuple[Any]) -> Key:
    parts = [key_writer(part) for part in space.spaces]
    return lambda value: _framed(part(item) for part, item in zip(parts, value, strict=True))


def _sequence(space: gym.spaces.Sequence) -> Key:
    part = key_writer(space.feature_space)

    def key(value: Any) -> bytes:
        if space.stack:
            value = gym.vector.utils.iterate(space.stacked_feature_space, value)
        return _framed(part(item) for item in value)

    return key


def _graph(space: gym.spaces.Graph) -> Key:
    node = key_writer(space.node_space)
    edge = None if space.edge_space is None else key_writer(space.edge_space)

    def key(value: Any) -> bytes:
        links = np.empty((0, 2)) if value.edge_links is None else value.edge_links
        edges = [] if edge is None or value.edges is None else [edge(item) for item in value.edges]
        nodes = _framed(node(item) for item in value.nodes)
        return _framed([nodes, np.asarray(links, dtype=np.int64).tobytes(), _framed(edges)])

    return key


def _one_of(space: gym.spaces.OneOf[Any]) -> Key:
    parts = [key_writer(part) for part in space.spaces]
    return lambda value: _framed([str(int(value[0])).encode(), parts[value[0]](value[1])])


_KEYS: dict[type[gym.Space[Any]], Callable[[Any], Key]] = {
    gym.spaces.Box: _numbers,
    gym.spaces.Discrete: _numbers,
    gym.spaces.MultiDiscrete: _numbers,
    gym.spaces.MultiBinary: _numbers,
    gym.spaces.Dict: _dict,
    gym.spaces.Tuple: _tuple,
    gym.spaces.Sequence: _sequence,
    gym.spaces.Graph: _graph,
    gym.spaces.OneOf: _one_of,
}

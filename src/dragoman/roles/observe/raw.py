"""The raw observation as the state: what a policy sees without the observe role.

Whatever can be described becomes numbers here, as many for each value of a space:

=============================  ==================================================================
Box, MultiBinary               its values, one after the other; those of a picture from 0 to 1
Discrete, MultiDiscrete        one-hot
Text                           counts of its words and of neighbouring words, in 256 hashed places
Dict, Tuple                    what its parts have, one part after the other
OneOf                          the choice one-hot, and zeros for the parts that are not chosen
Sequence                       the number of items, their mean, and the first eight, or zeros
Graph                          the same of its nodes, and of its edges with both of their ends
a space of somebody's own      a text or an array of numbers as above; anything else is left out
=============================  ==================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces.utils import flatdim, flatten

from dragoman.describe.moment import Moment
from dragoman.describe.spaces import holds_texts, known_space, outside
from dragoman.errors import ConfigError, SpaceError
from dragoman.models.words import word_features
from dragoman.phrases import shown
from dragoman.types import FloatArray, LanguageModel

log = logging.getLogger(__name__)

WORDS = 256
"""Places that the words of a text are hashed to."""
ITEMS = 8
"""Items of a sequence, nodes and edges of a graph, that have places of their own."""
PICTURE = 36
"""Fewest rows and columns of a picture: a smaller grid holds codes, and is too small for the
convolutions of Stable-Baselines3."""


@dataclass(frozen=True)
class Numbers:
    """How the values of a space become numbers.

    Attributes:
        size: How many, ``D``.
        read: A value to float32 ``(D,)``.
    """

    size: int
    read: Callable[[Any], FloatArray]


@dataclass(frozen=True)
class Leaf:
    """A part of an observation that is neither a Dict nor a Tuple.

    Attributes:
        path: Keys and indices that lead to it.
        space: Its space.
        numbers: How its values become numbers, or nothing where they cannot.
    """

    path: tuple[Any, ...]
    space: gym.Space[Any]
    numbers: Numbers | None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "observation" + "".join(f"[{step!r}]" for step in self.path)

    def of(self, value: Any) -> Any:
        """Return this part of an observation.

        Raises:
            SpaceError: The observation has no such part.
        """
        for step in self.path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError) as error:
                raise SpaceError(
                    f"an observation has no {self.name}, which its space declares",
                    cure="return exactly the parts that the environment's space declares",
                ) from error
        return value


def is_image(space: gym.Space[Any]) -> bool:
    """Return whether values are bytes in three dimensions, which may be a picture."""
    return (
        isinstance(space, gym.spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and bool(np.all(space.low == 0) and np.all(space.high == 255))
    )


def is_picture(space: gym.Space[Any]) -> bool:
    """Return whether values are pictures: bytes in rows and columns, enough of both, of colours."""
    return is_image(space) and sorted(space.shape or ())[1] >= PICTURE


class RawState:
    """The raw observation as numbers: what is seen without the observe role.

    Args:
        space: The (unbatched) observation space.
        pictures: Leave the pictures within a Dict or a Tuple as they are, for a network that
            reads them, so that observations become a dictionary.

    Attributes:
        feature_space: Box ``(D,)`` of what a call returns for each observation; or a Dict of one
            such box and the pictures.

    Raises:
        ConfigError: Nothing in the space can be read.
    """

    models: tuple[LanguageModel, ...] = ()

    def __init__(self, space: gym.Space[Any], *, pictures: bool = False) -> None:
        leaves = list(_leaves(space))
        left_out = [leaf.name for leaf in leaves if leaf.numbers is None]
        if len(left_out) == len(leaves):
            raise ConfigError(
                f"the policy reads raw observations, but {shown(space)} holds neither numbers nor "
                "a text that could be read",
                cure="wrap the environment so that it observes one of Gymnasium's own spaces",
            )
        if left_out:
            log.warning("the policy does not see %s: no space of Gymnasium's", ", ".join(left_out))
        self.space = space
        self._pictures = {
            f"picture_{i}": leaf
            for i, leaf in enumerate(leaves)
            if pictures and leaf.path and is_picture(leaf.space)
        }
        kept = self._pictures.values()
        self._numbers = _joined([leaf for leaf in leaves if leaf not in kept])
        flat = gym.spaces.Box(-np.inf, np.inf, (self._numbers.size,), np.float32)
        self.feature_space: gym.Space[Any] = flat
        if self._pictures:
            rest = {"numbers": flat} if self._numbers.size else {}
            spaces = {name: leaf.space for name, leaf in self._pictures.items()}
            self.feature_space = gym.spaces.Dict({**rest, **spaces})
        self.learning = False

    @property
    def size(self) -> int:
        """How many numbers an observation becomes, besides its pictures."""
        return self._numbers.size

    def __call__(self, moments: Sequence[Moment]) -> Any:
        """Return ``B`` raw observations as float32 ``(B, D)``, beside pictures in a dictionary.

        Raises:
            SpaceError: An observation does not lie in its space.
        """
        observations = [moment.observation for moment in moments]
        numbers = np.stack([self._numbers.read(observation) for observation in observations])
        if not self._pictures:
            return numbers
        rest = {"numbers": numbers} if self._numbers.size else {}
        return rest | {
            name: np.stack([leaf.of(observation) for observation in observations])
            for name, leaf in self._pictures.items()
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return nothing: there is nothing to save."""
        return {}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore nothing."""


def _leaves(space: gym.Space[Any], path: tuple[Any, ...] = ()) -> Iterator[Leaf]:
    parts: Sequence[tuple[Any, gym.Space[Any]]] = ()
    if isinstance(space, gym.spaces.Dict):
        parts = list(space.spaces.items())
    elif isinstance(space, gym.spaces.Tuple):
        parts = list(enumerate(space.spaces))
    else:
        yield Leaf(path, space, _leaf_numbers(space))
    for step, part in parts:
        yield from _leaves(part, (*path, step))


def _joined(leaves: Sequence[Leaf]) -> Numbers:
    """Return the numbers of all leaves, one leaf after the other."""
    known = [(leaf, leaf.numbers) for leaf in leaves if leaf.numbers is not None]

    def read(value: Any) -> FloatArray:
        parts = [numbers.read(leaf.of(value)) for leaf, numbers in known]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    return Numbers(sum(numbers.size for _, numbers in known), read)


def _numbers_of(space: gym.Space[Any]) -> Numbers:
    return _joined(list(_leaves(space)))


def _leaf_numbers(space: gym.Space[Any]) -> Numbers | None:
    if holds_texts(space):
        return Numbers(WORDS, lambda value: word_features([_text(space, value)], WORDS)[0])
    known = known_space(space)
    for kind, make in _MAKERS.items():
        if isinstance(known, kind):
            return make(known)
    return None if known is None else _fixed(known)


def _text(space: gym.Space[Any], value: Any) -> str:
    if not isinstance(value, str):
        raise outside(space, value)
    return value


def _fixed(space: gym.Space[Any]) -> Numbers:
    """Return numbers of a space of Gymnasium's whose values are always as many."""
    size, scale = flatdim(space), np.float32(1 / 255 if is_picture(space) else 1)

    def read(value: Any) -> FloatArray:
        # A box may be overshot by rounding; what is no choice has no place to be one-hot in.
        is_box = isinstance(space, gym.spaces.Box)
        if np.shape(value) != space.shape if is_box else not space.contains(value):
            raise outside(space, value)
        return np.asarray(flatten(space, value), np.float32) * scale

    return Numbers(size, read)


def _one_of(space: gym.spaces.OneOf[Any]) -> Numbers:
    parts = [_numbers_of(part) for part in space.spaces]
    starts = np.cumsum([len(parts), *(part.size for part in parts)])

    def read(value: Any) -> FloatArray:
        numbers = np.zeros(starts[-1], np.float32)
        choice, inner = int(value[0]), value[1]
        if not 0 <= choice < len(parts):
            raise outside(space, value)
        numbers[choice] = 1.0
        numbers[starts[choice] : starts[choice + 1]] = parts[choice].read(inner)
        return numbers

    return Numbers(int(starts[-1]), read)


def _items(size: int) -> int:
    """Return how many numbers some items of this size become."""
    return 1 + (1 + ITEMS) * size


def _of_items(rows: Sequence[FloatArray], size: int) -> FloatArray:
    """Return the number of items, their mean and the first ones, or zeros in their place."""
    result = np.zeros((1 + ITEMS, size), np.float32)
    if rows:
        result[0] = np.mean(rows, axis=0)
        first = rows[:ITEMS]
        result[1 : 1 + len(first)] = first
    return np.concatenate([np.array([len(rows)], np.float32), result.ravel()])


def _sequence(space: gym.spaces.Sequence) -> Numbers:
    part = _numbers_of(space.feature_space)

    def read(value: Any) -> FloatArray:
        if space.stack:
            value = gym.vector.utils.iterate(space.stacked_feature_space, value)
        return _of_items([part.read(item) for item in value], part.size)

    return Numbers(_items(part.size), read)


def _graph(space: gym.spaces.Graph) -> Numbers:
    node = _numbers_of(space.node_space)
    edge = Numbers(0, lambda value: np.zeros(0, np.float32))
    if space.edge_space is not None:
        edge = _numbers_of(space.edge_space)

    def read(value: Any) -> FloatArray:
        links = [] if value.edge_links is None else list(value.edge_links)
        labels = [None] * len(links) if value.edges is None else value.edges
        nodes = [node.read(item) for item in value.nodes]
        edges = [
            np.append(np.asarray(ends, np.float32), edge.read(label))
            for ends, label in zip(links, labels, strict=True)
        ]
        return np.append(_of_items(nodes, node.size), _of_items(edges, 2 + edge.size))

    return Numbers(_items(node.size) + _items(2 + edge.size), read)


_MAKERS: dict[type[gym.Space[Any]], Callable[[Any], Numbers]] = {
    gym.spaces.Sequence: _sequence,
    gym.spaces.Graph: _graph,
    gym.spaces.OneOf: _one_of,
}

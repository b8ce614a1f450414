"""Packing a knapsack: the most value for a limited weight, one item after another.

The dynamics are those of ``Knapsack-v1`` (each item once) and ``Knapsack-v2`` (up to 9 of each) of
or-gymnasium (Hubbs et al., OR-Gym, arXiv 2008.06319). Needs the extra ``operations``.

What this environment mends: the library draws its items before it has a seed, so that no seed
repeats them; its 200 items are fixed; and its episodes end only when the knapsack is full or
something is chosen that does not fit. Here they end when nothing fits any more.

Value packed over the items of seeds 0 to 299 with the default settings: 483.1 by the reference,
which is the best there is (Bellman, Dynamic programming, 1957), 477.0 by taking what is worth most
for its weight, 274.5 at random (standard errors 5.4, 5.4, 5.6). ``bounded``: 1025.3, 1018.1 and
314.4 (20.9, 20.8 and 8.5).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.errors import MissingExtraError
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import SpeakingEnv, played
from dragoman.tasks.masks import Mask, WhenMasked, allowed_texts
from dragoman.types import FloatArray

try:
    from or_gymnasium.envs.knapsack import BinaryKnapsackEnv, BoundedKnapsackEnv
except ImportError as error:
    raise MissingExtraError(str(error.name), extra="operations") from error

Kind: TypeAlias = Literal["binary", "bounded"]
Whole: TypeAlias = NDArray[np.int64]

MOST_ITEMS = 100  # so that 9 of each stay below the registered limit of steps
HEAVIEST, DEAREST, MOST_COPIES = 99, 99, 9  # as the library draws them, from 1, 0 and 1


class KnapsackEnv(SpeakingEnv):
    """Pack items worth as much as possible.

    Weights from 1 to 99 kg and values from 0 to 99 are drawn again at every reset, and so is for
    ``bounded`` how often there is each item, 1 to 9 times. The reward is the value of the item.

    The observation is a flat float32 vector: the part of the capacity that is free; then for each
    item its weight over the capacity, its value over 99 and how many are left.

    Args:
        items: Number of different items, up to 100.
        capacity: What the knapsack holds, in kg; no less than the heaviest item.
        kind: ``binary`` for one of each item, ``bounded`` for several.
        when_masked: What packing an item that does not fit does, see `dragoman.tasks.masks`.
        render_mode: ``ansi`` for text, ``rgb_array`` for the knapsack from the side.

    Raises:
        ConfigError: An argument is outside its range.
    """

    def __init__(
        self,
        items: int = 20,
        *,
        capacity: int = 200,
        kind: Kind = "binary",
        when_masked: WhenMasked = "next",
        render_mode: str | None = None,
    ) -> None:
        one_of("kind", kind, Kind)
        one_of("when_masked", when_masked, WhenMasked)
        super().__init__(render_mode)
        self.items = whole_number("items", items, 1, MOST_ITEMS)
        self.capacity = whole_number("capacity", capacity, HEAVIEST, 10_000)
        self.kind: Kind = kind
        self.when_masked: WhenMasked = when_masked
        # It has no types; what it takes as settings it ignores, so they are set here.
        self.world: Any = BinaryKnapsackEnv() if kind == "binary" else BoundedKnapsackEnv()
        self.world.N = self.items
        self.world.max_weight = self.capacity
        self.world.mask = False
        self.world.randomize_params_on_reset = True
        self.action_space = gym.spaces.Discrete(self.items)
        high = np.array([HEAVIEST / self.capacity, 1, MOST_COPIES if kind == "bounded" else 1])
        bounds = np.concatenate([[1], np.tile(high, self.items)]).astype(np.float32)
        self.observation_space = gym.spaces.Box(0, bounds)
        self.packed: list[int] = []

    def _begin(self) -> None:
        self.world.np_random = self.np_random
        self.world.reset()
        self.packed = []

    def _take(self, item: int) -> float:
        """Pack one item."""
        _, value, _, _, _ = self.world.step(item)
        self.packed.append(item)
        return float(value)

    @property
    def weights(self) -> Whole:
        """Kilograms of each item, int ``(items,)``."""
        return np.asarray(self.world.item_weights, dtype=np.int64)

    @property
    def values(self) -> Whole:
        """Value of each item, int ``(items,)``."""
        return np.asarray(self.world.item_values, dtype=np.int64)

    @property
    def left(self) -> Whole:
        """How many there are of each item that are not packed, int ``(items,)``."""
        return np.asarray(self.world.item_limits, dtype=np.int64)

    @property
    def free(self) -> int:
        """Kilograms that still fit."""
        return self.capacity - int(self.world.current_weight)

    @property
    def is_over(self) -> bool:
        """Whether nothing fits any more."""
        return not self._fits().any()

    def action_masks(self) -> Mask:
        """Return int8 ``(items,)``, 1 for items that are left and fit.

        After the end all are 1: the mask then means nothing, and libraries reject an empty one.
        """
        fits = self._fits()
        return (fits | ~fits.any()).astype(np.int8)

    def text(self) -> str:
        """Return what a language model reads: the space, then the items that still fit in it."""
        worth = int(self.values[self.packed].sum())
        sentences = [
            "Goal: pack items worth as much as possible.",
            f"The knapsack holds {self.capacity} kg; {self.free} kg are free.",
            f"The items in it are worth {worth}." if self.packed else "It is empty.",
        ]
        for item in np.flatnonzero(self._fits()).tolist():
            more = f", {self.left[item]} left" if self.kind == "bounded" else ""
            sentences.append(
                f"Item {item}: {self.weights[item]} kg, worth {self.values[item]}{more}."
            )
        return " ".join(sentences if not self.is_over else [*sentences, "Nothing more fits."])

    def _picture(self) -> drawing.Image:
        """Draw the knapsack: a layer for each item packed, as high as it weighs."""
        image = drawing.blank()
        floor = 1.0
        for item in self.packed:
            top = floor - self.weights[item] / self.capacity
            drawing.fill(image, (0.2, 0.8), (top, floor), drawing.colour(item))
            floor = top
        return image

    def _fits(self) -> NDArray[np.bool_]:
        return (self.left > 0) & (self.weights <= self.free)

    def _action_texts(self) -> list[str]:
        texts = [f"pack item {item}" for item in range(self.items)]
        return allowed_texts(texts, self.action_masks())

    def _observation(self) -> FloatArray:
        table = np.column_stack([self.weights / self.capacity, self.values / DEAREST, self.left])
        return np.array([self.free / self.capacity, *table.ravel()], dtype=np.float32)


def exact(env: gym.Env[Any, Any]) -> int:
    """Pack the first item of a best filling of what is free."""
    sack = played(env, KnapsackEnv, "dragoman/Knapsack-v0")
    counts = best_filling(sack)
    # What is left when the best is packed is worth nothing, but goes on fitting.
    return int((counts > 0).argmax()) if counts.any() else int(sack.action_masks().argmax())


def best_filling(sack: KnapsackEnv) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return how many of each item to add for the most value, int ``(items,)``.

    Dynamic program over single copies and kilograms: ``best[k, c]`` is the most value that the
    first k copies can have in c kilograms.
    """
    copies = np.repeat(np.arange(sack.items), sack.left)
    best = np.zeros((len(copies) + 1, sack.free + 1), dtype=np.int64)
    for k, item in enumerate(copies):
        weight, value = sack.weights[item], sack.values[item]
        best[k + 1] = best[k]
        if weight <= sack.free:
            taken = best[k, : sack.free + 1 - weight] + value
            best[k + 1, weight:] = np.maximum(best[k, weight:], taken)
    counts = np.zeros(sack.items, dtype=np.int64)
    room = sack.free
    for k in range(len(copies), 0, -1):
        if best[k, room] > best[k - 1, room]:
            counts[copies[k - 1]] += 1
            room -= sack.weights[copies[k - 1]]
    return counts

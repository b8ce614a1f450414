"""What was computed lately, at hand by its key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Remembers a value for each key, and forgets all where there would be too many.

    Args:
        most: Most keys that are remembered, unless one call has more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[K, V] = {}

    def __call__(
        self, keys: Sequence[K], compute: Callable[[Sequence[int]], Iterable[V]]
    ) -> list[V]:
        """Return the value of each key.

        Args:
            keys: The keys.
            compute: Returns the values at these places of the keys, which are not known.
        """
        first: dict[K, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        new = [place for key, place in first.items() if key not in self._known]
        if len(self._known) + len(new) > self._most:
            self._known.clear()
            new = list(first.values())
        if new:
            self._known.update(zip((keys[i] for i in new), compute(new), strict=True))
        return [self._known[key] for key in keys]

    def forget(self) -> None:
        """Forget all."""
        self._known.clear()

"""What a method of exploration sees of the environments, and what it promises."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.types import FloatArray


@dataclass(frozen=True)
class States:
    """States of ``n`` environments.

    Attributes:
        names: One number each, equal for equal states; int64 ``(n,)``.
        features: One vector each, float32 ``(n, D)``; ``D`` is 0 where a method reads none.
        moments: What they are made of.
        actions: What has led to them; none where episodes begin.
    """

    names: NDArray[np.int64]
    features: FloatArray
    moments: Sequence[Moment] = ()
    actions: Sequence[Any] = ()


class Method(Protocol):
    """How new a state is.

    Attributes:
        learning: Whether what is kept over all episodes takes in more.
    """

    learning: bool

    @property
    def resumes(self) -> tuple[str, ...]:
        """As in `dragoman.roles.role.RoleVector`; what `begin` makes anew is not among it."""
        ...

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Begin an episode in each of some environments: their first states count as visited."""
        ...

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Return how new the states are that these environments have reached ``(n,)``.

        They count as visited from then on.
        """
        ...

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what is saved with the run of what it has learnt over all episodes."""
        ...

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        ...


def named(states: Sequence[str | bytes]) -> NDArray[np.int64]:
    """Return a number for each text or key, the same in every process, int64 ``(n,)``.

    Two different ones share a number with probability 2^-64.
    """
    data = [s.encode("utf-8", "surrogatepass") if isinstance(s, str) else s for s in states]
    digests = b"".join(hashlib.blake2b(one, digest_size=8).digest() for one in data)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)

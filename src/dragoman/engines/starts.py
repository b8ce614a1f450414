"""Whether copies of an environment that were given one seed begin alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium.vector import VectorEnv

from dragoman.describe.moment import Moment
from dragoman.errors import SpaceError


def check_starts(
    env: VectorEnv[Any, Any, Any], moments: Sequence[Moment], size: int, seeds: Sequence[int]
) -> None:
    """Refuse copies of one start that do not begin alike: they cannot be compared.

    Texts have to be equal, and so have the states of the generators ``env.unwrapped.np_random``,
    where environments have used theirs.

    Args:
        env: The vector environment.
        moments: In which its copies begin.
        size: Copies of one start, which follow one another.
        seeds: With which each was reset.

    Raises:
        SpaceError: Two differ.
    """
    copies = getattr(env.unwrapped, "envs", ())
    for i in range(len(moments)):
        first = i - i % size
        if i == first:
            continue
        problem = None
        if moments[i].state != moments[first].state:
            problem = f"with {moments[i].state[:80]!r} and {moments[first].state[:80]!r}"
        elif copies and _random_state(copies[i]) != _random_state(copies[first]):
            problem = "with one text, but with random generators in two states"
        if problem is not None:
            name = type(copies[i].unwrapped).__name__ if copies else type(env.unwrapped).__name__
            raise SpaceError(
                f"environment {name}: copies {first} and {i}, both reset with the seed "
                f"{seeds[i]}, begin {problem}, so their episodes cannot be compared",
                cure="let reset(seed=seed) decide all of the beginning by self.np_random, or use "
                "credit 'gae' or 'returns'",
            )


def _random_state(copy: Any) -> Any:
    # The property itself would make a generator where there is none yet.
    generator = getattr(copy.unwrapped, "_np_random", None)
    return None if generator is None else repr(generator.bit_generator.state)

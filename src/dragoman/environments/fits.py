"""Whether a value lies in a space: found in no time where it does, said in words where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dragoman.phrases import shown

LARGEST = float(np.finfo(np.float32).max)
"""Agents compute in float32, in which a number beyond this one is infinite."""

TOLERANCE = 1e-6
"""A value may lie outside its bounds by this much, relative to the bound: rounding is no error."""

FEW = 32
"""Numbers of a vector up to which Python compares them faster than NumPy."""

Fits = Callable[[Any], bool]


class Misfit(NamedTuple):
    """What of a value does not lie in its space.

    Attributes:
        text: Which entry, and its value.
        is_fatal: Nothing can be trained on it; otherwise it only leaves its bounds.
    """

    text: str
    is_fatal: bool = True


def fitting(space: gym.Space[Any]) -> Fits:
    """Return a function that is true of a value which lies in a space, with finite numbers only.

    It is made for each step of a training: all that can be worked out of the space is worked out
    here. Where it is false, `misfits` and `not_finite` look closer, and may find nothing.

    >>> fits = fitting(gym.spaces.Box(-1, 1, (2,)))
    >>> fits(np.float32([0, 1])), fits(np.float32([0, 2])), fits(np.float32([0, np.nan]))
    (True, False, False)
    """
    if isinstance(space, spaces.Box):
        return _fitting_box(space)
    if isinstance(space, spaces.Discrete):
        first, last = int(space.start), int(space.start + space.n - 1)
        whole = (int, np.int64, np.int32)
        return lambda value: type(value) in whole and bool(first <= value <= last)
    if isinstance(space, spaces.Dict):
        parts = [(key, fitting(part)) for key, part in space.spaces.items()]
        keys = set(space.spaces)
        return lambda value: (
            isinstance(value, dict)
            and value.keys() == keys
            and all(fits(value[key]) for key, fits in parts)
        )
    if isinstance(space, spaces.Tuple):
        places = [fitting(part) for part in space.spaces]
        return lambda value: (
            type(value) is tuple
            and len(value) == len(places)
            and all(fits(part) for fits, part in zip(places, value, strict=True))
        )
    if isinstance(space, spaces.Text):
        least, most, known = space.min_length, space.max_length, frozenset(space.character_set)
        return lambda value: (
            isinstance(value, str) and least <= len(value) <= most and known.issuperset(value)
        )
    return lambda value: lies_in(space, value) and not_finite(value, "") is None


def _fitting_box(space: spaces.Box) -> Fits:
    dtype: Any = space.dtype
    low: Any = space.low
    high: Any = space.high
    shape, kinds = space.shape, "iub"
    if dtype.kind == "f":
        kinds, most = "fiub", min(LARGEST, float(np.finfo(dtype).max))
        low = np.maximum(low - slack(low), -most).astype(dtype)
        high = np.minimum(high + slack(high), most).astype(dtype)
    if len(shape) == 1 and space.low.size <= FEW:
        return _written_out(dtype, kinds, low.tolist(), high.tolist())
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        if (low == ends.min).all() and (high == ends.max).all():  # pictures, for the most part
            return lambda value: (
                type(value) is np.ndarray and value.shape == shape and value.dtype is dtype
            )
    # One number is compared faster than as many as there are.
    low, high = (
        bound.flat[0] if bound.size and (bound == bound.flat[0]).all() else bound
        for bound in (low, high)
    )
    return lambda value: (
        type(value) is np.ndarray
        and value.shape == shape
        and value.dtype is dtype
        and bool((value >= low).all() and (value <= high).all())
    )


def _written_out(dtype: Any, kinds: str, low: list[float], high: list[float]) -> Fits:
    """Return a function that is true of a vector of as many numbers within their bounds.

    One comparison stands behind the other, as in the methods of dataclasses: a loop takes three
    times as long, in each step of each training. NaN compares as false. What has another shape
    cannot be taken apart so, or not be compared.
    """
    names = [f"x{i}" for i in range(len(low))]
    inside = [f"{a!r} <= {x} <= {b!r}" for a, x, b in zip(low, names, high, strict=True)]
    source = f"""
def fits(value):
    if type(value) is not array or (value.dtype is not dtype and value.dtype.kind not in kinds):
        return False
    try:
        [{", ".join(names)}] = value.tolist()
        return {" and ".join(inside) or True}
    except (TypeError, ValueError):
        return False
"""
    known: dict[str, Any] = {"array": np.ndarray, "dtype": dtype, "kinds": kinds}
    exec(source, known)
    result: Fits = known["fits"]
    return result


def misfits(
    space: gym.Space[Any], value: Any, path: str = "the observation", names: Sequence[str] = ()
) -> Iterator[Misfit]:
    """Yield what of a value does not lie in a space.

    >>> space = gym.spaces.Dict(battery=gym.spaces.Box(0, 1, (1,)), door=gym.spaces.Discrete(2))
    >>> for misfit in misfits(space, {"battery": np.array([1.5]), "door": 2}):
    ...     print(misfit.text)
    the observation['battery'][0] is 1.5, outside its bounds 0 to 1
    the observation['door'] is 2, which does not lie in Discrete(2)

    Args:
        space: What it should lie in.
        value: What was returned.
        path: What messages call it.
        names: What the numbers of a vector are called.
    """
    parts: dict[Any, gym.Space[Any]] | None = None
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space.spaces):
            keys = (
                f"has the keys {sorted(map(str, value))}"
                if isinstance(value, Mapping)
                else (f"is {shown(value)}")
            )
            yield Misfit(f"{path} {keys}, but its space has {sorted(map(str, space.spaces))}")
            return
        parts = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space.spaces):
            yield Misfit(f"{path} is {shown(value)}, but its space has {len(space.spaces)} parts")
            return
        parts = dict(enumerate(space.spaces))
    if parts is not None:
        for key, part in parts.items():
            yield from misfits(part, value[key], f"{path}[{key!r}]")
    elif isinstance(space, spaces.Box):
        yield from _of_box(space, value, path, names)
    elif isinstance(space, _CHOICES) and not lies_in(space, value):
        yield Misfit(f"{path} is {shown(value)}, which does not lie in {space}")


_CHOICES = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def _of_box(space: spaces.Box, value: Any, path: str, names: Sequence[str]) -> Iterator[Misfit]:
    array = as_array(value)
    if array is None or array.dtype.kind not in "fiub":
        kind = "" if array is None else f" of type {array.dtype}"
        yield Misfit(f"{path} is {shown(value)}{kind}, which is no {space.dtype}")
        return
    if array.shape != space.shape:
        yield Misfit(f"{path} has shape {array.shape}, but its space says {space.shape}")
        return
    low, high = space.low - slack(space.low), space.high + slack(space.high)
    wrongs = {"outside its bounds {low:g} to {high:g}": (array < low) | (array > high)}
    if space.dtype.kind in "iu" and array.dtype.kind == "f":
        wrongs = {f"and {space.dtype} numbers are whole": array != np.trunc(array)} | wrongs
    for why, is_wrong in wrongs.items():
        if not is_wrong.any():
            continue
        place = tuple(int(i) for i in np.argwhere(is_wrong)[0])
        said = why.format(low=float(space.low[place]), high=float(space.high[place]))
        yield Misfit(
            f"{entry_of(path, place, names)} is {array[place]}, {said}",
            is_fatal=why.startswith("and"),
        )


def slack(bound: Any) -> Any:
    """Return by how much values may lie outside a bound, or an array of bounds."""
    size = np.abs(bound)
    return TOLERANCE * np.where(np.isfinite(size), np.maximum(1.0, size), 0.0)


def lies_in(space: gym.Space[Any], value: Any) -> bool:
    """Return whether a value lies in a space, even where the space cannot say so."""
    try:
        return bool(space.contains(value))
    except Exception:  # some spaces fail at what has no shape, in many ways
        return False


def not_finite(value: Any, path: str, names: Sequence[str] = ()) -> str | None:
    """Say where in a value the first number stands that is not finite, and what it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        # No number of 16 bits is as large as that one.
        is_half = value.dtype.char == "e"
        bad: np.ndarray = ~(np.isfinite(value) if is_half else np.abs(value) <= LARGEST)
        if not bad.any():
            return None
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        return f"{entry_of(path, place, names)} is {value[place]}"
    if isinstance(value, float | np.floating):
        return None if abs(float(value)) <= LARGEST else f"{path} is {value}"
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.ndim
    ):
        parts = enumerate(value)
    result = (not_finite(part, f"{path}[{key!r}]") for key, part in parts)
    return next(filter(None, result), None)


def entry_of(path: str, place: Sequence[int], names: Sequence[str]) -> str:
    """Return what messages call an entry of an array.

    >>> entry_of("the observation", [1], ["speed", "battery"])
    'the observation[1] (battery)'

    Args:
        path: What they call the array.
        place: Its indices.
        names: What the numbers of a vector are called, as far as that is known.
    """
    where = f"{path}[{', '.join(map(str, place))}]" if place else path
    is_named = len(place) == 1 and place[0] < len(names)
    return f"{where} ({names[place[0]]})" if is_named else where


def as_array(value: Any) -> np.ndarray | None:
    """Return a value as an array, or nothing where its rows differ in length, for instance."""
    try:
        return np.asarray(value)
    # Arrays of rows of unequal length, and tensors that are not on the processor.
    except (ValueError, TypeError, RuntimeError, OverflowError):
        return None

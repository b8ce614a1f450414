"""Vectors of numbers as named features: "cart position 0.02 (limits ±4.8), ..."."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.describe.numbers import array_of, number_writer
from dragoman.environments.fits import slack
from dragoman.errors import SpaceError
from dragoman.phrases import shown


@dataclass(frozen=True)
class Feature:
    """One number of an observation or action.

    Attributes:
        name: What it is, in lower case.
        unit: Unit in which it is written, or nothing.
        scale: Factor from the environment's number to the number in that unit.
        positive: Word behind a positive number, as "right"; the sign is then left out.
        negative: Word behind a negative number, as "left".
    """

    name: str
    unit: str = ""
    scale: float = 1.0
    positive: str = ""
    negative: str = ""


def feature_texts(
    space: gym.spaces.Box, features: Sequence[Feature], *, precision: int, limits: bool
) -> Callable[[Any], list[str]]:
    """Return a function from one vector to one text a feature, without the features' names.

    Args:
        space: A box with as many numbers as there are features.
        features: Their names and units, in order.
        precision: Significant digits.
        limits: Add the bounds of the space where they are finite.

    Raises:
        SpaceError: (from the returned function) The vector has the wrong shape, is not finite
            or lies outside the box; the message names the feature.
    """
    write = number_writer(precision)
    read = numbers_reader(space, features)
    integral = space.dtype is not None and space.dtype.kind in "iub"
    endings = [
        _limits(feature, least, most, write) if limits else ""
        for feature, least, most in zip(
            features, space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True
        )
    ]

    def texts(value: Any) -> list[str]:
        parts = []
        for number, feature, ending in zip(read(value), features, endings, strict=True):
            scaled = number * feature.scale
            if feature.positive:
                word = feature.positive if scaled > 0 else feature.negative if scaled < 0 else ""
                parts.append(_join(write(abs(scaled)), feature.unit, word) + ending)
            elif integral and feature.scale == 1.0:
                parts.append(_join(str(int(number)), feature.unit) + ending)
            else:
                parts.append(_join(write(scaled), feature.unit) + ending)
        return parts

    return texts


def numbers_reader(
    space: gym.spaces.Box, features: Sequence[Feature]
) -> Callable[[Any], list[float]]:
    """Return a function from one vector to its numbers, which refuses what is not in the box.

    Raises:
        SpaceError: (from the returned function) As in `feature_texts`.
    """
    low, high = space.low.ravel().tolist(), space.high.ravel().tolist()
    rows = [
        (feature, least, most, least - slack(least), most + slack(most))
        for feature, least, most in zip(features, low, high, strict=True)
    ]

    def read(value: Any) -> list[float]:
        numbers: list[float] = _shaped(space, value).ravel().tolist()
        for number, (feature, least, most, lowest, highest) in zip(numbers, rows, strict=True):
            if not lowest <= number <= highest or not math.isfinite(number):
                raise _outside(feature.name, number, least, most)
        return numbers

    return read


def array_reader(space: gym.spaces.Box) -> Callable[[Any], NDArray[Any]]:
    """Return a function that hands an array on, and refuses what is not in the box.

    It checks as `numbers_reader` does, and is faster where there are many numbers.

    Raises:
        SpaceError: (from the returned function) As in `feature_texts`; the message names the
            first number that is outside by its place.
    """
    lowest = space.low - slack(space.low.astype(np.float64))
    highest = space.high + slack(space.high.astype(np.float64))

    def read(value: Any) -> NDArray[Any]:
        array = _shaped(space, value)
        is_inside = (lowest <= array) & (array <= highest) & np.isfinite(array)
        if not is_inside.all():
            place = tuple(np.argwhere(~is_inside)[0].tolist())
            name = f"value {place[0] if len(place) == 1 else place}" if place else "value"
            number, least, most = (float(part[place]) for part in (array, space.low, space.high))
            raise _outside(name, number, least, most)
        return array

    return read


def vector_writer(
    space: gym.spaces.Box, features: Sequence[Feature], *, precision: int, limits: bool
) -> Callable[[Any], str]:
    """Return a function from one vector to "name value unit, name value unit, ..."."""
    texts = feature_texts(space, features, precision=precision, limits=limits)
    names = [feature.name for feature in features]
    return lambda value: ", ".join(
        f"{name} {text}" for name, text in zip(names, texts(value), strict=True)
    )


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _limits(feature: Feature, low: float, high: float, write: Callable[[float], str]) -> str:
    # Boxes without a real bound often carry the largest float instead of infinity.
    if not all(math.isfinite(bound) and abs(bound) < 1e30 for bound in (low, high)):
        return ""
    least, most = write(low * feature.scale), write(high * feature.scale)
    return f" (limits ±{most})" if least == f"-{most}" else f" (limits {least} to {most})"


def _shaped(space: gym.spaces.Box, value: Any) -> NDArray[Any]:
    array = array_of(value)
    if array.shape != space.shape or array.dtype.kind not in "fiub":
        raise SpaceError(
            f"got an array of shape {array.shape} and type {array.dtype}, but the space is "
            f"{shown(space)}",
            cure="return what the environment's declared space contains",
        )
    return array


def _outside(name: str, number: float, low: float, high: float) -> SpaceError:
    if math.isfinite(number):
        return SpaceError(
            f"{name} is {number}, outside its bounds {low:g} to {high:g}",
            cure="widen the space that the environment declares, or clip the value in a wrapper",
        )
    return SpaceError(
        f"{name} is {number}, but must be finite",
        cure="find out where the environment computes it: a division by zero, or an unstable step",
    )

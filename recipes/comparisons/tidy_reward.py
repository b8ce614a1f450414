"""Rewards for TidyHouse: are things where a language model would look for them?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

import dragoman
from dragoman.tasks.household import HOME, PLACES
from dragoman.types import ScoringModel

QUESTION = "Question: Where does one usually keep the {thing}?\nAnswer: In the"


def belongs(
    texts: Sequence[str], *, previous: Sequence[str], model: ScoringModel
) -> NDArray[np.float64]:
    """Pay for what was put away in a step, ``(B,)``, the model's P(place | thing) in this house."""

    def worth(text: str, thing: str, place: str) -> float:
        return probabilities(thing, listed(text, "Places"), model)[place]

    return paid(texts, previous, worth)


def known(texts: Sequence[str], *, previous: Sequence[str]) -> NDArray[np.float64]:
    """Pay 1 for what was put in its right place in a step, ``(B,)``: a model at its best."""
    return paid(texts, previous, lambda text, thing, place: float(HOME[thing] == place))


def paid(
    texts: Sequence[str], previous: Sequence[str], worth: Callable[[str, str, str], float]
) -> NDArray[np.float64]:
    """Return what each step has earned by what it put away."""
    result = np.zeros(len(texts))
    for i, (text, before) in enumerate(zip(texts, previous, strict=True)):
        new = listed(text, "Put away")[len(listed(before, "Put away")) :]
        result[i] = sum(worth(text, *put.split(" in ", 1)) for put in new)
    return result


def probabilities(thing: str, places: Sequence[str], model: ScoringModel) -> Mapping[str, float]:
    """Return P(place | thing), of how much likelier a place is as the answer than for "things"."""
    # All places that there are, whatever this house has: so each thing is asked for once.
    scores = dragoman.score(
        model,
        [QUESTION.format(thing=thing)],
        [[f" {place}" for place in PLACES]],
        domain=QUESTION.format(thing="things"),
    )[0]
    odds = {place: float(np.exp(scores[PLACES.index(place)])) for place in places}
    return {place: own / sum(odds.values()) for place, own in odds.items()}


def listed(text: str, name: str) -> list[str]:
    """Return what a text lists behind a name: two things of ``Places: fridge, wardrobe.``."""
    found = re.search(rf"{name}: ([^.]*)\.", text)
    return found[1].split(", ") if found and found[1] != "nothing" else []

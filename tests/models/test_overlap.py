"""One part of the texts is computed while the next is cut into tokens."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch

from dragoman.models import torch_model
from dragoman.models.stack import Stack
from dragoman.models.tokens import Tokens
from tests.models import tiny

HEAD = "the cart stands on a track, and on it stands a pole; "
TEXTS = [HEAD + f"{i} to the {way}" for i, way in enumerate(["left", "right", "top"] * 4)]
CANDIDATES = [[" left", " to the right"], [" up"], []] * 4


@pytest.fixture
def overlapping(monkeypatch: pytest.MonkeyPatch):
    """Cut texts into parts of four, as for a GPU."""

    def switch() -> None:
        monkeypatch.setattr(torch_model, "DEVICES", ("cpu",))
        monkeypatch.setattr(torch_model, "PART_TEXTS", 4)
        monkeypatch.setattr(torch_model, "PART_PROMPTS", 4)

    return switch


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order: tokens, forwards, and waiting for results."""
    happened: list[str] = []
    watched = {
        "tokens": (Tokens, "_ids"),
        "forward": (Stack, "run"),
        "wait": (torch.Tensor, "cpu"),
    }
    for name, (owner, method) in watched.items():
        original = getattr(owner, method)

        def watch(*given, name=name, original=original, **named):
            happened.append(name)
            return original(*given, **named)

        monkeypatch.setattr(owner, method, watch)
    return happened


@pytest.mark.parametrize("architecture", ["llama", "bert"])
def test_a_part_is_under_way_before_the_next_is_read(
    overlapping, events: list[str], architecture: str
) -> None:
    expected = tiny.make(architecture).encode(TEXTS)
    overlapping()
    model = tiny.make(architecture)
    model.encode(TEXTS)  # with trials
    events.clear()
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=1e-4, atol=1e-5)
    order = [name for name, _ in itertools.groupby(events)]
    assert order == ["tokens", "forward"] * 3 + ["wait"]
    assert events.count("tokens") == 3


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_scores_are_waited_for_at_the_end(
    overlapping, events: list[str], architecture: str
) -> None:
    expected = tiny.make(architecture).token_log_probs(TEXTS, CANDIDATES)
    overlapping()
    ask = functools.partial(tiny.make(architecture).token_log_probs, TEXTS, CANDIDATES)
    ask()
    events.clear()
    for ours, theirs in zip(ask(), expected, strict=True):
        for got, own in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(got, own, rtol=1e-4, atol=1e-5)
    # One call for the texts of a part.
    assert events.count("tokens") == 2
    assert events[0] == "tokens"
    if architecture == "llama":
        order = [name for name, _ in itertools.groupby(events)]
        assert order == ["tokens", "forward"] * 2 + ["wait"]


def test_a_processor_reads_all_at_once(events: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_model, "PART_TEXTS", 4)
    model = tiny.make("llama")
    model.encode(TEXTS)
    events.clear()
    model.encode(TEXTS)
    assert events.count("tokens") == 1

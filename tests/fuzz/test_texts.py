"""Any text through describer, tokenizer, model, cache and store: answers, or one error of ours."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import strategies as st

from dragoman.describe import describe_env
from dragoman.errors import DragomanError
from dragoman.generation import Choice, Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.catalog import load_model
from dragoman.models.free_text import chosen, integer, json_texts, score, without_thinking
from dragoman.models.store import Store
from dragoman.models.torch_model import TorchModel
from dragoman.models.words import Words
from tests.fuzz.fuzzing import fuzzed, outcome, texts
from tests.fuzz.spaces import Handing


@pytest.fixture(scope="module")
def model(tiny_gpt2_path: Path) -> TorchModel:
    return load_model(str(tiny_gpt2_path), dtype="float32")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


batches = st.lists(texts, min_size=1, max_size=3)


@fuzzed(batch=batches)
def test_a_model_reads_any_text(batch: list[str], model: TorchModel, store: Store) -> None:
    plain = outcome(model.encode, batch)
    if isinstance(plain, DragomanError):
        return
    assert np.isfinite(plain).all()
    for _ in range(2):  # computed, and then read from the disk
        again = outcome(CachedModel(model, store=store).encode, batch)
        np.testing.assert_allclose(again, plain, atol=1e-5)


@fuzzed(prompt=texts, candidates=st.lists(texts, max_size=3))
def test_a_model_scores_any_text(
    prompt: str, candidates: list[str], model: TorchModel, store: Store
) -> None:
    rows = outcome(CachedModel(model, store=store).token_log_probs, [prompt], [candidates])
    if isinstance(rows, DragomanError):
        return
    assert len(rows[0]) == len(candidates)
    assert all(len(row) and (row <= 1e-4).all() for row in rows[0])


@fuzzed(prompt=texts, options=st.none() | st.lists(texts, min_size=1, max_size=3), few=20)
def test_a_model_answers_any_text(
    prompt: str, options: list[str] | None, model: TorchModel, store: Store
) -> None:
    constraint = None if options is None else outcome(Choice, tuple(options))
    if isinstance(constraint, DragomanError):
        return
    answer = outcome(
        CachedModel(model, store=store).generate,
        [prompt],
        sampling=Sampling(max_tokens=4),
        constraint=constraint,
    )
    if isinstance(answer, list) and options and answer[0].finish == "stop":
        assert answer[0].text in options


@fuzzed(batch=batches)
def test_words_are_counted_in_any_text(batch: list[str]) -> None:
    features = outcome(Words().encode, batch)
    assert isinstance(features, DragomanError) or np.isfinite(features).all()


class Saying(spaces.Space):
    """A space of anybody's own texts."""

    def __init__(self) -> None:
        super().__init__((), str)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


@fuzzed(text=texts, template=texts, goal=texts)
def test_describers_take_any_text(text: str, template: str, goal: str) -> None:
    said = outcome(describe_env, Handing(Saying(), spaces.Discrete(2), ()))
    assert outcome(said.observation, text, {})
    space = spaces.Box(-1, 1, (2,), np.float32)
    made = outcome(describe_env, Handing(space, spaces.Discrete(2), ()), observation=template)
    if not isinstance(made, DragomanError):
        assert isinstance(
            outcome(made.observation, np.zeros(2, np.float32), {}), str | DragomanError
        )
    info = {"text": text}
    env: gym.Env = Handing(space, spaces.Discrete(2), (np.zeros(2, np.float32), info))
    assert outcome(outcome(describe_env, env).observation, np.zeros(2, np.float32), info)


MARKS = [
    "<think>",
    "</think>",
    "[THINK]",
    "```",
    "```json\n",
    "{",
    '{"a":',
    "[",
    "Score: ",
    "8",
    "/10",
]
answers = st.one_of(
    texts,
    st.lists(st.sampled_from([*MARKS, " ", "\n", "answer: ", "left"]), max_size=12).map("".join),
    st.tuples(st.sampled_from(MARKS), st.sampled_from(["", " ", "\n", "is "])).map(
        lambda parts: "".join(parts) * 20_000
    ),
)


@fuzzed(text=answers)
def test_free_answers_are_read_in_time(text: str) -> None:
    assert isinstance(without_thinking(text), str)
    assert json_texts(text)
    assert chosen(text, ("left", "right")) in (None, "left", "right")
    assert integer(text) is None or int(integer(text)) is not None
    with contextlib.suppress(ValueError):  # holds no score
        assert np.isfinite(score(text, 10)[0])

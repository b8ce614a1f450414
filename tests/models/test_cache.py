import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ModelError
from dragoman.generation import Choice, Generation, Integer, Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.store import Store
from dragoman.testing import ScriptedModel, check_model
from tests.models import tiny


def model() -> ScriptedModel:
    return ScriptedModel(lambda text: [len(text), text.count("a"), 1.0])


def test_cached_equals_uncached() -> None:
    check_model(CachedModel(model()))


def test_only_new_texts_reach_the_model() -> None:
    inner = model()
    cached = CachedModel(inner)
    cached.encode(["a", "b", "a"])
    cached.encode(["b", "c"])
    assert inner.calls == [["a", "b"], ["c"]]
    assert (cached.hits, cached.misses) == (2, 3)
    assert cached.cost.tokens == inner.cost.tokens
    assert (cached.cost.texts, cached.cost.texts_remembered) == (5, 2)


@pytest.mark.parametrize("argument", [{"layer": 1}, {"pooling": ("mean",)}])
def test_another_layer_or_pooling_is_another_feature(argument) -> None:
    inner = model()
    cached = CachedModel(inner)
    cached.encode(["a"])
    cached.encode(["a"], **argument)
    assert len(inner.calls) == 2


def test_the_longest_unused_text_is_forgotten_first() -> None:
    inner = model()
    cached = CachedModel(inner, budget_bytes=2 * 3 * 4)
    cached.encode(["a"])
    cached.encode(["b"])
    cached.encode(["a"])
    cached.encode(["c"])
    inner.calls.clear()
    cached.encode(["a", "c"])
    assert inner.calls == []
    cached.encode(["b"])
    assert inner.calls == [["b"]]


def test_a_batch_larger_than_the_budget_is_answered_whole() -> None:
    cached = CachedModel(model(), budget_bytes=12)
    texts = ["a" * n for n in range(20)]
    np.testing.assert_array_equal(cached.encode(texts), model().encode(texts))


def test_a_changed_answer_does_not_change_the_memory() -> None:
    cached = CachedModel(model())
    cached.encode(["a"])[:] = 99.0
    np.testing.assert_array_equal(cached.encode(["a"]), model().encode(["a"]))


def shared_model() -> ScriptedModel:
    """A model whose copies in other runs are known to be the same."""
    scripted = ScriptedModel(
        lambda text: [len(text), text.count("a"), 1.0],
        log_probs=lambda prompt, candidate: -np.arange(len(candidate)) - len(prompt),
        write=lambda prompt, seed: f"{prompt} {seed} é",
    )
    scripted.fingerprint = "the same in every run"
    return scripted


def test_another_run_finds_the_answers_on_disk(tmp_path: Path) -> None:
    questions = ["go ", "stay"], [["left", "right"], ["here"]]
    first = CachedModel(shared_model(), store=Store(tmp_path))
    features, log_probs = first.encode(["a", "bb"]), first.token_log_probs(*questions)
    inner = shared_model()
    second = CachedModel(inner, store=Store(tmp_path))
    np.testing.assert_array_equal(second.encode(["bb", "a"]), features[::-1])
    for got, expected in zip(second.token_log_probs(*questions), log_probs, strict=True):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert (inner.calls, inner.cost.texts) == ([], 0)
    assert (second.hits, second.misses) == (4, 0)
    assert (second.cost.texts, second.cost.texts_remembered) == (5, 5)


def test_other_weights_have_other_answers(tmp_path: Path) -> None:
    CachedModel(shared_model(), store=Store(tmp_path)).encode(["a"])
    changed = ScriptedModel(lambda text: [9.0, 9.0, 9.0])
    cached = CachedModel(changed, store=Store(tmp_path))
    np.testing.assert_array_equal(cached.encode(["a"]), [[9, 9, 9]])
    changed.answer, changed.fingerprint = lambda text: [8.0, 8.0, 8.0], "after an update"
    np.testing.assert_array_equal(cached.encode(["a"]), [[8, 8, 8]])


def test_a_damaged_answer_is_computed_again(tmp_path: Path) -> None:
    CachedModel(shared_model(), store=Store(tmp_path)).encode(["a"])
    store = Store(tmp_path)
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute("UPDATE answers SET value = zeroblob(length(value))")
    connection.close()
    inner = shared_model()
    cached = CachedModel(inner, store=store)
    np.testing.assert_array_equal(cached.encode(["a"]), shared_model().encode(["a"]))
    assert inner.calls == [["a"]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["encode", "score", "write"]),
            st.sampled_from([None, 0, 1, 2]),
            st.lists(st.text("ab\"', ", max_size=3), max_size=6),
        ),
        max_size=12,
    ),
    st.sampled_from([0, 40, 10_000]),
    st.booleans(),
)
def test_a_hit_is_never_a_wrong_answer(tmp_path_factory, calls, budget, on_disk) -> None:
    store = Store(tmp_path_factory.mktemp("store")) if on_disk else None
    cached, plain = CachedModel(shared_model(), budget_bytes=budget, store=store), shared_model()
    for verb, layer, texts in calls:
        if verb == "write":
            sampling = Sampling(seed=layer or 0)
            got = cached.generate(texts, sampling=sampling)
            assert got == plain.generate(texts, sampling=sampling)
            continue
        if verb == "encode":
            np.testing.assert_array_equal(
                cached.encode(texts, layer=layer), plain.encode(texts, layer=layer)
            )
            continue
        candidates = [texts[i:] for i in range(len(texts))]
        got = cached.token_log_probs(texts, candidates)
        for own, expected in zip(got, plain.token_log_probs(texts, candidates), strict=True):
            for a, b in zip(own, expected, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(seed=1)},
        {"sampling": Sampling(temperature=0.5)},
        {"sampling": Sampling(stop=("x",))},
        {"constraint": Choice(("a",))},
        {"constraint": Integer(0, 9)},
    ],
)
def test_other_settings_are_another_text(change: dict) -> None:
    inner = shared_model()
    cached = CachedModel(inner)
    cached.generate(["a"])
    cached.generate(["a"])
    assert inner.calls == [["a"]]
    cached.generate(["a"], **change)
    assert inner.calls == [["a"], ["a"]]


def test_a_text_on_disk_is_the_text_that_was_written(tmp_path: Path) -> None:
    sampling = Sampling(max_tokens=6, temperature=1.0, seed=2)
    written = tiny.make("llama").generate(["push", "pole"], sampling=sampling)
    CachedModel(tiny.make("llama"), store=Store(tmp_path)).generate(
        ["push", "pole"], sampling=sampling
    )
    other = tiny.make("llama")
    result = CachedModel(other, store=Store(tmp_path)).generate(["push", "pole"], sampling=sampling)
    assert other.cost.tokens == 0
    for a, b in zip(result, written, strict=True):
        assert (a.text, a.tokens, a.finish) == (b.text, b.tokens, b.finish)
        np.testing.assert_allclose(a.log_probs, b.log_probs, rtol=1e-4)


def test_what_the_model_cannot_do_the_memory_cannot() -> None:
    class Reader:
        name = fingerprint = "reader"

    for ask in (lambda m: m.generate(["a"]), lambda m: m.token_log_probs(["a"], [["b"]])):
        with pytest.raises(ModelError, match="the model 'reader' has no"):
            ask(CachedModel(Reader()))


@pytest.mark.parametrize("how", ["in place", "moved"])
def test_a_transformer_whose_weights_change_is_asked_again(how: str) -> None:
    inner = tiny.make("llama")
    cached = CachedModel(inner)
    before, mark = cached.encode(["push"]), inner.fingerprint
    assert tiny.make("llama").fingerprint == mark
    weight = inner._stack.blocks[0].mlp.up_proj.weight
    if how == "in place":
        with torch.no_grad():
            weight.mul_(1.5)
    else:
        weight.data = weight.data * 1.5
    assert inner.fingerprint != mark
    assert not np.allclose(cached.encode(["push"]), before)
    assert tiny.make("gpt2").fingerprint != tiny.make("qwen").fingerprint


@pytest.mark.parametrize(("architecture", "part"), [("llama", "lm_head"), ("t5", "decoder")])
def test_a_head_or_decoder_that_changes_scores_anew(architecture: str, part: str) -> None:
    inner = tiny.make(architecture)
    cached = CachedModel(inner)
    question = ["push"], [[" left", " right"]]
    before = cached.token_log_probs(*question)[0][0]
    with torch.no_grad():
        for weight in getattr(inner._model, part).parameters():
            weight.mul_(1.5)
    assert not np.allclose(cached.token_log_probs(*question)[0][0], before)


@pytest.mark.parametrize("on_disk", [False, True])
def test_nobody_can_write_into_the_memory(on_disk: bool, tmp_path: Path) -> None:
    stores = [Store(tmp_path), Store(tmp_path)] if on_disk else [None, None]
    first = CachedModel(shared_model(), store=stores[0])
    for cached in (first, CachedModel(shared_model(), store=stores[1])):
        for _ in range(2):
            ((scores,),) = cached.token_log_probs(["ab"], [["cde"]])
            (written,) = cached.generate(["ab cd"])
            for array in (scores, written.log_probs):
                with pytest.raises(ValueError, match="read-only"):
                    array += 99
            assert scores.tolist() == [-2, -3, -4]


def test_a_models_own_arrays_stay_writable() -> None:
    kept = np.zeros(2, np.float32)
    inner = shared_model()
    inner.generate = lambda *_, **__: [Generation("a b", kept, "stop")]
    CachedModel(inner).generate(["a"])
    kept += 1


def test_forgetting_asks_the_model_again_and_keeps_the_books() -> None:
    inner = shared_model()
    cached = CachedModel(inner, budget_bytes=1000)
    cached.encode(["a", "b"])
    cached.forget()
    cached.encode(["a", "b"])
    assert inner.calls == [["a", "b"], ["a", "b"]]
    assert (cached.hits, cached.misses) == (0, 4)


def test_a_folder_that_cannot_be_made_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cached = CachedModel(shared_model(), store=Store(tmp_path / "file" / "folder"))
    for texts in (["a"], ["b", "a"], ["c"]):
        np.testing.assert_array_equal(cached.encode(texts), shared_model().encode(texts))
    assert caplog.text.count("going on without it") == 1

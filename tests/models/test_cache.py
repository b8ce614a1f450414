import numpy as np
import pytest

from dragoman.models.cache import CachedModel
from dragoman.testing import ScriptedModel, check_model


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

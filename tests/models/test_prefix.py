"""The constant head of prompts, computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragoman.models.prefix import REMEMBERED, common_length
from dragoman.models.torch_model import TorchModel
from tests.models import tiny

HEAD = "one two three four five six seven eight nine ten eleven twelve "
TEXTS = [HEAD + end for end in ("push left", "push right of the cart", "pole", "0.02")]
every_causal = pytest.mark.parametrize(
    "architecture", tiny.in_tiers(["gpt2", "llama", "qwen", "gemma", "gemma2"])
)


def without_prefixes(model: TorchModel) -> TorchModel:
    model._prefixes.find = lambda tokens, depth: None
    return model


@every_causal
@pytest.mark.parametrize("layer", range(tiny.LAYERS + 1))
def test_a_shared_head_changes_nothing(architecture: str, layer: int) -> None:
    model, plain = tiny.make(architecture), without_prefixes(tiny.make(architecture))
    pooling = ("last", "mean", "first")
    for texts in (TEXTS, TEXTS[:2], TEXTS[:1], [HEAD + "x", *TEXTS], ["pole", *TEXTS]):
        got = model.encode(texts, layer=layer, pooling=pooling)
        expected = plain.encode(texts, layer=layer, pooling=pooling)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert (model.cost.tokens_shared > 0) == (layer > 0)


@every_causal
def test_a_shared_head_changes_no_score(architecture: str) -> None:
    model, plain = tiny.make(architecture), without_prefixes(tiny.make(architecture))
    candidates = [[" left", " the cart to the left"]] * len(TEXTS)
    for got, expected in zip(
        model.token_log_probs(TEXTS, candidates),
        plain.token_log_probs(TEXTS, candidates),
        strict=True,
    ):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert model.cost.tokens < plain.cost.tokens


def test_the_head_is_computed_once_for_all_calls() -> None:
    model = tiny.make("llama")
    tokens = model._tokens.of(TEXTS)
    shared = common_length(min(tokens), max(tokens))
    model.encode(TEXTS)
    first = model.cost.tokens
    assert first == shared + sum(len(ids) - shared for ids in tokens)
    model.encode(TEXTS)
    assert model.cost.tokens - first == first - shared


def test_a_text_alone_shares_with_the_one_before() -> None:
    model = tiny.make("llama")
    for text in TEXTS[:3]:
        model.encode([text])
    before = model.cost.tokens
    model.encode(TEXTS[3:])
    assert model.cost.tokens - before < len(model._tokens.of(TEXTS[3:])[0])


def test_chance_agreement_does_not_drive_out_the_template() -> None:
    model = tiny.make("llama")
    model.encode(TEXTS)
    heads = list(model._prefixes._known)
    # These two share more than the template does, by chance, and then less again.
    for texts in ([HEAD + "push left now", HEAD + "push left"], TEXTS, TEXTS[1:]):
        model.encode(texts)
    assert sorted(model._prefixes._known) == heads


@pytest.mark.parametrize("change", ["in place", "replaced"])
def test_new_weights_forget_the_head(change: str) -> None:
    model, plain = tiny.make("llama"), without_prefixes(tiny.make("llama"))
    model.encode(TEXTS)
    for item in (model, plain):
        weight = item._stack.blocks[0].mlp.up_proj.weight
        if change == "in place":
            with torch.no_grad():
                weight.mul_(1.5)
        else:
            weight.data = weight.data * 1.5
    np.testing.assert_allclose(model.encode(TEXTS), plain.encode(TEXTS), rtol=1e-4, atol=1e-4)


def test_only_few_heads_are_remembered() -> None:
    memory = tiny.make("llama")._prefixes
    for start in range(REMEMBERED + 3):
        memory.find([[start] * 20 + [1], [start] * 20 + [2]], depth=1)
    assert len(memory._known) == REMEMBERED


@pytest.mark.parametrize("architecture", ["bert", "t5"])
def test_a_bidirectional_stack_shares_nothing(architecture: str) -> None:
    model = tiny.make(architecture)
    assert not model._stack.continues
    model.encode(TEXTS)
    assert model.cost.tokens_shared == 0

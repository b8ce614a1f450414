"""The books against operations that PyTorch itself counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dragoman.generation import Sampling
from dragoman.models.meter import chain_contexts
from tests.models import tiny

TEXT = "the pole leans 3.2 degrees to the right"


def counted(work) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def eager(architecture: str):
    """A model whose attention is made of matrix products, which PyTorch can count."""
    model = tiny.make(architecture)
    model._model.set_attn_implementation("eager")
    return model


def test_contexts_of_a_chain() -> None:
    assert chain_contexts(0, 4) == 1 + 2 + 3 + 4
    assert chain_contexts(10, 2) == 11 + 12
    assert chain_contexts(10, 0) == 0


@pytest.mark.parametrize("architecture", tiny.in_tiers(tiny.ARCHITECTURES))
@pytest.mark.parametrize("layer", [1, tiny.LAYERS])
def test_a_forward_takes_what_pytorch_counts(architecture: str, layer: int) -> None:
    model = eager(architecture)
    model.encode(["a"], layer=layer)  # what it finds out about itself is behind it
    before = model.cost.flops
    total = counted(lambda: model.encode([TEXT], layer=layer))
    # PyTorch computes attention for the masked half as well.
    tokens = len(model._tokens.of([TEXT])[0])
    rates = model._meter.rates
    masked = rates.attention * (tokens * tokens - chain_contexts(0, tokens)) * layer
    booked = model.cost.flops - before + (masked if model._stack.is_causal else 0)
    assert booked == pytest.approx(total, rel=0.02)


# A decoder projects the prompt to keys and values once more for each text, which is not booked.
@pytest.mark.parametrize(("architecture", "within"), [("llama", 0.1), ("t5", 0.35)])
def test_scores_and_texts_take_operations_too(architecture: str, within: float) -> None:
    model = eager(architecture)
    model.token_log_probs(["a"], [["b"]])
    before, tokens = model.cost.flops, model.cost.tokens
    total = counted(lambda: model.token_log_probs([TEXT], [[" left", " to the right"]]))
    assert model.cost.flops - before == pytest.approx(total, rel=within)
    assert model.cost.tokens > tokens
    model.generate(["a"], sampling=Sampling(max_tokens=1))  # as above, it finds out about itself
    before = model.cost.flops
    total = counted(lambda: model.generate([TEXT], sampling=Sampling(max_tokens=5)))
    assert model.cost.flops - before == pytest.approx(total, rel=within)


def test_a_shared_head_is_paid_once() -> None:
    model = tiny.make("llama")
    texts = [f"one two three four five six seven eight {end}" for end in ("push", "pole")]
    model.encode(texts)
    first = model.cost.flops
    model.encode(texts)
    assert model.cost.flops - first < first
    assert model.cost.tokens_shared > 0


def test_a_failed_call_is_booked_with_its_time() -> None:
    model = tiny.make("gpt2")
    seconds = model.cost.seconds
    with pytest.raises(ValueError, match="broken"), model._meter.call(3):
        raise ValueError("broken")
    assert model.cost.texts == 3
    assert model.cost.seconds > seconds


def test_no_block_counts_the_embeddings() -> None:
    model = tiny.make("llama")
    weights = sum(p.numel() for p in model._stack.blocks[0].parameters() if p.dim() > 1)
    assert model._meter.rates.block == 2 * weights
    assert model._meter.rates.head == 2 * torch.numel(model._model.lm_head.weight)

"""What an architecture allows is found by trying, and what fails is left to a way that is right."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from dragoman.errors import ConfigError
from dragoman.models.probe import SHORTEST, depth_of_kinds
from dragoman.models.stack import Stack
from dragoman.models.torch_model import TorchModel
from dragoman.models.tuned import TunedModel
from tests.models import families

FAST = ["GPT-2", "Llama", "Qwen2", "Qwen3", "Gemma", "Phi-3", "GPT-NeoX", "SmolLM3", "Mixtral"]
"""Families whose candidates must stand side by side, or a training takes many times as long."""


def load(title: str, dtype: torch.dtype = torch.float32) -> TorchModel:
    model, tokenizer = families.make_parts(title)
    return TorchModel(model.to(dtype), tokenizer, name=title)


@pytest.mark.parametrize("title", FAST)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fast_ways_are_taken_where_they_are_right(title: str, dtype: torch.dtype) -> None:
    stack = load(title, dtype)._stack
    assert (stack.packs, stack.continues) == (True, True)
    assert stack.packs_at(600)


@pytest.mark.real_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_real_model_packs(smollm2: TorchModel, dtype: torch.dtype) -> None:
    stack = smollm2.around(copy.deepcopy(smollm2.transformer).to(dtype))._stack
    assert (stack.packs, stack.continues, depth_of_kinds(stack)) == (True, True, 1)


@pytest.mark.parametrize(
    ("title", "packs", "continues"),
    [
        ("GPT-Neo", False, True),
        ("Mistral", False, True),
        ("Falcon, ALiBi", False, True),
        ("BLOOM", False, True),
        ("GPT", False, False),
        ("LFM2", False, False),
        ("Mamba 2", False, False),
        ("Phi-3, longrope", False, False),
        ("BERT", False, False),
    ],
)
def test_what_a_name_would_promise_is_tried(title: str, packs: bool, continues: bool) -> None:
    stack = load(title)._stack
    assert (stack.packs and stack.pads_at(0), stack.continues) == (packs, continues)


def test_rows_are_packed_up_to_a_window_and_no_further() -> None:
    """The window of 400 is beyond the first trial; a longer row is tried before it is read."""
    stack = load("Mistral, window of 400")._stack
    assert stack.packs_at(SHORTEST)
    assert not stack.packs_at(600)
    assert stack.packs_at(SHORTEST)


def test_a_trial_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = load("Llama"), []
    run = Stack.run
    monkeypatch.setattr(Stack, "run", lambda *own, **given: runs.append(1) or run(*own, **given))
    prompts, candidates = families.PROMPTS[:2], families.CANDIDATES[:2]
    model.token_log_probs(prompts, candidates)
    first, runs[:] = len(runs), []
    model.token_log_probs(prompts, candidates)
    assert len(runs) == 1 < first


@pytest.mark.parametrize(
    ("title", "depth"),
    [("Llama", 1), ("GPT-2", 1), ("GPT-Neo", 2), ("Gemma 3", 6), ("Jamba", 4), ("T5", 2)],
)
def test_a_trial_runs_one_block_of_every_kind(title: str, depth: int) -> None:
    stack = load(title)._stack
    more = families.FAMILIES[title].settings.get("num_hidden_layers", 2)
    assert depth_of_kinds(stack) == depth <= more


@pytest.mark.parametrize(("title", "depth"), [("Llama", 1), ("Gemma 3", 6)])
def test_adapters_make_no_other_kind_of_block(title: str, depth: int) -> None:
    """A trial of all blocks rounds so often in sixteen bits that it fails by rounding alone."""
    tuned = TunedModel(load(title), how="lora", top=1)
    assert any("lora" in name for name, _ in tuned.inner.blocks[-1].named_parameters())
    assert depth_of_kinds(tuned.inner._stack) == depth


def test_a_text_is_what_it_is_alone_where_positions_look_at_the_longest() -> None:
    model = load("Phi-3, longrope")
    short, long = "push left", families.LONG
    np.testing.assert_allclose(
        model.encode([short, long]),
        np.concatenate([model.encode([short]), model.encode([long])]),
        atol=1e-4,
    )
    together = model.token_log_probs([short, long], [[" right"], [" right", " left it"]])
    alone = [
        model.token_log_probs([short], [[" right"]])[0],
        model.token_log_probs([long], [[" right", " left it"]])[0],
    ]
    for got, expected in zip(together, alone, strict=True):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_training_where_company_matters_is_refused() -> None:
    model = load("Phi-3, longrope")
    tuned = TunedModel(model, how="full", top=1)
    with pytest.raises(ConfigError, match=r"depends on whether one of \d+ tokens stands beside it"):
        tuned(families.texts_of(model))


def test_attention_that_hears_no_mask_falls_to_whole_rows() -> None:
    """Nothing in the configuration tells: the blocks drop every mask they are given."""
    model, tokenizer = families.make_parts("Llama")
    for layer in model.model.layers:
        heard = layer.self_attn.forward
        layer.self_attn.forward = lambda *args, heard=heard, **given: heard(
            *args, **{**given, "attention_mask": None}
        )
    deaf = TorchModel(model, tokenizer, name="deaf")
    assert (deaf._stack.packs, deaf._stack.continues) == (False, False)
    families.score(families.make_parts("Llama"), deaf)

"""What decides an answer is in the fingerprint, and nothing computed before survives a change."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import peft
import pytest
import torch
from torch import nn

from dragoman.generation import Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.store import Store
from dragoman.models.torch_model import TorchModel
from tests.models import tiny

PROMPT = "the pole leans 3.2 degrees to the"
SAMPLING = Sampling(max_tokens=12)
ADAPTERS = {"target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, "r": 2}


def adapted(transformer: Any) -> list[Any]:
    return [part for part in transformer.modules() if hasattr(part, "lora_A")]


def inject(transformer: Any, name: str = "default", alpha: float = 8.0) -> None:
    torch.manual_seed(1)
    config = peft.LoraConfig(lora_alpha=alpha, **ADAPTERS)
    peft.inject_adapter_in_model(config, transformer, adapter_name=name)


def in_place(transformer: Any) -> None:
    with torch.no_grad():
        transformer.model.layers[0].mlp.up_proj.weight.mul_(1.5)


def moved(transformer: Any) -> None:
    weight = transformer.model.layers[0].mlp.up_proj.weight
    weight.data = weight.data * 1.5


def swapped(transformer: Any) -> None:
    """Two weights of one shape change places, so that no sum over them changes."""
    attention = transformer.model.layers[0].self_attn
    attention.k_proj.weight.data, attention.v_proj.weight.data = (
        attention.v_proj.weight.data,
        attention.k_proj.weight.data,
    )


def replaced(transformer: Any) -> None:
    layer = transformer.model.layers[0].mlp
    layer.up_proj.weight = nn.Parameter(layer.up_proj.weight.detach() * 1.5, requires_grad=False)


def other_child(transformer: Any) -> None:
    layer = transformer.model.layers[0].mlp
    layer.up_proj = copy.deepcopy(layer.up_proj)
    layer.up_proj.weight.data.mul_(1.5)


def scaled(transformer: Any) -> None:
    for part in adapted(transformer):
        part.scaling["default"] *= 3


def off(transformer: Any) -> None:
    for part in adapted(transformer):
        part.enable_adapters(False)


def another(transformer: Any) -> None:
    for part in adapted(transformer):
        part.set_adapter("other")


def merged(transformer: Any) -> None:
    """PEFT's own merge writes through ``.data``."""
    for part in adapted(transformer):
        part.merge(adapter_names=["other"])


def inject_two(transformer: Any) -> None:
    inject(transformer)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        inject(transformer, "other", 20.0)
    for part in adapted(transformer):
        part.set_adapter("default")


Change = Callable[[Any], None]
# What is done before, then the change whose answers must be new.
CHANGES: dict[str, tuple[Change, Change]] = {
    "in place": (lambda model: None, in_place),
    "moved": (lambda model: None, moved),
    "swapped": (lambda model: None, swapped),
    "replaced": (lambda model: None, replaced),
    "another child": (lambda model: None, other_child),
    "injected": (lambda model: None, inject),
    "scaled": (inject, scaled),
    "turned off": (inject, off),
    "another one": (inject_two, another),
    "merged": (inject_two, merged),
}
every_change = pytest.mark.parametrize("name", CHANGES)


def answers(model: Any) -> list[np.ndarray]:
    (scores,) = model.token_log_probs([PROMPT, PROMPT + " left"][:1], [[" left", " right"]])
    features = model.encode([PROMPT, PROMPT + " left"], pooling=("last", "mean"))
    (text,) = model.generate([PROMPT], sampling=SAMPLING)
    return [features, *scores, text.log_probs]


def same(got: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-4)
        for a, b in zip(got, expected, strict=True)
    )


@every_change
def test_nothing_that_was_kept_survives_a_change(name: str, tmp_path) -> None:
    before, change = CHANGES[name]
    transformer, tokenizer = tiny.make_parts("llama")
    before(transformer)
    model = TorchModel(transformer, tokenizer, name="tiny")
    cached = CachedModel(model, store=Store(tmp_path))
    old, fingerprint = answers(cached), cached.fingerprint
    assert same(answers(cached), old)
    change(transformer)
    expected = answers(TorchModel(transformer, tokenizer, name="tiny"))
    assert not same(expected, old), "this change decides nothing"
    assert same(answers(model), expected)
    assert same(answers(cached), expected)
    assert cached.fingerprint != fingerprint
    # Nor is another process answered from what the disk has kept.
    again = CachedModel(TorchModel(transformer, tokenizer, name="tiny"), store=Store(tmp_path))
    assert again.fingerprint == cached.fingerprint
    assert same(answers(again), expected)


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("turned off",)])
def test_a_trunk_forgets_what_the_lower_blocks_have_made(name: str) -> None:
    before, change = CHANGES[name]
    transformer, tokenizer = tiny.make_parts("llama")
    before(transformer)
    model = TorchModel(transformer, tokenizer, name="tiny")
    trunk = model.trunk(1)
    rows = model.rows([PROMPT])
    with torch.no_grad():
        old = trunk.run(rows)
        assert torch.equal(trunk.run(rows), old)
        assert trunk.rows_reused == 1
        change(transformer)
        transformer.requires_grad_(False)
        expected = TorchModel(transformer, tokenizer, name="tiny").trunk(1).run(rows)
        torch.testing.assert_close(trunk.run(rows), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(expected, old, atol=1e-3)


def test_peft_merges_are_seen() -> None:
    transformer, tokenizer = tiny.make_parts("llama")
    inject(transformer)
    model = TorchModel(transformer, tokenizer, name="tiny")
    mark = model.fingerprint
    old = model.encode([PROMPT])
    for part in adapted(transformer):
        part.merge()
    # Worked into the weights, it answers alike, but nobody can know how nearly.
    assert model.fingerprint != mark
    np.testing.assert_allclose(model.encode([PROMPT]), old, rtol=1e-3, atol=1e-4)


def test_turning_adapters_on_again_is_known(monkeypatch) -> None:
    from dragoman.models import torch_model

    taken = []
    own = torch_model.fingerprint
    monkeypatch.setattr(torch_model, "fingerprint", lambda *a: taken.append(1) or own(*a))
    transformer, tokenizer = tiny.make_parts("llama")
    inject(transformer)
    model = TorchModel(transformer, tokenizer, name="tiny")
    for _ in range(3):
        for on in (True, False):
            for part in adapted(transformer):
                part.enable_adapters(on)
            assert model.fingerprint
    # Once with, once without; turning on lets gradients flow, which writes nothing.
    assert len(taken) == 2


def test_a_replaced_head_scores() -> None:
    transformer, tokenizer = tiny.make_parts("llama")
    model = TorchModel(transformer, tokenizer, name="tiny")
    (old,) = model.token_log_probs([PROMPT], [[" left"]])
    transformer.lm_head = copy.deepcopy(transformer.lm_head)
    transformer.lm_head.weight.data.mul_(0.5)
    (new,) = model.token_log_probs([PROMPT], [[" left"]])
    (expected,) = TorchModel(transformer, tokenizer, name="x").token_log_probs(
        [PROMPT], [[" left"]]
    )
    np.testing.assert_allclose(new[0], expected[0], rtol=1e-5)
    assert not np.allclose(new[0], old[0])


def hidden(transformer: Any) -> None:
    """A write that leaves no trace that could be seen."""
    transformer.model.layers[0].mlp.up_proj.weight.data.mul_(1.5)


def test_what_cannot_be_seen_is_forgotten_by_hand() -> None:
    transformer, tokenizer = tiny.make_parts("llama")
    model = TorchModel(transformer, tokenizer, name="tiny")
    cached, trunk = CachedModel(model), model.trunk(1)
    answers(cached)
    old = cached.fingerprint
    with torch.no_grad():
        trunk.run(model.rows([PROMPT]))
        hidden(transformer)
        fresh = TorchModel(transformer, tokenizer, name="tiny")
        expected = answers(fresh)
        assert not same(answers(cached), expected)
        cached.forget()
        assert same(answers(cached), expected)
        assert trunk.kept_bytes == 0
    assert cached.fingerprint != old
    assert cached.fingerprint == fresh.fingerprint


def no_start(tokenizer: Any, model: Any) -> None:
    tokenizer.bos_token = tokenizer.unk_token


def writes_start(tokenizer: Any, model: Any) -> None:
    from tokenizers import processors

    start = (tokenizer.eos_token, tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start[0]} $A", special_tokens=[start]
    )


def other_template(tokenizer: Any, model: Any) -> None:
    tokenizer.chat_template = "{{ messages }}"


def other_attention(tokenizer: Any, model: Any) -> None:
    model.set_attn_implementation("eager")


def other_ends(tokenizer: Any, model: Any) -> None:
    model.generation_config.eos_token_id = [1, 5]


SETTINGS = [no_start, writes_start, other_template, other_attention, other_ends]


@pytest.mark.parametrize("change", SETTINGS, ids=lambda one: one.__name__)
def test_settings_that_decide_answers_are_in_the_fingerprint(change) -> None:
    prints = set()
    for changed in (False, True, True):
        model, tokenizer = tiny.make_parts("gemma")
        if changed:
            change(tokenizer, model)
        prints.add(TorchModel(model, tokenizer, name="tiny").fingerprint)
    assert len(prints) == 2


def test_end_tokens_of_the_moment_end_a_text() -> None:
    model = tiny.make("llama")
    cached = CachedModel(model)
    (long,) = cached.generate([PROMPT], sampling=SAMPLING)
    token = long.tokens[3]
    model.transformer.generation_config.eos_token_id = token
    (short,) = cached.generate([PROMPT], sampling=SAMPLING)
    assert short.tokens == long.tokens[: long.tokens.index(token) + 1]


ASKED: dict[str, Callable[[TorchModel], Any]] = {
    "encode": lambda model: model.encode([PROMPT]),
    "score": lambda model: model.token_log_probs([PROMPT], [[" left"]])[0][0],
    "write": lambda model: model.generate([PROMPT], sampling=SAMPLING)[0].log_probs,
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("architecture", tiny.in_tiers(tiny.ARCHITECTURES))
@pytest.mark.parametrize("whole", [True, False])
def test_a_model_left_in_training_is_read_without_dropout(
    architecture: str, asked: str, whole: bool
) -> None:
    if architecture == "bert" and asked != "encode":
        pytest.skip("an encoder alone neither scores nor writes")
    transformer, tokenizer = tiny.make_parts(architecture)
    expected = ASKED[asked](TorchModel(transformer, tokenizer, name="tiny"))
    model = TorchModel(transformer, tokenizer, name="tiny")
    # One that drops half of everything, inside a part or put around one.
    parts = [part for part in transformer.modules() if isinstance(part, nn.Dropout)]
    for part in parts:
        part.p = 0.5
    for block in model.blocks:
        block.register_module("dropped", nn.Dropout(0.5))
        block.register_forward_pre_hook(_drop)
    if whole:
        transformer.train()
    assert any(part.training for part in transformer.modules())
    for _ in range(2):
        np.testing.assert_allclose(ASKED[asked](model), expected, rtol=1e-4, atol=1e-4)


def _drop(block: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if not inputs:
        return None
    return (block.dropped(inputs[0]), *inputs[1:])

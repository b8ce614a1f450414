"""The top blocks trained on kept hidden states, against training through all blocks."""

from __future__ import annotations

import numpy as np
import peft
import pytest
import torch

from dragoman.errors import ConfigError
from dragoman.models.rows import Row, grow_tree, wanted
from dragoman.models.torch_model import TorchModel
from dragoman.models.trunk import Trunk
from tests.models import tiny

TOP = 1
every_causal = pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen", "gemma", "gemma2"])
TEXTS = ["push the cart to the left", "the pole leans 3.2 degrees to the right", "cart"]


def rows_of(model: TorchModel, texts=TEXTS) -> list[Row]:
    return model.rows(texts)


def trainable(architecture: str, how: str = "full") -> TorchModel:
    """A model whose top block is trained, as a whole or by an adapter."""
    model = tiny.make(architecture)
    top = list(range(tiny.LAYERS - TOP, tiny.LAYERS))
    if how == "lora":
        names = ["c_attn"] if architecture == "gpt2" else ["q_proj", "v_proj"]
        config = peft.LoraConfig(
            r=4,
            target_modules=names,
            layers_to_transform=top,
            init_lora_weights=False,
            fan_in_fan_out=architecture == "gpt2",
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            peft.inject_adapter_in_model(config, model._model)
    else:
        for block in model._stack.blocks[tiny.LAYERS - TOP :]:
            block.requires_grad_(True)
    return model


def gradients(model: TorchModel, hidden: torch.Tensor, rows: list[Row]) -> dict:
    real = torch.cat([one[: len(row)] for one, row in zip(hidden, rows, strict=True)])
    model._model.zero_grad()
    (real * torch.linspace(-1, 1, real.shape[-1])).square().sum().backward()
    return {n: p.grad.clone() for n, p in model._model.named_parameters() if p.grad is not None}


def through_all_blocks(model: TorchModel, rows: list[Row]) -> torch.Tensor:
    width = max(map(len, rows))
    ids = torch.tensor([[*row.prompt, *[0] * (width - len(row))] for row in rows])
    return model._stack.run(ids)


@every_causal
@pytest.mark.parametrize("how", ["full", "lora"])
def test_gradients_are_bit_equal_to_those_through_all_blocks(architecture: str, how: str) -> None:
    model = trainable(architecture, how)
    rows = rows_of(model)
    expected = gradients(model, through_all_blocks(model, rows), rows)
    assert expected
    trunk = model.trunk(TOP)
    with torch.no_grad():
        trunk.run(rows)  # the rollout
    for _ in range(2):  # epochs
        got = gradients(model, trunk.run(rows), rows)
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[name], expected[name]) for name in got)
    assert (trunk.rows_computed, trunk.rows_reused) == (3, 6)


@every_causal
def test_kept_rows_are_the_same_in_any_company(architecture: str) -> None:
    model = trainable(architecture)
    rows = rows_of(model)
    trunk, plain = Trunk(model._stack, TOP), through_all_blocks(model, rows)
    trunk.run(rows[:2])
    for order in ([2, 0], [1], [0, 1, 2], [2, 2]):
        for i, hidden in zip(order, trunk.run([rows[i] for i in order]), strict=True):
            length = len(rows[i])
            torch.testing.assert_close(hidden[:length], plain[i, :length], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_lower_blocks_run_once_a_row(architecture: str) -> None:
    model = trainable(architecture)
    trunk, rows, ran = Trunk(model._stack, TOP), rows_of(model), []
    for i, block in enumerate(model._stack.blocks):
        block.mlp.register_forward_hook(lambda *_, i=i: ran.append(i))
    for _ in range(3):
        trunk.run(rows)
    assert ran == [0, 1, 2, 2, 2]


def test_beyond_the_budget_rows_are_computed_again() -> None:
    model = trainable("llama")
    rows = rows_of(model)
    budget = len(rows[0]) * tiny.WIDTH * 4
    trunk, whole = Trunk(model._stack, TOP, budget_bytes=budget), Trunk(model._stack, TOP)
    for _ in range(3):
        for got, expected, row in zip(trunk.run(rows), whole.run(rows), rows, strict=True):
            torch.testing.assert_close(got[: len(row)], expected[: len(row)], rtol=1e-4, atol=1e-4)
        assert trunk.kept_bytes <= budget
    assert (trunk.rows_computed, trunk.rows_reused) == (3 + 2 + 2, 2)
    assert (whole.rows_computed, whole.rows_reused) == (3, 6)


@pytest.mark.parametrize("where", ["top", "below"])
def test_training_keeps_the_trunk_and_other_changes_forget_it(where: str) -> None:
    model = trainable("llama")
    trunk, rows = Trunk(model._stack, TOP), rows_of(model)
    trunk.run(rows)
    block = model._stack.blocks[-1 if where == "top" else 0]
    with torch.no_grad():
        block.mlp.up_proj.weight.mul_(1.5)
    after = trunk.run(rows)
    expected = through_all_blocks(model, rows)
    for got, other, row in zip(after, expected, rows, strict=True):
        torch.testing.assert_close(got[: len(row)], other[: len(row)], rtol=1e-4, atol=1e-4)
    assert trunk.rows_reused == (3 if where == "top" else 0)


def test_the_first_ratio_is_one_even_where_someone_turned_dropout_on() -> None:
    """Old log-probs from the scorer, new ones through the trunk with gradients."""
    model = trainable("gpt2", "lora")
    assert model._model.config.resid_pdrop > 0
    prompts, candidates = TEXTS, [[" left", " right", " to the left"]] * 3
    old = model.token_log_probs(prompts, candidates)
    model._model.train()
    work = [model._tokens.continuations(p, c) for p, c in zip(prompts, candidates, strict=True)]
    rows = [Row(tuple(w.prompt), grow_tree(tuple(map(tuple, w.candidates)))) for w in work]
    hidden = Trunk(model._stack, TOP).run(rows)
    states = torch.cat([hidden[i, list(row.predicting)] for i, row in enumerate(rows)])
    log_probs = torch.log_softmax(model._head.logits(states), dim=-1)
    places, tokens = wanted(rows)
    new = log_probs[places, tokens]
    assert new.requires_grad
    flat = np.concatenate([item for own in old for item in own])
    ratios = np.exp(new.detach().numpy() - flat)
    np.testing.assert_allclose(ratios, 1.0, atol=1e-4)


def test_candidates_side_by_side_have_gradients_too() -> None:
    model = trainable("llama")
    tree = grow_tree(((5, 6, 7), (5, 8), (9,)))
    rows = [Row((1, 2, 3), tree), Row((4, 5), tree)]
    trunk = Trunk(model._stack, TOP)
    expected = gradients(model, trunk.run(rows), rows)
    got = gradients(model, trunk.run(rows), rows)
    assert all(torch.equal(got[name], expected[name]) for name in got)
    alone = through_all_blocks(model, [Row((1, 2, 3, 5, 6))])[0]
    torch.testing.assert_close(trunk.run(rows)[0, :5], alone, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_trained_so_says_so() -> None:
    model = trainable("llama")
    model._stack.blocks[0].requires_grad_(True)
    with pytest.raises(ConfigError, match="below its top 1 blocks are trainable"):
        Trunk(model._stack, TOP)
    Trunk(model._stack, tiny.LAYERS)  # all of them may be
    with pytest.raises(ConfigError, match="top is 4, but 'tiny llama' has 3 blocks"):
        Trunk(model._stack, 4)
    with pytest.raises(ConfigError, match="is not causal"):
        Trunk(tiny.make("bert")._stack, TOP)
    with pytest.raises(ConfigError, match="takes no attention mask"):
        Trunk(trainable("gemma2")._stack, TOP).run([Row((1, 2), grow_tree(((5, 6),)))])

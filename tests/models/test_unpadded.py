"""Rows without padding against the ways that pad, through a plain attention over segments."""

from __future__ import annotations

import functools
import inspect
import logging

import numpy as np
import pytest
import torch
from torch import Tensor

from dragoman.models import attention, unpadded
from dragoman.models.graphs import Graph, Graphs
from dragoman.models.rows import Row, grow_tree
from dragoman.models.torch_model import TorchModel
from dragoman.models.trunk import Trunk
from dragoman.models.tuned import TunedModel
from dragoman.testing import TEXTS, check_model
from tests.models import plain_attention, tiny
from tests.models.test_score import CANDIDATES, PROMPTS
from tests.models.test_tuned import texts_of

every = pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen", "gemma"])
HEAD = "the cart stands on a track, and on it stands a pole; "


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Let the processor read without padding, with an attention that is plain."""
    monkeypatch.setattr(attention, "_kernel", plain_attention.varlen_attn)

    def switch(able: bool = True) -> None:
        monkeypatch.setattr(unpadded, "DEVICES", ("cpu",) if able else ())

    return switch


def test_the_stand_in_is_called_as_pytorchs_own_attention() -> None:
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="PyTorch 2.10 has it")
    own, theirs = (
        inspect.signature(item.varlen_attn).parameters for item in (plain_attention, varlen)
    )
    positional = [name for name, one in own.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert list(theirs)[: len(positional)] == positional
    assert set(own) - {"enable_gqa"} <= set(theirs)


@every
def test_it_keeps_the_promises(on, architecture: str) -> None:
    on()
    model = tiny.make(architecture)
    assert model._stack.unpadded.reads(10)
    check_model(model)


@every
@pytest.mark.parametrize("head", ["", HEAD])
@pytest.mark.parametrize("layer", [0, 1, tiny.LAYERS])
def test_features_are_those_of_padded_texts(on, architecture: str, head: str, layer: int) -> None:
    texts = [head + text for text in (*TEXTS, "a", "b c")]
    features = []
    for able in (False, True):
        on(able)
        model = tiny.make(architecture)
        asked = functools.partial(model.encode, layer=layer, pooling=("last", "mean", "first"))
        # In one batch, and in many.
        whole = asked(texts)
        model.batcher.budget = 30
        np.testing.assert_allclose(asked(texts), whole, rtol=1e-4, atol=1e-4)
        features.append(whole)
    np.testing.assert_allclose(features[1], features[0], rtol=1e-5, atol=1e-5)


@every
@pytest.mark.parametrize("head", ["", HEAD])
def test_scores_are_those_under_a_mask(on, architecture: str, head: str) -> None:
    prompts, scores = [head + prompt for prompt in PROMPTS], []
    for able in (False, True):
        on(able)
        scores.append(tiny.make(architecture).token_log_probs(prompts, CANDIDATES))
    for ours, theirs in zip(*reversed(scores), strict=True):
        for got, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def trained(architecture: str) -> tuple[TorchModel, list[torch.Tensor]]:
    model = tiny.make(architecture)
    block = model.blocks[-1].requires_grad_(True)
    return model, list(block.parameters())


@every
@pytest.mark.parametrize("top", [1, tiny.LAYERS])
def test_gradients_are_those_of_padded_rows(on, architecture: str, top: int) -> None:
    tree = grow_tree(((5, 6, 7), (5, 8, 9), (9,), (4, 4)))
    rows = [Row((1, 2, 3), tree), Row((4,)), Row((4, 5, 7, 7, 8), tree), Row((4,))]
    results = []
    for able in (False, True):
        on(able)
        model, weights = trained(architecture)
        trunk = Trunk(model._stack, top)
        assert trunk._unpads == able
        with torch.no_grad():
            trunk.run(rows[:2])  # the rollout, of some
        for _ in range(2):
            hidden = trunk.run(rows)
        real = torch.cat([one[: len(row)] for one, row in zip(hidden, rows, strict=True)])
        total = (real * torch.linspace(-1, 1, real.shape[-1])).square().sum()
        results.append([real.detach(), *torch.autograd.grad(total, weights)])
        tokens = sum(len(row) for row in set(rows)) if top == 1 else 0
        assert trunk.kept_bytes == tokens * tiny.WIDTH * 4
    for ours, theirs in zip(*reversed(results), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@every
def test_an_update_is_that_of_padded_rows(on, architecture: str) -> None:
    results = []
    for able in (False, True):
        on(able)
        model = tiny.make(architecture)
        torch.manual_seed(0)
        tuned = TunedModel(model, top=2)
        optimiser = torch.optim.Adam(tuned.parameters(), lr=0.01)
        for _ in range(2):
            features, sums = tuned(texts_of(model), ("last", "mean"))
            optimiser.zero_grad()
            (features.square().mean() - torch.cat(sums).mean()).backward()
            optimiser.step()
        scores = tuned.inner.token_log_probs(PROMPTS, CANDIDATES)
        results.append([features.detach(), *(torch.tensor(own[0]) for own in scores)])
    for ours, theirs in zip(*reversed(results), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["gemma2", "t5", "bert"])
def test_what_cannot_be_read_so_is_padded_and_says_so_once(
    on, architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny.make(architecture)
    expected = model.encode(TEXTS)
    on()
    model.forget()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(model.encode(TEXTS), expected)
    said = [item.getMessage() for item in caplog.records]
    assert said == [
        f"tiny {architecture} in torch.float32 is read with padding, which takes longer"
    ]


def test_a_window_is_kept_to(on) -> None:
    """No mask of ours would reach it, segments do."""
    more = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
    parts = tiny.make_parts("qwen", **more)
    expected = TorchModel(*parts, name="tiny").encode([HEAD + text for text in TEXTS])
    on()
    model = TorchModel(*parts, name="tiny")
    assert model._stack.unpadded.reads(40)
    got = model.encode([HEAD + text for text in TEXTS])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_another_attention_is_back_after_a_call(on) -> None:
    on()
    model = tiny.make("llama")
    before = model.transformer.config._attn_implementation
    model.encode(TEXTS)
    assert model.transformer.config._attn_implementation == before


def replayed(forward, numbers) -> tuple[Graph, Tensor]:
    fixed = numbers.clone()
    result = forward(fixed)
    graph = Graph(forward, fixed, result, lambda: result.copy_(forward(fixed)), 1)
    return graph, result.clone()


def test_graphs_give_the_same_and_go_when_weights_move(on) -> None:
    on()
    model = tiny.make("llama")
    made: list[int] = []

    def capture(forward, numbers) -> tuple[Graph, Tensor]:
        made.append(len(numbers))
        return replayed(forward, numbers)

    rounds = [[HEAD + f"{i} {word}" for i in range(20)] for word in ("left", "right", "up", "far")]
    plain = [tiny.make("llama").encode(texts) for texts in rounds]
    model._stack.unpadded.__dict__["_graphs"] = Graphs(capture, 100)
    for texts, expected in zip(rounds, plain, strict=True):
        np.testing.assert_allclose(model.encode(texts), expected, rtol=1e-5, atol=1e-5)
    assert len(made) == 1
    weight = model.blocks[0].mlp.up_proj.weight
    weight.mul_(1.5)  # in place: the head is made anew, and with it the graph
    changed = [model.encode(texts) for texts in rounds]
    model.forget()
    model._stack.unpadded.__dict__["_graphs"] = None
    for got, texts in zip(changed, rounds, strict=True):
        np.testing.assert_allclose(got, model.encode(texts), rtol=1e-5, atol=1e-5)
        assert not np.allclose(got, plain[0])


@torch.library.custom_op("dragoman_tests::segments", mutates_args={})
def segments(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    queries: Tensor,
    keys: Tensor,
    longest: int,
    most: int,
    scale: float | None,
    window: list[int],
    grouped: bool,
) -> Tensor:
    """The plain attention as one operation that a compiler need not look into, as a GPU's is."""
    given = (query, key, value, queries, keys, longest, most)
    before, after = window
    return plain_attention.varlen_attn(
        *given, scale=scale, window_size=(before, after), enable_gqa=grouped
    )


@segments.register_fake
def _(query: Tensor, *others: object) -> Tensor:
    return torch.empty_like(query)


# Torch's own compiler still uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@every
def test_the_whole_model_compiles_without_a_break(
    on, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    """Graphs are made of the compiled model, for what comes once it is not compiled."""

    def kernel(*given, scale, window_size, enable_gqa):
        return segments(*given, scale, list(window_size), enable_gqa)

    seen: list[int] = []

    def backend(module, inputs):
        seen.append(len(inputs))
        return module.forward

    monkeypatch.setattr(attention, "_kernel", kernel)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    on()
    model = tiny.make(architecture)
    model._stack.unpadded.__dict__["_graphs"] = Graphs(replayed, 100)
    model.compile()
    rounds = [[HEAD + f"{i} {word}" for i in range(20)] for word in ("left", "right", "up", "far")]
    for turn, texts in enumerate(rounds):
        expected = tiny.make(architecture).encode(texts)
        np.testing.assert_allclose(model.encode(texts), expected, rtol=1e-5, atol=1e-5)
        assert len(seen) <= (turn >= 2)
    assert len(seen) == 1  # one graph, once

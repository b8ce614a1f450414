"""Updates in pieces: the gradients of PyTorch's own checkpoints, and what memory does not hold."""

from __future__ import annotations

import functools
import logging

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from dragoman.models.pieces import Reading
from dragoman.models.tuned import Text, TunedModel
from tests.models import tiny
from tests.models.test_tuned import texts_of

MORE = [Text((5, 6, 7, 8), ((4, 5), (9,))), Text((7,), ()), Text((3, 3, 4), ((6, 6, 5),))]


def reading(tuned: TunedModel, texts: list[Text], tokens: int, read=None) -> Reading[Text]:
    tuned._tokens = tokens
    own = functools.partial(tuned._read, pooling=("last", "mean"), by_token=False)
    sizes = [len(text.candidates) for text in texts]
    return Reading(texts, sizes, read or own, tuned._cut(texts), tuned._batchers[1])


def loss(features: torch.Tensor, log_probs: torch.Tensor) -> torch.Tensor:
    return features.square().sum() + (log_probs * torch.arange(len(log_probs))).sum()


def made(architecture: str, how: str, top: int | None = None) -> tuple[TunedModel, list[Text]]:
    torch.manual_seed(0)
    model = tiny.make(architecture)
    tuned = TunedModel(model, how=how, top=top)
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.add_(0.01 * torch.randn_like(weight))
    return tuned, [*texts_of(model), *(MORE if architecture != "t5" else [])]


@pytest.mark.parametrize("how", ["lora", "full"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama", "t5"])
def test_pieces_are_bit_for_bit_those_of_checkpoints(architecture: str, how: str) -> None:
    tuned, texts = made(architecture, how)
    own = reading(tuned, texts, 20)
    order, features, log_probs = own.with_gradients(list(tuned.parameters()))
    assert features.grad_fn.name() == "_AgainBackward"
    found = torch.autograd.grad(
        loss(features, log_probs), list(tuned.parameters()), allow_unused=True
    )
    pieces = own.cut([len(text) for text in texts], budget=20)
    assert [i for piece in pieces for i in piece] == order
    parts = [checkpoint(own.of, piece, use_reentrant=False) for piece in pieces]
    whole = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    expected = torch.autograd.grad(loss(*whole), list(tuned.parameters()), allow_unused=True)
    assert len(pieces) > 2
    assert torch.equal(features, whole[0])
    for got, theirs in zip(found, expected, strict=True):
        assert (got is None) == (theirs is None)
        if got is not None:
            assert torch.equal(got, theirs)


@pytest.mark.parametrize("unused", [0, 1])
def test_what_is_not_used_has_no_gradient(unused: int) -> None:
    tuned, texts = made("llama", "lora")
    gradients = []
    for tokens in (20, 10_000):
        own = reading(tuned, texts, tokens)
        order, *results = own.with_gradients(list(tuned.parameters()))
        starts = torch.tensor([0, *own.sizes]).cumsum(0).tolist()
        flat = torch.tensor([starts[i] + k for i in order for k in range(own.sizes[i])])
        kept = results[1] * flat if unused == 0 else results[0] * torch.tensor(order)[:, None]
        gradients.append(torch.autograd.grad(kept.sum(), list(tuned.parameters())))
        tuned.__dict__.pop("_batchers")
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("on_the_way", ["there", "back"])
def test_what_memory_does_not_hold_is_halved_and_counted(
    on_the_way: str, caplog: pytest.LogCaptureFixture
) -> None:
    tuned, texts = made("llama", "lora")
    plain = reading(tuned, texts, 10_000)
    order, features, _ = plain.with_gradients(list(tuned.parameters()))
    expected = torch.autograd.grad((features.T * torch.tensor(order)).sum(), tuned.parameters())
    tuned.__dict__.pop("_batchers")
    way, failed = {"there": "there"}, []
    held = {"there": 30, "back": 20}

    def read(own: list[Text]):
        if sum(map(len, own)) > held[on_the_way] and way["there"] == on_the_way:
            failed.append(own)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain.read(own)

    small = reading(tuned, texts, 1000 if on_the_way == "there" else 40, read)
    with caplog.at_level(logging.WARNING):
        order, features, _ = small.with_gradients(list(tuned.parameters()))
        way["there"] = "back"
        found = torch.autograd.grad((features.T * torch.tensor(order)).sum(), tuned.parameters())
    for got, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(got, theirs, rtol=1e-4, atol=1e-6)
    assert tuned.inner.cost.out_of_memory == len(failed) > 0
    assert small.batcher.budget <= held[on_the_way]
    assert len(caplog.records) == 1


class Gauge:
    """A GPU on which so many tokens fit, at so many bytes each."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.tried: list[int] = []

    def peak(self, work) -> int:
        (tokens,) = work.args
        self.tried.append(tokens)
        if tokens > self.tokens:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        work()
        return tokens * 1000

    def free(self) -> int:
        return self.tokens * 1000

    def seconds(self, work) -> float:
        raise AssertionError("only memory counts")


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_on_a_gpu_a_piece_is_what_fits_with_gradients(architecture: str) -> None:
    tuned, _ = made(architecture, "lora", top=1)
    for weight in tuned.parameters():
        weight.requires_grad_(False)  # as in a warm-up
    gauge = Gauge(3000)
    assert tuned._fitting(gauge) == 1500
    assert gauge.tried == [32768, 16384, 8192, 4096, 2048]
    assert not any(weight.requires_grad for weight in tuned.parameters())
    assert all(weight.grad is None for weight in tuned.parameters())
    if tuned.trunk is not None:
        assert tuned.trunk.kept_bytes == 0
    assert [batcher.budget for batcher in tuned._batchers] == [16384, 4096]

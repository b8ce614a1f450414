from __future__ import annotations

import numpy as np
import pytest
import torch

from dragoman.errors import ConfigError, ModelError
from dragoman.models.torch_model import TorchModel
from dragoman.testing import TEXTS, check_model
from tests.models import tiny

every_architecture = pytest.mark.parametrize("architecture", tiny.in_tiers(tiny.ARCHITECTURES))


@pytest.fixture(params=tiny.in_tiers(tiny.ARCHITECTURES))
def parts(request):
    return tiny.make_parts(request.param)


@every_architecture
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_keeps_the_promises(architecture: str, padding_side: str) -> None:
    check_model(tiny.make(architecture, padding_side))


@every_architecture
def test_padding_side_of_the_tokenizer_never_matters(architecture: str) -> None:
    left, right = (tiny.make(architecture, side) for side in ("left", "right"))
    np.testing.assert_array_equal(left.encode(TEXTS), right.encode(TEXTS))


def oracle(parts, text: str, layer: int) -> torch.Tensor:
    """All hidden states of one unpadded text, as Transformers itself gives them."""
    model, tokenizer = parts
    stack = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    ids = torch.tensor([tiny.ids_as_text(tokenizer, text)])
    with torch.no_grad():
        out = stack(ids, output_hidden_states=True)
    return out.last_hidden_state[0] if layer == tiny.LAYERS else out.hidden_states[layer][0]


@pytest.mark.parametrize("layer", range(tiny.LAYERS + 1))
def test_features_are_the_pooled_hidden_states(parts, layer: int) -> None:
    model = TorchModel(*parts, name="tiny")
    got = model.encode(TEXTS, layer=layer, pooling=("last", "mean", "first"))
    for row, text in zip(got, TEXTS, strict=True):
        hidden = oracle(parts, text, layer)
        expected = torch.cat([hidden[-1], hidden.mean(dim=0), hidden[0]])
        np.testing.assert_allclose(row, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_special_token_inside_a_text_is_text(parts) -> None:
    model = TorchModel(*parts, name="tiny")
    tokenizer = parts[1]
    for token in {tokenizer.pad_token, tokenizer.eos_token} - {None}:
        texts = [f"push {token} left {token}", "a much longer text that makes the other padded"]
        together = model.encode(texts, pooling=("last", "mean"))
        hidden = oracle(parts, texts[0], tiny.LAYERS)
        expected = torch.cat([hidden[-1], hidden.mean(dim=0)]).numpy()
        np.testing.assert_allclose(together[0], expected, rtol=1e-4, atol=1e-4)
        assert not np.allclose(together[0], model.encode(["push left"], pooling=("last", "mean")))


@pytest.mark.parametrize("layer", range(tiny.LAYERS + 1))
def test_blocks_above_the_layer_are_not_computed(parts, layer: int) -> None:
    model = TorchModel(*parts, name="tiny")
    model.encode(["push left"], layer=layer)  # what it finds out about itself is behind it
    ran: list[int] = []
    for i, block in enumerate(model._stack.blocks):
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
    model.encode(["push left"], layer=layer)
    assert ran == list(range(layer))


def test_equal_texts_are_computed_once(parts) -> None:
    model = TorchModel(*parts, name="tiny")
    model.encode(["push left"])
    once = model.cost.tokens
    got = model.encode(["push left"] * 5)
    assert model.cost.tokens == 2 * once
    assert (got == got[0]).all()


@every_architecture
def test_the_token_budget_changes_nothing(
    architecture: str,
) -> None:
    model = tiny.make(architecture)
    whole = model.encode(TEXTS)
    model.batcher.budget = 40
    np.testing.assert_allclose(model.encode(TEXTS), whole, rtol=1e-4, atol=1e-4)


@every_architecture
def test_an_empty_text_has_features(architecture: str) -> None:
    assert np.isfinite(tiny.make(architecture).encode([""])).all()


def test_an_empty_text_without_any_start_token_is_an_error() -> None:
    model, tokenizer = tiny.make_parts("gpt2")
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(ModelError, match="has no token for an empty text"):
        TorchModel(model, tokenizer, name="tiny").encode([""])


def test_a_text_longer_than_the_context_is_never_cut() -> None:
    with pytest.raises(ModelError, match=r"longer than the context of 256 tokens of 'tiny gpt2'"):
        tiny.make("gpt2").encode(["push " * 300])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 4}, "layer is 4, but 'tiny gpt2' has 3 layers"),
        ({"layer": -5}, "layer is -5"),
        ({"pooling": ("lats",)}, r"no pooling 'lats' \(did you mean 'last'\?\)"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny.make("gpt2").encode(["a"], **arguments)


@pytest.mark.real_model
def test_the_real_model_keeps_the_promises(smollm2: TorchModel) -> None:
    assert (smollm2.num_layers, smollm2.hidden_size) == (30, 576)
    check_model(smollm2)


@pytest.mark.real_model
def test_the_real_model_knows_what_is_alike(smollm2: TorchModel) -> None:
    texts = ["a dog runs in the park", "a puppy plays in the garden", "the tax form is due"]
    features = smollm2.encode(texts, layer=20, pooling=("mean",))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    assert features[0] @ features[1] > features[0] @ features[2]

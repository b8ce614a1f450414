"""A model that is trained reads as the frozen one does, until it is trained."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from dragoman.errors import ConfigError, ModelError
from dragoman.models import causal
from dragoman.models import tuned as tuning
from dragoman.models.rows import MOST_NODES, Row, grow_tree, rows_of
from dragoman.models.torch_model import TorchModel
from dragoman.models.tuned import Text, TunedModel
from tests.models import tiny

every = pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma2", "t5"])
PROMPTS = ["push the cart to the left", "the pole leans 3.2 degrees to the right", "cart"]
ANSWERS = [[" left", " to the right"], [" left"], [" right", " to the left", " pole"]]


def texts_of(model: TorchModel) -> list[Text]:
    result = [model.continuations(p, own) for p, own in zip(PROMPTS, ANSWERS, strict=True)]
    return [Text(tuple(item.prompt), tuple(map(tuple, item.candidates))) for item in result]


@every
@pytest.mark.parametrize("how", ["lora", "full"])
def test_untrained_it_says_what_the_scorer_says(architecture: str, how: str) -> None:
    model = tiny.make(architecture)
    expected = model.token_log_probs(PROMPTS, ANSWERS)
    tuned = TunedModel(model, how=how, top=2)
    with torch.no_grad():
        _, sums = tuned(texts_of(model))
    for got, own in zip(sums, expected, strict=True):
        np.testing.assert_allclose(got.numpy(), [item.sum() for item in own], atol=1e-4)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_many_candidates_are_read_in_several_rows(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.make(architecture)
    texts = texts_of(model)

    def result():
        torch.manual_seed(0)
        tuned = TunedModel(model, top=2)
        features, sums = tuned(texts, ("last", "mean"))
        whole = features.square().sum() + torch.cat(sums).sum()
        gradients = torch.autograd.grad(whole, list(tuned.parameters()))
        return [features, *sums, *gradients], model.token_log_probs(PROMPTS, ANSWERS)

    trained, scored = result()
    for module in (tuning, causal):
        monkeypatch.setattr(module, "rows_of", functools.partial(rows_of, most=1))
    pieces = [len(rows_of(text.prompt, text.candidates, most=1)) for text in texts]
    assert max(pieces[:-1]) > 1
    trained_in_parts, scored_in_parts = result()
    for one, other in zip(trained, trained_in_parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    for own, others in zip(scored, scored_in_parts, strict=True):
        for one, other in zip(own, others, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_no_row_is_longer_than_fits() -> None:
    generator = np.random.default_rng(0)
    candidates = [tuple(generator.integers(300, size=8).tolist()) for _ in range(5000)]
    rows = rows_of((1, 2), candidates)
    assert sum(len(row.tree.steps) for row in rows) == 5000
    assert max(map(len, rows)) <= MOST_NODES + 2
    long = [tuple(range(MOST_NODES + 9)), (1, 2)]
    assert [len(row.tree.steps) for row in rows_of((1,), long)] == [1, 1]
    assert len(rows_of((1,), ())) == 1


@every
def test_no_texts_have_no_features(architecture: str) -> None:
    # As of a batch in which no state has a valid action.
    features, sums = TunedModel(tiny.make(architecture))([], ("last", "mean"))
    assert features.shape == (0, 2 * tiny.WIDTH)
    assert sums == []


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_states_are_the_encodings(architecture: str) -> None:
    model = tiny.make(architecture)
    expected = model.encode(PROMPTS, pooling=("last", "mean", "first"))
    texts = [Text(tuple(ids)) for ids in model.token_ids(PROMPTS)]
    with torch.no_grad():
        features, _ = TunedModel(model)(texts, ("last", "mean", "first"))
    np.testing.assert_allclose(features.numpy(), expected, atol=1e-4)


def test_the_state_of_an_encoder_decoder_is_the_decoders_start() -> None:
    model = tiny.make("t5")
    texts = texts_of(model)
    tuned = TunedModel(model)
    with torch.no_grad():
        features, _ = tuned(texts, ("last", "mean"))
    ids = torch.tensor([texts[0].prompt])
    whole = model.transformer(
        input_ids=ids, decoder_input_ids=torch.tensor([[0, 5]]), output_hidden_states=True
    )
    expected = whole.decoder_hidden_states[-1][0, 0]
    torch.testing.assert_close(features[0, : tiny.WIDTH], expected, rtol=1e-4, atol=1e-4)
    mean = torch.from_numpy(model.encode(PROMPTS[:1], pooling=("mean",))[0])
    torch.testing.assert_close(features[0, tiny.WIDTH :], mean, rtol=1e-4, atol=1e-4)


@every
def test_company_and_order_change_nothing(architecture: str) -> None:
    model = tiny.make(architecture)
    tuned, texts = TunedModel(model, top=1), texts_of(model)
    whole, sums = tuned(texts)
    for order in ([2], [1, 0], [2, 2, 0]):
        features, own = tuned([texts[i] for i in order])
        torch.testing.assert_close(features, whole[order], rtol=1e-4, atol=1e-4)
        for i, got in zip(order, own, strict=True):
            torch.testing.assert_close(got, sums[i], rtol=1e-4, atol=1e-4)


@every
@pytest.mark.parametrize("top", [1, None])
def test_pieces_have_the_gradients_of_the_whole(architecture: str, top: int | None) -> None:
    result = []
    for tokens in (10_000, 1):
        model = tiny.make(architecture)
        tuned = TunedModel(model, how="full", top=top, tokens=tokens)
        features, sums = tuned(texts_of(model))
        (features.square().sum() + torch.cat(sums).sum()).backward()
        result.append({name: w.grad for name, w in tuned.trained.items() if w.grad is not None})
    whole, pieces = result
    assert whole.keys() == pieces.keys()
    assert len(whole) > 5
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("how", ["lora", "full"])
def test_only_what_is_trained_is_seen_and_the_given_model_stays(how: str) -> None:
    model = tiny.make("llama")
    before = model.encode(PROMPTS)
    tuned = TunedModel(model, how=how, top=1, rank=4)
    names = list(tuned.state_dict())
    assert names
    assert all("layers/2" in name or name.endswith("model/norm/weight") for name in names)
    assert all(("lora" in name) == (how == "lora") for name in names)
    assert all(w.requires_grad for w in tuned.parameters())
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.add_(0.1)
    assert not np.allclose(tuned.inner.encode(PROMPTS), before, atol=1e-2)
    np.testing.assert_array_equal(model.encode(PROMPTS), before)
    # Frozen weights are there once.
    ours = {id(p) for p in tuned.inner.transformer.parameters()}
    assert id(model.blocks[0].mlp.up_proj.weight) in ours
    again = TunedModel(model, how=how, top=1, rank=4)
    again.load_state_dict(tuned.state_dict())
    np.testing.assert_array_equal(again.inner.encode(PROMPTS), tuned.inner.encode(PROMPTS))


def test_the_trunk_is_computed_once_for_all_epochs() -> None:
    model = tiny.make("llama")
    tuned, texts = TunedModel(model, top=1), texts_of(model)
    with torch.no_grad():
        tuned(texts)
    for _ in range(3):
        tuned(texts)
    assert (tuned.trunk.rows_computed, tuned.trunk.rows_reused) == (3, 9)
    before = model.cost.flops
    tuned([texts[1]])
    again = model.cost.flops - before
    tuned.trunk.clear()
    tuned([texts[1]])
    whole = model.cost.flops - before - again
    # One block of three, and the same head.
    head = 2 * model.transformer.get_output_embeddings().weight.numel()
    logits = head * len(Row(texts[1].prompt, grow_tree(texts[1].candidates)).predicting)
    assert whole - logits == pytest.approx(3 * (again - logits))


def test_what_cannot_be_trained_says_so() -> None:
    model = tiny.make("llama")
    with pytest.raises(ConfigError, match="top is 4, but 'tiny llama' has 3 blocks"):
        TunedModel(model, top=4)
    with pytest.raises(ConfigError, match="adapters cannot be put on"):
        TunedModel(model, modules=["no_such_map"])
    with pytest.raises(ConfigError, match="is not causal"):
        TunedModel(tiny.make("bert"))


def test_chat_templates() -> None:
    model = tiny.make("gemma")
    with pytest.raises(ModelError, match="'tiny gemma' has no chat template"):
        model.chat("hello")
    parts = tiny.make_parts("gemma")
    parts[1].chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[model]{% endif %}"
    )
    # The start that its tokenizer adds anyway is not written twice.
    said = TorchModel(*parts, name="chatting").chat("hello")
    assert said.parts == ("[user]", "hello", "[model]")
    assert str(said) == "[user]hello[model]"

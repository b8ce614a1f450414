"""The scorer against the plainest possible oracle, one full forward a candidate."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import dragoman
from dragoman.errors import ConfigError, ModelError
from dragoman.models.rows import grow_tree
from dragoman.models.torch_model import TorchModel
from tests.models import tiny

SCORING = ["gpt2", "llama", "qwen", "gemma", "gemma2", "t5"]
CAUSAL = SCORING[:-1]
every_scorer = pytest.mark.parametrize("architecture", tiny.in_tiers(SCORING))
every_causal = pytest.mark.parametrize("architecture", tiny.in_tiers(CAUSAL))
PROMPTS = [
    "the pole leans 3.2 degrees to the right, so push",
    "the pole leans 3.2 degrees to the left",
    "cart",
    "",
]
CANDIDATES = [
    [" left", " right", " left and right", " the cart to the left", " the cart to the right"],
    [", push left"],
    [" position", " velocity 0.195", " pole"],
    ["push", "the pole leans"],
]


def causal_oracle(model, tokenizer, prompt: str, candidates: list[str]) -> list[np.ndarray]:
    """Full text, all logits, one log-softmax, one candidate at a time."""
    alone = tiny.ids_as_text(tokenizer, prompt)
    together = [tiny.ids_as_text(tokenizer, prompt + candidate) for candidate in candidates]
    cut = 0
    while cut < len(alone) and all(ids[cut : cut + 1] == alone[cut : cut + 1] for ids in together):
        cut += 1
    start = [] if cut else [tokenizer.bos_token_id]
    answers = []
    for ids in together:
        whole = torch.tensor([start + ids])
        with torch.no_grad():
            log_probs = torch.log_softmax(model(whole).logits[0].double(), dim=-1)
        first = cut + len(start)
        places = range(first, whole.shape[1])
        answers.append(np.array([float(log_probs[i - 1, whole[0, i]]) for i in places]))
    return answers


def seq2seq_oracle(model, tokenizer, prompt: str, candidates: list[str]) -> list[np.ndarray]:
    answers = []
    for candidate in candidates:
        ids = tiny.ids_as_text(tokenizer, candidate, special=False)
        start = model.config.decoder_start_token_id
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([tiny.ids_as_text(tokenizer, prompt)]),
                decoder_input_ids=torch.tensor([[start, *ids[:-1]]]),
            ).logits
        log_probs = torch.log_softmax(logits[0].double(), dim=-1)
        answers.append(np.array([float(log_probs[i, token]) for i, token in enumerate(ids)]))
    return answers


def oracle(parts, prompt: str, candidates: list[str]) -> list[np.ndarray]:
    plain = seq2seq_oracle if parts[0].config.is_encoder_decoder else causal_oracle
    return plain(*parts, prompt, candidates)


def same(got, expected) -> None:
    assert [len(item) for item in got] == [len(item) for item in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@every_scorer
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_log_probs_are_the_oracles(architecture: str, padding_side: str) -> None:
    parts = tiny.make_parts(architecture, padding_side)
    result = TorchModel(*parts, name="tiny").token_log_probs(PROMPTS, CANDIDATES)
    for prompt, own, got in zip(PROMPTS, CANDIDATES, result, strict=True):
        same(got, oracle(parts, prompt, own))


@every_scorer
def test_batch_order_and_neighbours_change_nothing(architecture: str) -> None:
    model = tiny.make(architecture)
    together = model.token_log_probs(PROMPTS, CANDIDATES)
    for i in range(len(PROMPTS)):
        same(model.token_log_probs([PROMPTS[i]], [CANDIDATES[i]])[0], together[i])
    backwards = model.token_log_probs(PROMPTS[::-1], [own[::-1] for own in CANDIDATES[::-1]])
    for got, expected in zip(backwards[::-1], together, strict=True):
        same(got[::-1], expected)


@every_scorer
def test_a_candidate_may_contain_the_padding_or_end_token(architecture: str) -> None:
    parts = tiny.make_parts(architecture)
    for token in {parts[1].pad_token, parts[1].eos_token} - {None}:
        candidates = [f" left{token}", f"{token} right {token} of it", " push the cart"]
        result = TorchModel(*parts, name="tiny").token_log_probs([PROMPTS[0]], [candidates])[0]
        same(result, oracle(parts, PROMPTS[0], candidates))


@every_causal
def test_a_token_across_the_boundary_is_scored_whole(architecture: str) -> None:
    model, tokenizer = parts = tiny.make_parts(architecture)
    # The prompt ends inside a token that some candidates complete.
    token = next(
        t for t in tokenizer.tokenize("the pole leans to the left") if len(t.strip("▁Ġ")) > 1
    )
    whole = tokenizer.convert_tokens_to_string([token]).strip()
    prompt, candidates = f"cart {whole[:-1]}", [whole[-1], "ans", " end", "ss"]
    alone = tokenizer(prompt)["input_ids"]
    joined = [tokenizer(prompt + candidate)["input_ids"] for candidate in candidates]
    assert any(ids[: len(alone)] != alone for ids in joined), "this tokenizer merges nothing here"
    result = TorchModel(model, tokenizer, name="tiny").token_log_probs([prompt], [candidates])[0]
    same(result, oracle(parts, prompt, candidates))


def test_log_probs_of_all_next_tokens_sum_to_one() -> None:
    model, tokenizer = tiny.make_parts("llama")
    tokens = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    # Byte tokens that are no text by themselves, or merge with the prompt, are left out.
    prompt = "push."
    start = tokenizer(prompt)["input_ids"]
    whole = [t for i, t in enumerate(tokens) if tokenizer(prompt + t)["input_ids"] == [*start, i]]
    scores = dragoman.score(TorchModel(model, tokenizer, name="tiny"), [prompt], [whole])[0]
    assert 0.5 < np.exp(scores).sum() <= 1 + 1e-5


@every_causal
def test_packed_equals_expanded(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.make(architecture)
    # One mask for every block cannot show some of them a sliding window only.
    assert model._stack.packs == (architecture != "gemma2")
    packed = model.token_log_probs(PROMPTS, CANDIDATES)
    monkeypatch.setattr(type(model._stack), "packs", False)
    for got, expected in zip(model.token_log_probs(PROMPTS, CANDIDATES), packed, strict=True):
        same(got, expected)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_logits_in_parts_are_the_oracles(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.models.causal.LOGIT_ROWS", rows)
    parts = tiny.make_parts("llama")
    # Candidates that begin alike, but for another one between them.
    own = [" push left now", " wait", " push left again", " push"]
    result = TorchModel(*parts, name="tiny").token_log_probs(PROMPTS, [own] * len(PROMPTS))
    for prompt, got in zip(PROMPTS, result, strict=True):
        same(got, oracle(parts, prompt, own))


def test_what_candidates_share_is_computed_once() -> None:
    rng = random.Random(0)
    for _ in range(200):
        candidates = tuple(
            tuple(rng.choices(range(3), k=rng.randint(1, 5))) for _ in range(rng.randint(1, 6))
        )
        tree = grow_tree(candidates)
        inner = {item[:i] for item in candidates for i in range(1, len(item))}
        assert len(tree.tokens) == len(inner)
        for candidate, steps in zip(candidates, tree.steps, strict=True):
            for i, (parent, token) in enumerate(steps):
                assert token == candidate[i]
                path = (
                    []
                    if parent < 0
                    else [tree.tokens[n] for n in np.flatnonzero(tree.sees[parent])]
                )
                assert path == list(candidate[:i])


def test_equal_questions_are_computed_once() -> None:
    model = tiny.make("llama")
    model.token_log_probs(PROMPTS[:1], CANDIDATES[:1])
    once = model.cost.tokens
    model.token_log_probs(PROMPTS[:1] * 3, CANDIDATES[:1] * 3)
    assert model.cost.tokens == 2 * once
    assert model.cost.texts == 4 * len(CANDIDATES[0])


def test_normalisations_and_domain() -> None:
    model = tiny.make("gpt2")
    tokens = model.token_log_probs(PROMPTS[:1], CANDIDATES[:1])[0]
    sums = np.array([token.sum() for token in tokens])

    def scores(**how):
        return dragoman.score(model, PROMPTS[:1], CANDIDATES[:1], **how)[0]

    np.testing.assert_allclose(scores(), sums, rtol=1e-5)
    np.testing.assert_allclose(scores(normalisation="token"), sums / [*map(len, tokens)], rtol=1e-5)
    np.testing.assert_allclose(scores(normalisation="word"), sums / [1, 1, 3, 5, 5], rtol=1e-5)
    domain = dragoman.score(model, ["so push"], CANDIDATES[:1])[0]
    np.testing.assert_allclose(scores(domain="so push"), sums - domain, rtol=1e-4)
    with pytest.raises(ConfigError, match=r"no normalisation 'tokens' \(did you mean 'token'"):
        scores(normalisation="tokens")


def test_bad_questions_are_errors() -> None:
    model = tiny.make("gpt2")
    with pytest.raises(ConfigError, match="2 prompts and 1 lists"):
        model.token_log_probs(["a", "b"], [["c"]])
    with pytest.raises(ConfigError, match="candidate '' has no token"):
        model.token_log_probs(["a"], [["c", ""]])
    with pytest.raises(ModelError, match="longer than the context"):
        model.token_log_probs(["a"], [["push " * 300]])
    with pytest.raises(ModelError, match="no language-modelling head"):
        tiny.make("bert").token_log_probs(["a"], [["b"]])


def test_a_head_that_does_more_than_is_known_is_an_error() -> None:
    model, tokenizer = tiny.make_parts("llama")
    model.register_forward_hook(lambda *call: setattr(call[2], "logits", call[2].logits.sin()))
    with pytest.raises(ModelError, match="changes its logits in a way"):
        TorchModel(model, tokenizer, name="tiny").token_log_probs(["a"], [["b"]])


@pytest.mark.parametrize("factor", [0.0625, 0.5, 1.02, 8.0])
@pytest.mark.parametrize("cap", [None, 5.0])
def test_one_factor_of_all_logits_is_found(factor: float, cap: float | None) -> None:
    model, tokenizer = tiny.make_parts("llama")

    def scale(module, given, out) -> None:
        logits = out.logits * factor
        out.logits = logits if cap is None else torch.tanh(logits / cap) * cap

    model.config.final_logit_softcapping = cap
    model.register_forward_hook(scale)
    result = TorchModel(model, tokenizer, name="tiny").token_log_probs(PROMPTS, CANDIDATES)
    for prompt, own, got in zip(PROMPTS, CANDIDATES, result, strict=True):
        same(got, oracle((model, tokenizer), prompt, own))


@pytest.mark.parametrize("factor", [0.0625, 1.02, 8.0])
def test_a_factor_is_found_in_sixteen_bits(factor: float) -> None:
    exact, tokenizer = tiny.make_parts("llama")
    half = tiny.make_parts("llama")[0].to(torch.bfloat16)
    for model in (exact, half):
        model.register_forward_hook(
            lambda *call: setattr(call[2], "logits", call[2].logits * factor)
        )
    result = TorchModel(half, tokenizer, name="tiny")
    assert result._head._scale == pytest.approx(factor, rel=2e-3)
    got = result.token_log_probs(PROMPTS[:1], CANDIDATES[:1])[0]
    wanted = oracle((exact, tokenizer), PROMPTS[0], CANDIDATES[0])
    for one, expected in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, expected, atol=0.1 * max(factor, 1))


def test_no_candidates_have_no_scores() -> None:
    assert tiny.make("llama").token_log_probs(["a", "push"], [[], [" it"]])[0] == []


@pytest.mark.real_model
def test_the_real_model_scores_as_the_oracle(smollm2: TorchModel) -> None:
    prompt, candidates = "The capital of France is", [" Paris", " a dog", " London", " the sky"]
    parts = smollm2._model, smollm2._tokens._tokenizer
    result = smollm2.token_log_probs([prompt, prompt + " not"], [candidates] * 2)
    same(result[0], oracle(parts, prompt, candidates))
    scores = dragoman.score(smollm2, [prompt], [candidates], normalisation="token")[0]
    assert np.argmax(scores) == 0

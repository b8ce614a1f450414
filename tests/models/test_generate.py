"""Texts that a model writes, against Transformers and against the scorer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers

from dragoman.errors import ConfigError, ModelError
from dragoman.generation import Choice, Constraint, Generation, Integer, Json, Sampling
from dragoman.models.generate import choose
from dragoman.models.torch_model import TorchModel
from tests.models import tiny

CAUSAL = ["gpt2", "llama", "qwen", "gemma", "gemma2"]
every_writer = pytest.mark.parametrize("architecture", tiny.in_tiers([*CAUSAL, "t5"]))
every_causal = pytest.mark.parametrize("architecture", tiny.in_tiers(CAUSAL))
PROMPTS = [
    "push the cart to the left and then",
    "cart",
    "the pole leans 3.2 degrees",
    "the pole leans 3.2 degrees to the right and",
]
HEAD = "one two three four five six seven eight nine ten eleven twelve "
GREEDY = Sampling(max_tokens=8)
DRAWN = Sampling(max_tokens=8, temperature=1.0, seed=3)
NUCLEUS = Sampling(max_tokens=8, temperature=0.7, top_p=0.5)
SCHEMA = Json(
    json.dumps(
        {
            "type": "object",
            "properties": {"go": {"enum": ["left", "right"]}, "far": {"type": "boolean"}},
            "required": ["go", "far"],
            "additionalProperties": False,
        }
    )
)


def same(got: list[Generation], expected: list[Generation]) -> None:
    for a, b in zip(got, expected, strict=True):
        assert (a.text, a.tokens, a.finish) == (b.text, b.tokens, b.finish)
        np.testing.assert_allclose(a.log_probs, b.log_probs, rtol=1e-4, atol=1e-4)


def plainly(parts, prompt: str) -> list[int]:
    """Greedy search as Transformers does it, one prompt at a time."""
    model, tokenizer = parts
    inputs = tokenizer([prompt], return_tensors="pt")
    start = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    settings = transformers.GenerationConfig(
        max_new_tokens=8,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
    )
    return model.generate(**inputs, generation_config=settings)[0, start:].tolist()


@every_writer
def test_greedy_texts_are_those_of_transformers(architecture: str) -> None:
    parts = tiny.make_parts(architecture)
    expected = [plainly(parts, prompt) for prompt in PROMPTS]
    written = TorchModel(*parts, name="tiny").generate(PROMPTS, sampling=GREEDY)
    assert [list(item.tokens) for item in written] == expected


@every_writer
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, NUCLEUS])
def test_neighbours_and_order_change_no_text(architecture: str, sampling: Sampling) -> None:
    model = tiny.make(architecture)
    together = model.generate(PROMPTS, sampling=sampling)
    same([model.generate([p], sampling=sampling)[0] for p in PROMPTS], together)
    same(model.generate(PROMPTS[::-1] + PROMPTS[:1], sampling=sampling)[:4][::-1], together)


@every_writer
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_padding_side_of_the_tokenizer_never_matters(architecture: str, padding_side: str) -> None:
    model = tiny.make(architecture, padding_side)
    same(
        model.generate(PROMPTS, sampling=DRAWN),
        tiny.make(architecture).generate(PROMPTS, sampling=DRAWN),
    )


@pytest.mark.parametrize("architecture", tiny.in_tiers(["gpt2", "llama", "qwen", "gemma"]))
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN])
def test_a_shared_head_changes_no_text(architecture: str, sampling: Sampling) -> None:
    model, plain = tiny.make(architecture), tiny.make(architecture)
    plain._prefixes.find = lambda tokens, depth: None
    prompts = [HEAD + prompt for prompt in PROMPTS]
    same(model.generate(prompts, sampling=sampling), plain.generate(prompts, sampling=sampling))
    assert model.cost.tokens_shared > 0
    assert model.cost.tokens < plain.cost.tokens


@every_causal
def test_written_log_probs_are_the_scorers(architecture: str) -> None:
    # Scored by ids, so that no text is cut into tokens a second time.
    model = tiny.make(architecture)
    for prompt, written in zip(PROMPTS, model.generate(PROMPTS, sampling=DRAWN), strict=True):
        ids = model._tokens.openings([prompt], room=8, closed=False)[0]
        whole = torch.tensor([[*ids, *written.tokens]])
        with torch.no_grad():
            log_probs = torch.log_softmax(model._model(whole).logits[0].double(), dim=-1)
        places = range(len(ids), whole.shape[1])
        expected = [float(log_probs[i - 1, whole[0, i]]) for i in places]
        np.testing.assert_allclose(written.log_probs, expected, rtol=1e-4, atol=1e-4)


def test_a_step_goes_on_from_the_very_tokens_of_the_step_before() -> None:
    """Written tokens are handed on as ids: decoding and cutting again may give others."""
    model = tiny.make("llama")
    written = model.generate(PROMPTS, sampling=DRAWN)
    again = [model._tokens._ids([item.text], special=False)[0] for item in written]
    assert any(tuple(ids) != one.tokens for ids, one in zip(again, written, strict=True))
    assert all(len(item.tokens) == len(item.log_probs) for item in written)


def test_seeds_name_draws() -> None:
    model = tiny.make("llama")
    draws = {model.generate(["push"], sampling=Sampling(8, 1.0, seed=s))[0].text for s in range(9)}
    assert len(draws) == 9
    assert len({model.generate(["push"], sampling=DRAWN)[0].text for _ in range(3)}) == 1


def test_the_end_token_ends_and_has_its_log_prob() -> None:
    model, tokenizer = tiny.make_parts("llama")
    with torch.no_grad():  # every token is as likely, so the first id, the end token, is taken
        model.lm_head.weight.zero_()
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    (written,) = TorchModel(model, tokenizer, name="tiny").generate(["push"], sampling=GREEDY)
    assert (written.text, written.finish, written.tokens) == ("", "stop", (0,))
    np.testing.assert_allclose(written.log_probs, [-np.log(len(tokenizer))], rtol=1e-5)


def test_a_text_ends_before_the_first_stop_string() -> None:
    model = tiny.make("llama")
    sampling = Sampling(max_tokens=30, temperature=1.0, seed=1)
    whole = model.generate(PROMPTS, sampling=sampling)
    for prompt, free in zip(PROMPTS, whole, strict=True):
        middle = len(free.text) // 2
        stop = free.text[middle : middle + 3]
        settings = Sampling(30, 1.0, seed=1, stop=("never there", stop))
        (stopped,) = model.generate([prompt], sampling=settings)
        assert stopped.text == free.text[: free.text.find(stop)]
        assert stopped.finish == "stop"
        assert stopped.tokens == free.tokens[: len(stopped.tokens)]
        together = model.generate(PROMPTS, sampling=settings)[PROMPTS.index(prompt)]
        same([together], [stopped])


@pytest.mark.parametrize("sampling", [Sampling(40), Sampling(40, 1.0, seed=5)])
def test_constrained_texts_parse(sampling: Sampling) -> None:
    model = tiny.make("llama")
    for written in model.generate(PROMPTS, sampling=sampling, constraint=Choice(("left", "lefty"))):
        assert written.text in ("left", "lefty")
        assert written.finish == "stop"
    odd = Choice(('say "no"\n', "1 | 2", "déjà [vu]"))
    assert model.generate(["a"], sampling=sampling, constraint=odd)[0].text in odd.options
    for written in model.generate(PROMPTS, sampling=sampling, constraint=Integer(-3, 12)):
        assert -3 <= int(written.text) <= 12
    for written in model.generate(PROMPTS, sampling=sampling, constraint=SCHEMA):
        answer = json.loads(written.text)
        assert set(answer) == {"go", "far"}
        assert answer["go"] in ("left", "right")


def test_a_constrained_greedy_text_takes_the_likeliest_allowed_token() -> None:
    model = tiny.make("llama")
    letters = Choice(tuple("abcdefgh"))
    (written,) = model.generate(["push"], constraint=letters)
    ids = model._tokens.openings(["push"], room=1, closed=False)
    with torch.no_grad():
        log_probs = torch.log_softmax(model._model(torch.tensor(ids)).logits[0, -1], dim=-1)
    scores = [float(log_probs[i]) for (i,) in model._tokens._ids(letters.options, special=False)]
    assert written.text == letters.options[int(np.argmax(scores))]
    # The log-prob is that of the free model, so that it can be learnt from.
    np.testing.assert_allclose(written.log_probs[0], max(scores), rtol=1e-4, atol=1e-4)


def test_a_constrained_text_that_does_not_end_is_an_error() -> None:
    with pytest.raises(ModelError, match="before the constraint was met"):
        tiny.make("llama").generate(["a"], sampling=Sampling(3), constraint=SCHEMA)


@pytest.mark.parametrize(
    "constraint",
    [Choice(("left", "go <|endoftext|>")), Json('{"enum": ["<|endoftext|>"]}')],
)
def test_no_control_token_is_written_for_a_text(constraint: Constraint) -> None:
    with pytest.raises(ModelError, match=r"'<\|endoftext\|>' is a control token") as error:
        tiny.make("gpt2").generate(["a"], constraint=constraint)
    assert error.value.cure


def test_a_tokenizer_that_cannot_be_constrained_says_so() -> None:
    with pytest.raises(ModelError, match="tokenizer of 'tiny t5' cannot be constrained"):
        tiny.make("t5").generate(["a"], constraint=Choice(("a",)))


def test_the_models_own_settings_change_nothing() -> None:
    model = tiny.make("llama")
    free = model.generate(PROMPTS, sampling=GREEDY)
    own = transformers.GenerationConfig(
        repetition_penalty=5.0, min_new_tokens=4, eos_token_id=0, do_sample=True, temperature=9.0
    )
    changed = tiny.make("llama")
    changed._model.generation_config = own
    same(changed.generate(PROMPTS, sampling=GREEDY), free)
    assert changed._model.generation_config is own


def test_what_cannot_be_written_says_so() -> None:
    with pytest.raises(ModelError, match="no language-modelling head, so it cannot write"):
        tiny.make("bert").generate(["a"])
    with pytest.raises(ModelError, match="and 250 to follow is longer than the context of 256"):
        tiny.make("gpt2").generate(["push " * 20], sampling=Sampling(250))
    assert tiny.make("llama").generate([]) == []


def test_tokens_are_drawn_in_proportion() -> None:
    probs = np.array([0.5, 0.0, 0.3, 0.2])
    draws = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    log_probs = torch.from_numpy(probs).log().expand(len(draws), -1)
    chosen = choose(log_probs, draws, 1.0, 1.0)
    np.testing.assert_allclose(np.bincount(chosen, minlength=4) / 10_000, probs, atol=2e-4)
    nucleus = choose(log_probs, draws, 1.0, 0.6)  # the likeliest two, of which the first is 5/8
    np.testing.assert_allclose(
        np.bincount(nucleus, minlength=4) / 10_000, [0.625, 0, 0.375, 0], atol=2e-4
    )
    cold = choose(log_probs, draws, 0.5, 1.0)  # squared and normalised
    np.testing.assert_allclose(
        np.bincount(cold, minlength=4) / 10_000, probs**2 / (probs**2).sum(), atol=2e-4
    )
    last = torch.tensor([np.nextafter(1, 0)], dtype=torch.float64)
    assert choose(log_probs[:1], last, 1.0, 1.0).item() == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sampling(max_tokens=0), "max_tokens is 0, but must be at least 1"),
        (lambda: Sampling(temperature=-1.0), "temperature is -1.0"),
        (lambda: Sampling(top_p=0.0), "top_p is 0.0"),
        (lambda: Sampling(stop=("",)), r"stop is \(''"),
        (lambda: Choice(()), "options of a choice are"),
        (lambda: Integer(3, 2), "no integer lies between 3 and 2"),
        (lambda: Json("{"), "is not JSON"),
    ],
)
def test_bad_settings_are_named(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.real_model
def test_the_real_model_writes_and_keeps_to_a_constraint(smollm2: TorchModel) -> None:
    prompt = "The capital of France is"
    (written,) = smollm2.generate([prompt], sampling=Sampling(max_tokens=6))
    assert "Paris" in written.text
    colours = Choice((" wooden", " blue", " loud"))
    assert smollm2.generate(["On a clear day, the sky is"], constraint=colours)[0].text == " blue"


def test_a_choice_of_any_length_is_refused_in_few_words() -> None:
    with pytest.raises(ModelError, match="cannot be kept") as error:
        tiny.make("gpt2").generate(["a"], constraint=Choice(("left" * 1000, "\ud800")))
    assert len(error.value.problem) < 1000

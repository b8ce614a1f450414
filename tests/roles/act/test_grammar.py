"""What a policy that writes under a grammar has to keep."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import llguidance
import numpy as np
import pytest
import torch
from llguidance.hf import from_tokenizer

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.describe import describe_env
from dragoman.describe.moment import MomentMaker
from dragoman.engines.texts import signs_of
from dragoman.engines.train import train
from dragoman.engines.watcher import Rollout
from dragoman.environments.tolerant import Tolerant
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.generation import Sampling
from dragoman.maths.information import information
from dragoman.models.tuned import Text, TunedModel
from dragoman.roles.act.grammar import Grammar
from dragoman.roles.act.written import texts_of
from tests.models import tiny
from tests.text_tasks import Letters
from tests.writing import (
    PROMPTS,
    experiment,
    learning_whole,
    policy_and_prompts,
    prompts_of,
    trained_a_little,
)

WORDS = ("left", "lend", "pole", "push it")
"""All texts of a grammar; the first two begin alike."""
LARK = "start: " + " | ".join(f'"{word}"' for word in WORDS)
COMPILED = Grammar(lark=LARK).compiled(" ")
END = 0
"""The tiny tokenizer's end of a text."""


@functools.cache
def library_tokens() -> llguidance.LLTokenizer:
    return from_tokenizer(tiny.make_tokenizer("llama"), eos_token=[END])


def allowed(model: TunedModel, before: tuple[int, ...]) -> torch.Tensor:
    """Return which tokens may follow, by the library alone; each goes on with one of the texts."""
    matcher = llguidance.LLMatcher(library_tokens(), COMPILED)
    assert matcher.consume_tokens(list(before))
    if matcher.is_stopped():
        return torch.zeros(model.inner.transformer.config.vocab_size, dtype=torch.bool)
    bias = np.frombuffer(matcher.compute_logit_bias(), np.uint8)
    result = torch.from_numpy(bias > 0)
    said = model.inner.text(before)
    for token in torch.nonzero(result)[:, 0].tolist():
        assert any(f" {word}".startswith(said + model.inner.text([token])) for word in WORDS)
    return result


def plain(model: TunedModel, prompt: tuple[int, ...], ids: tuple[int, ...]) -> torch.Tensor:
    """Return the log-prob of each token by one plain forward, over the tokens that may stand."""
    whole = torch.tensor([[*prompt, *ids]])
    logits = model.inner._model(input_ids=whole, use_cache=False).logits[0, len(prompt) - 1 : -1]
    is_allowed = torch.stack([allowed(model, ids[:i]) for i in range(len(ids))])
    logs = torch.log_softmax(logits.float().masked_fill(~is_allowed, -torch.inf), -1)
    return logs.gather(1, torch.tensor(ids)[:, None])[:, 0]


@pytest.mark.parametrize("top", [None, 1])
def test_a_text_has_the_writers_own_log_prob(top: int | None) -> None:
    model = trained_a_little(top)
    prompts = prompts_of(model) * 4
    seeds = list(range(len(prompts)))
    written = model.inner.write(prompts, Sampling(9, temperature=1.0), seeds, COMPILED)
    assert {text.text for text in written} <= {f" {word}" for word in WORDS}
    assert len({text.text for text in written}) > 1
    read = [Text(p, (w.tokens,)) for p, w in zip(prompts, written, strict=True)]
    for _ in range(2):  # the second time with the trunk and the masks that were kept
        _, logs = model(read, by_token=True, grammar=COMPILED)
        for own, text, prompt in zip(logs, written, prompts, strict=True):
            assert np.allclose(own.detach(), text.log_probs, atol=1e-4)
            assert np.allclose(own.detach(), plain(model, prompt, text.tokens).detach(), atol=1e-4)


def test_the_gradient_is_that_of_a_plain_forward_with_masks() -> None:
    model = trained_a_little()
    (prompt, *_) = prompts_of(model)
    (written,) = model.inner.write([prompt], Sampling(9, temperature=1.0), [3], COMPILED)
    weights = list(model.parameters())
    _, (ours,) = model([Text(prompt, (written.tokens,))], grammar=COMPILED)
    theirs = plain(model, prompt, written.tokens).sum()
    for mine, other in zip(
        torch.autograd.grad(ours.sum(), weights), torch.autograd.grad(theirs, weights), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
        assert other.abs().max() > 1e-3


def paths(model: TunedModel, before: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Return every way to write every text in tokens."""
    following = torch.nonzero(allowed(model, before))[:, 0].tolist()
    if not following:
        return [before]
    return [path for token in following for path in paths(model, (*before, token))]


def test_the_probabilities_of_all_texts_sum_to_one_however_they_are_cut() -> None:
    model = trained_a_little()
    (prompt, *_) = prompts_of(model)
    every = tuple(paths(model))
    assert {model.inner.text(path) for path in every} == {f" {word}" for word in WORDS}
    assert len(every) > len(WORDS)  # a word may be written in other tokens than the tokenizer's
    with torch.no_grad():
        _, (logs,) = model([Text(prompt, every)], grammar=COMPILED)
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-4)


def test_texts_that_part_in_their_last_token_are_written_as_often_as_they_are_chosen() -> None:
    model = trained_a_little()
    (prompt, *_) = prompts_of(model)
    ends = ("Q", "X", "Z")  # of which no other tokens are made
    texts = tuple(tuple(model.inner.bare_ids(f" at {end}")) for end in ends)
    assert len({text[:-1] for text in texts}) == 1
    grammar = Grammar(lark='start: "Q" | "X" | "Z"').compiled()
    with torch.no_grad():
        _, (chosen,) = model([Text(prompt, texts)])
        free = len(texts[0]) - 1
        _, (written,) = model([Text(prompt, texts, free)], by_token=True, grammar=grammar)
    last = written.reshape(len(ends), -1)[:, -1]
    assert torch.allclose(last, torch.log_softmax(chosen, 0), atol=1e-4)


def test_a_line_may_end_a_text_where_the_grammar_may() -> None:
    model = TunedModel(tiny.make("llama"), rank=2)
    line = model.inner.bare_ids("\n")
    words = Grammar(regex="[a-z]+").compiled()
    lines = Grammar(lark='start: "a" ("\\n" "b")*').compiled()
    a, b = model.inner.bare_ids("a"), model.inner.bare_ids("b")
    replay, other = model.inner.replay(words), model.inner.replay(lines)
    masks = replay.masks((*a, *line))
    assert masks[1, line[0]]
    assert masks[1, END]
    assert not masks[0, [line[0], END]].any()
    assert replay.is_whole((*a, *line))
    # Where the grammar itself goes on with a line, the line ends nothing.
    assert other.masks((*a, *line, *b))[2].tolist().count(True) == 1
    assert other.is_whole((*a, *line, *b))
    assert not other.is_whole((*a, *line))


def grammar_experiment(**act: Any) -> Experiment:
    return experiment(**{"constrain": "grammar", "grammar": {"regex": "[a-z]"}, **act})


def test_a_thought_is_under_no_grammar() -> None:
    what = grammar_experiment(think=3, max_tokens=9, grammar=LARK, question="so what")
    policy, seen = policy_and_prompts(what.replaced({"env": "tests.text_tasks:Letters"}), PROMPTS)
    torch.manual_seed(1)
    ids = policy.write(seen)
    _, ours = policy(seen, ids)
    assert set(texts_of(policy.reader.model.inner, what.act, ids.numpy())) <= set(WORDS)
    for row, logs, prompt in zip(ids, ours, seen["prompt"], strict=True):
        head = tuple(i for i in prompt.tolist() if i >= 0)
        thought, text = (tuple(i for i in part.tolist() if i >= 0) for part in (row[:3], row[3:]))
        free = torch.tensor([[*head, *thought]])
        logits = policy.reader.model.inner._model(input_ids=free, use_cache=False).logits[0]
        steps = torch.log_softmax(logits[:-1], -1).gather(1, free[0, 1:, None])[len(head) - 1 :, 0]
        behind = plain(policy.reader.model, (*head, *thought, *policy.bridge), text)
        assert torch.allclose(logs[row >= 0], torch.cat([steps, behind]), atol=1e-4)


def test_signs_of_texts_are_those_of_scores_under_the_grammar() -> None:
    what = grammar_experiment(max_tokens=9, grammar=LARK)
    policy, seen = policy_and_prompts(what.replaced({"env": "tests.text_tasks:Letters"}), PROMPTS)
    torch.manual_seed(2)
    ids = policy.write(seen)
    prompts = {"prompt": seen["prompt"].numpy()[None]}
    signs = signs_of(policy, Rollout(ids.numpy()[None].astype(np.float32), prompts), 8)
    first = {"prompt": seen["prompt"][:2]}
    scores = [policy(first, ids[i].expand(2, -1))[1].sum(1).detach().numpy() for i in (2, 1)]
    ours = signs["conditional_entropy"], signs["information"]
    assert ours == pytest.approx(information(np.array(scores)), abs=1e-4)
    assert signs["conditional_entropy"] < np.log(len(paths(policy.reader.model)))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "invalid", ["noop", *(pytest.param(how, marks=SLOW) for how in ("penalty", "end"))]
)
def test_a_text_that_was_cut_off_is_lived_with(
    invalid: str, llama: dict[str, Any], tmp_path: Path
) -> None:
    # Of two tokens, and a full stop may be the third.
    grammar = r"[a-z](\.\.)?"
    what = grammar_experiment(grammar={"regex": grammar}, max_tokens=2, invalid=invalid).replaced(
        {"model": llama, "max_episode_steps": 6, "steps": 128, "env_settings.length": 3}
    )
    what = what.replaced({"algorithm.settings.n_steps": 8, "algorithm.settings.batch_size": 64})
    run = train(what, out=tmp_path / "run")
    row = run.last_metrics()
    assert 0 < row["collapse/invalid"] < 1
    assert row["written/tokens"] <= 2
    assert abs(row["train/first_ratio"] - 1) < 1e-4
    assert 0 <= evaluate(run, 5).mean <= 3
    (episode,) = record(run, 1, sampled=True).episodes
    assert all(re.match(r"[a-z]", step.said) for step in episode.steps[:-1])


def test_a_text_that_was_cut_off_names_nothing() -> None:
    model = tiny.make("llama")
    settings = grammar_experiment(grammar={"regex": "left now"}, max_tokens=3).act
    assert settings is not None
    whole, cut = model.bare_ids(" left now"), model.bare_ids(" left n")
    rows = np.full((2, len(whole)), -1)
    rows[0], rows[1, : len(cut)] = whole, cut
    most = {
        len(whole): settings,
        len(cut): grammar_experiment(**{**vars(settings), "max_tokens": len(cut)}).act,
    }
    said = [texts_of(model, most[len(own)], np.array([own])) for own in (whole, cut)]
    assert said == [["left now"], [None]]
    env = Tolerant(Letters())
    env.reset(seed=0)
    assert env.step(None)[-1]["invalid_text"]
    moment = MomentMaker(lambda: describe_env(env), env.action_space)("left", {})
    assert moment.action_text(None) == "(no valid action)"


@pytest.mark.parametrize(
    ("env", "act"),
    [
        ("Alphabet", {}),
        pytest.param("Letters", {"think": 1, "ratio": "token"}, marks=pytest.mark.slow),
    ],
)
def test_a_toy_is_learnt_under_a_grammar(
    env: str, act: dict[str, Any], llama: dict[str, Any], tmp_path: Path
) -> None:
    what = learning_whole(
        grammar_experiment(max_tokens=2, **act), llama, 1248, env=f"tests.text_tasks:{env}"
    )
    run = train(what, out=tmp_path / "run")
    returns = [episode["return"] for episode in run.episodes()]
    assert run.last_metrics()["collapse/invalid"] == 0
    assert np.mean(returns[:200]) < 0.7  # half of the letters are right
    assert np.mean(returns[-200:]) > 0.8
    assert evaluate(run, 60).mean > 0.8


def test_a_file_is_read_into_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "words.lark"
    file.write_text(LARK)
    what = grammar_experiment(grammar=str(file))
    file.unlink()
    assert what.act is not None
    assert what.act.grammar == Grammar(lark=LARK)
    assert Experiment.from_dict(what.to_dict()) == what
    with pytest.raises(ConfigError, match=r"words\.lark.*cannot be read"):
        grammar_experiment(grammar=str(file))


@pytest.mark.parametrize(
    ("act", "says"),
    [
        ({"grammar": "start: word"}, "lark 'start: word' is no grammar: .*unknown name"),
        ({"grammar": {"regex": "[a-z"}}, "regex .* is no grammar: .*unclosed"),
        ({"grammar": {"json_schema": {"type": "inte"}}}, "json_schema .* is no grammar: .*inte"),
        ({"grammar": {"regex": "a", "lark": 'start: "a"'}}, "given by lark and regex"),
        ({"grammar": {}}, "given by nothing"),
        ({"grammar": {"pattern": "a"}}, "unknown key 'act.grammar.pattern'"),
        ({"grammar": None}, "act.grammar is not set"),
        ({"constrain": "none"}, "nothing is held to it"),
        ({"policy": "score"}, "nothing is held to it"),
    ],
)
def test_what_is_no_grammar_is_refused(act: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        grammar_experiment(**act)


@pytest.mark.parametrize(
    ("grammar", "says"),
    [
        ({"regex": "[a-z]{90}"}, "max_tokens, 4: those that were drawn took [0-9]+ tokens"),
        ({"regex": "[a-z]{900}"}, "max_tokens, 4: those that were drawn never ended"),
        ({"json_schema": {"type": "string", "enum": ["a left pole", "b"]}}, None),
        ({"regex": "[a-z]+"}, None),
    ],
)
def test_a_grammar_must_be_able_to_end_in_time(grammar: dict[str, Any], says: str | None) -> None:
    what = grammar_experiment(grammar=grammar, max_tokens=4)
    if says is None:
        policy, seen = policy_and_prompts(what, PROMPTS)
        assert policy.write(seen).shape == (3, 4)
        return
    with pytest.raises(ConfigError, match=says):
        policy_and_prompts(what, PROMPTS)

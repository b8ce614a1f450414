"""What a policy that writes its actions has to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dragoman.agents.evaluate import evaluate
from dragoman.agents.inspection import weighed_of
from dragoman.agents.record import record
from dragoman.describe import describe_env
from dragoman.describe.moment import MomentMaker
from dragoman.engines.policies.policy import View
from dragoman.engines.rllib import RLlib
from dragoman.engines.texts import signs_of
from dragoman.engines.train import train
from dragoman.engines.watcher import Rollout, Training, Watcher
from dragoman.environments.tolerant import PATIENCE, Tolerant
from dragoman.errors import ConfigError
from dragoman.generation import Sampling
from dragoman.maths.information import information
from dragoman.models.tuned import Text, TunedModel
from dragoman.report.replay import replay_page
from dragoman.roles.act.written import named_actions
from tests.models import tiny
from tests.text_tasks import Alphabet, Letters
from tests.writing import (
    PROMPTS,
    experiment,
    learning_whole,
    policy_and_prompts,
    prompts_of,
    trained_a_little,
    untrained,
)


@pytest.mark.parametrize("top", [None, 1])
def test_a_written_text_has_the_writers_own_log_prob(top: int | None) -> None:
    model = trained_a_little(top)
    prompts = prompts_of(model)
    written = model.inner.write(prompts, Sampling(6, temperature=1.0), [5, 6, 7])
    texts = [Text(p, (w.tokens,)) for p, w in zip(prompts, written, strict=True)]
    for _ in range(2):  # the second time with the trunk that was kept
        _, sums = model(texts)
        own = [float(w.log_probs.sum()) for w in written]
        assert np.allclose(torch.cat(sums).detach(), own, atol=1e-4)
    assert max(len(w.tokens) for w in written) > 1
    if top is not None:
        assert model.trunk is not None
        assert model.trunk.rows_reused > 0


def test_the_gradient_is_that_of_a_plain_forward_of_the_whole_text() -> None:
    model = trained_a_little()
    (prompt, *_) = prompts_of(model)
    (written,) = model.inner.write([prompt], Sampling(6, temperature=1.0), [11])
    weights = list(model.parameters())
    _, (ours,) = model([Text(prompt, (written.tokens,))])
    ids = torch.tensor([[*prompt, *written.tokens]])
    logits = model.inner._model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    chosen = torch.log_softmax(logits.float(), -1)
    plain = chosen.gather(1, torch.tensor(written.tokens)[:, None]).sum()
    assert float(ours.detach()) == pytest.approx(float(plain.detach()), abs=1e-4)
    for mine, theirs in zip(
        torch.autograd.grad(ours.sum(), weights), torch.autograd.grad(plain, weights), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
        assert theirs.abs().max() > 0.01


def test_a_draw_belongs_to_its_row() -> None:
    model = trained_a_little()
    prompts = prompts_of(model)
    draw = Sampling(6, temperature=1.0)
    first, other, again = (w.tokens for w in model.inner.write(prompts, draw, [1, 1, 2]))
    assert first != again  # equal prompts, unlike seeds
    alone = [model.inner.write([prompts[i]], draw, [s])[0].tokens for i, s in enumerate([1, 1, 2])]
    assert alone == [first, other, again]


def walked(model: TunedModel, prompt: tuple[int, ...], texts: list[tuple[int, ...]]) -> list[float]:
    """Return the log-probs of texts, written token by token along the tree of all of them.

    The next token is drawn by the mass of the texts that go on with it: by all of their
    probability, however deep. A plain forward of the model gives every step.
    """

    def steps(text: tuple[int, ...]) -> torch.Tensor:
        ids = torch.tensor([[*prompt, *text]])
        logits = model.inner._model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        return torch.log_softmax(logits, -1).gather(1, torch.tensor(text)[:, None]).detach()

    probs = {text: float(steps(text).sum().exp()) for text in texts}
    result = []
    for text in texts:
        total = 0.0
        for i in range(len(text) + 1):
            begun = [t for t in texts if t[:i] == text[:i]]
            going = (
                [t for t in begun if t == text]
                if i == len(text)
                else [t for t in begun if t[: i + 1] == text[: i + 1]]
            )
            total += float(np.log(sum(probs[t] for t in going) / sum(probs[t] for t in begun)))
        result.append(total)
    return result


def test_texts_are_written_as_often_as_score_with_sum_chooses_them() -> None:
    model = tiny.make("llama")
    write = experiment().replaced(
        {"env": "FrozenLake-v1", "act.tune.max_prompt": 256, "act.tune.max_action": 64}
    )
    score = write.replaced({"act.policy": "score", "act.normalisation": "sum"})
    logs = []
    for one in (write, score):
        torch.manual_seed(0)
        policy, batch = untrained(one, model)
        with torch.no_grad():
            tensors = policy.tensors(batch)
            logs.append(policy.module.distribution(policy.module(tensors)[0]).logits[0])
    assert torch.allclose(logs[0], logs[1], atol=1e-4)
    prompt = tuple(ids for ids in batch["prompt"][0].tolist() if ids >= 0)
    texts = [tuple(i for i in own if i >= 0) for own in batch["candidates"][0].tolist()]
    assert min(map(len, texts)) > 1
    assert len({text[0] for text in texts}) < len(texts)  # which share their beginning
    tuned = policy.module.reader.model
    assert np.allclose(logs[0].numpy(), walked(tuned, prompt, texts), atol=1e-4)


class Ids(Watcher):
    """Keeps the actions of each rollout."""

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []

    def rollout(self, training: Training, rollout: Rollout | None) -> None:
        assert rollout is not None
        self.actions.append(rollout.actions.copy())


@pytest.mark.parametrize("invalid", ["noop", "penalty", "end"])
def test_any_text_is_lived_with(invalid: str, llama: dict[str, Any], tmp_path: Path) -> None:
    what = experiment(constrain="none", max_tokens=3, invalid=invalid).replaced({"model": llama})
    what = what.replaced({"max_episode_steps": 6, "steps": 384, "env_settings.length": 3})
    ids = Ids()
    run = train(what, out=tmp_path / "run", watchers=[ids])
    row = run.last_metrics()
    assert 0 < row["collapse/invalid"] <= 1
    assert 1 <= row["written/tokens"] <= 3
    assert row["written/conditional_entropy"] > 0
    assert row["collapse/information"] < np.log(2) + 1e-6  # as there are two prompts
    assert abs(row["train/first_ratio"] - 1) < 1e-4
    assert {action.shape[-1] for action in ids.actions} == {3}
    assert max(episode["length"] for episode in run.episodes()) <= 6
    # The environment's own returns know nothing of what an invalid text costs.
    assert all(episode["return"] >= 0 for episode in run.episodes())
    if invalid == "end":
        assert any(e["terminated"] and e["length"] < 3 for e in run.episodes())
    assert 0 <= evaluate(run, 5).mean <= 3


SLOW_RULES = ["returns", "gigpo", "hgpo", "grouped-gae", "q-v"]


@pytest.mark.parametrize(
    "credit", ["gae", "grpo", *(pytest.param(rule, marks=pytest.mark.slow) for rule in SLOW_RULES)]
)
def test_free_writing_learns_a_toy(credit: str, llama: dict[str, Any], tmp_path: Path) -> None:
    what = learning_whole(
        experiment(constrain="none", max_tokens=1, invalid="end"),
        llama,
        2400,
        credit={"use": credit, "copies": 16},
    )
    run = train(what, out=tmp_path / "run")
    returns = [episode["return"] for episode in run.episodes()]
    # Not half of what an untrained model writes is a letter at all, and half of these are wrong.
    assert np.mean(returns[:200]) < 0.3
    assert np.mean(returns[-200:]) > 0.8
    assert evaluate(run, 60).mean > 0.8


@pytest.mark.parametrize(
    "act",
    [{"think": 1, "ratio": "token"}, pytest.param({"ratio": "turn"}, marks=pytest.mark.slow)],
)
def test_actions_that_are_texts_are_learnt(
    act: dict[str, Any], llama: dict[str, Any], tmp_path: Path
) -> None:
    what = learning_whole(
        experiment(constrain="none", max_tokens=1, invalid="end", **act),
        llama,
        1920,
        env="tests.text_tasks:Letters",
    )
    run = train(what, out=tmp_path / "run")
    returns = [episode["return"] for episode in run.episodes()]
    assert np.mean(returns[:200]) < 0.3
    assert np.mean(returns[-200:]) > 0.7
    assert evaluate(run, 60).mean > 0.7
    assert abs(run.last_metrics()["train/first_ratio"] - 1) < 1e-4


def test_a_thought_counts_as_what_follows_it_does_and_the_question_between_does_not() -> None:
    what = experiment(constrain="none", think=3, max_tokens=2, question="so what")
    policy, seen = policy_and_prompts(what.replaced({"env": "tests.text_tasks:Letters"}), PROMPTS)
    torch.manual_seed(1)
    ids = policy.write(seen)
    _, ours = policy(seen, ids)
    model = policy.reader.model.inner
    bridge = policy.bridge
    assert model.text(bridge) == "\nso what"
    assert ids.shape == (3, 5)
    for row, logs, prompt in zip(ids, ours, seen["prompt"], strict=True):
        thought, text = (tuple(i for i in part.tolist() if i >= 0) for part in (row[:3], row[3:]))
        assert len(thought) > 0
        assert len(text) > 0
        head = tuple(i for i in prompt.tolist() if i >= 0)
        whole = torch.tensor([[*head, *thought, *bridge, *text]])
        logits = model._model(input_ids=whole, use_cache=False).logits[0]
        steps = torch.log_softmax(logits[:-1].float(), -1).gather(1, whole[0, 1:, None])[:, 0]
        behind = steps[len(head) - 1 :].detach()
        own = [*behind[: len(thought)], *behind[len(thought) + len(bridge) :]]
        assert np.allclose(logs[row >= 0].detach(), own, atol=1e-4)
        assert not logs[row < 0].any()
    # A thought that is read otherwise changes what is said after it.
    other = ids.clone()
    other[:, 0] = (ids[:, 0] + 1) % 20
    assert not torch.allclose(policy(seen, other)[1][:, 3:], ours[:, 3:])


def test_signs_of_texts_are_those_of_plain_scores() -> None:
    what = experiment(constrain="none", max_tokens=3).replaced({"env": "tests.text_tasks:Letters"})
    policy, seen = policy_and_prompts(what, PROMPTS)
    torch.manual_seed(1)
    ids = policy.write(seen)
    rollout = Rollout(
        ids.numpy()[None].astype(np.float32), {"prompt": seen["prompt"].numpy()[None]}
    )
    signs = signs_of(policy, rollout, 8)
    prompts = {"prompt": seen["prompt"][:2]}  # the third is the first once more
    last = ids[[2, 1]]
    scores = [policy(prompts, text.expand(2, -1))[1].sum(1).detach().numpy() for text in last]
    ours = signs["conditional_entropy"], signs["information"]
    assert ours == pytest.approx(information(np.array(scores)), abs=1e-4)
    assert signs["tokens"] == pytest.approx(float((ids >= 0).sum()) / 3)
    assert set(signs_of(policy, rollout, 0)) == {"tokens"}


def test_tokens_are_handed_out_with_the_credit_of_their_text() -> None:
    from gymnasium.spaces import Box, Dict

    from dragoman.engines.sb3.written import TokenBuffer

    space = Dict(prompt=Box(-1, 9, (2,), np.int32))
    buffer = TokenBuffer(2, space, Box(-1, 9, (3,), np.float32), n_envs=2)
    for step in range(2):
        actions = np.array([[4, 5, -1], [6, -1, -1]]) + 0.0
        logs = torch.tensor([[-0.1, -0.2, 0.0], [-0.3, 0.0, 0.0]]) * (step + 1)
        value = torch.zeros(2)
        buffer.add(
            {"prompt": np.zeros((2, 2))}, actions, np.array([1.0, 2.0]), np.ones(2), value, logs
        )
    buffer.advantages[:] = [[1.0, 2.0], [3.0, 4.0]]
    (samples,) = buffer.get(None)
    pairs = zip(samples.old_log_prob.tolist(), samples.advantages.tolist(), strict=True)
    assert sorted((round(log, 5), one) for log, one in pairs) == [
        (-0.6, 4.0), (-0.4, 3.0), (-0.3, 2.0), (-0.2, 1.0), (-0.2, 3.0), (-0.1, 1.0),
    ]  # fmt: skip
    assert samples.old_values.shape == (4,)


def test_a_replay_shows_what_was_written(llama: dict[str, Any], tmp_path: Path) -> None:
    what = experiment(constrain="none", think=2, max_tokens=2).replaced(
        {"model": llama, "env": "tests.text_tasks:Letters", "max_episode_steps": 3}
    )
    run = train(what, out=tmp_path / "run")
    (episode,) = record(run, 1, sampled=True).episodes
    assert all("\nso " in step.said for step in episode.steps[:-1])
    assert episode.steps[-1].said == ""
    assert "The model wrote" in replay_page([record(run, 1)])


def test_texts_learn_a_toy(llama: dict[str, Any], tmp_path: Path) -> None:
    run = train(experiment().replaced({"model": llama, "steps": 1344}), out=tmp_path / "run")
    assert evaluate(run, 100, sampled=True).mean > 0.8


def test_a_name_is_found_whatever_surrounds_it() -> None:
    words = {1: " go left", 2: "Go LEFT.", 3: "\n", 4: "stay", 5: "fly", 6: "go left\nand more"}
    ids = np.array([[n, -1] for n in (1, 2, 3, 4, 5, 6)])
    candidates = np.tile(np.array([[[1, -1], [4, -1]]]), (6, 1, 1))
    mask = np.ones((6, 2), np.int8)
    mask[3, 1] = 0

    def decode(own: Any) -> str:
        return "".join(words[n] for n in own)

    # Nothing, what is not valid now and what nobody knows name no action.
    texts = [decode(own[own >= 0]).split("\n")[0].strip() for own in ids]
    assert named_actions(decode, texts, mask, candidates).tolist() == [0, 0, -1, -1, -1, 0]


def test_texts_of_a_space_are_its_actions_and_others_are_lived_with() -> None:
    env = Tolerant(Letters(length=2))
    first, _ = env.reset(seed=0)
    assert env.step("left pole")[:2] == (first, 0.0)
    assert env.step("")[-1]["invalid_text"]
    assert env.step("A")[-1]["invalid_text"]  # not in the alphabet of the space
    assert env.step("c")[-1]["invalid_text"] is False
    assert env.step("z")[2]


@pytest.mark.parametrize("ends", [False, True])
def test_an_environment_lives_with_what_names_nothing(ends: bool) -> None:
    env = Tolerant(Alphabet(), ends)
    first, _ = env.reset(seed=0)
    results = [env.step(-1) for _ in range(1 if ends else PATIENCE)]
    for observation, reward, terminated, _, info in results:
        assert (observation, reward, terminated) == (first, 0.0, ends)
        assert info["invalid_text"]
    cuts = [truncated for *_, truncated, _ in results]
    assert cuts == ([False] if ends else [*[False] * (PATIENCE - 1), True])
    env.reset(seed=0)
    assert env.step(3)[-1]["invalid_text"] is False


@pytest.mark.parametrize(
    ("act", "says"),
    [
        ({"tune": None}, "act.tune is not set"),
        ({"temperature": 2.0}, "model's own distribution"),
        ({"max_tokens": 0}, "act.max_tokens is 0"),
        ({"constrain": "any"}, "act.constrain .*'texts', 'grammar' or 'none'"),
        ({"think": -1}, "act.think is -1"),
        ({"think": 4}, "act.think is for what is written freely"),
        ({"ratio": "token"}, "act.ratio is for what is written freely"),
    ],
)
def test_what_cannot_be_written_is_refused(act: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        experiment(**act)


def test_a_step_without_an_action_is_told_as_such() -> None:
    env = Alphabet()
    moments = MomentMaker(lambda: describe_env(env), env.action_space)
    observation, info = env.reset(seed=0)
    moment = moments(observation, info)
    assert moment.action_text(-1) == "(no valid action)"
    assert moment.action_text(2) == "c"
    assert weighed_of(View(1.0), -1) == ()


def test_texts_without_a_list_can_be_written_freely_alone() -> None:
    with pytest.raises(ConfigError, match="texts without a list"):
        untrained(experiment().replaced({"env": "tests.text_tasks:Letters"}), tiny.make("llama"))


def test_an_encoder_decoder_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder-decoder"):
        untrained(experiment(constrain="none"), tiny.make("t5"))


def test_ray_says_that_it_keeps_no_texts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="keeps no written texts"):
        train(experiment(constrain="none"), out=tmp_path / "run", engine=RLlib())

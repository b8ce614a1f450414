"""The model trained by rewards, on two toy tasks, with the checks that keep it honest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import evaluate
from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import moments_of, observer_of, spec_of
from dragoman.engines.optimizer import Masters
from dragoman.engines.sb3.algorithms import build
from dragoman.engines.train import train
from dragoman.engines.tuning import RatioError
from dragoman.environments.vector import make_vector
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.cache import CachedModel
from dragoman.models.spec import ModelSpec
from dragoman.models.tuned import TunedModel
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.role import Models
from tests.models import tiny

SETTINGS = {"n_steps": 24, "batch_size": 192, "n_epochs": 6, "learning_rate": 0.003, "gamma": 0.9}
SETTINGS |= {"gae_lambda": 0.9}
RATES = {"lora": 0.003, "full": 0.001}
POLICIES = ["head", "match", "score", "hybrid"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder = tiny.save("llama", tmp_path_factory.mktemp("tiny") / "llama")
    return ModelSpec(str(folder), dtype="float32", threads=1)


def tuned(how: str, **changes) -> Tune:
    changes = {"rank": 8, "alpha": 32, "learning_rate": RATES[how], **changes}
    return Tune(how=how, max_prompt=64, max_action=8, **changes)


def recall(policy: str, tune: Tune | None, model: ModelSpec, length: int = 1) -> Experiment:
    return Experiment(
        env="tests.text_tasks:Recall",
        env_settings={"length": length},
        steps=1920 if length == 1 else 3072,
        num_envs=8,
        algorithm=Algorithm("ppo", SETTINGS, (32,)),
        model=model,
        describe=Describe(history=length - 1),
        observe=Observe(pooling=("last", "mean")),
        act=Act(policy, base="match", question="so", tune=tune),
    )


def check_learns(experiment: Experiment, out: Path) -> None:
    run = train(experiment, out=out)
    if experiment.act.tune is not None:
        assert abs(run.last_metrics()["train/first_ratio"] - 1) < 1e-4
    # Chance is a third; two words of three are one that has been learnt.
    assert evaluate(run, 60).mean > 0.6
    assert evaluate(run, 60, sampled=True).mean > 0.6


@pytest.mark.parametrize("how", ["frozen", "lora", "full"])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_learns_a_bandit(
    policy: str, how: str, llama: ModelSpec, tmp_path: Path
) -> None:
    if (policy, how) == ("score", "frozen"):
        # What it can do is tested beside the frozen policies: it becomes surer or less sure.
        how = "lora"
    tune = None if how == "frozen" else tuned(how)
    check_learns(recall(policy, tune, llama), tmp_path / "run")


@pytest.mark.parametrize("policy", ["head", "match", "hybrid"])
def test_a_frozen_model_with_a_history_remembers(
    policy: str, llama: ModelSpec, tmp_path: Path
) -> None:
    check_learns(recall(policy, None, llama, 3), tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["lora", "full"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_trained_model_with_a_history_remembers(
    policy: str, how: str, llama: ModelSpec, tmp_path: Path
) -> None:
    check_learns(recall(policy, tuned(how), llama, 3), tmp_path / "run")


def test_without_history_nothing_is_remembered(llama: ModelSpec, tmp_path: Path) -> None:
    blind = replace(recall("head", None, llama, 3), describe=Describe(), steps=1536)
    assert evaluate(train(blind, out=tmp_path / "run"), 200, sampled=True).mean < 0.45


@pytest.mark.parametrize("policy", POLICIES)
def test_one_policy_evaluates_alike_alone_and_in_any_company(
    policy: str, llama: ModelSpec, tmp_path: Path
) -> None:
    short = replace(recall(policy, tuned("lora"), llama, 3), steps=192)
    run = train(short, out=tmp_path / "run")
    loaded = CachedModel(tiny.make("llama"))
    many = evaluate(run, 32, model=loaded)
    assert evaluate(run, 1, model=loaded).episodes == many.episodes[:1]
    agent = Agent(run, model=loaded)
    envs = make_vector(spec_of(short), 32, short.env_settings)
    observations, infos = envs.reset(seed=3)
    together = agent.read(list(observations), [{"moment": moment} for moment in infos["moment"]])
    whole = agent.policy.tensors(together)
    with torch.no_grad():
        inputs, values = agent.policy.module(whole)
        for i in (0, 17):
            alone = {key: value[i : i + 1] for key, value in whole.items()}
            one, value = agent.policy.module(alone)
            torch.testing.assert_close(one[0], inputs[i], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(value[0], values[i], rtol=1e-4, atol=1e-4)


def test_a_run_keeps_what_was_trained_and_nothing_else(llama: ModelSpec, tmp_path: Path) -> None:
    short = replace(recall("score", tuned("lora", top=1), llama), steps=192)
    loaded = CachedModel(tiny.make("llama"))
    before = loaded.encode(["left"])
    run = train(short, out=tmp_path / "run", model=loaded)
    names = [name for name in run.weights() if "reader" in name]
    assert len(names) == 4  # two matrices, for queries and for values of one block
    assert all("lora" in name and "layers/2" in name for name in names)
    np.testing.assert_array_equal(loaded.encode(["left"]), before)
    trained = Agent(run, model=loaded).policy.module.reader.model
    assert not np.allclose(trained.inner.encode(["left"]), before, atol=1e-3)


def built(experiment: Experiment, model=None):
    model = CachedModel(tiny.make("llama")) if model is None else model
    env = make_vector(spec_of(experiment), experiment.num_envs, experiment.env_settings)
    observer = observer_of(experiment, env, Models(model, 0))
    described = MomentVector(env, moments_of(experiment, env))
    return build(experiment, ObserveVector(described, observer), 0, model)


def test_parts_have_rates_of_their_own(llama: ModelSpec) -> None:
    tune = tuned("lora", learning_rate=1e-5, critic_learning_rate=0.01)
    algorithm = built(recall("head", tune, llama))
    algorithm.learn(192)
    groups = {group["part"]: group for group in algorithm.policy.optimizer.param_groups}
    rates = {part: group["lr"] for part, group in groups.items()}
    assert rates == pytest.approx({"model": 1e-5, "critic": 0.01, "rest": 0.003})
    weights = {id(w) for group in groups.values() for w in group["params"]}
    assert weights == {id(p) for p in algorithm.policy.parameters()}


def test_at_first_only_the_critic_is_trained(llama: ModelSpec) -> None:
    algorithm = built(recall("head", tuned("lora", warm_up=1), llama))
    policy = algorithm.policy.policy

    def snapshot():
        return {name: p.detach().clone() for name, p in policy.named_parameters()}

    before = snapshot()
    algorithm.learn(192)
    warmed = snapshot()
    changed = {name for name in before if not torch.equal(before[name], warmed[name])}
    assert changed
    assert all(name.startswith("critic.") for name in changed)
    algorithm.learn(192, reset_num_timesteps=False)
    after = snapshot()
    assert all(not torch.equal(after[n], warmed[n]) for n in after if "lora_B" in n)


def test_the_reference_holds_the_policy_back(llama: ModelSpec, tmp_path: Path) -> None:
    result = {}
    for factor in (1e-6, 10.0):
        tune = tuned("lora", reference_kl=factor)
        run = train(recall("score", tune, llama), out=tmp_path / str(factor))
        rows = [row["train/reference_kl"] for row in run.metrics() if "train/reference_kl" in row]
        result[factor] = rows[-1]
    assert result[10.0] < 0.05 < result[1e-6] / 4


@pytest.mark.parametrize("is_checked", [True, False])
def test_what_makes_rollout_and_update_differ_is_found(
    is_checked: bool, llama: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm = built(recall("score", tuned("lora", check_ratio=is_checked), llama))
    read = TunedModel._read

    def with_dropout(self, *given, **named):
        features, sums = read(self, *given, **named)
        return features, torch.nn.functional.dropout(sums, 0.1)

    monkeypatch.setattr(TunedModel, "_read", with_dropout)
    if is_checked:
        with pytest.raises(RatioError, match="times that of the rollout before any step"):
            algorithm.learn(192)
    else:
        algorithm.learn(192)


def test_small_steps_of_short_numbers_are_not_lost() -> None:
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    exact = torch.nn.Parameter(torch.ones(3))
    groups = [{"part": "model", "params": [weight]}, {"part": "rest", "params": [exact]}]
    optimizer = Masters(groups, torch.optim.SGD, lr=1e-3)
    for _ in range(10):
        optimizer.zero_grad()
        (weight.float().sum() + exact.sum()).backward()
        optimizer.step()
    # One less a thousandth is one again in bfloat16, ten times over.
    torch.testing.assert_close(exact.detach(), torch.full((3,), 0.99))
    torch.testing.assert_close(weight.detach().float(), torch.full((3,), 0.99), atol=4e-3, rtol=0)
    assert (weight.detach() < 1).all()


def test_bfloat16_trains_through_copies(llama: ModelSpec, tmp_path: Path) -> None:
    short = replace(
        recall("score", tuned("full", top=1), replace(llama, dtype="bfloat16")), steps=384
    )
    run = train(short, out=tmp_path / "run")
    assert abs(run.last_metrics()["train/first_ratio"] - 1) < 0.2
    assert len(evaluate(run, 3).episodes) == 3


def test_a2c_trains_the_model_too(llama: ModelSpec, tmp_path: Path) -> None:
    algorithm = Algorithm("a2c", {"n_steps": 8}, (32,))
    short = replace(recall("score", tuned("lora"), llama), steps=128, algorithm=algorithm)
    run = train(short, out=tmp_path / "run")
    assert abs(run.last_metrics()["train/first_ratio"] - 1) < 1e-4
    assert len(evaluate(run, 3).episodes) == 3

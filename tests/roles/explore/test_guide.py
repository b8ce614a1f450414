from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import evaluate
from dragoman.comparison.file import all_arms
from dragoman.describe.moment import MomentMaker
from dragoman.engines.check import check
from dragoman.engines.initial_values import targets_of
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import Schedule
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.penalty import divergence
from dragoman.roles.explore.action_prior import PRIOR as KEY
from dragoman.roles.explore.action_prior import GuidedObserver
from dragoman.roles.explore.guide import QUESTION, Guide
from dragoman.roles.role import Models, roles_of
from dragoman.testing import ScriptedModel
from tests.moments import Echo

SERVER = {"name": "m", "server": "http://127.0.0.1:1/v1"}


def experiment(guide: Any, **more: Any) -> Experiment:
    return Experiment.from_dict(
        {"env": "FrozenLake-v1", "observe": None, "describe": DOWN, **more, "guide": guide}
    )


DOWN = {"actions": ["left", "down", "right", "up"]}


def scripted(log_probs: Any) -> ScriptedModel:
    return ScriptedModel(lambda text: [len(text)], log_probs=log_probs)


def test_a_file_names_it_as_the_other_roles() -> None:
    assert experiment("off").guide is None
    assert experiment("on").guide == Guide()
    assert experiment("mixture").guide == Guide("mixture")
    given = {"use": "kl", "weight": {"start": 1, "end": 0, "steps": 9}}
    made = experiment(given)
    assert made.guide == Guide(weight=Schedule(1.0, 0.0, 9))
    assert made.uses_model
    assert Experiment.from_dict(made.to_dict()) == made
    assert list(roles_of(made)) == ["guide"]


@pytest.mark.parametrize(
    ("guide", "more", "problem"),
    [
        ("kll", {}, "guide.use is 'kll' (did you mean 'kl'?)"),
        ({"weight": -1}, {}, "guide.weight is -1"),
        ({"use": "mixture", "weight": 1}, {}, "must be from 0 to below 1"),
        ({"use": "values", "weight": {"start": 1, "end": 0, "steps": 9}}, {}, "guide.weight moves"),
        ({"temperature": 0}, {}, "guide.temperature is 0"),
        ({"domain": " "}, {}, "guide.domain is an empty text"),
        ("values", {}, "'values', which 'ppo' has no place for"),
        ("kl", {"algorithm": "dqn"}, "'kl', which 'dqn' has no place for"),
        ("kl", {"act": {"policy": "score", "tune": {}}}, "act.tune trains it"),
        ("kl", {"model": {"name": "words"}}, ""),
    ],
)
def test_what_does_not_fit_is_refused(guide: Any, more: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        experiment(guide, **more)
    assert problem in str(error.value)
    assert error.value.cure


def test_actions_without_texts_and_other_engines_are_refused() -> None:
    with pytest.raises(ConfigError, match="guide scores the texts of single actions"):
        check(Experiment("Pendulum-v1", guide="kl", observe=None, model=ModelSpec("gpt2")))


def test_a_comparison_adds_what_can_unmask_it() -> None:
    base = experiment("kl")
    arms = all_arms(base, {"new": {}})
    assert list(arms) == ["new", "no-model", "uniform-prior", "shuffled-prior", "random-weights"]
    assert arms["no-model"].overrides == {"guide": None}
    assert base.replaced(arms["uniform-prior"].overrides).guide == Guide(scores="uniform")
    assert base.replaced(arms["shuffled-prior"].overrides).guide == Guide(texts="shuffled")
    assert not base.replaced(arms["uniform-prior"].overrides).uses_model
    assert "pre-training" in arms["new"].prior


def prior_of(guide: Guide, log_probs: Any, count: int = 3) -> Any:
    return guide.action_prior(gym.spaces.Discrete(count), Models(scripted(log_probs), 0))


def test_the_prior_is_a_softmax_of_what_the_model_knows_of_this_state_alone() -> None:
    anywhere = {" left": -1.0, " right": -5.0, " stay": -3.0}

    def log_probs(prompt: str, text: str) -> list[float]:
        # "right" is unlikely anywhere, and less so here.
        return [anywhere[text] + (0.0 if prompt == QUESTION else {" right": 2.0}.get(text, 0.0))]

    make = MomentMaker(Echo, gym.spaces.Discrete(3))
    seen = [make("a wall to the left", {"action_texts": ["left", "right", "stay"]})]
    here = prior_of(Guide(), log_probs)(seen)
    expected = torch.log_softmax(torch.tensor([0.0, 2.0, 0.0]), -1)
    np.testing.assert_allclose(here[0], expected, rtol=1e-5)
    raw = prior_of(Guide(domain=None, temperature=2.0), log_probs)(seen)
    np.testing.assert_allclose(
        raw[0], torch.log_softmax(torch.tensor([-0.5, -1.5, -1.5]), -1), rtol=1e-5
    )
    uniform = prior_of(Guide(scores="uniform"), None)(seen)
    np.testing.assert_allclose(uniform[0], np.log(np.full(3, 1 / 3)), rtol=1e-5)
    shuffled = prior_of(Guide(texts="shuffled"), log_probs)(seen)
    assert sorted(shuffled[0]) == pytest.approx(sorted(here[0]))
    assert int(shuffled[0].argmax()) != 1


def test_a_calibrated_prior_knows_what_a_place_is_worth_in_this_state_alone() -> None:
    # Every command names the object, so that no prompt without a state frees it of the place.
    homes = {"pen": "desk", "milk": "fridge", "lamp": "shelf"}

    def log_probs(prompt: str, text: str) -> list[float]:
        item, place = text.removeprefix(" put ").split(" in ")
        return [{"desk": -9.0, "fridge": -1.0, "shelf": -4.0}[place] + (homes[item] == place)]

    make = MomentMaker(Echo, gym.spaces.Discrete(3))
    seen = [
        make("a house", {"action_texts": [f"put {item} in {place}" for place in homes.values()]})
        for item in homes
    ]
    settings = {"domain": "Any house:", "normalisation": "sum"}
    assert prior_of(Guide(**settings), log_probs)(seen).std() == pytest.approx(0)
    raw = prior_of(Guide(domain=None, normalisation="sum"), log_probs)
    assert raw(seen).argmax(1).tolist() == [1, 1, 1]
    prior = prior_of(Guide(domain=None, normalisation="sum", calibrate=True), log_probs)
    expected = torch.log_softmax(torch.eye(3), -1)
    np.testing.assert_allclose(prior(seen), expected, rtol=1e-5)
    prior.levels.learning = False
    np.testing.assert_allclose(prior(seen[:1]), expected[:1], rtol=1e-5)
    uniform = prior_of(Guide(scores="uniform", calibrate=True), None)(seen)
    np.testing.assert_allclose(uniform, np.log(np.full((3, 3), 1 / 3)), rtol=1e-5)


def test_what_calibration_has_learnt_stands_beside_what_the_policy_sees_and_is_kept() -> None:
    def log_probs(prompt: str, text: str) -> list[float]:
        return [-float(len(text))]

    def observer() -> GuidedObserver:
        return GuidedObserver(FakeBelow(), prior_of(Guide(domain=None, calibrate=True), log_probs))

    make = MomentMaker(Echo, gym.spaces.Discrete(3))
    seen = [make("a wall", {"action_texts": ["left", "right", "stay"]})]
    first, second = observer(), observer()
    assert first.learning
    first.learn(seen)
    first.learning = False
    assert not first.learning
    assert first.prior.levels is not None
    assert first.prior.levels.mean.tolist() == [-5, -6, -5]
    second.load_state(first.state())
    second.learning = False
    np.testing.assert_array_equal(second(seen)[KEY], first(seen)[KEY])
    np.testing.assert_allclose(first(seen)[KEY], np.log(np.full((1, 3), 1 / 3)), rtol=1e-5)


class FakeBelow:
    """An observer that sees nothing."""

    feature_space = gym.spaces.Dict({})
    models = ()
    learning = False

    def __call__(self, moments: Any) -> dict[str, np.ndarray]:
        return {}

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load_state(self, state: Any) -> None:
        assert set(state) == {"guide.levels.met", "guide.levels.mean"}


def test_the_best_policy_under_a_kl_prior_is_the_prior_times_the_exponential_of_its_values() -> (
    None
):
    values, beta = torch.tensor([1.0, 0.2, -0.5, 9.0]), 0.4
    prior = torch.log_softmax(torch.tensor([0.0, 1.5, 0.3, 0.0]), -1)
    valid = torch.tensor([[True, True, True, False]])
    logits = torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(600):
        policy = MaskedCategorical(logits, valid)
        apart = divergence(policy, MaskedCategorical(prior[None], valid))
        loss = (beta * apart - (policy.probs * values).sum(-1)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = torch.softmax((prior + values / beta)[:3], -1)
    np.testing.assert_allclose(
        MaskedCategorical(logits, valid).probs.detach()[0, :3], expected, atol=1e-3
    )


def test_first_values_are_centred_log_probs_and_the_lowest_where_nothing_is_valid() -> None:
    log_probs = np.log(np.array([[0.5, 0.25, 0.25], [0.8, 0.2, 1.0]], np.float32))
    valid = np.array([[True] * 3, [True, True, False]])
    found = targets_of(Guide("values", weight=2.0), log_probs, valid)
    np.testing.assert_allclose(found[0], 2 * (log_probs[0] - log_probs[0].mean()), rtol=1e-5)
    assert found[1, 0] == pytest.approx(np.log(4), rel=1e-5)
    assert found[1, 2] == found[1, 1] == pytest.approx(-np.log(4), rel=1e-5)


class Bandit(gym.Env[Any, Any]):
    """One step, three actions, each worth something else."""

    pays: ClassVar = (0.0, 0.4, 0.8)
    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.ones(2, np.float32), {}

    def step(self, action: int) -> Any:
        return np.ones(2, np.float32), self.pays[action], True, False, {}


PRIOR = (0.6, 0.3, 0.1)


def bandit_model() -> ScriptedModel:
    names = {" a": PRIOR[0], " b": PRIOR[1], " c": PRIOR[2]}
    return scripted(lambda prompt, text: [np.log(names[text])])


def bandit(guide: Any, algorithm: Any, steps: int) -> Experiment:
    return Experiment.from_dict(
        {
            "env": "tests.roles.explore.test_guide:Bandit",
            "describe": {"actions": ["a", "b", "c"]},
            "observe": None,
            "steps": steps,
            "num_envs": 32,
            "algorithm": {"network": [8], **algorithm},
            "guide": {"domain": None, **guide},
        }
    )


def probabilities(run: Any) -> np.ndarray:
    agent = Agent(run)
    batch = agent.read([np.ones(2, np.float32)], [{}])
    return np.array(agent.policy.view(batch, np.array(0)).options[0])


A2C = {"name": "a2c", "settings": {"n_steps": 8, "learning_rate": 0.02, "gae_lambda": 1.0}}


PPO = {"n_steps": 8, "batch_size": 128, "n_epochs": 4, "learning_rate": 3e-3}


def test_a_training_ends_at_the_optimum_of_the_kl_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beta = 0.5
    made = bandit({"use": "kl", "weight": beta}, A2C, 16_000)
    run = train(made, out=tmp_path / "run", model=bandit_model())

    def no_model(*_: object, **__: object) -> None:
        raise AssertionError("playing needs no prior")

    monkeypatch.setattr("dragoman.models.spec.load_model", no_model)
    expected = np.array(PRIOR) * np.exp(np.array(Bandit.pays) / beta)
    np.testing.assert_allclose(probabilities(run), expected / expected.sum(), atol=0.07)
    assert run.last_metrics()["guide/weight"] == beta
    assert run.last_metrics()["guide/kl"] > 0.05
    # Returns are the environment's own.
    assert {row["return"] for row in run.episodes()} <= set(Bandit.pays)
    assert set(evaluate(run, 2).returns) <= set(Bandit.pays)


@pytest.mark.parametrize("name", ["a2c", "ppo"])
def test_a_mixture_plays_by_the_prior_and_learns_its_own_policy(name: str, tmp_path: Path) -> None:
    settings = {"a2c": A2C, "ppo": {"name": "ppo", "settings": PPO}}[name]
    guide = {"use": "mixture", "weight": {"start": 0.9, "end": 0.9, "steps": 1}}
    run = train(bandit(guide, settings, 16_000), out=tmp_path / "run", model=bandit_model())
    chances = probabilities(run)
    assert chances.argmax() == 2
    assert chances[2] > 0.8
    # The prior takes the best action once in ten, and plays nine steps of ten.
    late = [row["return"] for row in run.episodes()][-4000:]
    share = np.mean(np.isclose(late, Bandit.pays[2]))
    assert share == pytest.approx(0.9 * PRIOR[2] + 0.1 * chances[2], abs=0.04)
    last = run.last_metrics()
    assert last["guide/importance_max"] <= 10 + 1e-4


def test_dqn_begins_with_the_values_of_the_prior(tmp_path: Path) -> None:
    dqn = {"name": "dqn", "settings": {"learning_starts": 10_000, "exploration_fraction": 0.01}}
    guide = {"use": "values", "weight": 2.0}
    with pytest.warns(UserWarning, match="learns nothing"):
        run = train(bandit(guide, dqn, 416), out=tmp_path / "run", model=bandit_model())
    logs = np.log(PRIOR)
    np.testing.assert_allclose(probabilities(run), 2 * (logs - logs.mean()), atol=0.05)
    assert max(row.get("guide/fit", 0.0) for row in run.metrics()) > 0.99

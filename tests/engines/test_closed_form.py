"""From scores to the loss of PPO, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import moments_of, observer_of, spec_of
from dragoman.engines.sb3.algorithms import build
from dragoman.environments.vector import make_vector
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.cache import CachedModel
from dragoman.roles.act.policy import make_policy
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.role import Models
from dragoman.testing import ScriptedModel
from tests.text_tasks import bag_of_words, says_the_colour

EXPERIMENT = Experiment(
    env="tests.text_tasks:Lamps",
    env_settings={"length": 3},
    num_envs=2,
    act=Act("score"),
    algorithm=Algorithm(
        "ppo",
        {
            "n_steps": 6, "batch_size": 12, "n_epochs": 1, "learning_rate": 1e-30,
            "normalize_advantage": False, "ent_coef": 0.5, "vf_coef": 0.25,
        },
        (4,),
    ),
)  # fmt: skip


def log_softmax_by_hand(scores: list[float], mask: list[int], temperature: float) -> list[float]:
    kept = [math.exp(s / temperature) for s, m in zip(scores, mask, strict=True) if m]
    total = sum(kept)
    return [
        s / temperature - math.log(total) if m else -math.inf
        for s, m in zip(scores, mask, strict=True)
    ]


def test_the_loss_of_ragged_sets() -> None:
    model = CachedModel(ScriptedModel(bag_of_words, log_probs=says_the_colour))
    env = make_vector(spec_of(EXPERIMENT), 2, EXPERIMENT.env_settings)
    described = MomentVector(env, moments_of(EXPERIMENT, env))
    observer = observer_of(EXPERIMENT, env, Models(model, 0))
    algorithm = build(EXPERIMENT, ObserveVector(described, observer), 0)
    _, callback = algorithm._setup_learn(12)
    buffer = algorithm.rollout_buffer
    algorithm.collect_rollouts(algorithm.env, callback, buffer, 6)
    seen = {key: value.copy() for key, value in buffer.observations.items()}
    # As after a step of the optimiser: a surer policy than that of the rollout.
    temperature = 0.6
    with torch.no_grad():
        algorithm.policy.policy.actor.log_temperature.fill_(math.log(temperature))
    old, actions = buffer.log_probs.copy(), buffer.actions.copy()
    advantages, returns, values = (
        getattr(buffer, name).copy() for name in ("advantages", "returns", "values")
    )
    algorithm.train()

    surrogate, entropy = [], []
    for step in range(6):
        for i in range(2):
            scores = seen["scores"][step, i].tolist()
            mask = seen["mask"][step, i].tolist()
            assert sum(mask) == 3
            action = int(actions[step, i, 0])
            before = log_softmax_by_hand(scores, mask, 1.0)
            now = log_softmax_by_hand(scores, mask, temperature)
            assert old[step, i] == pytest.approx(before[action], abs=1e-6)
            ratio = math.exp(now[action] - before[action])
            advantage = float(advantages[step, i])
            clipped = min(max(ratio, 0.8), 1.2)
            surrogate.append(min(ratio * advantage, clipped * advantage))
            entropy.append(-sum(math.exp(p) * p for p in now if p > -math.inf))
    row = algorithm.logger.name_to_value
    assert row["train/policy_gradient_loss"] == pytest.approx(-np.mean(surrogate), abs=1e-6)
    assert row["train/entropy_loss"] == pytest.approx(-np.mean(entropy), abs=1e-6)
    squared = float(np.mean((returns - values) ** 2))
    assert row["train/value_loss"] == pytest.approx(squared, abs=1e-6)
    total = -np.mean(surrogate) - 0.5 * np.mean(entropy) + 0.25 * squared
    assert row["train/loss"] == pytest.approx(total, abs=1e-6)
    assert row["train/clip_fraction"] > 0


def test_a_hybrid_adds_weighted_log_probs_of_its_prior() -> None:
    import gymnasium as gym

    spaces = gym.spaces.Dict(
        state=gym.spaces.Box(-1, 1, (2,)),
        mask=gym.spaces.Box(0, 1, (3,), np.int8),
        scores=gym.spaces.Box(-9, 9, (3,)),
    )
    settings = Act("hybrid", weight=0.5, temperature=2.0)
    policy = make_policy(settings, spaces, gym.spaces.Discrete(3), (4,))
    mask, scores = [1, 0, 1], [1.0, 8.0, -3.0]
    observation = {
        "state": torch.tensor([[0.3, -0.2]]),
        "mask": torch.tensor([mask], dtype=torch.int8),
        "scores": torch.tensor([scores]),
    }
    base = policy.actor.base(observation["state"], observation)[0].tolist()
    prior = log_softmax_by_hand(scores, mask, 2.0)
    expected = [b + 0.5 * p for b, p in zip(base, prior, strict=True)]
    inputs, _ = policy(observation)
    got = inputs[0, :3].tolist()
    assert [got[0], got[2]] == pytest.approx([expected[0], expected[2]], abs=1e-6)
    probs = policy.distribution(inputs).probs[0].tolist()
    weights = [math.exp(expected[0]), 0.0, math.exp(expected[2])]
    assert probs == pytest.approx([w / sum(weights) for w in weights], abs=1e-6)

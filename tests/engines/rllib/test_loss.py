"""Updates of PPO: the same batch, the same weights afterwards as in Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from dragoman.engines.policies.make import make_policy
from dragoman.engines.rllib.distribution import Drawing
from dragoman.engines.rllib.loss import Minibatch, ppo_loss, summary
from dragoman.engines.rllib.settings import PPOSettings
from dragoman.engines.sb3.names import our_names
from dragoman.experiment import Algorithm, Experiment


class Silent(BaseCallback):
    def _on_step(self) -> bool:
        return True


def played(env: str, **settings: Any) -> PPO:
    """Return an algorithm that has played one rollout, and learnt nothing of it yet."""
    algorithm = PPO(
        "MlpPolicy",
        env,
        n_steps=64,
        batch_size=64,
        n_epochs=4,
        learning_rate=0.01,
        policy_kwargs={"net_arch": [16]},
        seed=3,
        device="cpu",
        **settings,
    )
    algorithm.set_logger(Logger(None, []))
    _, callback = algorithm._setup_learn(64, Silent())
    algorithm.collect_rollouts(algorithm.env, callback, algorithm.rollout_buffer, 64)
    return algorithm


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"normalize_advantage": False, "ent_coef": 0.05, "vf_coef": 0.2},
        {"clip_range_vf": 0.1, "clip_range": 0.05, "max_grad_norm": 0.1},
    ],
)
def test_an_update_is_that_of_stable_baselines3(env: str, settings: dict[str, Any]) -> None:
    theirs = played(env, **settings)
    space = gym.make(env)
    experiment = Experiment(env=env, observe=None, algorithm=Algorithm("ppo", {}, (16,)))
    policy: Any = make_policy(experiment, space.observation_space, space.action_space)
    policy.load_state_dict(our_names(theirs.policy.state_dict()))
    ours = policy.module
    buffer = theirs.rollout_buffer
    batch = next(buffer.get(64))
    theirs.train()

    optimizer = torch.optim.Adam(ours.parameters(), lr=0.01, eps=1e-5)
    own = PPOSettings(**{"max_grad_norm": 0.5, **settings})
    actions = batch.actions.long().flatten() if env == "CartPole-v1" else batch.actions
    columns: list[dict[str, float]] = []
    for _ in range(4):
        inputs, values = ours(batch.observations)
        found = Drawing(ours.distribution(inputs))
        minibatch = Minibatch(
            log_probs=found.logp(actions),
            old_log_probs=batch.old_log_prob,
            advantages=batch.advantages,
            values=values,
            old_values=batch.old_values,
            returns=batch.returns,
            entropies=found.entropy(),
        )
        loss, said = ppo_loss(minibatch, own)
        columns.append(said)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(ours.parameters(), own.max_grad_norm)
        optimizer.step()

    for name, tensor in our_names(theirs.policy.state_dict()).items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, atol=1e-6, rtol=1e-5)
    logged = theirs.logger.name_to_value
    for name, value in summary(columns, epochs=4).items():
        assert value == pytest.approx(logged[f"train/{name}"], rel=1e-4, abs=1e-6), name

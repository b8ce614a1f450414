from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import dragoman
from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment, Model
from dragoman.roles.act.embedding import TokenEmbedding
from dragoman.roles.observe.embedding import PAD, TokenSpace
from dragoman.roles.observe.settings import Observe


def make(pooling: tuple[str, ...], raw: int = 0) -> TokenEmbedding:
    layer = TokenEmbedding(TokenSpace(4, 2, pooling, raw))
    with torch.no_grad():
        layer.rows.weight[:3] = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
        layer.places.weight[:] = torch.tensor([[1.0, 1.0], [10.0, 10.0], [5.0, 5.0], [7.0, 7.0]])
    return layer


def test_pooled_by_hand() -> None:
    tokens = torch.tensor([[1, 2, PAD, PAD], [2, PAD, PAD, PAD]])
    # Rows times places: [1, 2] and [30, 40] in the first text, [3, 4] in the second.
    root = 2**0.5
    expected = [
        [1, 2, 30, 40, 31 / root, 42 / root],
        [3, 4, 3, 4, 3, 4],
    ]
    got = make(("first", "last", "mean"))(tokens)
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-6)


def test_order_is_seen_and_padding_is_not() -> None:
    layer = make(("mean",))
    one, other = layer(torch.tensor([[1.0, 2, PAD, PAD], [2, 1, PAD, PAD]]))
    assert not torch.allclose(one, other)
    (alone,) = layer(torch.tensor([[1.0, 2, PAD, PAD]]))
    (beside, _) = layer(torch.tensor([[1.0, 2, PAD, PAD], [1, 1, 1, 1]]))
    assert torch.equal(alone, beside)


def test_raw_values_pass_through() -> None:
    got = make(("last",), raw=2)(torch.tensor([[1, PAD, PAD, PAD, 0.5, -7.0]]))
    assert got[0].tolist() == [1, 2, 0.5, -7.0]


@pytest.fixture
def experiment(tiny_gpt2_path: Path) -> Experiment:
    settings = {"n_steps": 32, "batch_size": 64, "learning_rate": 0.003, "gamma": 0.9}
    return Experiment(
        env="FrozenLake-v1",
        env_settings={"is_slippery": False, "desc": ["SFF", "HFH", "HFG"]},
        steps=2048,
        num_envs=8,
        describe=Describe(observation="row {row}, column {column} of {rows} rows"),
        algorithm=Algorithm("ppo", settings, (32,)),
        model=Model(str(tiny_gpt2_path), threads=1),
        observe=Observe(encoder="embedding"),
    )


def test_it_learns_from_the_text_and_is_restored(experiment: Experiment, tmp_path: Path) -> None:
    run = train(experiment, out=tmp_path / "run")
    played = evaluate(run, 3)
    assert played.returns == [1.0, 1.0, 1.0]
    assert played == evaluate(run, 3)
    _, returns = run.curve(8)
    assert returns[-1] > 0.7 > 2 * returns[0]
    weights = run.weights()
    assert weights["policy.features_extractor.rows.weight"].shape == (1024, 32)
    # Nothing was asked of a language model, and no cost of one is claimed.
    assert "model/tokens" not in run.last_metrics()


@pytest.mark.parametrize("name", ["dqn", "a2c"])
def test_other_algorithms_take_it_too(name: str, experiment: Experiment, tmp_path: Path) -> None:
    short = replace(
        experiment,
        steps=64,
        algorithm=Algorithm(name),
        observe=Observe(encoder="embedding", width=5),
    )
    run = train(short, out=tmp_path / "run")
    assert len(evaluate(run, 2).returns) == 2
    assert any(name.endswith("rows.weight") for name in run.weights())


def test_without_a_training_there_is_nothing_to_observe_with() -> None:
    env = gym.make("CartPole-v1")
    with pytest.raises(ConfigError, match=r"observe.encoder is 'embedding'"):
        dragoman.observe(env, settings=Observe(encoder="embedding"))

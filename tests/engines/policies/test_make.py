"""Our policies against those of the engine that trains, and folders of earlier versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.engines.policies.features import stack
from dragoman.engines.policies.make import make_policy
from dragoman.engines.sb3 import SB3
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Algorithm, Experiment
from dragoman.experiment.checks import ON_POLICY
from dragoman.run import FORMAT, Run
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers
from tests.observation_spaces import READABLE

OLD = Path(__file__).parent / "version_0_1"
CONTINUOUS = gym.spaces.Box(np.float32([-1, 0]), np.float32([1, 5]))
ACTIONS = {
    "choice": gym.spaces.Discrete(3),
    "choices": gym.spaces.MultiDiscrete([3, 4]),
    "bits": gym.spaces.MultiBinary(4),
    "numbers": CONTINUOUS,
}
ON = {"n_steps": 4, "batch_size": 4}
OFF = {"learning_starts": 2, "batch_size": 2}


class Spaces(gym.Env):
    """Any observations and any actions."""

    def __init__(self, observations: gym.Space, actions: gym.Space) -> None:
        self.observation_space = observations
        self.action_space = actions

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, False, False, {}


def both(observations: gym.Space, actions: gym.Space, name: str, **settings: Any) -> Any:
    """Return a policy of the library, and ours with its weights."""
    env = SyncVectorEnv(
        [lambda: Spaces(observations, actions)] * 2, autoreset_mode=AutoresetMode.SAME_STEP
    )
    own = {**(ON if name in ON_POLICY else OFF), **settings}
    own.pop("batch_size" if name == "a2c" else "", None)
    experiment = Experiment(
        env="any", observe=None, num_envs=2, algorithm=Algorithm(name, own, (8, 5))
    )
    training = SB3().build(experiment, env, 0)
    ours = make_policy(experiment, observations, actions)
    ours.load_state_dict(training.weights())
    return training.algorithm.policy, ours


def check_equal(theirs: Any, ours: Any, space: gym.Space, *, drawn: bool = True) -> None:
    """Hold what they choose against each other, to the last digit."""
    batch = stack(space, [space.sample() for _ in range(16)])
    for sampled in (False, True)[: 1 + drawn]:
        torch.manual_seed(5)
        wanted, _ = theirs.predict(batch, deterministic=not sampled)
        torch.manual_seed(5)
        result = ours.act(batch, sampled)
        assert result.dtype == wanted.dtype
        np.testing.assert_array_equal(result, wanted)


NAMES = [
    "numbers", "whole numbers", "a matrix", "codes", "a picture", "choice", "choices", "bits",
    "bits in rows", "dict", "dict with bits in rows", "dict with a picture",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_observation_is_read_as_the_library_reads_it(name: str) -> None:
    space = READABLE[name]
    theirs, ours = both(space, ACTIONS["choice"], "ppo")
    check_equal(theirs, ours, space)
    batch = stack(space, [space.sample()])
    with torch.no_grad():
        value = float(theirs.predict_values(theirs.obs_to_tensor(batch)[0]))
    # A picture alone takes another path through the convolutions than among others.
    tolerance = 1e-5 if name == "dict with a picture" else 0
    assert ours.view(batch, 0).value == pytest.approx(value, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("name", ["ppo", "a2c"])
def test_every_action_is_chosen_as_the_library_chooses_it(name: str, actions: str) -> None:
    space = READABLE["numbers"]
    theirs, ours = both(space, ACTIONS[actions], name)
    check_equal(theirs, ours, space)


@pytest.mark.parametrize("observations", ["numbers", "dict with a picture"])
@pytest.mark.parametrize("name", ["dqn", "sac", "td3"])
def test_every_algorithm_is_played_as_the_library_plays_it(name: str, observations: str) -> None:
    space = READABLE[observations]
    actions = ACTIONS["choice" if name == "dqn" else "numbers"]
    theirs, ours = both(space, actions, name, buffer_size=10)
    check_equal(theirs, ours, space)
    view = ours.view(stack(space, [space.sample()]), np.float32([0.5, 1.0]))
    assert len(view.options or view.means) == (1 if name == "dqn" else 2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ppo", {"policy_kwargs": {"net_arch": {"pi": [3], "vf": []}}}),
        ("ppo", {"policy_kwargs": {"share_features_extractor": False, "log_std_init": -1.0}}),
        ("ppo", {"policy_kwargs": {"normalize_images": False}}),
        ("ppo", {"policy_kwargs": {"features_extractor_kwargs": {"cnn_output_dim": 16}}}),
        ("sac", {"policy_kwargs": {"net_arch": {"pi": [3], "qf": [4, 4]}, "n_critics": 3}}),
        ("sac", {"policy_kwargs": {"share_features_extractor": True}}),
        ("td3", {"policy_kwargs": {"net_arch": []}}),
        ("ppo", {"use_sde": True}),
        ("ppo", {"use_sde": True, "policy_kwargs": {"squash_output": True, "full_std": False}}),
        ("ppo", {"use_sde": True, "policy_kwargs": {"use_expln": True, "log_std_init": 0.7}}),
        ("sac", {"use_sde": True, "policy_kwargs": {"clip_mean": 0.01}}),
    ],
)
def test_settings_that_change_a_network_change_ours(name: str, settings: dict) -> None:
    space = READABLE["dict with a picture"]
    own = {} if name == "ppo" else {"buffer_size": 10}
    theirs, ours = both(space, CONTINUOUS, name, **own, **settings)
    check_equal(theirs, ours, space, drawn="use_sde" not in settings)
    if "use_sde" in settings and name == "ppo":
        batch = stack(space, [space.sample()])
        view = ours.view(batch, CONTINUOUS.low)
        with torch.no_grad():
            result = theirs.get_distribution(theirs.obs_to_tensor(batch)[0]).distribution
        assert view.spreads == pytest.approx(result.stddev[0].tolist(), rel=1e-5)


def test_networks_that_we_do_not_know_are_refused_before_they_are_trained() -> None:
    kinds = {"features_extractor_kwargs": {"features_dim": 8}, "net_arch": [4]}
    from stable_baselines3.common.torch_layers import NatureCNN

    with pytest.raises(ConfigError, match="nothing plays but the library") as error:
        both(
            READABLE["a picture"], ACTIONS["choice"], "ppo",
            policy_kwargs={**kinds, "features_extractor_class": NatureCNN},
        )  # fmt: skip
    assert "kinds of its layers" in error.value.cure


@pytest.mark.parametrize("name", sorted(item.name for item in OLD.iterdir() if item.is_dir()))
def test_runs_of_version_0_1_play_as_they_did(name: str) -> None:
    model = ScriptedModel(read_numbers, log_probs=lambda prompt, text: [-len(text) / 9.0])
    wanted = json.loads((OLD / "played.json").read_text())[name]
    run = Run(OLD / name)
    assert run.format == 1
    assert evaluate(run, 3, seed=1, model=model).returns == wanted["greedy"]
    assert evaluate(run, 3, seed=1, sampled=True, model=model).returns == wanted["sampled"]
    steps = record(run, 1, sampled=True, model=model).episodes[0].steps[:3]
    assert [step.value for step in steps] == wanted["values"]
    weighed = [
        [[list(item.weights), item.chosen, item.mean, item.spread] for item in step.weighed]
        for step in steps
    ]
    assert weighed == wanted["weighed"]


def test_a_run_of_a_later_version_is_refused(tmp_path: Path) -> None:
    run = shutil.copytree(OLD / "ppo", tmp_path / "run")
    (run / "env.json").write_text(json.dumps({"seed": 3, "format": FORMAT + 1}))
    with pytest.raises(RunError, match=f"has format {FORMAT + 1}") as error:
        evaluate(run, 1)
    assert "upgrade" in error.value.cure


def test_a_finished_run_is_played_without_the_library_that_trained_it(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1", observe=None, steps=16, num_envs=2, algorithm=Algorithm("ppo", ON, (4,))
    )
    run = train(experiment, out=tmp_path / "run")
    assert run.format == FORMAT
    assert {"policy.actor.0.weight", "policy.action.weight"} <= set(run.weights())
    code = (
        "import sys, dragoman\n"
        "from dragoman.agents.record import record\n"
        f"run = dragoman.Run({str(run.path)!r})\n"
        "dragoman.evaluate(run, 1), record(run, 1), dragoman.export(run, run.path / 'out')\n"
        "assert 'stable_baselines3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

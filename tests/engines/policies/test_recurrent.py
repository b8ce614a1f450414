"""Our recurrent policy against that of SB3-Contrib, and whose memory is whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
import pytest
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import episode_seeds, evaluate
from dragoman.agents.record import record
from dragoman.agents.teach.minari import export_minari
from dragoman.agents.teach.plays import play_of
from dragoman.engines.assembly import moments_of, spec_of
from dragoman.engines.policies.features import stack
from dragoman.engines.train import train
from dragoman.environments import make_environment
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.run import Run
from tests.engines.policies.test_make import ACTIONS, both
from tests.observation_spaces import READABLE

LSTM = {"lstm_hidden_size": 6}
NETWORKS: dict[str, dict[str, Any]] = {
    "two LSTMs": {},
    "two layers": {"n_lstm_layers": 2, "lstm_kwargs": {"dropout": 0.5, "bias": False}},
    "a shared LSTM": {"shared_lstm": True, "enable_critic_lstm": False},
    "a critic without": {"enable_critic_lstm": False},
    "extractors of their own": {"share_features_extractor": False},
    "no hidden layers": {"net_arch": []},
}


def check_equal(
    theirs: Any, ours: Any, space: gym.Space, *, drawn: bool = True, steps: int = 4
) -> None:
    """Hold what they choose in some steps, and their values, against each other."""
    for sampled in (False, True)[: 1 + drawn]:
        states, starts = None, np.ones(5, dtype=bool)
        ours.begin()
        for step in range(steps):
            batch = stack(space, [space.sample() for _ in range(5)])
            torch.manual_seed(step)
            wanted, states = theirs.predict(batch, states, starts, deterministic=not sampled)
            torch.manual_seed(step)
            np.testing.assert_array_equal(ours.act(batch, sampled), wanted)
            starts[:] = False


def value_of(theirs: Any, batches: list[Any]) -> float:
    """Return their value of the last of some batches of one."""
    layers, _, units = theirs.lstm_hidden_state_shape
    fresh = torch.zeros(layers, 1, units)
    states = RNNStates((fresh, fresh), (fresh, fresh))
    for batch in batches:
        seen, _ = theirs.obs_to_tensor(batch)
        _, value, _, states = theirs(seen, states, torch.zeros(1))
    return float(value)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("observations", ["numbers", "dict with a picture"])
def test_every_network_is_played_as_the_library_plays_it(observations: str, network: str) -> None:
    space = READABLE[observations]
    own = {"policy_kwargs": {**LSTM, **NETWORKS[network]}}
    theirs, ours = both(space, ACTIONS["choice"], "recurrent-ppo", **own)
    check_equal(theirs, ours, space)
    ours.begin()
    batches = [stack(space, [space.sample()]) for _ in range(3)]
    for batch in batches:
        ours.act(batch, sampled=False)
    with torch.no_grad():
        wanted = value_of(theirs, batches)
    assert ours.view(batches[-1], 0).value == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("actions", ACTIONS)
def test_every_action_is_chosen_as_the_library_chooses_it(actions: str) -> None:
    space = READABLE["numbers"]
    theirs, ours = both(space, ACTIONS[actions], "recurrent-ppo", policy_kwargs=LSTM)
    check_equal(theirs, ours, space)
    if actions == "numbers":
        theirs, ours = both(
            space, ACTIONS[actions], "recurrent-ppo", use_sde=True, policy_kwargs=LSTM
        )
        check_equal(theirs, ours, space, drawn=False)


def test_rows_belong_to_the_episodes_that_are_named() -> None:
    space = READABLE["numbers"]
    _, ours = both(space, ACTIONS["numbers"], "recurrent-ppo", policy_kwargs=LSTM)
    seen = [stack(space, [space.sample() for _ in range(3)]) for _ in range(3)]

    def played(rows: list[list[int]]) -> Any:
        ours.begin()
        for batch, episodes in zip(seen, rows, strict=True):
            ours.follow(episodes)
            result = ours.act(batch[episodes], sampled=False)
        return result

    together = played([[0, 1, 2], [0, 2], [2]])
    np.testing.assert_allclose(together, played([[2], [2], [2]]), rtol=1e-5)
    # What has ended is forgotten: an episode of the same number begins.
    np.testing.assert_allclose(played([[0, 1, 2], [1], [2]]), played([[0], [1], [2]]), rtol=1e-5)
    assert not np.allclose(together, played([[0], [1], [2]]), rtol=1e-3)


def trained(folder: Path, choices: int) -> Run:
    settings = {"n_steps": 8, "batch_size": 16, "learning_rate": 1e-6, "policy_kwargs": LSTM}
    experiment = {
        "env": "tests.recall_task:Noise",
        "env_settings": {"choices": choices},
        "steps": 16,
        "num_envs": 2,
        "observe": None,
        "algorithm": {"name": "recurrent-ppo", "network": [8], "settings": settings},
    }
    return train(Experiment.from_dict(experiment), out=folder)


def alone(run: Run, seed: int) -> list[float]:
    """Return the actions of an agent that has played nothing before."""
    agent = Agent(run)
    env = make_environment(agent.spec, run.experiment.env_settings)
    observation, info = env.reset(seed=seed)
    actions, ended = [], False
    while not ended:
        action = agent.act([observation], [info])[0]
        observation, reward, ended, _, info = env.step(action)
        actions.append(float(reward))
    return actions


def test_every_episode_begins_with_no_memory(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", choices=0)
    wanted = [alone(run, seed) for seed in episode_seeds(8, 0)]
    # Side by side, in which some end sooner than others, and one after the other.
    assert len({len(actions) for actions in wanted}) > 1
    returns = [sum(actions) for actions in wanted]
    np.testing.assert_allclose(evaluate(run, 8).returns, returns, rtol=1e-4)
    recorded = [[step.reward for step in one.steps[:-1]] for one in record(run, 8).episodes]
    for played, actions in zip(recorded, wanted, strict=True):
        np.testing.assert_allclose(played, actions, rtol=1e-4)


def test_what_is_shown_to_a_learner_begins_with_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "run", choices=5)
    experiment = run.experiment
    env = make_environment(spec_of(experiment), experiment.env_settings)
    shown = play_of(run).show(experiment, env, moments_of(experiment, env), 0, 50)
    for number, episode in zip(range(8), shown, strict=False):
        actions = [action for _, action in episode.steps]
        assert actions == alone(run, derive_seed("teach", 0, number))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    export_minari(run, "tests/noise-v0", episodes=8)
    kept = minari.load_dataset("tests/noise-v0")
    for episode, seed in zip(kept.iterate_episodes(), episode_seeds(8, 0), strict=True):
        assert episode.actions.tolist() == alone(run, seed)

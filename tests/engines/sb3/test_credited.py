"""Whole episodes compared with one another, through trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.engines.watcher import Rollout, Training, Watcher
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Experiment
from dragoman.run import Run
from tests.credit_tasks import begun_copies
from tests.engines.resuming import StopAt, assert_same
from tests.models import tiny

RULES = ["returns", "grpo", "gigpo", "hgpo", "grouped-gae", "q-v"]


def corridor(credit: Any, name: str = "Corridor", **changes: Any) -> Experiment:
    settings = {"batch_size": 32, "n_epochs": 4, "learning_rate": 0.01, "gamma": 0.9}
    data = {
        "env": f"tests.credit_tasks:{name}",
        "max_episode_steps": 12,
        "num_envs": 16,
        "steps": 1600,
        "observe": None,
        "algorithm": {"name": "ppo", "settings": settings, "network": [16]},
        "credit": credit,
        "checkpoint": None,
    }
    return Experiment.from_dict({**data, **changes})


class Seen(Watcher):
    """Notes what an update learns from, and how many steps each episode of a rollout had."""

    def __init__(self) -> None:
        self.rollouts: list[Rollout] = []
        self.lengths: list[int] = []
        self.envs: list[int] = []

    def rollout(self, training: Training, rollout: Rollout | None) -> None:
        assert rollout is not None
        self.rollouts.append(rollout)

    def episode(self, training: Training, episode: Any) -> None:
        self.lengths.append(episode["length"])
        self.envs.append(episode["env"])


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_learns_a_corridor(rule: str, tmp_path: Path) -> None:
    run = train(corridor(rule), out=tmp_path / "run")
    # Always going right earns 1; at random it is a half.
    assert evaluate(run, 40, sampled=True).mean > 0.85
    row = run.last_metrics()
    assert 0 <= row["credit/zero_advantage"] <= 1
    assert "train/explained_variance" not in row
    if rule != "returns":
        assert next(iter(run.metrics()))["credit/groups"] == 4


@pytest.mark.parametrize("rule", ["grpo", "q-v"])
def test_a_model_is_trained_by_groups(rule: str, tmp_path: Path) -> None:
    folder = tiny.save("llama", tmp_path / "llama")
    tune = {"learning_rate": 0.003, "alpha": 32, "max_prompt": 64, "max_action": 8}
    settings = {"batch_size": 64, "n_epochs": 6, "learning_rate": 0.003}
    run = train(
        corridor(
            rule,
            env="tests.text_tasks:Recall",
            env_settings={"length": 1},
            max_episode_steps=None,
            num_envs=64,
            steps=1920,
            model={"name": str(folder), "dtype": "float32", "threads": 1},
            observe={"pooling": ["last"]},
            act={"policy": "score", "question": "so", "tune": tune},
            algorithm={"name": "ppo", "settings": settings, "network": [16]},
        ),
        out=tmp_path / "run",
    )
    # The last updates have nothing to learn, where all did right.
    ratios = [row["train/first_ratio"] for row in run.metrics() if "train/first_ratio" in row]
    assert ratios
    assert np.allclose(ratios, 1, atol=1e-4)
    assert evaluate(run, 60, sampled=True).mean > 0.6


@pytest.mark.filterwarnings("ignore::dragoman.roles.reward.rewarder.BonusWarning")
def test_rewards_of_roles_are_those_of_steps_that_were_played(tmp_path: Path) -> None:
    bonus = {"use": "tests.credit_tasks:one", "shaping": "bonus"}
    run = train(corridor("gigpo", reward=bonus, steps=320), out=tmp_path / "run")
    # A step in which a copy only waits would pay too.
    assert all(row["reward/one"] == row["length"] for row in run.episodes())


def test_a_bonus_sees_each_start_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begun_copies(monkeypatch)
    seen = Seen()
    train(corridor("grpo", explore="counts", steps=320), out=tmp_path / "run", watchers=[seen])
    assert len(seen.rollouts) > 1
    # Beside those that are played, the one in which the library begins.
    assert sorted(begun) == sorted([*range(16)] * (1 + len(seen.rollouts)))


def test_a2c_learns_by_groups_too(tmp_path: Path) -> None:
    a2c = {"name": "a2c", "settings": {"learning_rate": 0.02, "gamma": 0.9}, "network": [16]}
    run = train(corridor("gigpo", algorithm=a2c, steps=4000), out=tmp_path / "run")
    assert evaluate(run, 40, sampled=True).mean > 0.85


@pytest.mark.parametrize("rule", ["grpo", "gigpo", "q-v"])
def test_copies_of_a_group_that_are_made_anew_begin_alike(rule: str, tmp_path: Path) -> None:
    seen, guard = Seen(), {"on_fault": "restart"}
    changes = {"name": "Breaking", "steps": 640, "checkpoint": 64, "guard": guard}
    straight = train(corridor(rule, **changes), out=tmp_path / "run", watchers=[seen])
    assert straight.last_metrics()["guard/restarts"] > 4
    assert any(row["truncated"] and row["length"] < 12 for row in straight.episodes())
    # Still one episode of each copy in a rollout.
    rounds = len(seen.envs) // 16
    assert sorted(seen.envs[: 16 * rounds]) == sorted([*range(16)] * rounds)
    with pytest.raises(KeyboardInterrupt):
        train(corridor(rule, **changes), out=tmp_path / "again", watchers=[StopAt(500)])
    assert_same(straight, train(resume=tmp_path / "again"))


def test_a_rollout_is_one_episode_of_each_copy(tmp_path: Path) -> None:
    seen = Seen()
    run = train(corridor("grpo", steps=400), out=tmp_path / "run", watchers=[seen])
    whole = seen.rollouts[:-1]
    assert len(whole) > 1
    for i, rollout in enumerate(whole):
        own = slice(16 * i, 16 * (i + 1))
        assert sorted(seen.envs[own]) == list(range(16))
        # What is learnt from is what was played, and nothing of a copy that waits.
        assert len(rollout.actions) == sum(seen.lengths[own])
    assert len({len(rollout.actions) for rollout in whole}) > 1
    assert run.last_metrics()["step"] >= 400


def test_copies_of_a_group_begin_alike_and_groups_differ(tmp_path: Path) -> None:
    seen = Seen()
    train(corridor("gigpo", steps=320), out=tmp_path / "run", watchers=[seen])
    # Each copy's rows follow one another, and its length says where it began.
    rollout, lengths = seen.rollouts[0], dict(zip(seen.envs[:16], seen.lengths[:16], strict=True))
    ends = np.cumsum([lengths[i] for i in range(16)])
    starts = rollout.observations.reshape(-1)[ends - [lengths[i] for i in range(16)]]
    groups = starts.reshape(4, 4)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:, 0].tolist())) > 1


def test_waiting_changes_no_episode(tmp_path: Path) -> None:
    run = train(corridor("grpo", steps=640, env_settings={"cost": 0.1}), out=tmp_path / "run")
    for row in run.episodes():
        # A step in which a copy only waits would cost nothing, and be counted.
        paid = row["return"] + 0.1 * row["length"]
        assert paid == pytest.approx(round(paid))
        assert row["length"] <= 12


@pytest.mark.parametrize(
    ("name", "says"),
    [("Anywhere", "begin with"), ("OwnDice", "random generators in two states")],
)
def test_copies_that_begin_apart_are_refused_by_name(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=f"environment {name}: copies .*{says}"):
        train(corridor("gigpo", name), out=tmp_path / "run")
    # Without groups there is nothing that must be alike.
    train(corridor("returns", name, steps=64), out=tmp_path / "other")


def test_an_update_that_could_learn_nothing_is_left_out(tmp_path: Path) -> None:
    run = train(corridor("grpo", "Unpaid", max_episode_steps=3, steps=160), out=tmp_path / "run")
    row = next(iter(run.metrics()))
    assert row["credit/dropped"] == row["credit/groups"] == 4
    assert row["credit/learnt"] == 0
    assert "train/loss" not in row


def test_equal_seeds_give_equal_metrics(tmp_path: Path) -> None:
    one, other = (metrics(train(corridor("hgpo", steps=400), out=tmp_path / n)) for n in "ab")
    assert one == other


def metrics(run: Run) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if not key.startswith("time/")}
        for row in run.metrics()
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_envs": 6}, "num_envs is 6, but credit wants groups of 4 copies"),
        ({"credit": {"use": "grpo", "groups": 3}}, "wants 3 of 4 copies"),
        ({"credit": {"use": "grpo", "copies": 1}}, "credit.copies is 1"),
        ({"algorithm": "dqn"}, "which 'dqn' has no place for"),
        ({"guide": "kl"}, "guide changes"),
        ({"act": {"policy": "score", "tune": {"warm_up": 2}}, "observe": {}}, "has no critic"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        corridor("grpo", **changes) if "credit" not in changes else corridor(**changes)

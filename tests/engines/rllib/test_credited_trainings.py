"""Whole episodes compared with one another, through trainings of RLlib."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.rllib import RLlib, episodes
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher
from dragoman.errors import SpaceError
from tests.credit_tasks import begun_copies
from tests.engines.sb3.test_credited import Seen, corridor
from tests.engines.sb3.test_tuned import tuned

pytestmark = pytest.mark.usefixtures("cluster_of_three")


@pytest.mark.parametrize("rule", ["grpo", "gigpo"])
def test_a_corridor_is_learnt(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, seeds = Seen(), []

    def noting(env: Any, moments: Any, size: int, own: list[int]) -> None:
        assert size == 4
        seeds.extend(own)

    monkeypatch.setattr(episodes, "check_starts", noting)
    run = train(corridor(rule), out=tmp_path / "run", engine=RLlib(), watchers=[seen])
    # Always going right earns 1; at random it is a half.
    assert evaluate(run, 40, sampled=True).mean > 0.85
    # A rollout is one episode of each copy, and what is learnt from is what was played.
    assert len(seen.rollouts) > 10
    for i, rollout in enumerate(seen.rollouts):
        own = slice(16 * i, 16 * (i + 1))
        assert sorted(seen.envs[own]) == list(range(16))
        assert len(rollout.actions) == sum(seen.lengths[own])
    assert run.steps == sum(seen.lengths)
    # No start is played twice.
    assert set(Counter(seeds).values()) == {4}
    first, last = run.metrics()[0], run.last_metrics()
    assert first["credit/groups"] == 4
    assert first["train/n_updates"] == 4
    assert ("credit/singletons" in first) == (rule == "gigpo")
    # In the end all do right, and nothing is learnt.
    assert last["credit/learnt"] == 0
    assert last["credit/zero_advantage"] == 1
    assert not [name for name in last if name.startswith(("train/", "collapse/"))]
    assert not {"train/explained_variance", "train/value_loss"} & set(first)


@pytest.mark.filterwarnings("ignore::dragoman.roles.reward.rewarder.BonusWarning")
def test_roles_pay_for_steps_that_were_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begun_copies(monkeypatch)
    bonus = {"use": "tests.credit_tasks:one", "shaping": "bonus"}
    seen = Seen()
    run = train(
        corridor("gigpo", reward=bonus, explore="counts", steps=320),
        out=tmp_path / "run",
        engine=RLlib(),
        watchers=[seen],
    )
    # A step in which a copy only waits would pay too.
    assert all(row["reward/one"] == row["length"] for row in run.episodes())
    assert len(seen.rollouts) > 1
    assert sorted(begun) == sorted([*range(16)] * len(seen.rollouts))


class Looking(Seen):
    """Notes with which seeds the copies of all runners have begun, round by round."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: list[int] = []

    def rollout(self, training, rollout):
        super().rollout(training, rollout)
        group = training._algorithm.env_runner_group
        for own in group.foreach_env_runner(seeds_of, local_env_runner=False):
            self.seeds += own


def seeds_of(runner: Any) -> list[int]:
    return list(runner._seed)


@pytest.mark.slow
def test_two_runners_play_groups_of_their_own(tmp_path: Path) -> None:
    seen = Looking()
    run = train(
        corridor("gigpo"), out=tmp_path / "run", engine=RLlib(env_runners=2), watchers=[seen]
    )
    assert evaluate(run, 40, sampled=True).mean > 0.85
    rows = run.metrics()
    assert all(row["credit/groups"] == 4 for row in rows)
    assert 0 < rows[0]["credit/learnt"] <= 1
    # One episode of each copy in each row.
    assert sorted(seen.envs) == sorted([*range(16)] * len(rows))
    assert run.steps == sum(seen.lengths)
    assert set(Counter(seen.seeds).values()) == {4}
    assert len(seen.seeds) == 16 * len(rows)


class Killing(Watcher):
    """Kills a runner, and stops when its groups are there again."""

    def __init__(self) -> None:
        self.groups: list[float] = []

    def rollout(self, training, rollout):
        # Of the rollout before.
        self.groups.append(training.row.get("credit/groups", 4.0))
        if len(self.groups) == 3:
            group = training._algorithm.env_runner_group
            pids = group.foreach_env_runner(lambda one: os.getpid(), local_env_runner=False)
            os.kill(pids[0], signal.SIGKILL)
        return 2.0 in self.groups and self.groups[-1] == 4.0


@pytest.mark.slow
def test_a_runner_that_is_lost_takes_its_groups_along(tmp_path: Path) -> None:
    killing = Killing()
    run = train(
        corridor("gigpo", steps=1_000_000),
        out=tmp_path / "run",
        engine=RLlib(env_runners=2),
        watchers=[killing],
    )
    assert run.status == "finished"
    assert run.steps < 1_000_000
    assert set(killing.groups) == {2.0, 4.0}
    rows = [row["credit/groups"] for row in run.metrics()]
    assert rows.count(2.0) == killing.groups.count(2.0)


@pytest.mark.slow
def test_copies_that_begin_apart_in_a_runner_end_the_training(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="environment Anywhere: copies 0 and"):
        train(corridor("gigpo", "Anywhere"), out=tmp_path / "run", engine=RLlib(env_runners=1))


@pytest.mark.slow
# Ray's own data package reads settings that Ray has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data")
def test_another_process_compares(tmp_path: Path) -> None:
    engine = RLlib(env_runners=1, learners=1)
    run = train(corridor("grpo"), out=tmp_path / "run", engine=engine)
    assert evaluate(run, 40, sampled=True).mean > 0.85
    assert run.last_metrics()["credit/learnt"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"env": "Pendulum-v1", "env_settings": {}},
        {"env": "Pendulum-v1", "env_settings": {}, "act": {}},
        {"env": "tests.number_tasks:Greatest", "env_settings": {"start": 3}},
        {"act": {"policy": "match"}, "model": {"name": "words"}, "observe": {"pooling": ["last"]}},
    ],
)
def test_every_kind_of_action_is_credited(changes: dict[str, Any], tmp_path: Path) -> None:
    experiment = corridor("q-v", max_episode_steps=5, steps=160, **changes)
    run = train(experiment, out=tmp_path / "run", engine=RLlib())
    assert len(run.episodes()) % 16 == 0
    assert any("train/loss" in row for row in run.metrics())
    assert len(evaluate(run, 2).returns) == 2


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["hybrid", "write"])
def test_a_model_is_trained_by_groups(policy: str, tiny_llama: Any, tmp_path: Path) -> None:
    settings = {"batch_size": 64, "n_epochs": 6, "learning_rate": 0.003}
    act = {"policy": policy, **({"constrain": "texts"} if policy == "write" else {})}
    experiment = corridor(
        "grpo",
        env="tests.text_tasks:Recall",
        env_settings={"length": 1},
        max_episode_steps=None,
        num_envs=64,
        steps=1920,
        observe={"pooling": ["last"]},
        algorithm={"name": "ppo", "settings": settings, "network": [16]},
        model={"name": tiny_llama.name, "dtype": "float32", "threads": 1},
        act={**act, "question": "so", "tune": tuned("lora")},
    )
    run = train(experiment, out=tmp_path / "run", engine=RLlib())
    ratios = [row["train/first_ratio"] for row in run.metrics() if "train/first_ratio" in row]
    assert np.allclose(ratios, 1, atol=1e-4)
    assert len(ratios) > 10
    assert evaluate(run, 60, sampled=True).mean > 0.6

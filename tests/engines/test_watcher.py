from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from stable_baselines3.common.callbacks import BaseCallback

from dragoman.engines import train as training
from dragoman.engines.sb3 import SB3
from dragoman.engines.train import train
from dragoman.engines.watcher import Watcher, Watchers
from dragoman.environments import environment_spec
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.run import Run

SETTINGS = {"ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1}, "dqn": {"learning_starts": 8}}


def experiment(name: str = "ppo", **settings: object) -> Experiment:
    return Experiment(
        env="CartPole-v1",
        steps=64,
        num_envs=2,
        observe=None,
        algorithm=Algorithm(name, {**SETTINGS[name], **settings}, (8,)),
    )


class Noting(Watcher):
    """Notes what it is told, and asks to stop at an event."""

    def __init__(self, stop: str = "") -> None:
        self.stop = stop
        self.events: list[str] = []
        self.episodes: list[dict] = []
        self.rows: list[set[str]] = []

    def _note(self, event: str) -> bool:
        self.events.append(event)
        return event == self.stop

    def begin(self, training):
        assert training.steps == 0
        return self._note("begin")

    def step(self, training, infos):
        assert len(infos) == 2
        return self._note("step")

    def episode(self, training, episode):
        self.episodes.append(dict(episode))
        return self._note("episode")

    def rollout(self, training, rollout):
        assert rollout is None or len(rollout.actions) == len(rollout.observations) == 8
        return self._note("rollout")

    def update(self, training):
        self.rows.append({key for key in training.row if key.startswith("train/")})
        return self._note("update")

    def end(self, training):
        self._note("end")


def test_watchers_see_a_training_in_order(tmp_path: Path) -> None:
    noting = Noting()
    run = train(experiment(), out=tmp_path / "run", watchers=[noting])
    told = [event for event in noting.events if event != "episode"]
    rollout = [*["step"] * 8, "rollout", "update"]
    assert told == ["begin", *rollout * 4, "end"]
    assert noting.episodes == run.episodes()
    assert noting.episodes
    assert all("train/value_loss" in row for row in noting.rows)


def test_algorithms_that_learn_from_older_steps_are_seen_too(tmp_path: Path) -> None:
    noting = Noting()
    run = train(experiment("dqn"), out=tmp_path / "run", watchers=[noting])
    counts = Counter(noting.events)
    assert (counts["begin"], counts["step"], counts["end"]) == (1, 32, 1)
    assert 0 < counts["update"] < 16
    assert noting.episodes == run.episodes()


@pytest.mark.parametrize("stop", ["begin", "step", "episode", "rollout", "update"])
def test_a_watcher_stops_a_training(stop: str, tmp_path: Path) -> None:
    noting = Noting(stop)
    run = train(experiment(), out=tmp_path / "run", watchers=[noting])
    assert run.status == "finished"
    steps = noting.events.count("step")
    assert steps == {"begin": 1, "step": 1, "rollout": 9, "update": 9}.get(stop, steps)
    assert run.steps == 2 * steps < 64
    # The steps since the last update have a row of their own.
    assert run.last_metrics()["step"] == run.steps
    assert run.weights()


def test_an_error_ends_each_watcher_and_saves(tmp_path: Path) -> None:
    class Failing(Noting):
        def step(self, training, infos):
            raise OSError("no space")

        def end(self, training):
            super().end(training)
            raise OSError("still no space")

    last = Noting()
    with pytest.raises(OSError, match="no space"):
        train(experiment(), out=tmp_path / "run", watchers=[Failing(), last])
    assert last.events[-1] == "end"
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert run.weights()


def test_schedules_follow_the_watcher_that_is_furthest() -> None:
    class Half(Watcher):
        def progress(self):
            return 0.5

    recorder = EpisodeRecorder(make_vector(environment_spec("CartPole-v1"), 1))
    assert Watchers([], recorder).progress() == 0.0
    assert Watchers([Watcher(), Half()], recorder).progress() == 0.5
    recorder.close()


def test_callbacks_of_the_library_belong_to_its_engine(tmp_path: Path) -> None:
    class Stopping(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 10

    run = train(experiment(), out=tmp_path / "run", engine=SB3([Stopping()]))
    assert run.steps == 10
    assert run.environment["engine"] == "sb3"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_sde": True}, "can only be used with continuous actions"),
        ({"batch_size": 1}, "must be greater than 1"),
        ({"policy_kwargs": {"net_arc": [8]}}, "no policy_kwargs.'net_arc' (did you mean"),
        ({"policy_kwargs": {"lr_schedule": 1}}, "no policy_kwargs.'lr_schedule'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_a_model_is_loaded(
    settings: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "reader_of", lambda *given: pytest.fail("a model is loaded"))
    with pytest.raises(ConfigError, match="ppo refuses the settings") as error:
        train(experiment(**settings), out=tmp_path / "run")
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()

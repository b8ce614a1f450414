"""A tiny random transformer that is taught by the reference policy of a toy task."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import dragoman
from dragoman.agents.evaluate import evaluate
from dragoman.agents.teach import teach as teaching
from dragoman.agents.teach.fitting import Fit, Teaching
from dragoman.agents.teach.teach import BEGUN, teach
from dragoman.cli import app
from dragoman.comparison.file import read_comparison
from dragoman.engines.assembly import TaughtOtherwiseWarning
from dragoman.engines.train import train
from dragoman.environments import make_environment
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.models.taught import Taught
from dragoman.tasks.planner import optimal
from tests.exploring import Chain
from tests.models import tiny

REFERENCE = "FrozenLake-v1:reference"
QUICK = Teaching(steps=400, epochs=10, learning_rate=0.02)
SHORT = Teaching(steps=60, epochs=3, learning_rate=0.01)
ROLLOUT = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "learning_rate": 1e-9}
ONE = {"num_envs": 2, "steps": 32, "algorithm.settings": ROLLOUT, "model.threads": 1}
ONE |= {"model.dtype": "float32", "act.tune.learning_rate": 1e-9}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save("llama", tmp_path_factory.mktemp("tiny") / "llama"))


def learner(model: str, **act: Any) -> dict[str, Any]:
    act = {"policy": "score", "question": "so", "tune": {"how": "lora", "rank": 16}, **act}
    own = {"name": model, "dtype": "float32", "threads": 1}
    describe = {"observation": "row {row} {column}"}
    shown = {"describe": describe, "observe": None}
    return {"env": "FrozenLake-v1", "model": own, "act": act, **shown}


@pytest.fixture(scope="module")
def taught(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    out = tmp_path_factory.mktemp("taught") / "lake"
    return teach(learner(llama), REFERENCE, out, QUICK, control=True)


@pytest.fixture(scope="module")
def experiment(taught: Taught) -> Experiment:
    return Experiment.from_yaml(taught.path / "experiment.yaml", ONE)


def test_it_does_what_its_teacher_does_in_held_out_states(taught: Taught) -> None:
    first, *_, last = taught.record["epochs"]
    assert first["accuracy"] < 0.7
    assert taught.accuracy > 0.95, taught.record["epochs"]
    assert last["loss"] < first["loss"] / 3
    assert taught.record["held_out"] + taught.record["states"] == QUICK.steps
    assert taught.teacher["mean"] > 0.4
    assert taught.teacher["episodes"] > 4
    assert Taught.read(taught.path).record == taught.record


def test_a_training_starts_at_the_taught_score(
    taught: Taught, experiment: Experiment, tmp_path: Path
) -> None:
    before = evaluate(train(experiment.replaced({"act.init": None}), out=tmp_path / "untaught"), 8)
    run = train(experiment, out=tmp_path / "run")
    after = evaluate(run, 20)
    assert after.mean > 0.5 > before.mean + 0.1
    # The reference policy itself, on the same episodes: what slips is drawn by seed.
    env = make_environment(dragoman.environments.environment_spec("FrozenLake-v1"), {})
    returns = []
    for episode in after.episodes:
        env.reset(seed=episode.seed)
        total, over = 0.0, False
        while not over:
            _, reward, ended, cut, _ = env.step(optimal(env))
            total, over = total + reward, ended or cut
        returns.append(total)
    assert abs(np.mean(returns) - after.mean) < 0.15


def test_rewards_are_held_to_what_was_taught(experiment: Experiment, tmp_path: Path) -> None:
    held = experiment.replaced({"act.tune.reference_kl": 0.1})
    row = train(held, out=tmp_path / "run").last_metrics()
    assert row["train/reference_kl"] < 1e-4
    # The log-temperature and the adapters begin at nothing: so the reference is the taught model.
    first = train(held.replaced({"act.init": None}), out=tmp_path / "untaught").last_metrics()
    assert first["train/reference_kl"] < 1e-4


def test_prompts_are_those_of_the_act_role_to_the_character(
    llama: str, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    lessons = teaching._lessons
    monkeypatch.setattr(
        teaching, "_lessons", lambda *given: shown.append(lessons(*given)) or shown[0]
    )
    teach(learner(llama), REFERENCE, tmp_path / "taught", SHORT)
    tokenizer = tiny.make_tokenizer("llama")
    read = {tokenizer.decode(text.prompt) for text in (*shown[0].texts, *shown[0].held_out)}
    said = {tokenizer.decode(text.candidates[0]) for text in shown[0].texts}
    assert said <= {" move left", " move down", " move right", " move up"}

    class Look(dragoman.Watcher):
        def rollout(self, training: Any, rollout: Any) -> None:
            if rollout is not None:
                rows = rollout.observations["prompt"].reshape(-1, 256)
                acting.update(tokenizer.decode(row[row >= 0]) for row in rows.astype(int))

    acting: set[str] = set()
    train(experiment, out=tmp_path / "run", watchers=[Look()])
    assert "row 0 0\nso" in read & acting
    assert all(re.fullmatch(r"row \d \d\nso", text) for text in read | acting)


def test_what_was_stopped_goes_on_to_the_same_end(
    llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = teach(learner(llama), REFERENCE, tmp_path / "whole", SHORT)
    learn = Fit.learn

    def stopped(fit: Fit) -> None:
        if fit.epoch == 2:
            raise KeyboardInterrupt
        learn(fit)

    out = tmp_path / "stopped"
    monkeypatch.setattr(Fit, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        teach(learner(llama), REFERENCE, out, SHORT)
    assert sorted(file.name for file in out.iterdir()) == ["checkpoints", BEGUN]
    with pytest.raises(RunError, match="goes on by the same command"):
        Taught.read(out)
    with pytest.raises(RunError, match="stopped, of other play or with other settings"):
        teach(learner(llama), REFERENCE, out, QUICK)
    passes: list[int] = []
    monkeypatch.setattr(Fit, "learn", lambda fit: passes.append(fit.epoch) or learn(fit))
    again = teach(learner(llama), REFERENCE, out, SHORT)
    assert passes == [2]
    assert again.record["epochs"] == whole.record["epochs"]
    adapters = [
        (one.path / "adapter/adapter_model.safetensors").read_bytes() for one in (whole, again)
    ]
    assert adapters[0] == adapters[1]
    assert not (out / "checkpoints").exists()
    with pytest.raises(RunError, match="exists and is not empty"):
        teach(learner(llama), REFERENCE, out, SHORT)


def test_who_writes_freely_learns_where_an_action_ends(llama: str, tmp_path: Path) -> None:
    full = {"how": "full"}
    free = learner(llama, policy="write", constrain="none", max_tokens=12, tune=full)
    free["describe"]["observation"] = "row {row}"
    result = teach(free, REFERENCE, tmp_path / "taught", QUICK)
    begins = Experiment.from_yaml(result.path / "experiment.yaml", ONE)
    run = train(begins, out=tmp_path / "run")
    assert run.last_metrics()["collapse/invalid"] < 0.2
    assert run.last_metrics()["written/tokens"] < 8


def test_weights_themselves_are_taught_by_a_run_and_by_demonstrations(
    llama: str, tmp_path: Path
) -> None:
    raw = {"env": "FrozenLake-v1", "observe": None, "steps": 16, "num_envs": 2}
    raw |= {"algorithm": {"name": "ppo", "settings": ROLLOUT}}
    run = train(raw, out=tmp_path / "raw")
    full = learner(llama, tune={"how": "full"}, policy="write")
    result = teach(full, run.path, tmp_path / "of_run", SHORT)
    assert result.record["from"] == str(run.path)
    assert result.accuracy > result.record["epochs"][0]["accuracy"]
    assert (result.path / "model/model.safetensors").is_file()
    begins = Experiment.from_yaml(result.path / "experiment.yaml", ONE)
    assert abs(train(begins, out=tmp_path / "run").last_metrics()["train/first_ratio"] - 1) < 1e-4

    ways = {
        "env": "tests.exploring:Chain",
        "env_settings": {},
        "episodes": [
            {"seed": seed, "actions": [1] * (Chain.length - 1), "episode_return": 1.0}
            for seed in (1, 2)
        ],
        "steps": 9,
        "states": 9,
    }
    (tmp_path / "ways").mkdir()
    (tmp_path / "ways/demonstrations.json").write_text(json.dumps(ways))
    rooms = {**learner(llama), "env": "tests.exploring:Chain"}
    rooms["describe"] = {"use": "tests.exploring:ChainTold"}
    told = teach(rooms, tmp_path / "ways", tmp_path / "of_ways", SHORT)
    assert told.teacher == {"mean": 1.0, "low": 1.0, "high": 1.0, "episodes": 2}
    assert told.accuracy > 0.9  # right is all that it was shown


def test_a_comparison_has_the_arms_of_what_was_taught(
    taught: Taught, experiment: Experiment, tmp_path: Path
) -> None:
    comparison = read_comparison(experiment, seeds=1)
    arms = {name: comparison.experiment(name) for name in comparison.arms}
    assert set(arms) == {
        "model",
        "no-model",
        "random-weights",
        "shuffled-texts",
        "untaught",
        "taught-alone",
        "taught-random-weights",
    }
    assert comparison.reference.best_known == taught.teacher["mean"]
    assert comparison.reference.source.startswith("the teacher")
    assert arms["untaught"].act.init is None
    assert arms["no-model"].act.init is None
    alone = evaluate(train(arms["taught-alone"], out=tmp_path / "alone"), 8)
    whole = evaluate(train(arms["model"], out=tmp_path / "whole"), 8)
    assert alone.episodes == whole.episodes  # the model's arm has learnt nothing here
    drawn = train(arms["taught-random-weights"], out=tmp_path / "drawn")
    record = Taught.read(taught.path / "random-weights").record
    assert (record["model"]["weights"], record["model"]["seed"]) == ("random", 0)
    # The tiny model's weights are random in any case, so play teaches these as well.
    assert record["accuracy"] > 0.8
    blank = train(arms["random-weights"], out=tmp_path / "blank")
    assert blank.environment["model_fingerprint"] != drawn.environment["model_fingerprint"]


def test_a_control_that_was_not_taught_is_refused(
    llama: str, taught: Taught, experiment: Experiment, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    shutil.copytree(taught.path, part, ignore=lambda *names: ["random-weights"])
    begins = experiment.replaced({"act.init": str(part)}).to_dict()
    with pytest.raises(ConfigError, match="teach again with --control"):
        read_comparison(begins)
    named = read_comparison({"base": begins, "controls": ["untaught", "taught-alone"]})
    assert list(named.arms) == ["model", "no-model", "untaught", "taught-alone"]


def test_the_command_teaches_and_a_training_begins_from_it(
    llama: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["teach", llama, "--from", REFERENCE, "--steps", "60", "--epochs", "1"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "the teacher earned" in result.output
    assert "next: dragoman train taught/experiment.yaml" in result.output
    shutil.move("taught", "moved")
    sets = [part for key, value in ONE.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    arguments = ["train", "moved/experiment.yaml", "--init", "moved", "--out", "run", *sets]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert dragoman.Run("run").experiment.act.init == "moved"


@pytest.mark.parametrize(
    ("change", "source", "message"),
    [
        ({"act": None}, REFERENCE, "act is off"),
        ({"act": {"policy": "score"}}, REFERENCE, "'score', .*'tune': None"),
        ({"act": {"policy": "match", "tune": {}}}, REFERENCE, "act is {'policy': 'match'"),
        (
            {"act": {"policy": "write", "constrain": "none", "think": 4, "tune": {}}},
            REFERENCE,
            "'constrain': 'none', 'think': 4",
        ),
        ({}, "CartPole-v1:reference", "has env 'CartPole-v1', but the learner 'FrozenLake-v1'"),
        ({}, "Frozenlake-v1:reference", "did you mean 'FrozenLake-v1'"),
        ({}, "Pendulum-v1:reference", "has env 'Pendulum-v1'"),
    ],
)
def test_what_cannot_be_taught_is_refused(
    change: dict[str, Any], source: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        teach({**learner("nothing"), **change}, source, tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()


def test_continuous_actions_cannot_be_named(llama: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot choose in Box"):
        teach(llama, "Pendulum-v1:reference", tmp_path / "out", SHORT)


def test_one_episode_is_too_little(llama: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 episodes with valid actions in 1 states"):
        teach(learner(llama), REFERENCE, tmp_path / "out", Teaching(steps=1))


def test_a_missing_run_is_named(llama: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run folder nowhere"):
        teach(learner(llama), "nowhere", tmp_path / "out", SHORT)


def test_another_model_or_other_prompts_are_found_out(
    taught: Taught, experiment: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has taught the model"):
        train(experiment.replaced({"model.name": "smollm2-135m"}), out=tmp_path / "other")
    with pytest.warns(TaughtOtherwiseWarning, match="taught with another describe"):
        train(experiment.replaced({"act.question": "now"}), out=tmp_path / "asked")
    with pytest.raises(ConfigError, match="a head without tune asks no model"):
        experiment.replaced({"act": {"policy": "head", "init": str(taught.path)}})
    with pytest.raises(RunError, match=r"taught\.json cannot be read"):
        train(experiment.replaced({"act.init": "nowhere"}), out=tmp_path / "missing")

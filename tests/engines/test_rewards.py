from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.engines.sb3 import SB3
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RewardError
from dragoman.experiment import Experiment
from dragoman.report.replay import replay_page
from dragoman.roles.reward.rewarder import BonusWarning
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.corner_grid import EXPERIMENT, REWARDS, START, direction, knowing_model, nearness

COUNTING = "tests.counting_env:Counting"
SMALL = {"name": "ppo", "settings": {"n_steps": 16, "batch_size": 32, "n_epochs": 1}}


def grid(reward: Any, **more: Any) -> Experiment:
    return Experiment.from_dict({**EXPERIMENT, "reward": reward, **more})


def short(reward: Any, **more: Any) -> Experiment:
    return grid(reward, **{"steps": 200, "num_envs": 4, "algorithm": SMALL, **more})


def solved(run: Run, last: int = 50) -> float:
    return float(np.mean([row["return"] for row in run.episodes()[-last:]]))


# Rewards of this module, named by import path.
def near_the_goal(texts, scale=1.0):
    return [scale * nearness(text) for text in texts]


def hardly_different(texts, slope=1e-3):
    return [0.9 + slope * nearness(text) for text in texts]


def bad_beyond(texts, how="nan"):
    """Fails for the texts of the third column."""
    values: list[Any] = [nearness(text) for text in texts]
    for i, text in enumerate(texts):
        if "column 2" in text:
            if how == "raise":
                raise LookupError("no such place")
            values[i] = {"nan": np.nan, "inf": np.inf, "string": "high"}[how]
    return values[:-1] if how == "shape" else values


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """How much of the sparse grid is solved without a model's word, by the same training."""
    result = {}
    for name in (None, "constant", "noise"):
        reward = {**REWARDS["goal-similarity"], "placebo": name} if name else None
        folder = tmp_path_factory.mktemp("controls") / "run"
        run = train(grid(reward), out=folder, model=knowing_model())
        result[str(name)] = solved(run, last=len(run.episodes()))
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.filterwarnings("ignore::dragoman.roles.reward.rewarder.BonusWarning")
def test_a_model_that_knows_the_goal_makes_a_sparse_grid_solvable(
    name: str, controls: dict[str, float], tmp_path: Path
) -> None:
    run = train(grid(REWARDS[name]), out=tmp_path / "run", model=knowing_model())
    assert controls["None"] < 0.02
    assert solved(run) > 0.5
    assert solved(run, last=len(run.episodes())) > 2 * max(controls.values())


def test_the_environments_own_return_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(*_: object, **__: object):
        raise AssertionError("playing needs no model for the reward")

    experiment = short({**REWARDS["goal-similarity"], "weight": 100}, env_settings={
        "map_name": "4x4", "is_slippery": True}, steps=2000)  # fmt: skip
    run = train(experiment, out=tmp_path / "run", model=knowing_model())
    rows = run.episodes()
    assert {row["return"] for row in rows} == {0.0, 1.0}
    for row in rows:
        assert row["return"] == row["reward/env"]
        assert row["reward/goal-similarity"] != 0
    metrics = run.last_metrics()
    assert metrics["rollout/return_mean"] == pytest.approx(
        np.mean([row["return"] for row in rows][-100:])
    )
    mean = np.mean([row["reward/goal-similarity"] for row in rows][-100:])
    assert metrics["reward/goal-similarity"] == pytest.approx(mean, rel=1e-5)
    assert metrics["reward/env"] == metrics["rollout/return_mean"]
    assert metrics["model/texts"] > 0
    monkeypatch.setattr("dragoman.models.spec.load_model", no_model)
    assert set(evaluate(run, 5).returns) <= {0.0, 1.0}


def test_terms_and_weights_reach_tensorboard(tmp_path: Path) -> None:
    reward = {
        "terms": {
            "near": {"use": f"{__name__}:near_the_goal", "scale": 2.0,
                     "weight": {"start": 1.0, "end": 0.0, "steps": 100}},
            "same": {"use": "goal-similarity", "goal": START},
        },
        "env_weight": 0.5,
    }  # fmt: skip
    run = train(short(reward), out=tmp_path / "run", model=knowing_model())
    events = EventAccumulator(str(run.path))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"reward/env", "reward/near", "reward/same", "reward_weight/near"} <= tags
    weights = [event.value for event in events.Scalars("reward_weight/near")]
    assert weights[-1] == 0.0 < weights[0] < 1.0
    assert {event.value for event in events.Scalars("reward_weight/env")} == {0.5}
    assert set(run.rewards()) == {"same"}
    assert run.rewards()["same"]["spread"] > 0


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "raise",
            "raised LookupError: no such place for the text 'You stand on a frozen lake at row",
        ),
        ("nan", "gave nan for the text 'You stand on a frozen lake at row"),
        ("inf", "gave inf for the text 'You stand on a frozen lake at row"),
        ("string", "which is no number"),
        ("shape", r"gave an array of shape \(0,\) instead of \(1,\)"),
    ],
)
def test_a_reward_that_fails_stops_and_leaves_a_run_that_loads(
    how: str, message: str, tmp_path: Path
) -> None:
    experiment = short({"use": f"{__name__}:bad_beyond", "how": how})
    with pytest.raises(RewardError, match=f"the reward 'bad-beyond' .*{message}"):
        train(experiment, out=tmp_path / "run")
    if how == "shape":  # it fails at the first text, so that no step is taken
        assert not (tmp_path / "run").exists()
        return
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    assert run.experiment == experiment
    assert len(evaluate(run, 2).episodes) == 2


@pytest.mark.parametrize("how", ["raise", "nan"])
def test_a_reward_that_fails_is_skipped_and_counted(how: str, tmp_path: Path) -> None:
    reward = {"use": f"{__name__}:bad_beyond", "how": how, "on_error": "skip"}
    run = train(short(reward), out=tmp_path / "run")
    assert run.status == "finished"
    assert run.last_metrics()["reward_skipped/bad-beyond"] > 0
    good = train(short({"use": f"{__name__}:near_the_goal"}), out=tmp_path / "good")
    assert good.last_metrics()["reward_skipped/near-the-goal"] == 0


def test_the_discount_is_the_learners_own(tmp_path: Path) -> None:
    reward = {"use": f"{__name__}:near_the_goal"}
    assert SB3().gamma(short(reward)) == 0.99
    assert SB3().gamma(short(reward, algorithm={"name": "dqn"})) == 0.99
    own = {**SMALL, "settings": {**SMALL["settings"], "gamma": 0.9}}
    assert SB3().gamma(short(reward, algorithm=own)) == 0.9
    run = train(short({**reward, "gamma": 0.9}, algorithm=own), out=tmp_path / "run")
    assert run.status == "finished"
    with pytest.raises(
        ConfigError, match=r"reward.gamma is 0.99, but the learner discounts by 0.9"
    ):
        train(short({**reward, "gamma": 0.99}, algorithm=own), out=tmp_path / "other")


def test_shaping_telescopes_through_the_whole_training(tmp_path: Path) -> None:
    own = {**SMALL, "settings": {**SMALL["settings"], "gamma": 1.0}}
    run = train(short({"use": f"{__name__}:near_the_goal"}, algorithm=own), out=tmp_path / "run")
    for row in run.episodes():
        # Cut off by the time limit, the potential of the last state is kept; it starts at 0.
        assert row["truncated"]
        assert 0 <= row["reward/near-the-goal"] <= 1
    assert max(row["reward/near-the-goal"] for row in run.episodes()) > 0


@pytest.mark.parametrize(
    ("name", "env", "settings"),
    [
        ("a2c", "CartPole-v1", {"n_steps": 8}),
        ("dqn", "CartPole-v1", {"learning_starts": 20}),
        ("sac", "Pendulum-v1", {"learning_starts": 20}),
        ("td3", "Pendulum-v1", {"learning_starts": 20}),
    ],
)
def test_every_algorithm_takes_a_reward_beside_an_observer(
    name: str, env: str, settings: dict, tmp_path: Path
) -> None:
    experiment = Experiment.from_dict(
        {
            "env": env,
            "steps": 64,
            "num_envs": 2,
            "max_episode_steps": 10,
            "algorithm": {"name": name, "settings": settings, "network": [8]},
            "reward": {"use": "goal-similarity", "goal": "upright"},
        }
    )
    model = ScriptedModel(lambda text: [len(text), text.count("-"), 1.0])
    run = train(experiment, out=tmp_path / "run", model=model)
    assert run.episodes()
    # One memory serves both roles: a text is read once, by whichever asks first.
    read = [text for call in model.calls for text in call]
    assert len(read) - len(set(read)) <= 1


def test_one_seed_one_result(tmp_path: Path) -> None:
    reward = {**REWARDS["preferences"], "pairs": 40, "epochs": 20}
    runs = [
        train(short(reward), seed, out=tmp_path / str(i), model=knowing_model())
        for i, seed in enumerate((0, 0, 1))
    ]
    assert runs[0].episodes() == runs[1].episodes() != runs[2].episodes()
    first, again = (run.weights() for run in runs[:2])
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])


def silent() -> ScriptedModel:
    """A model that encodes and neither scores nor writes."""
    return ScriptedModel(direction)


def test_the_replay_shows_terms_and_critiques_without_asking_again(tmp_path: Path) -> None:
    run = train(short(REWARDS["critique"], steps=600), out=tmp_path / "run", model=knowing_model())
    rows = run.critiques()
    assert len(rows) == len({row["text"] for row in rows}) > 5
    assert rows[0]["critique"] == "0 tenths of the way. (0 of 10)"
    recording = record(run, 1, most_steps=3, model=silent())
    steps = recording.episodes[0].steps
    assert recording.note == ""
    for step, after in pairwise(steps):
        assert set(step.terms) == {"environment", "critique"}
        score = round(10 * nearness(text_of(after)))
        assert step.critiques == (f"critique: {score} tenths of the way. ({score} of 10)",)
    assert "tenths of the way" in replay_page([recording])


def test_a_replay_goes_on_where_a_judge_is_out_of_reach(tmp_path: Path) -> None:
    run = train(short(REWARDS["critique"]), out=tmp_path / "run", model=knowing_model())
    (run.path / "critiques.jsonl").unlink()
    recording = record(run, 1, most_steps=3, model=silent())
    assert recording.note.startswith("No terms of the reward from here on: the reward 'critique'")
    assert [set(step.terms) for step in recording.episodes[0].steps[:-1]] == [{"environment"}] * 3


def test_learnt_preferences_are_saved_with_the_run(tmp_path: Path) -> None:
    reward = {**REWARDS["preferences"], "pairs": 60, "epochs": 30}
    run = train(short(reward), out=tmp_path / "run", model=knowing_model())
    assert any(key.startswith("reward.preferences.network.") for key in run.weights())
    result = run.rewards()["preferences"]
    lines = Path(result["annotations"]).read_text().splitlines()
    assert len(lines) == result["pairs"] == 60
    assert json.loads(lines[0])["prompt"] == result["prompt"]
    # Nobody is asked for choices again.
    recording = record(run, 1, most_steps=3, model=silent())
    assert recording.note == ""
    assert "preferences" in recording.episodes[0].steps[0].terms


def test_a_bonus_is_warned_of(tmp_path: Path) -> None:
    with pytest.warns(BonusWarning, match="'goal-reached' is a plain bonus"):
        train(short(REWARDS["goal-reached"]), out=tmp_path / "run", model=knowing_model())


def test_a_reward_that_hardly_differs_can_be_rescaled(tmp_path: Path) -> None:
    reward = {"use": f"{__name__}:hardly_different", "rescale": True}
    run = train(short(reward), out=tmp_path / "run")
    result = run.rewards()["hardly-different"]
    low, high = result["low"], result["high"]
    assert 0.9 <= low < high <= 0.901
    recording = record(run, 1, most_steps=4)
    steps = recording.episodes[0].steps
    potentials = [(hardly_different([step.text or text_of(step)])[0] - low) / (high - low)
                  for step in steps]  # fmt: skip
    for step, before, after in zip(steps[:-1], potentials[:-1], potentials[1:], strict=True):
        assert step.terms["hardly-different"] == pytest.approx(0.99 * after - before, abs=1e-6)


def text_of(step) -> str:
    ((_, square),) = step.observation
    return f"row {int(square) // 12}, column {int(square) % 12}"


def test_what_is_the_same_everywhere_cannot_be_rescaled(tmp_path: Path) -> None:
    reward = {"use": f"{__name__}:hardly_different", "slope": 0.0, "rescale": True}
    with pytest.raises(ConfigError, match=r"says 0.9 of nearly all of \d+ texts of random play"):
        train(short(reward), out=tmp_path / "run")
    memory = {"use": "goal-reached", "goals": ["a"], "shaping": "bonus", "rescale": True}
    with (
        pytest.warns(BonusWarning),
        pytest.raises(ConfigError, match="it is no function of the text"),
    ):
        train(short(memory), out=tmp_path / "other", model=knowing_model())

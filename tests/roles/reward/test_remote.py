"""Judges behind a server: by stubs, by exchanges recorded with a real one, and for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.errors import BudgetError, RewardError
from dragoman.experiment import Experiment
from dragoman.models.catalog import _resolve
from dragoman.run import Run
from tests.corner_grid import EXPERIMENT, write
from tests.models.remote.real_server import serve
from tests.models.remote.stub_server import StubServer, chat_answer
from tests.server_exchanges import JUDGES, MODEL, recorded, replaying

TASK = "You walk over a frozen lake to the far corner."
REWARDS: dict[str, dict[str, Any]] = {
    "critique": {"use": "critique", "task": TASK, "form": "text", "max_tokens": 40},
    "preferences": {
        "use": "preferences",
        "task": TASK,
        "question": "Which situation is nearer to the far corner?",
        "by": "text",
        "pairs": 8,
        "epochs": 5,
        "reads": "words",
    },
}


def experiment(reward: str, url: str, **more: Any) -> Experiment:
    return Experiment.from_dict(
        {
            "env": "FrozenLake-v1",
            "env_settings": {"is_slippery": False},
            "max_episode_steps": 10,
            "steps": 64,
            "num_envs": 2,
            "observe": None,
            "algorithm": {"name": "a2c", "settings": {"n_steps": 8}},
            "reward": {
                **REWARDS[reward],
                "on_error": "skip",
                "model": {"name": MODEL, "server": url, "retries": 0, "timeout": 120},
                **more,
            },
        }
    )


def knowing(path: str, body: Any) -> Any:
    return chat_answer(write(body["messages"][-1]["content"], 0))


def test_a_judge_behind_a_server_is_named_in_the_experiment(tmp_path: Path) -> None:
    small = {"name": "a2c", "settings": {"n_steps": 8}}
    with StubServer(knowing) as stub:
        model = {"name": "m", "server": stub.url, "json_schema": True}
        reward = {"use": "critique", "model": model}
        run = dragoman.train(
            Experiment.from_dict({**EXPERIMENT, "steps": 400, "algorithm": small,
                                  "reward": reward}),
            out=tmp_path / "run",
        )  # fmt: skip
    prompts = [body["messages"][-1]["content"] for body in stub.bodies]
    # Every text is one question, however often it is met.
    assert len(prompts) == len(set(prompts)) == len(run.critiques()) > 3
    assert stub.bodies[0]["response_format"]["json_schema"]["strict"]
    assert run.last_metrics()["model/tokens"] == sum(
        10 + len(write(prompt, 0).split()) for prompt in prompts
    )


@pytest.mark.parametrize("fault", ["status 400", "not JSON", "refusal"])
def test_a_server_that_fails_is_named_with_reward_and_text(fault: str, tmp_path: Path) -> None:
    with StubServer(knowing) as stub:
        stub.faults = [fault] * 100
        with pytest.raises(RewardError, match=r"reward 'critique' raised ModelError: the server "
                           r"http://127.0.0.1.* for the text 'You stand on"):  # fmt: skip
            dragoman.train(experiment("critique", stub.url, on_error="stop"), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()  # no step was taken
        stub.faults = [fault] * 1000
        run = dragoman.train(experiment("critique", stub.url), out=tmp_path / "skipped")
    assert run.last_metrics()["reward_skipped/critique"] > 2
    assert run.critiques() == []


@pytest.mark.parametrize("on_error", ["skip", "stop"])
def test_a_budget_that_is_used_up_ends_the_training_and_keeps_it(
    on_error: str, tmp_path: Path
) -> None:
    def dear(path: str, body: Any) -> Any:
        return chat_answer(write(body["messages"][-1]["content"], 0), prompt_tokens=400)

    with StubServer(dear) as stub:
        model = {"name": "m", "server": stub.url, "tokens": 4000}
        paid = experiment("critique", stub.url, on_error=on_error, model=model)
        with pytest.raises(BudgetError, match="could exceed the budget"):
            dragoman.train(paid, out=tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.status == "failed"
    status = json.loads((run.path / "status.json").read_text())
    assert status["reason"].startswith("BudgetError: ")
    assert 0 < run.steps < 64
    assert len(dragoman.evaluate(run, 2).episodes) == 2


@pytest.mark.parametrize("reward", REWARDS)
def test_exchanges_recorded_with_a_real_server_replay(reward: str, tmp_path: Path) -> None:
    exchanges = recorded(JUDGES)
    with StubServer(replaying(exchanges)) as stub:
        run = dragoman.train(experiment(reward, stub.url), out=tmp_path / "run")
    assert run.status == "finished"
    known = {json.dumps(exchange["body"], sort_keys=True) for exchange in exchanges}
    assert {json.dumps(body, sort_keys=True) for body in stub.bodies} <= known
    assert len(stub.bodies) > 5
    if reward == "critique":
        check_critiques(run, len(stub.bodies))
    else:
        check_preferences(run)


def check_critiques(run: Run, asked: int) -> None:
    """Every text has a critique, or is counted at each visit as one that could not be read."""
    said = [row["critique"] for row in run.critiques()]
    unread = asked - len(said)
    assert unread <= run.last_metrics()["reward_skipped/critique"] <= 64 + 2 * unread
    assert (unread > 0) == (run.last_metrics()["reward_skipped/critique"] > 0)
    assert all(" of 10)" in item for item in said)


def check_preferences(run: Run) -> None:
    result = run.rewards()["preferences"]
    assert result["pairs"] == 8
    rows = [json.loads(line) for line in Path(result["annotations"]).read_text().splitlines()]
    choices = [choice for row in rows for choice in row["choices"]]
    assert result["parse_failure_rate"] == choices.count(None) / 16
    assert result["swap_bias_rate"] == sum(set(row["choices"]) == {1, 2} for row in rows) / 8


@pytest.mark.slow
@pytest.mark.real_model
def test_a_real_server_judges(tmp_path: Path) -> None:
    folder = _resolve(MODEL)
    with serve(folder) as url:
        model = {"name": folder, "server": url, "retries": 0, "timeout": 120}
        run = dragoman.train(experiment("critique", url, model=model), out=tmp_path / "run")
    assert run.status == "finished"
    assert run.last_metrics()["model/tokens"] > 0

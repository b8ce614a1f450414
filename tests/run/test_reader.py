from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter

EXPERIMENT = Experiment(env="CartPole-v1", steps=9)


def test_a_row_cut_by_a_kill_is_not_a_row(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={"device": "cpu"}) as writer:
        writer.metric({"step": 1})
        writer.metric({"step": 2})
    file = tmp_path / "run" / "metrics.jsonl"
    file.write_text(file.read_text()[:-5])
    assert Run(tmp_path / "run").metrics() == [{"step": 1}]


def test_missing_and_half_written_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        Run(tmp_path / "nowhere")
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={"device": "cpu"}):
        pass
    with pytest.raises(RunError, match="holds no weights"):
        Run(tmp_path / "run").weights()
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(RunError, match=r"weights.safetensors is damaged"):
        Run(tmp_path / "run").weights()
    (tmp_path / "run" / "status.json").write_text("{")
    with pytest.raises(RunError, match=r"status.json cannot be read"):
        _ = Run(tmp_path / "run").status
    (tmp_path / "run" / "env.json").unlink()
    with pytest.raises(RunError, match=r"has no env.json"):
        Run(tmp_path / "run")


def test_the_last_row_and_the_curve_are_read_while_rows_are_written(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}) as writer:
        run = Run(writer.path)
        assert run.last_metrics() == {}
        assert [len(part) for part in run.curve()] == [0, 0]
        for step in range(2000):
            writer.metric({"step": step, "some/column": 1.0, "some/other": 2.0})
        for step, value in ((1, 0.0), (2, 2.0), (9, 4.0), (10, 6.0)):
            writer.episode({"step": step, "return": value})
    with (run.path / "metrics.jsonl").open("a") as rows:
        rows.write('{"step": 2000, "so')
    assert (run.path / "metrics.jsonl").stat().st_size > 64 * 1024
    assert run.last_metrics()["step"] == 1999
    steps, returns = run.curve(bins=2)
    assert steps.tolist() == [5.0, 10.0]
    assert returns.tolist() == [1.0, 5.0]


@pytest.mark.parametrize(
    ("file", "name", "value", "read", "kind"),
    [
        ("status.json", "status", "lost", "status", "a status"),
        ("status.json", "steps", 10**400, "steps", "a whole number"),
        ("env.json", "seed", True, "seed", "a whole number"),
        ("env.json", "threads", 0, "environment", "a number of threads or null"),
        ("env.json", "versions", {"torch": 2}, "environment", "a mapping of texts or null"),
        ("env.json", "git", {"commit": "1"}, "environment", "a commit or null"),
        ("env.json", "budget", {"measure": "tokens"}, "environment", "a budget or null"),
        ("episodes.jsonl", "return", {}, "episodes", "a number"),
        ("episodes.jsonl", "return", float("nan"), "curve", "a number"),
        ("episodes.jsonl", "own/column", [], "episodes", "a number or a text"),
        ("metrics.jsonl", "step", -1, "last_metrics", "a whole number"),
        ("metrics.jsonl", "model/tokens", "many", "metrics", "a number or null"),
        ("critiques.jsonl", "text", None, "critiques", "a text"),
    ],
)
def test_what_was_changed_by_hand_is_told(
    tmp_path: Path, file: str, name: str, value: Any, read: str, kind: str
) -> None:
    with RunWriter(tmp_path / "run", EXPERIMENT, seed=0, compute={}) as writer:
        writer.metric({"step": 1, "rollout/return_mean": None, "own/words": "a text"})
        writer.episode({"step": 1, "return": 1.0})
        writer.append("critiques.jsonl", {"reward": "a", "text": "b", "critique": "c", "value": 1})
    run = Run(tmp_path / "run")

    def asked() -> Any:
        held = getattr(run, read)
        return held() if callable(held) else held

    asked()
    place = run.path / file
    place.write_text(json.dumps({**json.loads(place.read_text()), name: value}) + "\n")
    with pytest.raises(RunError, match=f"{file} cannot be read: '{name}' is .*, not {kind}\n"):
        asked()

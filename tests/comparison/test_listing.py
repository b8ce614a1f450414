from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dragoman.comparison.listing import find_rows
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.run import RunWriter
from tests.comparison.small_comparisons import make_comparison, write_comparison


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one of which is broken, and a comparison."""
    with RunWriter(tmp_path / "runs" / "cart", Experiment("CartPole-v1"), 3, {}) as writer:
        writer.metric({"step": 250, "rollout/return_mean": 20.0})
        writer.metric({"step": 500, "rollout/return_mean": 21.5})
        writer.save_weights({}, steps=500)
    (tmp_path / "runs" / "broken").mkdir()
    for name in ("config.yaml", "status.json"):
        (tmp_path / "runs" / "broken" / name).write_text("{}")
    comparison = make_comparison(tmp_path)
    write_comparison(tmp_path / "lake", comparison, {"model": [0.5, 1.0], "no-model": [0.0]})
    os.utime(tmp_path / "runs" / "cart" / "status.json", (9e8, 9e8))
    return tmp_path


def test_runs_and_comparisons_have_a_row_each(folder: Path) -> None:
    lake, broken, cart = find_rows(folder)
    assert (cart.name, cart.env, cart.model, cart.roles) == (
        str(Path("runs", "cart")), "CartPole-v1", "smollm2-135m", "observe",
    )  # fmt: skip
    assert (cart.seeds, cart.steps, cart.status, cart.last_return) == ("3", 500, "finished", 21.5)
    assert (lake.seeds, lake.status, lake.last_return) == ("4 arms x 2", "3/8 finished", 0.75)
    assert "has no env.json" in broken.status


def test_a_comparison_itself_shows_its_runs(folder: Path) -> None:
    rows = find_rows(folder / "lake")
    assert [row.name for row in rows] == [
        str(Path("model", "0")), str(Path("model", "1")), str(Path("no-model", "0")),
    ]  # fmt: skip
    # The one without a model names none.
    assert [(row.model, row.roles) for row in rows[1:]] == [("any", "observe"), ("", "")]


def test_rows_are_filtered_and_sorted(folder: Path) -> None:
    assert [row.env for row in find_rows(folder, text="cartpole")] == ["CartPole-v1"]
    assert find_rows(folder, text="no such thing") == []
    names = {sort: [row.name for row in find_rows(folder, sort=sort)] for sort in ("steps", "date")}
    assert names["steps"][0] == names["date"][-1] == str(Path("runs", "cart"))
    assert find_rows(folder, sort="last_return")[0].last_return == 21.5
    with pytest.raises(ConfigError, match=r"no column 'step' \(did you mean 'steps'\?\)"):
        find_rows(folder, sort="step")
    with pytest.raises(ConfigError, match="there is no folder"):
        find_rows(folder / "nowhere")


def test_a_run_whose_process_is_gone_is_not_running(folder: Path) -> None:
    said = {"status": "running", "steps": 7, "heartbeat": "2026-01-02T12:04:05+00:00"}
    (folder / "runs" / "cart" / "status.json").write_text(json.dumps(said))
    rows = {row.name: row for row in find_rows(folder)}
    assert rows[str(Path("runs", "cart"))].status.startswith("died, last heartbeat 01-0")


def _replace(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes(content)


def _link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "torn status": _replace("status.json", b'{"status": "fin'),
    "empty status": _replace("status.json", b""),
    "status of another kind": _replace("status.json", b"[1]"),
    "status that is unknown": _replace("status.json", b'{"status": "asleep", "steps": 1}'),
    "status without steps": _replace("status.json", b'{"status": "finished"}'),
    "steps of another kind": _replace("status.json", b'{"status": "finished", "steps": "a"}'),
    "heartbeat of another kind": _replace(
        "status.json", b'{"status": "running", "steps": 1, "heartbeat": "soon"}'
    ),
    "deep status": _replace("status.json", b"[" * 100_000),
    "binary status": _replace("status.json", bytes(range(256))),
    "status that leads nowhere": lambda run: _link(run / "status.json"),
    "torn environment": _replace("env.json", b'{"seed": 1'),
    "environment without seed": _replace("env.json", b"{}"),
    "no environment": lambda run: (run / "env.json").unlink(),
    "torn config": _replace("config.yaml", b"env: [CartPole"),
    "binary config": _replace("config.yaml", bytes(range(256))),
    "empty config": _replace("config.yaml", b""),
    "config of another version": _replace("config.yaml", b"env: X\nwings: 2\n"),
    "config with a Python object": _replace("config.yaml", b"env: !!python/name:os.system\n"),
    "torn metrics": _replace("metrics.jsonl", b'{"rollout/retu\n'),
    "metrics of another kind": _replace("metrics.jsonl", b"7\n"),
    "binary metrics": _replace("metrics.jsonl", bytes(range(256)) + b"\n"),
    "mean of another kind": _replace("metrics.jsonl", b'{"rollout/return_mean": [1]}\n'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_listed_with_the_reason(damage: str, folder: Path) -> None:
    shutil.copytree(folder / "runs" / "cart", folder / "runs" / "hurt")
    DAMAGE[damage](folder / "runs" / "hurt")
    rows = {row.name: row for row in find_rows(folder, sort="date")}
    hurt = rows[str(Path("runs", "hurt"))]
    assert hurt.status.startswith("unreadable: ")
    assert len(hurt.status) > len("unreadable: ")
    assert len(rows) == 4


COMPARISON_DAMAGE: dict[str, tuple[str, bytes]] = {
    "torn comparison": ("comparison.yaml", b"name: [a"),
    "comparison of another version": ("comparison.yaml", b"wings: 2"),
    "torn evaluation": ("model/0/evaluation.json", b'{"retu'),
    "evaluation without returns": ("model/0/evaluation.json", b"{}"),
    "returns of another kind": ("model/0/evaluation.json", b'{"returns": {"a": 1}}'),
}


@pytest.mark.parametrize("damage", COMPARISON_DAMAGE)
def test_a_damaged_comparison_is_listed_with_the_reason(damage: str, folder: Path) -> None:
    name, content = COMPARISON_DAMAGE[damage]
    (folder / "lake" / name).write_bytes(content)
    rows = {row.name: row for row in find_rows(folder)}
    assert rows["lake"].status.startswith("unreadable: ")
    assert len(rows) == 3


def test_a_run_with_a_torn_config_leaves_its_comparison_readable(folder: Path) -> None:
    (folder / "lake" / "model" / "0" / "config.yaml").write_text("env: [")
    row = {row.name: row for row in find_rows(folder)}["lake"]
    assert row.status == "2/8 finished"


def test_a_folder_that_may_not_be_read_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the refusal is made here.
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    (folder / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    rows = {row.name: row for row in find_rows(folder)}
    assert "Permission denied" in rows["closed"].status
    assert len(rows) == 4

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.listing import find_rows
from dragoman.runs import RunWriter
from tests.comparing.making import make_comparison, write_comparison


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one of which is broken, and a comparison."""
    with RunWriter(tmp_path / "runs" / "cart", Experiment("CartPole-v1"), 3, {}) as writer:
        writer.metric({"rollout/return_mean": 20.0})
        writer.metric({"rollout/return_mean": 21.5})
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

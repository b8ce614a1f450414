"""Run folders in which a file is torn, emptied, swapped or gone: read, or one error of ours."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from dragoman.agents.evaluate import evaluate
from dragoman.agents.record import record
from dragoman.comparison.listing import find_rows
from dragoman.engines.train import train
from dragoman.errors import DragomanError
from dragoman.experiment import Experiment
from dragoman.report.live import view
from dragoman.report.replay import replay_page
from dragoman.report.single import write_run_report
from dragoman.run import Run
from dragoman.run.checkpoint import FOLDER
from tests.engines.resuming import stopped
from tests.fuzz.fuzzing import edited, fuzzed, mutated, outcome

SETTINGS = {
    "env": "FrozenLake-v1",
    "max_episode_steps": 4,
    "observe": None,
    "steps": 96,
    "num_envs": 2,
    "checkpoint": 16,
    "track": ["tensorboard"],
    "algorithm": {"name": "ppo", "network": [4], "settings": {"n_steps": 8, "batch_size": 16}},
}
FILES = ["config.yaml", "env.json", "status.json", "metrics.jsonl", "episodes.jsonl"]
FILES += ["weights.safetensors", "newest.json", "newest.safetensors"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped, with two checkpoints."""
    run = stopped(Experiment.from_dict(SETTINGS), 90, tmp_path_factory.mktemp("whole") / "run")
    assert len(list((run.path / FOLDER).glob("*.json"))) == 2
    return run.path


def place(folder: Path, name: str) -> Path:
    """Return a file of a run; those of the newest checkpoint have a number as name."""
    if not name.startswith("newest"):
        return folder / name
    return max((folder / FOLDER).glob("*" + Path(name).suffix))


def everything(run: Run) -> None:
    for read in (
        run.metrics,
        run.episodes,
        run.rewards,
        run.critiques,
        run.last_metrics,
        run.curve,
    ):
        outcome(read)
    for name in ("status", "steps", "seed", "environment", "format", "heartbeat"):
        outcome(getattr, run, name)
    outcome(run.weights)
    outcome(run._repr_html_)


READERS: dict[str, Callable[[Path], Any]] = {
    "read": lambda path: everything(Run(path)),
    "evaluate": lambda path: evaluate(Run(path), episodes=1),
    "report": lambda path: write_run_report(Run(path), returns={}),
    "replay": lambda path: replay_page([record(Run(path))]),
    "ls": lambda path: find_rows(path.parent),
    "watch": lambda path: view(Run(path)),
    "resume": lambda path: train(resume=path),
}


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Callable[[Path], None]]:
    """Draw a file's name and what is done to the folder."""
    name = draw(st.sampled_from(FILES))
    how = draw(st.sampled_from(["torn", "torn", "edited", "edited", "gone", "swapped", "folder"]))
    seed = draw(st.randoms(use_true_random=False))
    drawn = draw(st.data())

    def change(folder: Path) -> None:
        file = place(folder, name)
        content = file.read_bytes()
        # Whoever edits a checkpoint has its checksum against them.
        is_json = file.suffix in (".json", ".jsonl") and file.parent == folder
        if how == "torn" or (how == "edited" and not is_json):
            file.write_bytes(drawn.draw(mutated(content)))
        elif how == "edited":
            rows = content.splitlines() if file.suffix == ".jsonl" else [content]
            at = seed.randrange(len(rows))
            rows[at] = json.dumps(drawn.draw(edited(json.loads(rows[at])))).encode()
            file.write_bytes(b"\n".join(rows) + b"\n")
        elif how == "swapped":
            other = place(folder, seed.choice(FILES))
            theirs = other.read_bytes()
            other.write_bytes(content)
            file.write_bytes(theirs)
        else:
            file.unlink()
            if how == "folder":
                file.mkdir()

    return f"{name} {how}", change


@fuzzed(change=changes(), reader=st.sampled_from(sorted(READERS)))
def test_spoilt_run_folders(
    change: tuple[str, Callable[[Path], None]], reader: str, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "run"
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(whole, folder)
    change[1](folder)
    with warnings.catch_warnings():
        # What is damaged and can be done without is a warning.
        warnings.filterwarnings("ignore", module=r"dragoman\.", category=UserWarning)
        result = outcome(READERS[reader], folder)
    if reader == "ls":
        assert len(result) == 1 or not isinstance(result, DragomanError)
    if reader == "resume" and isinstance(result, Run):
        assert result.status == "finished"

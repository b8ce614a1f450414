from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from dragoman.errors import RunError
from dragoman.run import checkpoint
from dragoman.run.checkpoint import (
    FOLDER,
    CheckpointWarning,
    cut_rows,
    read_checkpoint,
    write_checkpoint,
)

STATE = {
    "weights": {"w": np.arange(6.0).reshape(2, 3).T, "flags": np.array([True, False])},
    "generator": 2**127 + 1,
    "deep": [None, -0.0, float("inf"), "é\ud800", {"count": np.array(3, np.int8)}],
    "none": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with rows, and checkpoints at steps 8 and 16."""
    (tmp_path / "episodes.jsonl").write_text('{"step": 8}\n')
    write_checkpoint(tmp_path, 8, {"at": 8}, keep=2)
    with (tmp_path / "episodes.jsonl").open("a") as rows:
        rows.write('{"step": 16}\n')
    write_checkpoint(tmp_path, 16, STATE, keep=2)
    return tmp_path


def test_what_is_kept_is_read_to_the_last_bit(run: Path) -> None:
    found = read_checkpoint(run)
    assert found is not None
    assert (found.steps, found.rows) == (16, {"episodes.jsonl": 25})
    for part, name in (("weights", "w"), ("weights", "flags")):
        read, kept = found.state[part][name], STATE[part][name]
        np.testing.assert_array_equal(read, kept)
        assert read.dtype == kept.dtype
    assert found.state["generator"] == STATE["generator"]
    assert found.state["deep"][:4] == STATE["deep"][:4]
    assert (found.state["deep"][4]["count"], found.state["none"].shape) == (3, (0, 4))


def test_only_the_last_ones_stay_and_none_is_half_written(run: Path) -> None:
    # As a process leaves it that is killed in the middle of the next one.
    for name in (".000000000024.safetensors.17", "000000000024.safetensors"):
        (run / FOLDER / name).write_bytes(b"half")
    found = read_checkpoint(run)
    assert found is not None
    assert found.steps == 16
    write_checkpoint(run, 32, {}, keep=2)
    names = [f"{steps:012}.{kind}" for steps in (16, 32) for kind in ("json", "safetensors")]
    assert sorted(file.name for file in (run / FOLDER).iterdir()) == names


@pytest.mark.parametrize("name", ["000000000016.json", "000000000016.safetensors"])
@pytest.mark.parametrize("how", ["half", "empty", "other byte", "gone", "of another", "longer"])
def test_the_one_before_is_used_where_the_newest_is_torn(name: str, how: str, run: Path) -> None:
    file = run / FOLDER / name
    content = file.read_bytes()
    middle = len(content) // 2
    other = (run / FOLDER / name.replace("16", "08")).read_bytes()
    torn = {
        "half": content[:middle],
        "empty": b"",
        "other byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "gone": None,
        "of another": other,
        "longer": content + b" ",
    }[how]
    if torn is None:
        file.unlink()
    else:
        file.write_bytes(torn)
    if torn is None and file.suffix == ".json":  # then there is no newer one
        found = read_checkpoint(run)
    else:
        with pytest.warns(CheckpointWarning, match="000000000016.json is damaged"):
            found = read_checkpoint(run)
    assert found is not None
    assert (found.steps, found.state) == (8, {"at": 8})


def test_where_all_are_torn_there_is_none(run: Path) -> None:
    for file in (run / FOLDER).iterdir():
        file.write_bytes(b"{}")
    with pytest.warns(CheckpointWarning):
        assert read_checkpoint(run) is None


def test_a_checkpoint_needs_the_rows_that_it_counted(run: Path) -> None:
    (run / "episodes.jsonl").write_text('{"step": 8}\n{"st')
    with pytest.warns(CheckpointWarning, match=r"episodes.jsonl is shorter"):
        found = read_checkpoint(run)
    assert found is not None
    assert found.steps == 8


def test_rows_after_a_checkpoint_are_cut_but_no_answers_of_a_model(run: Path) -> None:
    with (run / "episodes.jsonl").open("a") as rows:
        rows.write('{"step": 24}\n{"half')
    (run / "critiques.jsonl").write_text("{}\n")
    (run / "annotations-mine.jsonl").write_text("{}\n")
    found = read_checkpoint(run)
    assert found is not None
    cut_rows(run, found.rows)
    assert (run / "episodes.jsonl").read_text() == '{"step": 8}\n{"step": 16}\n'
    assert (run / "critiques.jsonl").read_text() == ""
    assert (run / "annotations-mine.jsonl").read_text() == "{}\n"


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FULL_IN_WORDS = SafetensorError(
    "Error while serializing: I/O error: No space left on device (os error 28)"
)


@pytest.mark.parametrize(
    ("call", "error"), [("save_file", FULL_IN_WORDS), ("save_file", FULL), ("_sync", FULL)]
)
def test_a_full_disk_costs_one_error_and_nothing_that_was_kept(
    call: str, error: Exception, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, call, full)
        with pytest.raises(RunError, match="No space left") as caught:
            write_checkpoint(run, 24, STATE, keep=2)
    assert "make room" in caught.value.cure
    found = read_checkpoint(run)
    assert found is not None
    assert found.steps == 16
    assert not [file for file in (run / FOLDER).iterdir() if file.name.startswith(".")]


def test_nothing_is_kept_that_would_need_code_to_be_read(run: Path) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        write_checkpoint(run, 24, {"function": print}, keep=2)
    text = (run / FOLDER / "000000000016.json").read_text().split("\n")[1]
    assert json.loads(text)["steps"] == 16

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from dragoman.errors import RunError
from dragoman.files import (
    Rows,
    read_json,
    read_last_row,
    read_rows,
    require_room,
    take_folder,
    whole_folder,
    write_bytes,
    write_json,
    write_short,
    write_text,
)
from tests.full_disk import FullDisk


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.json"
    write_json(file, {"a": [1, 2.5]})
    assert read_json(file, cure="") == {"a": [1, 2.5]}
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    with pytest.raises(TypeError):
        write_bytes(file, "no bytes")
    assert read_json(file, cure="") == {"a": [1, 2.5]}
    write_text(file, "half a pair \ud83d\n")
    assert file.read_text(encoding="utf-8") == "half a pair \\ud83d\n"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 1', bytes(range(256)), b"[" * 100_000])
def test_what_is_no_mapping_is_refused_with_the_cure(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"a\.json cannot be read") as error:
        read_json(file, cure="write it again")
    assert error.value.cure == "write it again"
    with pytest.raises(RunError, match="No such file"):
        read_json(tmp_path / "nowhere", cure="")


def test_a_folder_without_room_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b"
    require_room(folder, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=2**20))
    require_room(folder, 2**20)
    with pytest.raises(RunError, match=r"has 1.0 MiB free, and a run there needs 2.0"):
        require_room(folder, 2**21)
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)  # root may all
    with pytest.raises(RunError, match="is not writable"):
        require_room(folder, 10)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is no folder"):
        require_room(tmp_path / "file" / "run", 10)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_of_pairs_that_take_a_folder_together_one_gets_each(tmp_path: Path) -> None:
    together, got = threading.Barrier(2), []

    def take(name: str) -> None:
        for i in range(32):
            together.wait()
            with contextlib.suppress(RunError):
                take_folder(tmp_path / str(i), "status.json", name)
                got.append((i, name))

    threads = [threading.Thread(target=take, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i for i, _ in got) == list(range(32))
    for i, name in got:
        assert (tmp_path / str(i) / "status.json").read_text() == name


def test_a_short_file_has_room_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, rows = tmp_path / "a.json", Rows(tmp_path / "rows.jsonl")
    file.write_text('{"status": "running"}')
    rows.append('{"a": 1}')
    FullDisk(monkeypatch, at=0)
    for status in ("failed", "failed for a long reason", ""):
        write_short(file, json.dumps({"status": status}))
        assert read_json(file, cure="") == {"status": status}
    with pytest.raises(RunError, match=r"rows.jsonl cannot be written: No space left") as error:
        rows.append("0" * 9000)
    assert error.value.cure.startswith("make room")
    rows.close()
    # No half of a row stays, which the next one would follow.
    assert (tmp_path / "rows.jsonl").read_text() == '{"a": 1}\n'
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_end_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    assert (read_rows(file, cure=""), read_last_row(file, cure="")) == ([], {})
    # What a killed process did not finish is no row.
    file.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    assert read_rows(file, cure="") == [{"a": 1}, {"a": 2}]
    assert read_last_row(file, cure="") == {"a": 2}
    file.write_text("1\n")
    with pytest.raises(RunError, match="it holds int where a mapping should be"):
        read_rows(file, cure="")


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), whole_folder(tmp_path / "out") as folder:  # noqa: PT012
        (folder / "a").write_text("")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with whole_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("")
        assert not (tmp_path / "out").exists()
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["a"]


def test_a_name_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError, match="is not empty"), whole_folder(out):  # noqa: PT012
        out.mkdir()
        (out / "other").write_text("")
    assert [item.name for item in tmp_path.iterdir()] == ["out"]

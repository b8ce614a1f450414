from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.errors import RunError
from dragoman.files import (
    read_json,
    read_last_row,
    read_rows,
    whole_folder,
    write_bytes,
    write_json,
    write_text,
)


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

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.imports import import_name


def test_a_class_of_a_file_keeps_one_identity_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    value = 1\n")
    first = import_name(f"{file}:Mine")
    assert import_name(f"{file}:Mine") is first
    file.write_text("class Mine:\n    value = 2\n")
    os.utime(file, ns=(1, 1))
    assert import_name(f"{file}:Mine").value == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("collections.abc", "names no module and no file"),
        ("no_such_module:Name", "no module named 'no_such_module'"),
        ("no_such_file.py:Name", "there is no file no_such_file.py"),
        ("collections:OrderedDct", r"there is no 'OrderedDct' .*did you mean 'OrderedDict'"),
    ],
)
def test_what_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_name(name)


def test_nested_names_are_found() -> None:
    assert import_name("collections:OrderedDict.fromkeys")("a") == {"a": None}


def test_a_file_may_import_those_beside_it_and_shadows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "dragoman_beside.py").write_text("ANSWER = 42\n")
    (tmp_path / "decimal.py").write_text("raise AssertionError('shadowed')\n")
    file = tmp_path / "own_env.py"
    file.write_text("import decimal\nfrom dragoman_beside import ANSWER\n")
    assert import_name(f"{file}:ANSWER") == 42


def test_a_module_of_the_working_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dragoman_package").mkdir()
    (tmp_path / "dragoman_package" / "envs.py").write_text("ANSWER = 43\n")
    (tmp_path / "dragoman_module.py").write_text("ANSWER = 44\n")
    assert import_name("dragoman_package.envs:ANSWER") == 43
    assert import_name("dragoman_module:ANSWER") == 44

"""Answers on disk: whole or unknown, whatever happens to the file or the process."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.models.store import FILE_NAME, Store, StoreSize

WRITER = textwrap.dedent("""
    import sys
    from dragoman.models.store import Store
    store, name, count = Store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for i in range(count):
        key = f"{name} {i}".encode()
        store.put({key: key * 100})
        print(i, flush=True)
""")


def writer(folder: Path, name: str, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_put_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    answers = {i.to_bytes(2, "big"): bytes([i % 256]) * i for i in range(1200)}
    store.put(answers)
    again = Store(tmp_path)
    assert again.get([*answers, b"unknown"]) == answers
    assert again.size().entries == 1200


def test_an_answer_can_be_replaced_and_all_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put({b"a": b"old"})
    store.put({b"a": b"new"})
    assert store.get([b"a"]) == {b"a": b"new"}
    store.clear()
    assert store.get([b"a"]) == {}
    assert store.size().entries == 0


@pytest.mark.parametrize("damage", ["value[:4] || x'00' || substr(value, 6)", "x'00'", "NULL"])
def test_a_damaged_answer_is_unknown_and_the_others_stay(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put({b"a": b"answer a", b"b": b"answer b"})
    expression = damage.replace("value[:4]", "substr(value, 1, 4)")
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"UPDATE answers SET value = {expression} WHERE key = ?", (b"a",))
    connection.close()
    assert store.get([b"a", b"b"]) == {b"b": b"answer b"}
    assert "damaged and is computed again" in caplog.text
    store.put({b"a": b"answer a"})
    assert store.get([b"a"]) == {b"a": b"answer a"}


def test_an_answer_under_a_wrong_key_is_unknown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put({b"a": b"answer a", b"b": b"answer b"})
    with sqlite3.connect(store.path) as connection:
        query = "UPDATE answers SET value = (SELECT value FROM answers WHERE key = ?) WHERE key = ?"
        connection.execute(query, (b"b", b"a"))
    connection.close()
    assert store.get([b"a"]) == {}


def test_a_file_that_is_no_database_is_started_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.path.write_bytes(b"this is no database" * 1000)
    assert store.get([b"a"]) == {}
    assert "is damaged and is started again" in caplog.text
    store.put({b"a": b"answer"})
    assert Store(tmp_path).get([b"a"]) == {b"a": b"answer"}


def test_a_lock_held_too_long_loses_answers_but_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dragoman.models.store.LOCK_SECONDS", 0.05)
    store = Store(tmp_path)
    store.put({b"a": b"answer"})
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.put({b"b": b"answer"})
    assert "going on without it" in caplog.text
    assert store.get([b"a", b"b"]) == {b"a": b"answer"}  # readers never wait
    other.execute("ROLLBACK")
    other.close()
    store.put({b"b": b"answer"})
    assert store.get([b"b"]) == {b"b": b"answer"}


def test_beyond_the_limit_the_oldest_are_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path, limit_bytes=2**20)
    keys = [i.to_bytes(4, "big") for i in range(1000)]
    for start in range(0, 1000, 50):
        store.put({key: os.urandom(4000) for key in keys[start : start + 50]})
        assert store.size().size_bytes <= 2**20
    result = list(store.get(keys))
    assert 150 < len(result) < 300
    assert sorted(result) == keys[-len(result) :]


def test_a_limit_that_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="limit_bytes of the answer store is 10"):
        Store(tmp_path, limit_bytes=10)


def test_a_killed_writer_leaves_what_it_had_put(tmp_path: Path) -> None:
    process = writer(tmp_path, "killed", 100_000)
    for _ in range(200):
        process.stdout.readline()
    last = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    keys = [f"killed {i}".encode() for i in range(last + 1)]
    store = Store(tmp_path)
    assert store.get(keys) == {key: key * 100 for key in keys}
    store.put({b"after": b"it"})
    assert store.get([b"after"]) == {b"after": b"it"}


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    processes = [writer(tmp_path, name, 300) for name in ("one", "two")]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    keys = [f"{name} {i}".encode() for name in ("one", "two") for i in range(300)]
    assert Store(tmp_path).get(keys) == {key: key * 100 for key in keys}


def test_a_forked_process_opens_the_file_for_itself(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put({b"a": b"answer"})
    child = os.fork()
    if child == 0:
        store.put({b"child": b"answer"})
        os._exit(0)
    deadline = time.monotonic() + 20
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline, "the child hangs"
        time.sleep(0.01)
    assert store.get([b"a", b"child"]) == {b"a": b"answer", b"child": b"answer"}


def in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "file").touch()
    return folder / "file" / "cache"


def a_file_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "file").touch()
    return folder / "file"


def nowhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return Path("/proc/dragoman")  # which nobody may make, not even the superuser


def a_folder_in_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / FILE_NAME).mkdir()
    return folder


def forbidden(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    return folder / "cache"


def full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    return folder / "cache"


def damaged_for_good(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    (folder / FILE_NAME).write_bytes(b"this is no database" * 1000)
    monkeypatch.setattr(Path, "unlink", refuse)
    return folder


FOLDERS = [in_a_file, a_file_itself, nowhere, a_folder_in_its_place, forbidden, full]
FOLDERS += [damaged_for_good]


@pytest.mark.parametrize("make", FOLDERS, ids=lambda one: one.__name__)
def test_a_folder_that_cannot_be_used_is_said_once(
    make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(make(tmp_path, monkeypatch))
    for _ in range(3):
        store.put({b"a": b"answer"})
        assert store.get([b"a"]) == {}
        assert store.size() == StoreSize(0, 0)
        store.clear()
    assert caplog.text.count("going on without it") == 1


def test_a_disk_that_fills_up_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    store.put({b"a": b"answer"})
    store._open().execute("PRAGMA max_page_count = 8")
    for i in range(3):
        store.put({f"large {i}".encode(): bytes(2**20)})
    assert caplog.text.count("full") == caplog.text.count("going on without it") == 1
    assert store.get([b"a", b"large 0"]) == {b"a": b"answer"}

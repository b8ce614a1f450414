"""Answers of language models on disk, shared by runs, seeds and processes.

SQLite in write-ahead mode: readers never wait, writers take turns, and a killed process leaves
what it had committed. LMDB reads an entry in 2 microseconds instead of 7, of the milliseconds
that computing it takes, but fixes its size in advance and is one more dependency.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dragoman.errors import ConfigError

log = logging.getLogger(__name__)

FILE_NAME = "answers.sqlite"
LIMIT_BYTES = 4 * 2**30
PAGE_ROWS = 500
"""Keys asked for in one query; SQLite allows no fewer than 999."""

_FAULTS = (sqlite3.DatabaseError, OSError)

LOCK_SECONDS = 30.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (id INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)"


@dataclass(frozen=True)
class StoreSize:
    """How much a store holds.

    Attributes:
        entries: Number of answers.
        size_bytes: Bytes in use in its file.
    """

    entries: int
    size_bytes: int


class Store:
    """A file of answers by key, of limited size.

    Beyond the limit the answers written first are forgotten. Each answer carries a checksum
    over itself and its key: one that does not fit is taken as unknown, and computed again. A
    file that is damaged as a whole is started again. What cannot be read or written (a folder that
    cannot be made, a full disk, a lock held too long) is left out, since every answer can be
    computed again; a warning says so once.

    Args:
        folder: Folder of its file; made where missing.
        limit_bytes: Largest size of the file.

    Raises:
        ConfigError: The limit is too small to hold anything.
    """

    def __init__(self, folder: str | Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        if limit_bytes < 2**20:
            raise ConfigError(
                f"limit_bytes of the answer store is {limit_bytes}",
                cure="give it a mebibyte (1048576) or more",
            )
        self.path = Path(folder) / FILE_NAME
        self.limit_bytes = limit_bytes
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._warned: set[str] = set()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the answers that are known, and whole, by key."""
        result: dict[bytes, bytes] = {}
        with self._lock:
            try:
                for start in range(0, len(keys), PAGE_ROWS):
                    page = keys[start : start + PAGE_ROWS]
                    marks = ",".join("?" * len(page))
                    # Cast, since damage can turn a value into text that cannot be decoded.
                    query = f"SELECT key, CAST(value AS BLOB) FROM answers WHERE key IN ({marks})"
                    for key, sealed in self._open().execute(query, page):
                        value = _unseal(key, sealed)
                        if value is None:
                            log.warning("%s: an answer is damaged and is computed again", self.path)
                        else:
                            result[key] = value
            except _FAULTS as error:
                self._recover(error)
        return result

    def put(self, answers: Mapping[bytes, bytes]) -> None:
        """Keep answers by key, in one transaction."""
        rows = [(key, _seal(key, value)) for key, value in answers.items()]
        with self._lock:
            try:
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    connection.executemany(
                        "INSERT INTO answers (key, value) VALUES (?, ?) "
                        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        rows,
                    )
                    self._evict(connection)
            except _FAULTS as error:
                self._recover(error)

    def size(self) -> StoreSize:
        """Return how much it holds."""
        with self._lock:
            try:
                if not self.path.is_file():
                    return StoreSize(0, 0)
                connection = self._open()
                (entries,) = connection.execute("SELECT COUNT(*) FROM answers").fetchone()
                return StoreSize(int(entries), _used_bytes(connection))
            except _FAULTS as error:
                self._recover(error)
                return StoreSize(0, 0)

    def clear(self) -> None:
        """Forget every answer and give the disk space back."""
        with self._lock:
            try:
                if self.path.is_file():
                    self._open().execute("DELETE FROM answers")
                    self._open().execute("VACUUM")
            except _FAULTS as error:
                self._recover(error)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        # A connection must not be carried into a forked process.
        if self._connection is None or self._process != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                # Safe when the process dies; when the machine does, the last answers may miss.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_SCHEMA)
            except sqlite3.DatabaseError:
                connection.close()
                raise
            self._connection, self._process = connection, os.getpid()
        return self._connection

    def _evict(self, connection: sqlite3.Connection) -> None:
        while (used := _used_bytes(connection)) > self.limit_bytes:
            (entries,) = connection.execute("SELECT COUNT(*) FROM answers").fetchone()
            if entries == 0:
                return
            # A tenth more than needed, so that not every write has to evict.
            excess = int(entries * (1 - 0.9 * self.limit_bytes / used)) + 1
            connection.execute(
                "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY id LIMIT ?)",
                (excess,),
            )

    def _recover(self, error: Exception) -> None:
        if isinstance(error, sqlite3.OperationalError | OSError):
            self._warn(f"going on without it: {error}")
            return
        log.warning("%s is damaged and is started again: %s", self.path, error)
        self.close()
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        except OSError as refusal:
            self._warn(f"going on without it: {refusal}")

    def _warn(self, message: str) -> None:
        """Warn of one kind of trouble once: it is met at every answer."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s: %s", self.path, message)


def _used_bytes(connection: sqlite3.Connection) -> int:
    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")


def _seal(key: bytes, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big") + value


def _unseal(key: bytes, sealed: object) -> bytes | None:
    if not isinstance(sealed, bytes) or len(sealed) < 4:
        return None
    value = sealed[4:]
    whole = zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big") == sealed[:4]
    return value if whole else None

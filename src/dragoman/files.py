"""Files and folders that are there whole or not at all, and JSON in them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dragoman.errors import RunError

TAIL_BYTES = 64 * 1024
"""More than any row of metrics."""


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Raises:
        RunError: It cannot be written, as on a full disk.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb", buffering=0) as new:
            _write(new.fileno(), content)
        os.replace(temporary, file)  # noqa: PTH105
    except BaseException as error:
        # On a full disk a part of it would keep the disk full.
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(file, error) from error
        raise


def write_short(file: Path, text: str) -> None:
    """Replace a file by text: all or nothing, and on a full disk within the block that it has.

    Args:
        file: It is there, and holds what may end in blanks, as JSON may.
        text: Less than 4 KiB.

    Raises:
        RunError: It cannot be written at all, as on a read-only disk.
    """
    try:
        write_text(file, text)
    except RunError:
        try:
            with file.open("r+b", buffering=0) as old:
                size = os.fstat(old.fileno()).st_size
                _write(old.fileno(), text.encode("utf-8", "backslashreplace").ljust(size))
        except OSError as error:
            raise unwritable(file, error) from error


def _write(descriptor: int, content: bytes) -> None:
    """Write all of it: where a disk becomes full, less is written before the error comes."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def unwritable(file: Path, error: OSError) -> RunError:
    """Return the error of a file or folder that cannot be written."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunError(
        f"{file} cannot be written: {error.strerror or error}",
        cure=f"{'make room' if is_full else 'make it writable'}, or name a folder elsewhere",
    )


class Rows:
    """A file of JSON lines, to which rows are appended whole or not at all.

    Args:
        file: The file.

    Raises:
        RunError: It cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        try:
            self._file = file.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(file, error) from error

    def append(self, row: str) -> None:
        """Append one row.

        Raises:
            RunError: It cannot be written.
        """
        size = os.fstat(self._file.fileno()).st_size
        try:
            _write(self._file.fileno(), f"{row}\n".encode("utf-8", "backslashreplace"))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self._file.fileno(), size)
            raise unwritable(self._path, error) from error

    def close(self) -> None:
        """Close the file; every row is in it already."""
        self._file.close()


def packed(folder: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_text(file: Path, text: str) -> None:
    """Replace a file by text, all or nothing."""
    # A model may write half a surrogate pair, which is no UTF-8.
    write_bytes(file, text.encode("utf-8", "backslashreplace"))


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Replace a file by JSON, all or nothing."""
    write_text(file, json.dumps(data, indent=2) + "\n")


def read_json(file: Path, *, cure: str) -> dict[str, Any]:
    """Return the mapping that a JSON file holds.

    Raises:
        RunError: It is missing or damaged; the cure is the caller's.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise damaged(file, error, cure) from error
    return _parsed(file, text, cure)


def read_rows(file: Path, *, cure: str) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines; none where it is missing.

    Raises:
        RunError: A row is damaged.
    """
    if not file.is_file():
        return []
    # What follows the last newline is a row that a killed process did not finish.
    return [_parsed(file, line, cure) for line in file.read_bytes().split(b"\n")[:-1]]


def read_last_row(file: Path, *, cure: str) -> dict[str, Any]:
    """Return the last row of a file of JSON lines, read from the end; empty before the first."""
    if not file.is_file():
        return {}
    with file.open("rb") as rows:
        rows.seek(max(0, file.stat().st_size - TAIL_BYTES))
        lines = rows.read().split(b"\n")[:-1]
    return _parsed(file, lines[-1], cure) if lines else {}


def _parsed(file: Path, text: bytes, cure: str) -> dict[str, Any]:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(file, error, cure) from error
    if not isinstance(data, dict):
        raise damaged(file, f"it holds {type(data).__name__} where a mapping should be", cure)
    return data


def damaged(file: Path, why: object, cure: str) -> RunError:
    """Return the error of a file that cannot be read."""
    return RunError(f"{file} cannot be read: {why}", cure=cure)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        RunError: It cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be made: {error.strerror}", cure="name another folder by --out"
        ) from error
    if not writable:
        raise RunError(f"{folder} is not writable", cure="name another folder by --out")


def require_room(folder: Path, least: int) -> None:
    """Refuse a folder that cannot be made, or for which there is no room; nothing is made.

    Args:
        folder: The folder.
        least: Bytes that will be written into it.

    Raises:
        RunError: So it is.
    """
    place = nearest(folder)
    if not place.is_dir():
        raise RunError(f"{place} is no folder", cure="name another folder by --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise RunError(f"{place} is not writable", cure="name another folder by --out")
    free = shutil.disk_usage(place).free
    if free < least:
        raise RunError(
            f"{place} has {free / 2**20:,.1f} MiB free, and a run there needs {least / 2**20:,.1f}",
            cure="make room, or name a folder on another disk by --out",
        )


def nearest(path: Path) -> Path:
    """Return a path, or what is there of the folders that it lies in."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return place


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        RunError: It is no folder, or not empty.
    """
    if _is_taken(folder):
        raise _taken(folder)


def _is_taken(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _taken(folder: Path) -> RunError:
    return RunError(
        f"{folder} exists and is not empty; nothing is ever overwritten",
        cure="name another folder, or remove this one",
    )


def take_folder(folder: Path, first: str, text: str) -> None:
    """Make a folder with its first file; of all that try at once, one gets it.

    Args:
        folder: The folder. It may be there, empty.
        first: Name of the file.
        text: What it holds.

    Raises:
        RunError: The folder is taken, or cannot be written.
    """
    refuse_taken(folder)
    is_new = not folder.exists()
    make_folder(folder)
    try:
        # Two may have seen it empty; but one of them makes the file.
        with (folder / first).open("xb", buffering=0) as file:
            _write(file.fileno(), text.encode("utf-8", "backslashreplace"))
    except FileExistsError:
        raise _taken(folder) from None
    except OSError as error:
        with contextlib.suppress(OSError):
            (folder / first).unlink(missing_ok=True)
            if is_new:
                folder.rmdir()
        raise unwritable(folder, error) from error


def free_name(folder: Path) -> Path:
    """Return a folder, or where it holds something the first free of ``-2``, ``-3``, ..."""
    result, number = folder, 2
    while _is_taken(result):
        result, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return result


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its name only when all is written.

    Args:
        out: The name. Nothing may be there but an empty folder.

    Raises:
        RunError: It is taken.
    """
    refuse_taken(out)
    # In the same parent, as a rename is one step only within a file system.
    building = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}")
    building.mkdir(parents=True)
    try:
        yield building
        refuse_taken(out)
        if out.exists():
            out.rmdir()
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise

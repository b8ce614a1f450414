"""Checkpoints of a run: all that a training goes on from, to the bit.

checkpoints/000000050000.safetensors   every array
checkpoints/000000050000.json          all else, how long the files of rows were, and a checksum

The second file is written when the first is whole and on the disk, so a checkpoint is there or is
not, wherever a process is killed. No part of it can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dragoman.files import unwritable

FOLDER = "checkpoints"
LOCK = ".lock"
"""In that folder, held by the process that resumes the run."""
ANSWERS = "annotations-"
"""Files of rows that begin so hold answers of a model, which are worth keeping, and no steps."""

_ARRAY = "array of the other file"
_CHUNK = 2**20


class CheckpointWarning(UserWarning):
    """A checkpoint that cannot be used; the one before it is."""


@dataclass(frozen=True)
class Checkpoint:
    """What was kept of a training.

    Attributes:
        steps: Environment steps taken until then.
        rows: Bytes of each file of rows at that moment, by name.
        state: Plain data with arrays in it, as it was given to `write_checkpoint`; tuples have
            become lists.
    """

    steps: int
    rows: Mapping[str, int]
    state: Any


def write_checkpoint(run: Path, steps: int, state: Any, keep: int) -> None:
    """Write a checkpoint, and remove older ones.

    Args:
        run: The run folder.
        steps: Environment steps taken so far.
        state: Plain data for JSON, with arrays of numbers in it.
        keep: How many checkpoints stay.

    Raises:
        RunError: It cannot be written, as on a full disk; those before it stay.
    """
    folder = run / FOLDER
    arrays: dict[str, NDArray[Any]] = {}

    def named(array: Any) -> dict[str, str]:
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{array!r} cannot be kept in a checkpoint")
        name = str(len(arrays))
        # safetensors writes memory as it lies, so views must be made contiguous first.
        arrays[name] = np.asarray(array, order="C")
        return {_ARRAY: name}

    file = folder / f"{steps:012}.safetensors"
    try:
        rows = {name: _synced_size(run / name) for name in _files_of_rows(run)}
        text = json.dumps({"steps": steps, "rows": rows, "state": state}, default=named)
        folder.mkdir(exist_ok=True)
        _replace(file, lambda temporary: save_file(arrays, temporary))
        sealed = f"{_digest(file, text)}\n{text}".encode("utf-8", "backslashreplace")
        _replace(file.with_suffix(".json"), lambda temporary: temporary.write_bytes(sealed))
        _sync(folder)
        newest = sorted(folder.glob("*.json"), reverse=True)
        kept = {one.stem for one in newest[:keep]}
        for other in folder.iterdir():
            if other.stem not in kept and other.name != LOCK:
                other.unlink()
    except SafetensorError as error:
        raise unwritable(file, _of_system(error)) from error
    except OSError as error:
        raise unwritable(file, error) from error


def read_checkpoint(run: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or nothing where there is none.

    A `CheckpointWarning` names each newer one that is not.
    """
    for file in sorted((run / FOLDER).glob("*.json"), reverse=True):
        try:
            return _read(run, file)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            warnings.warn(
                f"{file} is damaged and is left aside: {error}", CheckpointWarning, stacklevel=2
            )
    return None


def cut_rows(run: Path, rows: Mapping[str, int]) -> None:
    """Take back the rows that were written after a checkpoint: its steps are taken again.

    Args:
        run: The run folder.
        rows: Bytes of each file of rows at the checkpoint; of one that is not named nothing stays.
    """
    for name in _files_of_rows(run):
        try:
            os.truncate(run / name, rows.get(name, 0))
        except OSError as error:
            raise unwritable(run / name, error) from error


def remove_checkpoints(run: Path) -> None:
    """Remove all checkpoints of a run, which has finished."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _read(run: Path, file: Path) -> Checkpoint:
    digest, _, text = file.read_text("utf-8").partition("\n")
    tensors = file.with_suffix(".safetensors")
    if _digest(tensors, text) != digest:
        raise ValueError("its checksum does not fit")
    with safe_open(tensors, framework="numpy") as arrays:

        def placed(data: dict[str, Any]) -> Any:
            return arrays.get_tensor(data[_ARRAY]) if data.keys() == {_ARRAY} else data

        data = json.loads(text, object_hook=placed)
    for name, size in data["rows"].items():
        if (run / name).stat().st_size < size:
            raise ValueError(f"{run / name} is shorter than it was then")
    return Checkpoint(**data)


def _files_of_rows(run: Path) -> list[str]:
    names = sorted(file.name for file in run.glob("*.jsonl"))
    return [name for name in names if not name.startswith(ANSWERS)]


def _replace(file: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, and let it take its own when it is on the disk."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _of_system(error: SafetensorError) -> OSError:
    """Return the error of the operating system that safetensors tells of in words."""
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def _synced_size(file: Path) -> int:
    _sync(file)
    return file.stat().st_size


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(tensors: Path, text: str) -> str:
    """Return the checksum of both files of a checkpoint."""
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace"))
    with tensors.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

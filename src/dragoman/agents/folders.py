"""Folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dragoman.run import refuse_taken


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its name only when all is written.

    Args:
        out: The name. Nothing may stand there but an empty folder.

    Raises:
        RunError: It is taken.
    """
    refuse_taken(out)
    # Beside it, as a rename is one step only within a file system.
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

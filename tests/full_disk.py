"""A disk that becomes full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

BLOCK = 4096


class FullDisk:
    """Stands in for a disk without free blocks, from one write on.

    Args:
        patch: Undoes it.
        at: Which of the next writes, renames and new folders finds it full first.
        error: What is then said; of a read-only disk that is ``EROFS``.

    Attributes:
        places: What was asked of it, in order.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: int, error: int = errno.ENOSPC) -> None:
        self.places: list[str] = []
        self.at = at
        self.error = error
        for name in ("write", "replace", "mkdir"):
            patch.setattr(os, name, self._stand_in(name, getattr(os, name)))

    def _stand_in(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **settings: Any) -> Any:
            self.places.append(name)
            # A rename fails where its folder needs another block, so once.
            if name == "write" and len(self.places) > self.at:
                return self._part(real, *given)
            if len(self.places) - 1 == self.at or (
                len(self.places) > self.at and self.error == errno.EROFS
            ):
                raise OSError(self.error, os.strerror(self.error))
            return real(*given, **settings)

        return call

    def _part(self, real: Callable[..., Any], descriptor: int, content: Any) -> Any:
        """Write what fits into the blocks that the file has."""
        about = os.fstat(descriptor)
        begin = os.lseek(descriptor, 0, os.SEEK_CUR)
        room = -(-about.st_size // BLOCK) * BLOCK - begin
        if room <= 0 or self.error != errno.ENOSPC:
            raise OSError(self.error, os.strerror(self.error))
        return real(descriptor, content[:room])

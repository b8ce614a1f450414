"""SIGTERM stops as Ctrl-C does: so systemd, Docker, Slurm and Kubernetes end a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
TERMINATED = 143
"""Exit codes after Ctrl-C and after SIGTERM, as shells give them."""


class Terminated(KeyboardInterrupt, SystemExit):
    """SIGTERM came. Who handles Ctrl-C handles it too; else Python exits with 143."""

    def __init__(self) -> None:
        super().__init__("SIGTERM")
        self.code = TERMINATED


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return what the command line exits with after a stop."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def terminate(number: int, frame: FrameType | None) -> None:
    """Raise `Terminated`, once: what is being saved then is not to be stopped by a second one.

    A handler for `signal.signal`.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` within.

    Only the main thread is told of signals, and a handler that somebody has set stays theirs.
    """
    if not _is_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until what is within is done; a second Ctrl-C does not wait."""
    came: set[int] = set()
    handlers: dict[int, Any] = {}

    def wait(number: int, frame: FrameType | None) -> None:
        came.add(number)
        # Of SIGTERM a second one means nothing: a group gets one, and its owner passes one on.
        if number == signal.SIGINT:
            signal.signal(number, handlers[number])

    for sign in (signal.SIGINT, signal.SIGTERM) if _is_main_thread() else ():
        handler = signal.getsignal(sign)
        if callable(handler):
            handlers[sign] = handler
            signal.signal(sign, wait)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in sorted(came):
        signal.raise_signal(number)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

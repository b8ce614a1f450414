"""An event loop in a thread of its own, so that plain calls can make concurrent requests."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from dragoman.errors import ModelError

T = TypeVar("T")

STOP_SECONDS = 5.0


class Background:
    """An event loop that runs until it is stopped.

    The loop outlives the calls, so that connections stay open between them, and it works where
    the caller is itself inside an event loop, as in a notebook.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name="dragoman-requests", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns; an interrupt of the caller cancels it.

        Raises:
            ModelError: This is a forked copy of the process that made the loop, or the loop
                has been stopped.
        """
        if self._process != os.getpid() or self._loop.is_closed():
            work.close()
            raise ModelError(
                "a remote model was used in a forked process, or after it was closed",
                cure="make the remote model in the process that uses it, and close it last",
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Such as Ctrl-C, which reaches the waiting thread and not the loop's.
            future.cancel()
            raise

    def stop(self, clean_up: Callable[[], Awaitable[None]]) -> None:
        """Cancel what runs, clean up inside the loop, and end its thread."""
        if self._process != os.getpid() or self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_wind_down(clean_up), self._loop)
        # A garbage collection may call this from the loop's own thread, which cannot wait for
        # itself.
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_SECONDS)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _wind_down(clean_up: Callable[[], Awaitable[None]]) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    try:
        await clean_up()
    finally:
        asyncio.get_running_loop().stop()

"""The cluster that a training runs on: one that is there, or one on this machine."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import ray

from dragoman.stopping import terminate

NOISE = ("has constructor arguments in the object store",)
"""What Ray says at each start of a runner that may come back, and that is as it should be."""

LOCAL = "local"
"""The address that starts a cluster on this machine."""

_replaced: list[tuple[Any, Any]] = []
"""Of SIGTERM: the handler that was there before Ray's, and Ray's."""


def start(address: str | None = None, *, cpus: int | None = None) -> bool:
    """Connect to a cluster, or start one on this machine; return whether this call did.

    Its processes find the same modules as this one, and compute with one thread each.

    Args:
        address: Of the cluster; one is started unless given, and for ``local``.
        cpus: Processors of a cluster that is started; those of this machine unless given.
    """
    if ray.is_initialized():
        return False
    # Or Ray would give its workers what `uv run` was called with, and not this environment.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # It will be the default; until then Ray warns that it is not.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    before = signal.getsignal(signal.SIGTERM)
    modules = os.pathsep.join(path for path in [str(Path.cwd()), *sys.path] if path)
    own: dict[str, Any] = {}
    if address in (None, LOCAL):
        # Without any address Ray would join a cluster that it finds on this machine.
        address, own = LOCAL, {"include_dashboard": False, "num_cpus": cpus}
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": modules, "OMP_NUM_THREADS": "1"}},
            **own,
        )
    except BaseException:
        # Ray takes SIGTERM over where it then finds no cluster too. What an earlier cluster
        # replaced is still to be put back at its end.
        _put_back([(before, signal.getsignal(signal.SIGTERM))])
        raise
    _replaced[:] = [(before, signal.getsignal(signal.SIGTERM))]
    if before is terminate:
        # Ray's would end this process before anything is saved.
        _put_back(_replaced)
    return True


def stop() -> None:
    """Leave the cluster; one that was started here ends.

    SIGTERM means what it meant before, where Ray's handler is still there.
    """
    ray.shutdown()
    _put_back(_replaced)


def _put_back(replaced: list[tuple[Any, Any]]) -> None:
    """Let SIGTERM mean what it meant before, where nobody has set it since."""
    # Only the main thread may set handlers, and one that was not set by Python cannot be set again.
    while replaced and threading.current_thread() is threading.main_thread():
        before, handler = replaced.pop()
        if before is not None and signal.getsignal(signal.SIGTERM) is handler:
            signal.signal(signal.SIGTERM, before)

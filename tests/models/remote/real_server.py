"""A real server: `transformers serve` on this machine, ended whatever happens."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 120

# The kernel ends the server with the process that started it, should that be killed.
TIED = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); "
    "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(folder: str | Path) -> Iterator[str]:
    """Serve a model folder and give the server's base URL."""
    port = free_port()
    program = Path(sys.executable).parent / "transformers"
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    command = [str(program), "serve", str(folder), *options]
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "prctl"):
        command = [sys.executable, "-c", TIED, str(os.getpid()), *command]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            _wait_until_healthy(process, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            _end(process)


def _wait_until_healthy(process: subprocess.Popen, port: int, log) -> None:
    # Without the proxies of the environment, which are not for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    log.seek(0)
    raise RuntimeError(f"the server did not start: {log.read().decode()[-2000:]}")


def _end(process: subprocess.Popen) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, sign)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue

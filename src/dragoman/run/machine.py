"""Versions, platform and git state: what a bug report needs."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

SILENT_SECONDS = 120.0
"""A process that has given no sign of life for so long is taken for dead."""

VERSIONED = (
    "dragoman",
    "gymnasium",
    "numpy",
    "ray",
    "sb3-contrib",
    "stable-baselines3",
    "torch",
    "transformers",
)


def describe_machine() -> dict[str, Any]:
    """Return date, versions, platform and git state: what a bug report needs."""
    versions = {}
    for package in VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "versions": versions,
        "git": _git_state(),
    }


def _processor() -> str:
    """Return the processor's name, which Linux keeps in a file."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git_state() -> dict[str, Any] | None:
    """Return commit and cleanness of the working folder, or nothing outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def sign_of_life() -> dict[str, Any]:
    """Return which process this is, and when it said so."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "heartbeat": now}


def may_live(pid: object, host: object, heartbeat: datetime) -> bool:
    """Return whether the process that gave a sign of life may still run.

    Args:
        pid: Its number, which says something on its own host alone, and may be another's by now.
        host: Name of its host.
        heartbeat: When it gave the sign.
    """
    if (datetime.now(UTC) - heartbeat).total_seconds() > SILENT_SECONDS:
        return False
    if host != socket.gethostname() or not isinstance(pid, int) or os.name != "posix":
        return True
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True

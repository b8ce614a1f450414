from __future__ import annotations

import subprocess
import sys


def error_without(package: str, name: str) -> str:
    """Return what making an environment prints where a package is not installed."""
    program = f"""
import sys
sys.modules[{package!r}] = None
import gymnasium
gymnasium.make("dragoman.tasks:{name}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr

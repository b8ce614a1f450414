"""``dragoman env``: what a bug report needs."""

from __future__ import annotations

import typer

from dragoman.run import describe_machine
from dragoman.yaml12 import dump


def env() -> None:
    """Print versions, platform and git state: what a bug report needs."""
    typer.echo(dump(describe_machine()).rstrip())

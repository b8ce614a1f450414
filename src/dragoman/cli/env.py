"""``dragoman env``: what a bug report needs."""

from __future__ import annotations

import typer
import yaml

from dragoman.runs import describe_machine


def env() -> None:
    """Print versions, platform and git state: what a bug report needs."""
    typer.echo(yaml.safe_dump(describe_machine(), sort_keys=False).rstrip())

"""``dragoman env``: what a bug report needs."""

from __future__ import annotations

import json

import typer

from dragoman.cli.options import AsJson
from dragoman.run import describe_machine
from dragoman.yaml12 import dump


def env(as_json: AsJson = False) -> None:
    """Print versions, platform and git state: what a bug report needs."""
    machine = describe_machine()
    typer.echo(json.dumps(machine) if as_json else dump(machine).rstrip())

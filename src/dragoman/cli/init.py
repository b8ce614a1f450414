"""``dragoman init`` and ``dragoman help``: what the keys of an experiment do."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman.environments import environment_spec
from dragoman.experiment.template import explain, template


def init(
    env: Annotated[
        str, typer.Argument(metavar="ENV", help="An id, module:Class or file.py:Class.")
    ],
) -> None:
    """Print an experiment file with every key and what it does: dragoman init ENV > my.yaml."""
    environment_spec(env)  # refuses what is none
    typer.echo(template(env), nl=False)
    typer.echo("next: dragoman train FILE, or dragoman compare FILE --plan", err=True)


def explained(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as observe.layer.")],
) -> None:
    """Say what a key of an experiment does, and its keys."""
    typer.echo(explain(key))

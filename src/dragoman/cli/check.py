"""``dragoman check``: whether an environment, a task, a role or a model keeps its promises."""

from __future__ import annotations

from typing import Annotated

import typer


def check(
    what: Annotated[str, typer.Argument(help="id, module:Class, file.py:Class or a model.")],
) -> None:
    """Check an environment, a task, a role or a model."""
    from dragoman.agents.promises import promises_kept

    for kept in promises_kept(what):
        typer.echo(f"ok: {kept}")

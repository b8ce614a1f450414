"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from dragoman.settings import short_number
from dragoman.stopping import exit_code

MISSING = "the same command goes on with what is missing"
"""What is left of a comparison that is stopped."""

TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run code the run names.",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Such as wandb or mlflow."),
]


def count(value: str | int) -> int:
    """Return a whole number of at least one that may be written short: ``10k``, ``1e5``.

    Raises:
        BadParameter: It is none.
    """
    number = short_number(value) if isinstance(value, str) else value
    if not isinstance(number, int | float) or not number >= 1 or number != int(number):
        raise typer.BadParameter(f"{value!r} is no whole number of at least 1, as 20, 10k, 1e5 are")
    return int(number)


EnvSettings = Annotated[
    list[str] | None, typer.Option("--env", metavar="KEY=VALUE", help="A setting of it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def leaving(what: str) -> Iterator[None]:
    """Let a stop within end the command, which says what is left and how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        typer.echo(f"stopped; {what}", err=True)
        raise typer.Exit(exit_code(stop)) from None


def tracked(names: list[str] | None) -> dict[str, Any]:
    """Return the services that a command names, as an override."""
    return {"track": names} if names else {}

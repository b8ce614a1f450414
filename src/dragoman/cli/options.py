"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run code the run names.",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Tell wandb, mlflow, trackio or tensorboard; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def tracked(names: list[str] | None) -> dict[str, Any]:
    """Return the services that a command names, as an override."""
    return {"track": names} if names else {}

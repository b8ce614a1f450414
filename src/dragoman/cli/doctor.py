"""``dragoman doctor``: whether everything is where it should be, for you and for a bug report."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dragoman.cli.options import AsJson

STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def doctor(
    network: Annotated[bool, typer.Option(help="Ask the model hub if it answers.")] = True,
    as_json: AsJson = False,
) -> None:
    """Look at installation, device, cache, disk and hub.

    Exits with 1 if something is wrong.
    """
    from dragoman.run.doctor import examine

    findings = list(examine(network=network))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings]))
    else:
        console = Console()
        for one in findings:
            console.print(
                Text(f"{one.level:>5}", STYLES[one.level]),
                Text(
                    f" {one.part}: {one.text}" + (f"\n      Cure: {one.cure}" if one.cure else "")
                ),
                sep="",
                soft_wrap=True,
            )
    if any(one.level == "wrong" for one in findings):
        raise typer.Exit(1)

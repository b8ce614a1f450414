"""The command line: one file a verb, no logic of its own."""

from __future__ import annotations

import sys

import typer

from dragoman.cli import (
    cache,
    compare,
    describe,
    distill,
    env,
    evaluate,
    export,
    ls,
    replay,
    report,
    train,
    watch,
)
from dragoman.errors import DragomanError

app = typer.Typer(
    name="dragoman",
    help="A language model anywhere in the reinforcement-learning loop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("export")(export.export)
app.command("distill")(distill.distill)
app.command("report")(report.report)
app.command("replay")(replay.replay)
app.command("watch")(watch.watch)
app.command("describe")(describe.describe)
app.command("env")(env.env)
app.command("ls")(ls.ls)
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Run the command line; an expected error is one message, not a traceback."""
    try:
        app()
    except DragomanError as error:
        lines = [f"error: {error}", *getattr(error, "__notes__", [])]
        typer.secho("\n  ".join(lines), fg=typer.colors.RED, err=True)
        sys.exit(1)

"""The command line: one file a verb, no logic of its own."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from dragoman.cli import (
    cache,
    compare,
    describe,
    distill,
    env,
    evaluate,
    export,
    init,
    ls,
    replay,
    report,
    train,
    watch,
)
from dragoman.errors import DragomanError, raised_in

app = typer.Typer(
    name="dragoman",
    help="A language model anywhere in the reinforcement-learning loop.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    """A language model anywhere in the reinforcement-learning loop."""
    if version:
        typer.echo(f"dragoman {metadata.version('dragoman')}")
        raise typer.Exit


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
app.command("init")(init.init)
app.add_typer(cache.app, name="cache")


def main() -> None:
    """Run the command line; an expected error is one message, not a traceback."""
    try:
        app()
    except DragomanError as error:
        lines = [f"error: {error}", *getattr(error, "__notes__", [])]
        typer.secho("\n  ".join(lines), fg=typer.colors.RED, err=True)
        sys.exit(1)
    # Such as a fault in the user's own environment: its last line says more than fifty of ours.
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        typer.secho(
            f"error: {type(error).__name__}: {error}\n"
            f"  in {raised_in(error)}\n"
            f"  'dragoman --debug {' '.join(sys.argv[1:])}' shows the whole traceback",
            fg=typer.colors.RED,
            err=True,
        )
        sys.exit(1)

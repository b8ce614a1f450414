"""The command line: one file a verb, no logic of its own."""

from __future__ import annotations

import inspect
import sys
from importlib import metadata
from typing import Annotated

import typer

from dragoman.cli import (
    cache,
    check,
    compare,
    describe,
    distill,
    doctor,
    env,
    evaluate,
    export,
    hub,
    init,
    ls,
    replay,
    report,
    reproduce,
    seek,
    serve,
    teach,
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


RUN = "runs/CartPole-v1-ppo-0"
for name, verb, example in (
    ("train", train.train, "CartPole-v1 --set steps=10k"),
    ("eval", evaluate.evaluate, f"{RUN} --episodes 100"),
    ("compare", compare.compare, "CartPole-v1 --plan"),
    ("reproduce", reproduce.reproduce, "comparisons/frozenlake"),
    ("seek", seek.seek, "FrozenLake-v1 --out ways"),
    ("teach", teach.teach, "smollm2-135m --from FrozenLake-v1:reference"),
    ("export", export.export, f"{RUN} --out exported"),
    ("distill", distill.distill, f"{RUN} --out student --steps 10k"),
    ("report", report.report, "runs/frozenlake"),
    ("replay", replay.replay, f"{RUN} --episodes 3"),
    ("watch", watch.watch, RUN),
    ("describe", describe.describe, "my_env.py:MyEnv --steps 3"),
    ("check", check.check, "my_env.py:MyEnv"),
    ("serve", serve.serve, "CartPole-v1 --port 8000"),
    ("push", hub.push, f"{RUN} you/cartpole"),
    ("pull", hub.pull, "you/cartpole --out runs/theirs"),
    ("doctor", doctor.doctor, "--json"),
    ("env", env.env, "--json"),
    ("ls", ls.ls, "runs --sort last_return"),
    ("init", init.init, "my_env.py:MyEnv > my.yaml"),
    ("help", init.explained, "observe.layer"),
):
    about, *more = (inspect.getdoc(verb) or "").split("\n\n")
    # On the first line, so that the help still fits a screen.
    short = " ".join(about.split())
    about = f"{about} Example: dragoman {name} {example}"
    text = "\n\n".join(" ".join(part.split()) for part in (about, *more))
    app.command(name, help=text, short_help=short)(verb)
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

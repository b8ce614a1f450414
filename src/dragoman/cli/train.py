"""``dragoman train``: an experiment file becomes a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman.errors import ConfigError
from dragoman.experiment.source import read_experiment
from dragoman.report.live import learning_curve
from dragoman.yaml12 import load

EXPERIMENT = "YAML file, recipe:NAME, or an environment: id, module:Class, file.py:Class."


def train(
    source: Annotated[str, typer.Argument(metavar="EXPERIMENT", help=EXPERIMENT)],
    seed: Annotated[int, typer.Option(help="Seed of environments, weights, exploration.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder to make.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set steps=1000"),
    ] = None,
) -> None:
    """Train an agent. Ctrl-C leaves a run folder that loads."""
    experiment = read_experiment(source, parse_overrides(overrides or []))
    # Only now, so that --help and a bad file answer at once.
    from dragoman.engines import train as training
    from dragoman.engines.progress import ProgressBar

    try:
        run = training.train(experiment, seed, out=out, watchers=[ProgressBar(experiment.steps)])
    except KeyboardInterrupt:
        typer.echo("stopped; what was learnt so far is saved", err=True)
        raise typer.Exit(130) from None
    # Colours are left out where the output is no terminal.
    typer.echo(learning_curve(run) or "no episode has ended yet, so there is no learning curve")
    typer.echo(f"run folder: {run.path}")
    typer.echo(f"next: dragoman eval {run.path}, or dragoman replay {run.path}")


def parse_overrides(pairs: list[str], option: str = "--set") -> dict[str, Any]:
    """Turn ``["steps=1000", "algorithm.name=dqn"]`` into keys and YAML values."""
    parsed = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ConfigError(f"{option} {pair!r} has no '='", cure=f"write {option} key=value")
        parsed[key] = load(value, f"{option} {pair!r}")
    return parsed

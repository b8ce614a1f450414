"""``dragoman describe``: what the model would read."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dragoman.cli.options import AsJson, EnvSettings
from dragoman.cli.train import parse_env_settings
from dragoman.describe import rollout
from dragoman.describe.own import describer_for
from dragoman.environments import environment_spec, make_environment


def describe(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Id, module:Class or file.py:Class.")],
    env_settings: EnvSettings = None,
    steps: Annotated[int, typer.Option(min=0, help="Random steps to take.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    precision: Annotated[int, typer.Option(min=1, help="Significant digits.")] = 3,
    limits: Annotated[bool, typer.Option(help="Say limits.")] = True,
    use: Annotated[
        str | None, typer.Option(metavar="PATH", help="A describer of your own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a model would read of an environment; loads no model."""
    settings = parse_env_settings(env_settings)
    env = make_environment(environment_spec(name), settings)
    describer = describer_for(env, use, precision=precision, limits=limits)
    lines = rollout(env, describer, steps=steps, seed=seed)
    if as_json:
        typer.echo(json.dumps(list(lines)))
    else:
        for line in lines:
            typer.echo(line)
        typer.echo(f"next: dragoman train {name}", err=True)
    env.close()

"""``dragoman serve``: an environment in words, for others to play."""

from __future__ import annotations

from typing import Annotated

import typer

from dragoman.cli.options import EnvSettings
from dragoman.cli.train import parse_env_settings
from dragoman.serve import HOST, make_app


def serve(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Id, module:Class or file.py:Class.")],
    env_settings: EnvSettings = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = 8000,
    sessions: Annotated[int, typer.Option(min=1, help="Most sessions at once.")] = 16,
    timeout: Annotated[float, typer.Option(min=0.1, help="Most seconds of a step.")] = 60.0,
    idle: Annotated[float, typer.Option(min=1, help="Most idle seconds of a session.")] = 3600.0,
) -> None:
    """Offer an environment, in words, as an OpenEnv server."""
    settings = parse_env_settings(env_settings)
    app = make_app(name, settings, sessions=sessions, timeout=timeout, idle=idle)
    import uvicorn

    typer.echo(f"next: dragoman describe openenv:http://{HOST}:{port}", err=True)
    uvicorn.run(app, host=HOST, port=port, log_level="warning")

"""``dragoman eval``: what a trained agent earns on unseen episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dragoman.cli.train import parse_overrides
from dragoman.runs import Run


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to play.")] = 20,
    seed: Annotated[int, typer.Option(help="Names the set of episode seeds.")] = 0,
    sampled: Annotated[bool, typer.Option(help="Draw actions instead of the likeliest.")] = False,
    env_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="KEY=VALUE",
            help="Other settings than the training's environment had: --env split=test",
        ),
    ] = None,
) -> None:
    """Play a trained agent on unseen seeds, beside the random policy."""
    run = Run(folder)
    settings = parse_overrides(env_settings or [], option="--env")
    # Only now, so that --help and a bad folder answer at once.
    from dragoman import engines

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("episodes", total=episodes)
        trained = engines.evaluate(
            run,
            episodes,
            seed=seed,
            sampled=sampled,
            env_settings=settings,
            on_step=lambda running: progress.update(bar, completed=episodes - running),
        )
    random = engines.evaluate_random(run.experiment, episodes, seed=seed, env_settings=settings)

    table = Table(title=f"{run.experiment.env}: return over {episodes} unseen episodes")
    for column in ("policy", "mean", "std", "min", "max"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, evaluation in ((f"trained, {run.steps:,} steps", trained), ("random", random)):
        values = (
            evaluation.mean,
            evaluation.std,
            min(evaluation.returns),
            max(evaluation.returns),
        )
        table.add_row(name, *(f"{value:.3g}" for value in values))
    Console().print(table)

"""``dragoman eval``: what a trained agent earns on unseen episodes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from dragoman.cli.options import AsJson, TrustCode, count
from dragoman.cli.train import parse_env_settings, parse_overrides
from dragoman.report.live import printable
from dragoman.run import Run

if TYPE_CHECKING:
    from dragoman.agents.evaluate import Evaluation


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    episodes: Annotated[
        int, typer.Option(parser=count, metavar="COUNT", help="Episodes to play.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Names the set of episode seeds.")] = 0,
    env_settings: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="KEY=VALUE",
            help="Other settings: --env split=test",
        ),
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Other words, as in a comparison."),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Most steps of an episode."),
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Film one: FILE.gif or FILE.mp4.")] = None,
    as_json: AsJson = False,
    trust_code: TrustCode = False,
) -> None:
    """Play a trained agent on unseen seeds, next to the random policy.

    Greedy takes the likeliest action, sampled draws one: a policy may be good at one alone.
    """
    run = Run(folder)
    settings = parse_env_settings(env_settings)
    changes = parse_overrides(shift or [], option="--shift")
    # Only now, so that --help and a bad folder answer at once.
    from dragoman.agents import evaluate as agents
    from dragoman.agents.video import film, refuse_unfilmable
    from dragoman.engines.assembly import reader_of
    from dragoman.engines.weights import weights_of
    from dragoman.experiment.shift import shifted

    agents.check_playable(run, settings, max_steps, shift=changes, trust_code=trust_code)
    weights_of(run)  # damaged ones are refused before a model is loaded
    if video is not None:
        refuse_unfilmable(run, video, settings)
    warnings.simplefilter("ignore", agents.CutWarning)  # which is printed below the table
    model = reader_of(run.experiment, run.seed)  # once for both ways to act
    how: dict[str, Any] = {"seed": seed, "env_settings": settings, "max_steps": max_steps}
    trained = {**how, "model": model, "trust_code": trust_code}
    rows = _played(run, episodes, {**trained, "shift": changes})
    rows["random"] = agents.evaluate_random(shifted(run.experiment, changes), episodes, **how)
    if video is not None:
        made = film(run, video, **trained)
        # Aside, where programs read what is printed.
        typer.echo(
            f"video: {made.file} ({made.steps} steps, return {made.episode_return:.3g})", err=True
        )
    if as_json:
        typer.echo(json.dumps({name: rows[name].to_dict() for name in rows}))
        return
    _print(run, episodes, rows)
    typer.echo(f"next: dragoman replay {folder}")


def _played(run: Run, episodes: int, how: Mapping[str, Any]) -> dict[str, Evaluation]:
    """Play greedy and sampled with a bar each."""
    from dragoman.agents.evaluate import evaluate as played

    rows = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, sampled in (("greedy", False), ("sampled", True)):
            bar = progress.add_task(name, total=episodes)

            def show(running: int, bar: TaskID = bar) -> None:
                progress.update(bar, completed=episodes - running)

            rows[name] = played(run, episodes, sampled=sampled, on_step=show, progress=False, **how)
    return rows


def _print(run: Run, episodes: int, rows: Mapping[str, Evaluation]) -> None:
    """Print a table with one row a policy, and what did not end."""
    table = Table(
        title=printable(f"{run.experiment.env}: return over {episodes} unseen episodes"),
        caption=f"trained for {run.steps:,} steps",
    )
    for column in ("policy", "mean", "std", "min", "max"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, evaluation in rows.items():
        values = (
            evaluation.mean,
            evaluation.std,
            min(evaluation.returns),
            max(evaluation.returns),
        )
        table.add_row(name, *(f"{value:.3g}" for value in values))
    Console().print(table)
    for name, evaluation in rows.items():
        if evaluation.stopped:
            longest = max(episode.length for episode in evaluation.episodes)
            typer.echo(
                f"{name}: {evaluation.stopped} of {episodes} episodes had not ended after "
                f"{longest:,} steps and were stopped there (--max-steps)"
            )

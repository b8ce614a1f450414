"""``dragoman reproduce``: does a recipe give again what is stated of it?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dragoman.cli.compare import JUDGED, Display
from dragoman.cli.options import MISSING, AsJson, leaving
from dragoman.comparison.file import read_comparison
from dragoman.comparison.folder import with_seeds_of
from dragoman.comparison.stated import Agreement, agreements, stated_results
from dragoman.experiment.source import RECIPE
from dragoman.stats.bootstrap import number


def reproduce(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe with stated results.")],
    out: Annotated[Path | None, typer.Option(help="Folder to make or continue.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one a core.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe's comparison again: does it come out as stated?

    Exits with 1 where a mean lies outside of what is stated, or a verdict is another one.
    """
    stated = stated_results(recipe)
    name = stated["recipe"]
    comparison = replace(read_comparison(f"{RECIPE}{name}"), seeds=tuple(stated["seeds"]))
    folder = out or Path("runs", f"reproduced-{comparison.name}")
    typer.echo(
        f"{len(comparison.arms)} arms x {len(comparison.seeds)} seeds; the trainings took "
        f"{stated['training_minutes']} minutes on {' and '.join(stated['versions']['processor'])}",
        err=True,
    )
    # Only now, so that --help and a bad name answer at once.
    from dragoman.comparison import runner as comparing

    with Display(with_seeds_of(folder, comparison)) as display, leaving(MISSING):
        results = comparing.compare(
            comparison, folder, jobs=jobs, progress=False, on_event=display.show
        )
    rows = list(agreements(stated, results))
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows]))
    else:
        _print(name, rows)
        typer.echo(f"next: dragoman report {folder}")
    if not all(row.agrees for row in rows):
        raise typer.Exit(JUDGED)


def _print(name: str, rows: list[Agreement]) -> None:
    table = Table(title=f"{name}: mean evaluated return", title_justify="left", box=None)
    for column in ("arm", "stated", "a rerun lies in", "now", "", "verdict"):
        table.add_column(column, justify="left" if column in ("arm", "verdict", "") else "right")
    for row in rows:
        was, now = row.outcomes
        table.add_row(
            row.arm,
            number(row.stated.estimate),
            f"{number(row.stated.low)} to {number(row.stated.high)}",
            number(row.now),
            "inside" if row.is_inside else "outside",
            was if was == now else f"{now}, stated: {was}",
        )
    Console().print(table)


def _plain(row: Agreement) -> dict[str, object]:
    return {
        "arm": row.arm,
        "stated": row.stated.estimate,
        "low": row.stated.low,
        "high": row.stated.high,
        "now": row.now,
        "inside": row.is_inside,
        "verdicts": row.outcomes,
    }

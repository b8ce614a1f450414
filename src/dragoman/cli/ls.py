"""``dragoman ls``: runs and comparisons below a folder, or the built-in tasks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dragoman.cli.options import AsJson
from dragoman.comparison.listing import COLUMNS, find_rows
from dragoman.experiment.source import first_comment, recipe_files
from dragoman.report.live import printable
from dragoman.tasks.catalog import TASKS, scores_of

NUMBERS = ("steps", "last_return")
FOLDED = ("name", "env", "model", "status")
PIPED_WIDTH = 300


def ls(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Where to look; or 'tasks', or 'recipes'."),
    ] = Path(),
    filter: Annotated[str, typer.Option(help="Only rows in which this text occurs.")] = "",
    sort: Annotated[str, typer.Option(help=f"One of: {', '.join(COLUMNS)}.")] = "name",
    as_json: AsJson = False,
) -> None:
    """List runs and comparisons, the built-in tasks, or the recipes; loads no model.

    A folder of runs that is called tasks is written ./tasks.
    """
    if str(folder) in ("tasks", "recipes"):
        _print(_tasks(filter) if str(folder) == "tasks" else _recipes(filter))
        return
    rows = find_rows(folder, text=filter, sort=sort)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], default=str))
        return
    if not rows:
        typer.echo(f"no run and no comparison below {folder}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in COLUMNS:
        table.add_column(
            column.replace("last_", ""),
            justify="right" if column in NUMBERS else "left",
            overflow="fold",
            no_wrap=column not in FOLDED,
        )
    for row in rows:
        cells = (
            row.name,
            row.env,
            row.model,
            row.roles,
            row.seeds,
            f"{row.steps:,}",
            row.status,
            "" if row.last_return is None else f"{row.last_return:.3g}",
            f"{row.date:%m-%d %H:%M}",
        )
        table.add_row(*map(printable, cells))
    _print(table)


def _tasks(text: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("task", "application", "random", "reference", "which is", "needs"):
        table.add_column(column, no_wrap=column in ("random", "reference"), overflow="fold")
    for task in TASKS:
        random, reference = scores_of(task)
        needs = task.cure or (f"{task.extra} (installed)" if task.extra else "")
        row = (task.name, task.application, str(random), str(reference), task.reference, needs)
        if any(text.casefold() in value.casefold() for value in row):
            table.add_row(*map(printable, row))
    table.caption = (
        "mean return [95 % bootstrap interval] of uniformly random allowed actions and of the "
        "reference; benchmarks/references.py measures them"
    )
    table.caption_justify = "left"
    return table


def _recipes(text: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("recipe", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for name, file in recipe_files().items():
        about = first_comment(file)
        if text.casefold() in f"{name} {about}".casefold():
            table.add_row(f"recipe:{name}", about)
    table.caption = "dragoman train recipe:NAME, or compare for those below comparisons/"
    table.caption_justify = "left"
    return table


def _print(table: Table) -> None:
    # In a pipe a line is one row, for grep and the like.
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    console.print(table)

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
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment.source import first_comment, recipe_files
from dragoman.report.live import printable
from dragoman.tasks.catalog import TASKS, Task, scores_of

NUMBERS = ("steps", "last_return")
FOLDED = ("name", "env", "model", "status")
PIPED_WIDTH = 300


def ls(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[FOLDER]", help="Where to look; or 'tasks', or 'recipes'."),
    ] = Path(),
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="All about one task: ls tasks NAME.")
    ] = None,
    filter: Annotated[str, typer.Option(help="Only rows in which this text occurs.")] = "",
    sort: Annotated[str, typer.Option(help=f"One of: {', '.join(COLUMNS)}.")] = "name",
    as_json: AsJson = False,
) -> None:
    """List runs and comparisons, the built-in tasks, or the recipes; loads no model.

    A folder of runs that is called tasks is written ./tasks.
    """
    if str(folder) in ("tasks", "recipes"):
        listed = _tasks(filter) if str(folder) == "tasks" else _recipes(filter)
        if task is not None:
            listed = [_task(task)]
        if as_json:
            typer.echo(json.dumps(listed))
        elif task is not None:
            typer.echo("\n".join(f"{key + ':':<12} {value}" for key, value in listed[0].items()))
        else:
            _print(_table(listed))
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


def _tasks(text: str) -> list[dict[str, str]]:
    return [
        {key: about[key] for key in ("task", "application", "random", "reference")}
        for about in map(_about, TASKS)
        if any(text.casefold() in value.casefold() for value in about.values())
    ]


def _task(name: str) -> dict[str, str]:
    """Return all that is known of a task.

    Raises:
        ConfigError: There is none of this name.
    """
    known = {task.name: task for task in TASKS} | {task.id: task for task in TASKS}
    if name not in known:
        raise ConfigError(
            f"there is no task {name!r}{did_you_mean(name, known)}",
            cure="'dragoman ls tasks' lists them",
        )
    task = known[name]
    random, reference = scores_of(task)
    return {
        **_about(task),
        "random": f"{random}, {random.episodes} episodes",
        "reference": f"{reference}, {reference.episodes} episodes: {task.reference}",
        "try": f"dragoman describe {task.id}",
    }


def _about(task: Task) -> dict[str, str]:
    random, reference = scores_of(task)
    return {
        "task": task.name,
        "application": task.application,
        "random": f"{random.mean:.3g}",
        "reference": f"{reference.mean:.3g}",
        "which is": task.reference,
        "needs": task.cure or (f"{task.extra} (installed)" if task.extra else "nothing"),
    }


def _recipes(text: str) -> list[dict[str, str]]:
    recipes = {f"recipe:{name}": first_comment(file) for name, file in recipe_files().items()}
    return [
        {"recipe": name, "what it is": about}
        for name, about in recipes.items()
        if text.casefold() in f"{name} {about}".casefold()
    ]


CAPTIONS = {
    "task": "mean return of uniformly random allowed actions, and of a reference policy; "
    "dragoman ls tasks NAME says all",
    "recipe": "dragoman train recipe:NAME, or compare for those below comparisons/",
}


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", caption_justify="left")
    for column in rows[0] if rows else ("nothing found",):
        is_number = column in ("random", "reference")
        table.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=column in ("random", "reference", "application", "recipe"),
        )
        table.caption = CAPTIONS.get(column, table.caption)
    for row in rows:
        table.add_row(*map(printable, row.values()))
    return table


def _print(table: Table) -> None:
    # In a pipe a line is one row, for grep and the like.
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    console.print(table)

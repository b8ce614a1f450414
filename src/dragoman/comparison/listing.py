"""Which runs and comparisons lie below a folder, read from their small files alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from dragoman.comparison.folder import FILE_NAME, ComparisonFolder
from dragoman.errors import ConfigError, DragomanError, did_you_mean
from dragoman.experiment import Experiment
from dragoman.roles.role import roles_of
from dragoman.run import Run


@dataclass(frozen=True)
class Row:
    """One run or comparison.

    Attributes:
        name: Its folder, from the folder that was looked through.
        env: The environment.
        model: The language model, if a role uses one. Looking imports nothing, so it stands
            there for every reward of the user's own.
        roles: The roles in use.
        seeds: Seed of a run, or number of seeds of a comparison.
        steps: Environment steps behind the weights of a run, or planned in a comparison.
        status: Status of a run, or how many runs of a comparison have finished.
        last_return: Mean return of the last training episodes of a run, or evaluated mean of a
            comparison's first arm.
        date: When it was last written.
    """

    name: str
    env: str
    model: str
    roles: str
    seeds: str
    steps: int
    status: str
    last_return: float | None
    date: datetime

    def matches(self, text: str) -> bool:
        """Return whether a text occurs in any column, in whatever case."""
        values = (self.name, self.env, self.model, self.roles, self.seeds, self.status)
        return any(text.casefold() in value.casefold() for value in values)


COLUMNS = tuple(field.name for field in fields(Row))


def find_rows(folder: str | Path, *, text: str = "", sort: str = "name") -> list[Row]:
    """Return the runs and comparisons below a folder.

    The runs of a comparison are summed up in its row, unless it is the folder itself. What looks
    like a run but cannot be read has a row that says so.

    Args:
        folder: Where to look.
        text: Only rows in which this occurs.
        sort: Column to sort by; the latest date and the greatest number come first.

    Raises:
        ConfigError: There is no such folder or column.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"there is no folder {root}", cure="check the path")
    if sort not in COLUMNS:
        raise ConfigError(
            f"there is no column {sort!r}{did_you_mean(sort, COLUMNS)}",
            cure=f"sort by one of {', '.join(COLUMNS)}",
        )
    rows = [row for row in _rows(root) if row.matches(text)]
    rows.sort(key=lambda row: row.name)
    if sort in ("steps", "date"):
        rows.sort(key=lambda row: getattr(row, sort), reverse=True)
    elif sort == "last_return":
        rows.sort(key=lambda row: (row.last_return is None, -(row.last_return or 0.0)))
    else:
        rows.sort(key=lambda row: str(getattr(row, sort)))
    return rows


def _rows(root: Path) -> Iterator[Row]:
    # Path.walk is of Python 3.12.
    closed: list[OSError] = []
    for where, folders, files in os.walk(root, onerror=closed.append):
        place = Path(where)
        if FILE_NAME in files and place != root:
            yield _row(root, place, is_comparison=True)
            folders.clear()
        elif "status.json" in files and "config.yaml" in files:
            yield _row(root, place, is_comparison=False)
            folders.clear()
    for error in closed:
        yield _unreadable(_name(root, Path(error.filename)), error, datetime.fromtimestamp(0))


def _row(root: Path, place: Path, *, is_comparison: bool) -> Row:
    name = _name(root, place)
    marker = place / (FILE_NAME if is_comparison else "status.json")
    date = datetime.fromtimestamp(0)
    try:
        date = datetime.fromtimestamp(marker.stat().st_mtime)
        return _comparison(name, place, date) if is_comparison else _run(name, place, date)
    except Exception as error:
        # However a folder is damaged, the others are still to be listed.
        return _unreadable(name, error, date)


def _name(root: Path, place: Path) -> str:
    return str(place.relative_to(root)) if place != root else place.resolve().name


def _unreadable(name: str, error: Exception, date: datetime) -> Row:
    why = error.problem if isinstance(error, DragomanError) else f"{type(error).__name__}: {error}"
    return Row(name, "", "", "", "", 0, f"unreadable: {why}", None, date)


def _run(name: str, place: Path, date: datetime) -> Row:
    run = Run(place)
    status: str = run.status
    if status == "died":
        status = f"died, last heartbeat {run.heartbeat:%m-%d %H:%M:%S}"
    value = run.last_metrics().get("rollout/return_mean")
    return Row(
        name,
        *_what(run.experiment),
        seeds=str(run.seed),
        steps=run.steps,
        status=status,
        last_return=None if value is None else float(value),
        date=date,
    )


def _comparison(name: str, place: Path, date: datetime) -> Row:
    folder = ComparisonFolder(place)
    comparison = folder.comparison
    states = [folder.status(arm, seed) for arm in folder.arms() for seed in comparison.seeds]
    first = next(iter(folder.arms()))
    scores = folder.scores(first)
    experiment = comparison.experiment(first)
    failed = states.count("failed")
    return Row(
        name,
        *_what(experiment),
        seeds=f"{len(folder.arms())} arms x {len(comparison.seeds)}",
        steps=experiment.steps,
        status=f"{states.count('finished')}/{len(states)} finished"
        + (f", {failed} failed" if failed else ""),
        last_return=sum(scores.values()) / len(scores) if scores else None,
        date=date,
    )


def _what(experiment: Experiment) -> tuple[str, str, str]:
    roles = ", ".join(roles_of(experiment))
    return experiment.env, experiment.model.name if experiment.may_use_model else "", roles

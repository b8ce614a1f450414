"""A run in a notebook: its facts, its learning curve, and its rows as a table of pandas."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from dragoman.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from dragoman.run.reader import Run

TABLES = ("episodes", "metrics")


def plot(run: Run) -> Figure:
    """Return the learning curve: mean return of training episodes over environment steps."""
    steps, returns = run.curve()
    figure = Figure((6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, returns, "o-", color="#0072b2", markersize=3)
    axes.set_title(f"{run.experiment.env}, seed {run.seed}")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return of training episodes")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#d9dcd8")
    return figure


def html(run: Run) -> str:
    """Return facts and learning curve as HTML."""
    experiment = run.experiment
    facts = {
        "environment": experiment.env,
        "algorithm": experiment.algorithm.name,
        "model": experiment.model.name if experiment.may_use_model else "none",
        "seed": run.seed,
        "status": f"{run.status}, {run.steps:,} of {experiment.steps:,} steps",
        "folder": run.path,
    }
    rows = "".join(
        f"<tr><th style='text-align:left'>{key}</th><td>{escape(str(value))}</td></tr>"
        for key, value in facts.items()
    )
    picture = ""
    if len(run.curve()[0]):
        file = io.BytesIO()
        plot(run).savefig(file, format="png", dpi=110)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        picture = f"<img alt='learning curve' src='data:image/png;base64,{data}'>"
    return f"<table>{rows}</table>{picture}"


def to_pandas(run: Run, table: str) -> Any:
    """Return one of a run's tables as a `pandas.DataFrame`."""
    if table not in TABLES:
        raise ConfigError(
            f"a run has no table {table!r}{did_you_mean(table, TABLES)}",
            cure=f"choose from {', '.join(TABLES)}",
        )
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("pandas is not installed", cure="pip install pandas") from error
    return pandas.DataFrame(run.episodes() if table == "episodes" else run.metrics())

"""The report of a single run: how it learnt, what it earns, what it was given and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dragoman.comparison.costs import costs_over
from dragoman.comparison.folder import costs_of
from dragoman.files import write_text
from dragoman.maths.seeds import derive_seed
from dragoman.report.contents import COST_COLUMNS, cost, days, shown, typeset
from dragoman.report.drawing import Draw, Palette, blank, figure_pair, legend, short
from dragoman.report.pages import render
from dragoman.run import Run
from dragoman.stats.aggregates import mean
from dragoman.stats.bootstrap import bootstrap_interval

BINS = 60
"""Most points of the learning curve."""


def write_run_report(
    run: Run,
    *,
    returns: Mapping[str, Sequence[float]],
    sample: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write the report of one run as an HTML page, and return its file.

    Args:
        run: The run, finished or not.
        returns: Return of each evaluated episode by name of the policy, as ``greedy``, ``sampled``
            and ``random``.
        sample: Of what the model reads, see `dragoman.agents.sample`.
        out: The file; ``report.html`` in the run folder unless given.
    """
    file = Path(out) if out else run.path / "report.html"
    experiment, environment = run.experiment, run.environment
    rows = {name: _row(name, values) for name, values in returns.items() if len(values)}
    draw = _curve_figure(run, {name: row["mean"] for name, row in rows.items()})
    facts = ("python", "platform", "processor", "device", "dtype", "threads")
    page = render(
        "run.html",
        name=_name(run.path.resolve()),
        env=experiment.env,
        algorithm=experiment.algorithm.name.upper(),
        model=experiment.model.name if experiment.may_use_model else "no model",
        seed=run.seed,
        status=run.status,
        steps=run.steps,
        planned=experiment.steps,
        date=days([environment["date"]] if "date" in environment else None),
        headline=_headline(run, rows),
        rows=list(rows.values()),
        figure=draw and figure_pair(draw, "curve"),
        sample=sample,
        costs=cost(costs_over({run.seed: costs_of(run)})["mean_costs"]),
        cost_columns=COST_COLUMNS,
        yaml=experiment.to_yaml(),
        versions={
            **{key: [str(environment[key])] for key in facts if environment.get(key) is not None},
            **{key: [str(value)] for key, value in environment["versions"].items()},
        },
    )
    write_text(file, page)
    return file


def _name(path: Path) -> str:
    """Return the folder's name, with that above it where it is only the number of a seed."""
    return f"{path.parent.name}/{path.name}" if path.name.isdigit() else path.name


def _row(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Return what a policy earned: numbers for the figure, and words for the table."""
    generator = np.random.default_rng(derive_seed("report", name))
    interval = bootstrap_interval(values, statistic=mean, generator=generator)
    return {
        "policy": name,
        "mean": interval.estimate,
        "interval": typeset(str(interval)),
        "worst": shown(min(values)),
        "best": shown(max(values)),
        "episodes": len(values),
    }


def _headline(run: Run, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in words what the agent earns, or how far its training is."""
    ended = "" if run.status == "finished" else f"The training is {run.status}. "
    if "greedy" not in rows:
        return f"{ended}It took {run.steps:,} of {run.experiment.steps:,} steps."
    greedy = rows["greedy"]
    earned = f"{shown(greedy['mean'])} on average over {greedy['episodes']} unseen episodes"
    text = f"{ended}It earns {earned}"
    if "random" not in rows:
        return f"{text}."
    return f"{text}; actions drawn at random earn {shown(rows['random']['mean'])}."


def _curve_figure(run: Run, means: Mapping[str, float]) -> Draw | None:
    """Return how to draw the learning curve, or nothing before an episode has ended."""
    steps, returns = run.curve(BINS)
    if not len(steps):
        return None

    def draw(palette: Palette, wide: bool) -> Figure:
        figure, axes = blank(palette, wide, height=3.6 if wide else 2.9)
        color = palette.series[0]
        handles = axes.plot(steps, returns, "o-", color=color, lw=2, ms=3.5, label="training")
        for name, dashes in (("greedy", "-."), ("random", ":")):
            if name in means:
                line = axes.axhline(means[name], color=palette.soft, lw=1.2, ls=dashes)
                line.set_label(f"{name} policy")
                handles.append(line)
        axes.set_xlim(0, steps[-1] * 1.01)
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.set_xlabel("environment steps", color=palette.soft)
        axes.set_ylabel("return of an episode", color=palette.soft)
        legend(figure, handles, palette, wide)
        return figure

    return draw

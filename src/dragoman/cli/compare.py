"""``dragoman compare``: did the language model help?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dragoman.cli.options import MISSING, Track, TrustCode, leaving, tracked
from dragoman.cli.train import EngineName, engine_of, parse_overrides
from dragoman.comparison.comparison import Comparison
from dragoman.comparison.estimate import Estimate, measured
from dragoman.comparison.file import read_comparison
from dragoman.comparison.folder import with_seeds_of
from dragoman.comparison.plan import plan_of
from dragoman.experiment.budget import Measure
from dragoman.phrases import counted
from dragoman.stats.bootstrap import Interval, number

if TYPE_CHECKING:
    from dragoman.engines.engine import Engine

COMPARISON = "File, recipe:NAME or environment."


class FailOn(StrEnum):
    """Verdicts that can end the command with an error."""

    HURT = "hurt"
    NO_EVIDENCE = "no-evidence"


JUDGED = 1
BROKEN = 3


def compare(
    source: Annotated[str, typer.Argument(metavar="COMPARISON", help=COMPARISON)],
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds of each arm.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one a core.")] = None,
    budget: Annotated[Measure | None, typer.Option(help="What is equal in all arms.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make or continue.")] = None,
    fail_on: Annotated[
        list[FailOn] | None,
        typer.Option(help="Verdicts that exit with 1."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the base."),
    ] = None,
    track: Track = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what runs, how long.")] = False,
    engine: Annotated[EngineName, typer.Option(help="As in train.")] = EngineName.SB3,
    address: Annotated[str | None, typer.Option(hidden=True)] = None,
    env_runners: Annotated[int | None, typer.Option(hidden=True)] = None,
    learners: Annotated[int | None, typer.Option(hidden=True)] = None,
    gpus_per_learner: Annotated[float | None, typer.Option(hidden=True)] = None,
    model_replicas: Annotated[int | None, typer.Option(hidden=True)] = None,
    ray: Annotated[str | None, typer.Option(help="Runs as tasks of a cluster.")] = None,
    trust_code: TrustCode = False,
) -> None:
    """Train arms x seeds with controls, judge each arm, and go on where it stopped."""
    chosen = engine_of(
        engine,
        address=address,
        env_runners=env_runners,
        learners=learners,
        gpus_per_learner=gpus_per_learner,
        model_replicas=model_replicas,
    )
    comparison = read_comparison(
        source,
        overrides=parse_overrides(overrides or []) | tracked(track),
        seeds=seeds,
        budget=budget,
    )
    folder = out or Path("runs", comparison.name)
    comparison = with_seeds_of(folder, comparison)
    _print_plan(comparison, _where(chosen, jobs, ray))
    if plan:
        typer.echo("measuring the first rollouts; Ctrl-C ends it", err=True)
        settings = {"jobs": jobs, "engine": chosen, "ray": ray, "trust_code": trust_code}
        typer.echo(measured(comparison, **settings) or "less than a minute in all", err=True)
        return
    # Only now, so that --help and a bad file answer at once.
    from dragoman.comparison import runner as comparing
    from dragoman.comparison.results import outcome_of

    with Display(comparison) as display, leaving(MISSING):
        results = comparing.compare(
            comparison,
            folder,
            jobs=jobs,
            engine=chosen,
            ray=ray,
            trust_code=trust_code,
            progress=False,
            on_event=display.show,
        )
    outcomes = {name: outcome_of(arm) for name, arm in results["arms"].items()}
    _print(results, outcomes)
    typer.echo(f"folder: {folder}")
    typer.echo(f"next: dragoman report {folder}")
    if {*outcomes.values()} & {verdict.replace("-", " ") for verdict in fail_on or []}:
        raise typer.Exit(JUDGED)
    if any("failed" in arm["status"].values() for arm in results["arms"].values()):
        raise typer.Exit(BROKEN)


def _where(engine: Engine, jobs: int | None, ray: str | None) -> str:
    """Return what trains, and on which machines."""
    each = "" if engine.processes == 1 else f", {engine.processes} processes a run"
    if ray is not None:
        return f"trained by {engine.name}, as tasks of the Ray cluster {ray}"
    at_once = "" if jobs is None else f", {counted(jobs, 'run')} at once"
    return f"trained by {engine.name}{each}{at_once}"


def _print_plan(comparison: Comparison, where: str) -> None:
    """Say which arms run and why, and whether these seeds can give a verdict."""
    plan = plan_of(comparison)
    table = Table(title=comparison.name, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("arm", "kind", "what it is"):
        table.add_column(column, overflow="fold", no_wrap=column == "arm")
    for name, arm in comparison.arms.items():
        table.add_row(name, arm.kind, arm.about)
    console = Console(stderr=True)
    console.print(table)
    console.print(
        f"{len(comparison.arms)} arms x {plan.seeds} seeds = {plan.runs} runs, "
        f"{plan.steps:,} environment steps; each run plays {comparison.evaluation.episodes} "
        f"unseen episodes; {where}.\n{plan.verdict}.",
        highlight=False,
    )


class Display:
    """One bar an arm: how far its seeds have come."""

    def __init__(self, comparison: Comparison) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[seeds]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.count = len(comparison.seeds)
        self.estimate = Estimate(comparison)
        self.steps: dict[str, dict[int, float]] = {name: {} for name in comparison.arms}
        self.whole = {name: comparison.experiment(name).steps for name in comparison.arms}
        self.failed = dict.fromkeys(comparison.arms, 0)
        self.ended = dict.fromkeys(comparison.arms, 0)
        self.bars: dict[str, TaskID] = {
            name: self.progress.add_task(name, total=self.count, seeds="") for name in self.steps
        }

    def __enter__(self) -> Display:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def show(self, event: Any) -> None:
        """Take in what happened to a run."""
        if event.kind == "removed":
            self._say(f"removed to run again: {event.text}")
        if event.kind == "resumed":
            self._say(f"goes on from its last checkpoint: {event.text}")
        if event.kind == "failed":
            name = f"{event.arm}, seed {event.seed}" if event.arm else "the random policy"
            self._say(f"failed: {name}: {event.text}", style="red")
        minutes = self.estimate.note(event)
        if minutes is not None:
            self._say(minutes)
        if not event.arm:
            return
        arm = event.arm
        self.failed[arm] += event.kind == "failed"
        if event.kind in ("kept", "done", "failed"):
            self.ended[arm] += 1
            if not self.progress.console.is_terminal:
                # A log file shows no bars.
                whole = self.count * len(self.ended)
                self._say(f"{sum(self.ended.values())} of {whole} runs: {arm}, seed {event.seed}")
            self.steps[arm][event.seed] = 1.0
        elif event.kind == "steps":
            self.steps[arm][event.seed] = min(event.steps / self.whole[arm], 0.99)
        seeds = f"{self.ended[arm]}/{self.count} seeds"
        seeds += f", {self.failed[arm]} failed" if self.failed[arm] else ""
        self.progress.update(self.bars[arm], completed=sum(self.steps[arm].values()), seeds=seeds)

    def _say(self, text: str, style: str = "") -> None:
        self.progress.console.print(text, style=style, highlight=False, markup=False)


def _interval(values: dict[str, Any] | None) -> str:
    return "no run finished" if values is None else str(Interval.from_json(values))


def _print(results: dict[str, Any], outcomes: dict[str, str]) -> None:
    random, best = results["random"], results["reference"]["best_known"]
    lines = "random policy " + ("not played" if random is None else number(random))
    lines += "" if best is None else f", best known {number(best)}"
    table = Table(
        title=f"{results['name']}: evaluated return, {lines}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("arm", "kind", "seeds", "mean", "IQM", "verdict"):
        table.add_column(column, overflow="fold", no_wrap=column in ("arm", "verdict"))
    for name, arm in results["arms"].items():
        table.add_row(
            name,
            arm["kind"],
            str(len(arm["scores"])),
            _interval(arm["mean"]),
            _interval(arm["interquartile_mean"]),
            outcomes[name],
        )
    console = Console()
    console.print(table)
    for name, arm in results["arms"].items():
        if arm["verdict"]:
            console.print(
                f"{name}: {outcomes[name]}: {arm['verdict']['reason']}",
                highlight=False,
                markup=False,
            )

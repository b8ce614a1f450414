"""``dragoman distill``: a small network that acts as a run does, without its language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from dragoman.cli.options import TrustCode, count
from dragoman.report.live import printable
from dragoman.run import Run


def distill(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    steps: Annotated[
        int, typer.Option(parser=count, metavar="COUNT", help="States to label.")
    ] = 20_000,
    rounds: Annotated[int, typer.Option(help="Students to train.")] = 5,
    episodes: Annotated[int, typer.Option(help="To evaluate on.")] = 20,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    onnx: Annotated[bool, typer.Option(help="Also student.onnx.")] = True,
    trust_code: TrustCode = False,
) -> None:
    """Teach a small network to act as a run's agent does."""
    run = Run(folder)
    # Only now, so that --help and a bad folder answer at once.
    from dragoman.agents.distill.dagger import Distillation
    from dragoman.agents.distill.distill import distill as distilled

    settings = Distillation(steps=steps, rounds=rounds)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            # Rounds go on where the last one stopped: one bar for all of them.
            name = "distill" if what.startswith("round") else what
            if name not in bars:
                bars[name] = progress.add_task(what, total=total)
            progress.update(bars[name], description=what, completed=done)

        result = distilled(
            run,
            out,
            settings,
            episodes=episodes,
            seed=seed,
            onnx=onnx,
            trust_code=trust_code,
            on_step=show,
        )
    report = result.to_dict()
    table = Table(title=printable(f"{run.experiment.env}: return over {episodes} unseen episodes"))
    for column in ("policy", "mean", "95 % interval", "weights"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    sizes = {"teacher": "model_weights", "student": "student_weights"}
    for name, size in sizes.items():
        row, weights = report["returns"][name], report["sizes"][size]
        low, high = ("" if row[key] is None else f"{row[key]:.3g}" for key in ("low", "high"))
        count = "" if weights is None else f"{weights:,}"
        table.add_row(name, f"{row['mean']:.3g}", f"{low} to {high}", count)
    agreement = report["agreement"]
    table.caption = (
        f"the student does as the teacher in {agreement['held_out']:.1%} of held-out states, "
        f"{agreement['student_states']:.1%} of its own"
    )
    Console().print(table)
    typer.echo(f"student: {result.path}")
    typer.echo(f"next: in Python, dragoman.load_student({str(result.path)!r})")

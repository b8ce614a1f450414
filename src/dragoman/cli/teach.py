"""``dragoman teach``: a language model that acts as somebody has played."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from dragoman.cli.options import TrustCode, count, leaving


def teach(
    learner: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model, or an experiment with one.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="PLAY", help="Run, folder of seek, TASK:reference or minari:ID."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("taught"),
    steps: Annotated[
        int, typer.Option(parser=count, metavar="COUNT", help="States to learn from.")
    ] = 2000,
    epochs: Annotated[int, typer.Option(help="Most passes over them.")] = 10,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 3e-4,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    control: Annotated[
        bool, typer.Option("--control", help="Teach random weights too, for compare.")
    ] = False,
    trust_code: TrustCode = False,
) -> None:
    """Teach a language model to act as somebody has played.

    What was stopped goes on by the same command.
    """
    # Only now, so that --help answers at once.
    from dragoman.agents.teach.fitting import Teaching
    from dragoman.agents.teach.teach import teach as taught

    settings = Teaching(steps=steps, epochs=epochs, learning_rate=learning_rate)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done)

        with leaving("the same command goes on after the last pass"):
            result = taught(
                learner,
                source,
                out,
                settings,
                seed=seed,
                control=control,
                trust_code=trust_code,
                on_step=show,
            )
    record = result.record
    table = Table(title=f"{record['held_out']:,} held-out states")
    for column in ("pass", "loss", "accuracy"):
        table.add_column(column, justify="right")
    for row in record["epochs"]:
        mark = " (kept)" if row["epoch"] == record["kept"] else ""
        table.add_row(f"{row['epoch']}{mark}", f"{row['loss']:.3f}", f"{row['accuracy']:.3f}")
    Console().print(table)
    teacher = result.teacher
    if teacher["mean"] is not None:
        typer.echo(f"the teacher earned {teacher['mean']:.3g} in {teacher['episodes']} episodes")
    typer.echo(f"folder: {result.path}")
    typer.echo(f"next: dragoman train {result.path}/experiment.yaml")

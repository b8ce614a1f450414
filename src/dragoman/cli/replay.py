"""``dragoman replay``: step through what trained agents did."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dragoman.cli.options import TrustCode
from dragoman.comparison.folder import FILE_NAME, ComparisonFolder
from dragoman.report.replay import replay_page
from dragoman.run import Run


def replay(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to play.")] = 1,
    seed: Annotated[int, typer.Option(help="Names the set of episode seeds.")] = 0,
    sampled: Annotated[
        bool, typer.Option("--sampled", help="Draw actions instead of the likeliest.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Most steps of an episode.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Page to write.")] = None,
    trust_code: TrustCode = False,
) -> None:
    """Play evaluation episodes and write a page to step through them."""
    runs, kinds = _in_order([Run(folder) for folder in folders])
    for run in runs:
        run.require_trust(trust_code)
    paths = [run.path.resolve() for run in runs]
    common = Path(os.path.commonpath(paths))
    names = [str(path.relative_to(common)) if path != common else path.name for path in paths]
    # Only now, so that --help and a bad folder answer at once.
    from dragoman.agents.record import record

    recordings = []
    with Console(stderr=True).status("playing") as status:
        for run, name, kind in zip(runs, names, kinds, strict=True):
            status.update(f"playing {name}")
            recording = record(
                run,
                episodes,
                seed=seed,
                sampled=sampled,
                most_steps=steps,
                name=name,
                trust_code=trust_code,
            )
            recordings.append(replace(recording, kind=kind))
    file = out or common / f"replay-{seed}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(replay_page(recordings), encoding="utf-8")
    for recording in recordings:
        returns = ", ".join(f"{episode.episode_return:.3g}" for episode in recording.episodes)
        typer.echo(f"{recording.name}: return {returns}")
    typer.echo(f"replay: {file}")
    typer.echo(f"next: open it in a browser, or dragoman report {runs[0].path}")


def _in_order(runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs with what each is in its comparison: a judged arm, the baseline, the rest."""
    kinds = [_kind(run) for run in runs]
    first = kinds.index("arm") if "arm" in kinds else -1
    ranks = {"baseline": 1, "arm": 2, "control": 3}
    order = sorted(
        range(len(runs)), key=lambda i: 0 if i == first else ranks.get(kinds[i], len(ranks) + 1)
    )
    return [runs[i] for i in order], [kinds[i] for i in order]


def _kind(run: Run) -> str:
    """Return what a run is in the comparison whose folder it lies in, if it lies in one."""
    arm, folder = run.path.resolve().parent.name, run.path.resolve().parent.parent
    if not (folder / FILE_NAME).is_file():
        return ""
    arms = ComparisonFolder(folder).arms()
    return arms[arm].kind if arm in arms else ""

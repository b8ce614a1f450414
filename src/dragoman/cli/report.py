"""``dragoman report``: the folder of a comparison or of a run becomes a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman.cli.options import TrustCode
from dragoman.run import Run

SEED = 0
"""Names the evaluated episodes, which are those of ``dragoman eval``."""


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of a comparison or of a run.")
    ],
    out: Annotated[Path | None, typer.Option(help="HTML file to write.")] = None,
    episodes: Annotated[
        int,
        typer.Option(min=0, help="Of a run: episodes to evaluate it on; 0 plays nothing."),
    ] = 20,
    trust_code: TrustCode = False,
) -> None:
    """Write the report of a comparison (HTML, Markdown, CSV and figures) or of a run (HTML)."""
    if (folder / "config.yaml").is_file():
        typer.echo(_of_run(Run(folder), out, episodes, trust_code))
        # Aside, where programs read the names of files.
        typer.echo(f"next: dragoman compare {folder} --plan", err=True)
        return
    # Only now, so that --help answers at once.
    from dragoman.report.document import write_report

    for file in write_report(folder, out):
        typer.echo(file)
    typer.echo(f"next: {_to_see(folder)}", err=True)


def _to_see(folder: Path) -> str:
    """Return the command that shows what the judged arm and the baseline do, if both have run."""
    from dragoman.comparison.folder import FILE_NAME, ComparisonFolder

    comparison = ComparisonFolder(folder)
    arms = comparison.arms()
    kinds = ("arm", "baseline")
    names = [next(name for name, arm in arms.items() if arm.kind == kind) for kind in kinds]
    for seed in comparison.comparison.seeds:
        if all(comparison.status(name, seed) == "finished" for name in names):
            runs = " ".join(str(comparison.run_folder(name, seed)) for name in names)
            return f"dragoman replay {runs}"
    return f"dragoman compare {folder / FILE_NAME} --out {folder}"


def _of_run(run: Run, out: Path | None, episodes: int, trust_code: bool) -> Path:
    from dragoman.report.single import write_run_report

    returns: dict[str, list[float]] = {}
    sample: dict[str, Any] | None = None
    if episodes:
        run.require_trust(trust_code)
        from dragoman.agents.sample import take_sample

        sample = take_sample(run.experiment)
        returns = _played(run, episodes, trust_code)
    return write_run_report(run, returns=returns, sample=sample, out=out)


def _played(run: Run, episodes: int, trust_code: bool) -> dict[str, list[float]]:
    """Return what the agent and a random policy earn; of a training without weights only that."""
    from dragoman.agents.evaluate import evaluate, evaluate_random
    from dragoman.engines.assembly import reader_of

    returns = {}
    if (run.path / "weights.safetensors").is_file():
        model = reader_of(run.experiment, run.seed)  # once for both ways to act
        for name, sampled in (("greedy", False), ("sampled", True)):
            played = evaluate(
                run,
                episodes,
                seed=SEED,
                sampled=sampled,
                model=model,
                trust_code=trust_code,
                progress=False,
            )
            returns[name] = played.returns
    returns["random"] = evaluate_random(run.experiment, episodes, seed=SEED).returns
    return returns

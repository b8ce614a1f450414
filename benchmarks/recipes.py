"""How long each recipe trains on this machine, one after the other, as a user would run it.

    python benchmarks/recipes.py [NAME ...] [--out benchmarks/results]

A name is a recipe's path below recipes/ without its ending: ``smollm2-cartpole``, ``tasks/cvrp``.
With ``--seconds`` a training is stopped after so long, and two rows of metrics at least; its
minutes are then projected from the pace between its first row and its last, and marked with a ~.
Texts that come again are remembered, so later steps are no slower.
Of a comparison the first arm is trained, with seed 0 and without the memory on disk. The table
goes into ``OUT/recipes_KIND.md``, where KIND is what the processor multiplies matrices with. Rows
that are there already are kept, so that a stopped measurement goes on; remove one to measure it
again. The machine should do nothing else: the load before each training stands beside its minutes.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from dragoman.cli.train import parse_overrides
from dragoman.comparison.file import read_comparison
from dragoman.experiment import Experiment
from dragoman.models.hardware import fast_dtype
from dragoman.run import Run, describe_machine

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
KINDS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bfloat16",
    "avx512_f": "AVX-512",
    "avx2": "AVX2",
}
"""What PyTorch calls a capability, the best first."""
COLUMNS = ("recipe", "steps", "minutes", "steps a second", "last 50 episodes", "load before")


def kind() -> tuple[str, str]:
    """Return what this processor multiplies matrices with: for a file's name, and in words."""
    able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    for name, words in KINDS.items():
        if able.get(name):
            return name, words
    return platform.machine(), platform.machine()


def names() -> list[str]:
    """Return every recipe, single trainings first."""
    single = [*sorted(RECIPES.glob("*.yaml")), *sorted(RECIPES.glob("tasks/*.yaml"))]
    files = [*single, *sorted(RECIPES.glob("acting/*.yaml"))]
    files += sorted(RECIPES.glob("comparisons/*.yaml"))
    return [str(file.relative_to(RECIPES).with_suffix("")) for file in files]


def experiment_of(name: str, overrides: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a recipe, or that of a comparison's first arm."""
    file = RECIPES / f"{name}.yaml"
    if "base" not in yaml.safe_load(file.read_text()):
        return Experiment.from_yaml(file, overrides)
    comparison = read_comparison(file, overrides=overrides)
    first = comparison.experiment(next(iter(comparison.arms)))
    # What another training has read would cost this one nothing.
    return first.replaced({"model.disk_cache": False, **overrides})


def measured(name: str, overrides: Mapping[str, Any], seconds: float = math.inf) -> list[str]:
    """Train a recipe in a process of its own, and return its row."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder, "experiment.yaml"), Path(folder, "run")
        experiment = experiment_of(name, overrides)
        file.write_text(experiment.to_yaml())
        load = os.getloadavg()[0]
        command = [sys.executable, "-m", "dragoman", "train", str(file), "--out", str(out)]
        started = time.perf_counter()
        with Path(folder, "errors").open("w+") as errors:
            training = subprocess.Popen(
                command,
                cwd=RECIPES.parent,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # A shell's background jobs ignore Ctrl-C, and so would their children.
                preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )
            is_whole = wait(training, out, seconds)
            errors.seek(0)
            said = next((line for line in errors if "rror" in line), "no message").strip()
        taken = time.perf_counter() - started
        if is_whole and training.returncode:
            return [name, f"{experiment.steps:,}", f"failed: {said.replace('|', '/')}", "", "", ""]
        run = Run(out)
        returns = [episode["return"] for episode in run.episodes()[-50:]]
        if not is_whole:
            taken = projected(run.metrics(), experiment.steps, started=taken)
    mean = f"{np.mean(returns):.3g}" if returns else "none ended"
    minutes = f"{'' if is_whole else '~'}{taken / 60:.1f}"
    rate = f"{experiment.steps / taken:.3g}"
    return [name, f"{experiment.steps:,}", minutes, rate, mean, f"{load:.1f}"]


def wait(training: subprocess.Popen[bytes], out: Path, seconds: float) -> bool:
    """Wait for a training, stop it after so many seconds, and return whether it went to its end."""
    until = time.monotonic() + seconds
    metrics = out / "metrics.jsonl"
    while time.monotonic() < until or not has_two_rows(metrics):
        try:
            training.wait(1.0)
            return True
        except subprocess.TimeoutExpired:
            continue
    training.send_signal(signal.SIGINT)  # after which a run folder loads
    training.wait()
    return False


def has_two_rows(metrics: Path) -> bool:
    """Return whether a file of metrics is there and has two rows with a time."""
    return metrics.is_file() and metrics.read_text().count('"time/seconds"') >= 2


def projected(rows: Sequence[Mapping[str, Any]], steps: int, *, started: float) -> float:
    """Return the seconds that all steps will take, by the pace between the first and last row.

    Args:
        rows: The metrics so far.
        steps: All steps.
        started: Seconds from the command to its stop, for what comes before the first step.
    """
    timed = [row for row in rows if "time/seconds" in row]
    first, last = timed[0], timed[-1]
    pace = (last["time/seconds"] - first["time/seconds"]) / (last["step"] - first["step"])
    before = max(0.0, started - last["time/seconds"])
    return before + first["time/seconds"] + pace * (steps - first["step"])


def rows_of(file: Path) -> dict[str, list[str]]:
    """Return the rows of a table that was written before, by recipe; failures are left out."""
    if not file.is_file():
        return {}
    lines = [line.strip("| ") for line in file.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split(" |")] for line in lines[1:]]
    return {row[0]: row for row in rows if not row[2].startswith("failed")}


def write(file: Path, rows: Mapping[str, list[str]], words: str) -> None:
    """Write the table, recipes in their own order."""
    machine = describe_machine()
    head = (
        f"Minutes of `dragoman train`, loading included, on {os.cpu_count()} cores of "
        f"{machine['processor']}, {words}: models compute in {fast_dtype('cpu')}. "
        f"torch {torch.__version__}. One training each, seed 0.\n\n"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(head + "\n".join(lines_of(rows)) + "\n")


def lines_of(rows: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for name in names():
        if name in rows:
            yield f"| {' | '.join(rows[name])} |"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; all unless given")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seconds", type=float, default=math.inf, help="project what takes longer")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(names()):
        parser.error(f"no recipes: {sorted(unknown)}; there are {names()}")
    if options.overrides and options.out == parser.get_default("out"):
        parser.error("with --set it is not the recipe that is measured: give another --out")
    name_of_kind, words = kind()
    file = options.out / f"recipes_{name_of_kind}.md"
    rows = rows_of(file)
    for name in options.names or names():
        if name not in rows:
            rows[name] = measured(name, parse_overrides(options.overrides), options.seconds)
            write(file, rows, words)
        print(" | ".join(rows[name]), flush=True)


if __name__ == "__main__":
    main()

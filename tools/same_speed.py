"""Whether this tree trains as fast as a commit: steps a second of three recipes, as ratios.

    python tools/same_speed.py --against REV [--rounds 3]

Each recipe trains with its model and without one, for few steps and for more, whose difference
leaves out what loading costs. The two versions train at the same time on one and the same core,
which switches between them every few milliseconds: a machine that is now fast and now slow is
so for both. Seconds are those that each was computed for; the ratio is the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from same_runs import ROOT, source_at

CASES = {
    "frozenlake": ("frozenlake", (2048, 16384), []),
    "frozenlake, no model": ("frozenlake", (4096, 32768), ["observe=null"]),
    "cartpole": ("smollm2-cartpole", (512, 2560), ["algorithm.settings.n_steps=32"]),
    "cartpole, no model": ("smollm2-cartpole", (4096, 32768), ["observe=null"]),
    "tidyhouse": ("tidyhouse", (256, 1280), ["algorithm.settings.n_steps=32"]),
    "tidyhouse, no model": ("tidyhouse", (2048, 16384), ["observe=null"]),
}


def cpu_seconds(trees: tuple[Path, ...], recipe: str, overrides: list[str]) -> list[float]:
    """Train with every version at once on one core, and return what each was computed for."""
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "dragoman", "train", f"recipes/{recipe}.yaml"]
    options = [part for pair in (*overrides, "model.threads=1") for part in ("--set", pair)]
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [*command, "--out", str(Path(folder) / str(index)), *options],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for index, tree in enumerate(trees)
        ]
        seconds = []
        for process in processes:
            _, status, used = os.wait4(process.pid, 0)
            if status:
                raise RuntimeError(f"{' '.join(command)} failed")
            seconds.append(used.ru_utime + used.ru_stime)
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", required=True, metavar="REV")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with source_at(options.against) as before:
        print(f"| case | {options.against}, CPU ms a step | this tree | speed | rounds |")
        print("|---|---|---|---|---|")
        for name, (recipe, (few, many), overrides) in CASES.items():
            old: list[float] = []
            new: list[float] = []
            for _ in range(options.rounds):
                less, more = (
                    cpu_seconds((before, ROOT), recipe, [*overrides, f"steps={steps}"])
                    for steps in (few, many)
                )
                took = [1000 * (b - a) / (many - few) for a, b in zip(less, more, strict=True)]
                old.append(took[0])
                new.append(took[1])
            ratios = [a / b for a, b in zip(old, new, strict=True)]
            print(
                f"| {name} | {statistics.median(old):.3f} | {statistics.median(new):.3f} | "
                f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

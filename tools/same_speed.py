"""Whether this tree trains as fast as a commit: steps a second of three recipes, as ratios.

    python tools/same_speed.py --against REV [--rounds 3]

Each recipe trains with its model and without one, for few steps and for more, whose difference
leaves out what loading costs. Seconds are those of the processor, so that other processes count
little. The two versions take turns, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import resource
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


def steps_per_second(
    tree: Path, recipe: str, steps: tuple[int, int], overrides: list[str]
) -> float:
    """Train for few steps and for many, and return steps a CPU second of what lies between."""
    less, more = (cpu_seconds(tree, recipe, [*overrides, f"steps={count}"]) for count in steps)
    return (steps[1] - steps[0]) / (more - less)


def cpu_seconds(tree: Path, recipe: str, overrides: list[str]) -> float:
    """Train in a process of its own, and return the seconds that it computed for."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dragoman", "train", f"recipes/{recipe}.yaml"]
        options = [part for pair in (*overrides, "model.threads=1") for part in ("--set", pair)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [*command, "--out", str(Path(folder) / "run"), *options],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", required=True, metavar="REV")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with source_at(options.against) as before:
        print(
            f"| case | {options.against}, steps/s | this tree, steps/s | ratio |\n|---|---|---|---|"
        )
        for name, (recipe, steps, overrides) in CASES.items():
            result: dict[Path, list[float]] = {before: [], ROOT: []}
            for _ in range(options.rounds):
                for tree, speeds in result.items():
                    speeds.append(steps_per_second(tree, recipe, steps, overrides))
            old, new = (statistics.median(speeds) for speeds in result.values())
            print(f"| {name} | {old:,.0f} | {new:,.0f} | {new / old:.2f} |", flush=True)


if __name__ == "__main__":
    main()

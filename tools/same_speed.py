"""Whether this tree trains as fast as a commit: steps a second of three recipes, as ratios.

    python tools/same_speed.py --against REV [--rounds 3]

Each recipe trains with its model and without one, for few steps. The two versions take turns, so
that a slow minute of the machine meets both, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from same_runs import ROOT, source_at

CASES = {
    "frozenlake": ("frozenlake", ["steps=8192"]),
    "frozenlake, no model": ("frozenlake", ["steps=16384", "observe=null"]),
    "cartpole": ("smollm2-cartpole", ["steps=2048", "algorithm.settings.n_steps=64"]),
    "cartpole, no model": ("smollm2-cartpole", ["steps=32768", "observe=null"]),
    "tidyhouse": ("tidyhouse", ["steps=1024", "algorithm.settings.n_steps=32"]),
    "tidyhouse, no model": ("tidyhouse", ["steps=8192", "observe=null"]),
}


def steps_per_second(tree: Path, recipe: str, overrides: list[str]) -> float:
    """Train in a process of its own, and return environment steps a second, loading left out."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "dragoman", "train", f"recipes/{recipe}.yaml"]
        options = [part for pair in overrides for part in ("--set", pair)]
        subprocess.run(
            [*command, "--out", str(out), *options, "--set", "model.threads=1"],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        # Not through `Run`: an older version's config may not be read any more.
        row = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
        return float(row["step"] / row["time/seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--against", required=True, metavar="REV")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with source_at(options.against) as before:
        print(
            f"| case | {options.against}, steps/s | this tree, steps/s | ratio |\n|---|---|---|---|"
        )
        for name, (recipe, overrides) in CASES.items():
            result: dict[Path, list[float]] = {before: [], ROOT: []}
            for _ in range(options.rounds):
                for tree, speeds in result.items():
                    speeds.append(steps_per_second(tree, recipe, overrides))
            old, new = (statistics.median(speeds) for speeds in result.values())
            print(f"| {name} | {old:,.0f} | {new:,.0f} | {new / old:.2f} |", flush=True)


if __name__ == "__main__":
    main()

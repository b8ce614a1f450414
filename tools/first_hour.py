"""The first hour of a user, from the built wheel alone: minutes to a text, an agent and a verdict.

    python tools/first_hour.py [--short] [--way NAME]

Three ways, each in an empty folder with an empty virtual environment between them: an environment
by its id, an environment in a file of one's own, and a script of one's own. `--short` trains for a
few hundred steps with two seeds, which shows that every command works and not how long it takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGETS = {"first text": 1.0, "first trained agent": 3.0, "first verdict": 15.0}  # minutes
SCRIPT = """
import sys, dragoman
from dragoman.experiment.source import read_experiment
step, out, *short = sys.argv[1:]
overrides = {"steps": int(short[0])} if short else {}
seeds = int(short[1]) if short else None
if __name__ == "__main__":
    if step == "describe":
        import gymnasium
        env = gymnasium.make("CartPole-v1")
        print(dragoman.describe_env(env).observation(*env.reset(seed=0)))
    elif step == "train":
        experiment = read_experiment("CartPole-v1", overrides)
        print(dragoman.evaluate(dragoman.train(experiment, out=out)).mean)
    else:
        comparison = dragoman.read_comparison("CartPole-v1", overrides=overrides, seeds=seeds)
        arms = dragoman.compare(comparison, out=out)["arms"]
        print({name: arm["verdict"] for name, arm in arms.items() if arm["verdict"]})
"""


def commands(way: str, python: Path, short: dict[str, int]) -> list[list[str]]:
    """Return what is typed for a text, a trained agent and a verdict."""
    if way == "script":
        Path("own_script.py").write_text(SCRIPT)
        rest = [str(number) for number in short.values()]
        names = ("describe", "train", "compare")
        return [[str(python), "own_script.py", name, f"runs/{name}", *rest] for name in names]
    env = "CartPole-v1"
    if way == "file":
        Path("warehouse.py").write_text((ROOT / "docs/snippets/cold_store.py").read_text())
        env = "warehouse.py:ColdStore"
    program = [str(python), "-m", "dragoman"]
    settings = ["--set", f"steps={short['steps']}"] if short else []
    seeds = ["--seeds", str(short["seeds"])] if short else []
    return [
        [*program, "describe", env],
        [*program, "train", env, *settings, "--out", "runs/train"],
        [*program, "compare", env, *settings, *seeds, "--out", "runs/compare"],
    ]


def installed(folder: Path) -> tuple[Path, float]:
    """Build the wheel, install it into an empty environment, and return its Python and minutes."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("dragoman-*.whl")
    began = time.perf_counter()
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    install = [str(python), "-m", "pip", "install", "--quiet", *constraints]
    subprocess.run([*install, f"dragoman[gguf] @ file://{wheel}"], check=True)
    return python, (time.perf_counter() - began) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--way", choices=("id", "file", "script"), action="append")
    options = parser.parse_args()
    short = {"steps": 256, "seeds": 2} if options.short else {}
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        python, minutes = installed(Path(folder))
        print(f"installed in {minutes:.1f} minutes\n\n| way | until | minutes | target | command |")
        print("|---|---|---|---|---|", flush=True)
        for way in options.way or ("id", "file", "script"):
            place = Path(folder) / way
            place.mkdir()
            os.chdir(place)
            for until, command in zip(TARGETS, commands(way, python, short), strict=True):
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                minutes = (time.perf_counter() - began) / 60
                missed |= minutes > TARGETS[until]
                shown = " ".join(["python", *command[1:]])
                target = TARGETS[until]
                print(f"| {way} | {until} | {minutes:.1f} | {target:.0f} | `{shown}` |", flush=True)
    if missed and not options.short:
        sys.exit("a target was missed")


if __name__ == "__main__":
    main()

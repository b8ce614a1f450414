"""How much a forward of the model slows down where another process wants each core.

    python benchmarks/busy.py [--rounds 7] [--model NAME] [--out FOLDER]

A competitor on each core is stopped and let go on by turns, and the same forward is measured both
ways. A fair share of the cores would make it take twice as long; what is given is how often a fair
share's time it took. Each row is a process of its own, since how PyTorch's threads wait is settled
when it is loaded.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dragoman.models.hardware import usable_cores

WAYS = {"as PyTorch has it": None, "asleep at once": "0", "asleep soon": "1000"}
"""How idle threads wait: ``GOMP_SPINCOUNT``, of which Dragoman sets the last."""


def measure(name: str, threads: int, rounds: int) -> None:
    """Print the median milliseconds of a forward without and with competitors."""
    import torch

    from dragoman import load_model

    model = load_model(name, dtype="float32")
    torch.set_num_threads(threads)
    busy = "while True: pass"
    others = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(usable_cores())]
    taken: dict[int, list[float]] = {signal.SIGSTOP: [], signal.SIGCONT: []}
    try:
        for turn in range(-1, rounds):
            for number, seconds in taken.items():
                for other in others:
                    other.send_signal(number)
                time.sleep(0.2)
                texts = [f"place {i} of {turn}, {number} steps to the goal" for i in range(16)]
                began = time.perf_counter()
                model.encode(texts, layer=4)
                if turn >= 0:  # the first round warms up
                    seconds.append(1000 * (time.perf_counter() - began))
    finally:
        for other in others:
            other.kill()
            other.wait()
    print(*(statistics.median(seconds) for seconds in taken.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads is not None:
        measure(options.model, options.threads, options.rounds)
        return
    lines = [
        "| threads | idle threads | alone, ms | a competitor on each core, ms | of a fair share |",
        "|---|---|---|---|---|",
    ]
    for threads in sorted({1, usable_cores()}):
        for way, spins in WAYS.items():
            environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
            environment |= {"OMP_WAIT_POLICY": ""} if spins is None else {"GOMP_SPINCOUNT": spins}
            command = [sys.executable, __file__, "--threads", str(threads)]
            command += ["--rounds", str(options.rounds), "--model", options.model]
            done = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            alone, busy = map(float, done.stdout.split())
            lines.append(
                f"| {threads} | {way} | {alone:.0f} | {busy:.0f} | {busy / alone / 2:.2f} |"
            )
            print(lines[-1], flush=True)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "busy.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

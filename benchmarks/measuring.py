"""Ratios of interleaved medians, and how they are shown."""

from __future__ import annotations

import math
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Figure:
    """One comparison.

    Attributes:
        name: What was done.
        baseline: What it is compared with, in the same run.
        ours: Milliseconds, or megabytes, of ours.
        theirs: The same of the baseline.
        target: Smallest ratio of theirs to ours that was aimed at.
        peak_share: Needed operations a second, as a share of the best matrix product.
        cut: Number of rounds, where time was left for fewer than wanted.
    """

    name: str
    baseline: str
    ours: float
    theirs: float
    target: float | None = None
    peak_share: float | None = None
    cut: int | None = None

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def interleaved(
    functions: Sequence[Callable[[Any], object]],
    make: Callable[[], Any],
    rounds: int,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the median milliseconds of functions that take turns on the same new inputs.

    Each round begins with another of them.
    """
    return interleaved_within(math.inf, functions, make, rounds, synchronise, clock)[0]


def interleaved_within(
    seconds: float,
    functions: Sequence[Callable[[Any], object]],
    make: Callable[[], Any],
    rounds: int,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], int]:
    """Return the same, and of how many rounds: of one at least, and of no more than there is time.

    Raises:
        Overrun: The time was up before the first round was.
    """
    times: list[list[float]] = [[] for _ in functions]
    begun = time.perf_counter()
    try:
        with at_most(seconds):
            for turn in range(rounds + 1):
                took = time.perf_counter() - begun
                if turn > 1 and took + took / turn > seconds:
                    break
                inputs = make()
                for place in range(len(functions)):
                    number = (turn + place) % len(functions)
                    synchronise()
                    started = clock()
                    functions[number](inputs)
                    synchronise()
                    if turn:  # the first round warms up
                        times[number].append(1000 * (clock() - started))
    except Overrun:
        if not all(times):
            raise
    done = min(map(len, times))
    return [statistics.median(taken[:done]) for taken in times], done


class Overrun(BaseException):
    """What was measured took longer than it may; no error, which a trial would take for a no."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `Overrun` in a block that is not done after so many seconds."""
    if math.isinf(seconds):
        yield
        return

    def stop(*_: object) -> None:
        raise Overrun(f"cut after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def gemm_peak(
    shapes: Sequence[tuple[int, int]], rows: int, dtype: torch.dtype, device: str
) -> float:
    """Return the best rate, in FLOP/s, of a matrix product with weights of these shapes."""
    best = 0.0
    for inner, outer in shapes:
        left = torch.randn(rows, inner, dtype=dtype, device=device)
        right = torch.randn(outer, inner, dtype=dtype, device=device)
        for _ in range(30):
            wait(device)
            started = time.perf_counter()
            torch.nn.functional.linear(left, right)
            wait(device)
            best = max(best, 2 * rows * inner * outer / (time.perf_counter() - started))
    return best


def wait(device: str) -> None:
    """Wait until a GPU has finished what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| figure | baseline in the same run | ours | baseline | ratio | target | of GEMM peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        target = f"{figure.target:g}" if figure.target else ""
        share = f"{figure.peak_share:.2f}" if figure.peak_share else ""
        cut = f" ({figure.cut} rounds)" if figure.cut is not None else ""
        lines.append(
            f"| {figure.name} | {figure.baseline} | {figure.ours:.3g} | {figure.theirs:.3g} "
            f"| {figure.ratio:.3g}{cut} | {target} | {share} |"
        )
    return "\n".join(lines)


def publish(figures: Sequence[Figure], file: Path, title: str, about: str) -> None:
    """Write a page with the table of the figures, and print it."""
    text = f"# {title}\n\n{about}\n\n{table(figures)}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    print(text)


def draw(figures: Sequence[Figure], file: Path, title: str) -> None:
    """Draw ratios beside their targets."""
    import matplotlib.pyplot as plt

    shown = list(reversed(figures))
    drawing, axes = plt.subplots(figsize=(9, 0.5 * len(shown) + 1.2), layout="constrained")
    axes.barh(range(len(shown)), [item.ratio for item in shown], color="#0072B2", label="measured")
    aimed = [(one.target, i) for i, one in enumerate(shown) if one.target]
    mark = {"color": "#D55E00", "markersize": 18, "markeredgewidth": 3, "label": "target"}
    axes.plot([target for target, _ in aimed], [i for _, i in aimed], "|", **mark)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [f"{item.name}\nagainst {item.baseline}" for item in shown])
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="times better than the baseline", title=title)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(file, dpi=150)

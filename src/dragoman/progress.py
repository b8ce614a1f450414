"""How far a training, a comparison or an evaluation has come: told to whoever wants to know.

`train`, `compare` and `evaluate` take ``progress=``: True or False, or a function that is called
with a `Progress`. Unless it is given, there is a bar in a terminal, one line that moves on in a
notebook, and nothing where the output goes elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from dragoman.errors import ConfigError

LINE_SECONDS = 30.0
"""Seconds between two lines, where the output is a file."""
NOTEBOOK_SECONDS = 0.3
"""Seconds between two changes of the line in a notebook."""


@dataclass(frozen=True)
class Progress:
    """How far something has come.

    Attributes:
        what: What is being done, such as ``training`` or ``loading smollm2-135m``.
        done: How much of it is done: steps, episodes or runs.
        total: Of how much; 0 where that is not known, as in the stages before a training.
        seconds: Since it began.
        is_over: Nothing more is told of it.
        figures: What there is to say of it, by name, such as ``return``.
    """

    what: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    is_over: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        # A stage before the first step has no count, and is worth its seconds once it is over.
        if not self.total:
            return f"{self.what}: {self.seconds:.1f} s" if self.is_over else f"{self.what} ..."
        figures = [f"{name} {_short(value)}" for name, value in self.figures.items()]
        return " · ".join([f"{self.what}: {self.done:,} of {self.total:,}", *figures])


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


Show: TypeAlias = Callable[[Progress], None]
Wanted: TypeAlias = bool | Show | None
"""Whether to show progress, or what is told of it; ``None`` where somebody looks."""


@contextmanager
def shown(wanted: Wanted) -> Iterator[Show | None]:
    """Give what is to be told of progress, or nothing, and put an end to its display.

    Raises:
        ConfigError: What is wanted is neither True, False nor a function.
    """
    if wanted is not None and not isinstance(wanted, bool) and not callable(wanted):
        raise ConfigError(
            f"progress is {wanted!r}", cure="give True, False or a function of a dragoman.Progress"
        )
    if callable(wanted):
        yield wanted
        return
    console = Console(stderr=True)
    display: _Notebook | _Terminal | _Lines | None = None
    if wanted is not False and in_notebook():
        display = _Notebook()
    elif wanted is not False and console.is_terminal:
        display = _Terminal(console)
    elif wanted:
        display = _Lines(console)
    try:
        yield display
    finally:
        if display is not None:
            display.close()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class _Terminal:
    """A bar for what is counted, and a line for each stage when it is over."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: tuple[str, Any] | None = None

    def __call__(self, progress: Progress) -> None:
        console = self._bars.console
        if not progress.total:
            # A stage is on one line, which is written again when it is over.
            end = "\n" if progress.is_over else "\r"
            console.print(str(progress), end=end, highlight=False, markup=False, overflow="crop")
            return
        if self._task is None or self._task[0] != progress.what:
            task = self._bars.add_task(progress.what, total=progress.total, figures="")
            self._task = (progress.what, task)
            self._bars.start()
        figures = " · ".join(f"{name} {_short(value)}" for name, value in progress.figures.items())
        self._bars.update(self._task[1], completed=progress.done, figures=figures)

    def close(self) -> None:
        """Leave it as it is."""
        self._bars.stop()


class _Lines:
    """A line for each stage when it is over, and one from time to time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._at = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if progress.is_over or (progress.total and time.monotonic() - self._at > LINE_SECONDS):
            self._at = time.monotonic()
            self._console.print(str(progress), highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing is left open."""


class _Notebook:
    """One line of the cell's output, which is written anew."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display({"text/plain": ""}, raw=True, display_id=True)
        self._stages: list[str] = []
        self._at = -NOTEBOOK_SECONDS

    def __call__(self, progress: Progress) -> None:
        is_stage = not progress.total
        if not (is_stage or progress.is_over or time.monotonic() - self._at > NOTEBOOK_SECONDS):
            return
        self._at = time.monotonic()
        parts = [*self._stages, str(progress)]
        if is_stage and progress.is_over:
            self._stages.append(str(progress))
        self._handle.update({"text/plain": " · ".join(parts)}, raw=True)

    def close(self) -> None:
        """Leave the line as it is."""

"""What goes wrong in a training, done in small, and the rows of docs/faults.md that are seen so.

Every row is what a training did: `tools/faults.py` writes them all, and tests run each again.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.engines.train import train
from dragoman.environments.guard import BoundsWarning
from dragoman.errors import DragomanError
from dragoman.experiment import Experiment
from dragoman.run import Run
from dragoman.run.checkpoint import FOLDER, CheckpointWarning, read_checkpoint
from tests.engines.resuming import Commands, StopAt, assert_same, lines
from tests.full_disk import FullDisk

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
HEAD = "| fault | policy | what you see | what is kept |\n|---|---|---|---|\n"
STEPS, LATE = 288, 16


class Unsound(gym.Env[Any, Any]):
    """Does something wrong in the third step of some episodes.

    Args:
        what: Which fault.
        every: In each so many-th episode.
        chance: Instead, in each episode by this chance.

    Attributes:
        is_mended: Whether it does so no more, in any copy.
    """

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    is_mended = False

    def __init__(self, what: str = "step raises", every: int = 3, chance: float = 0.0) -> None:
        self.what, self.every, self.chance = what, every, chance
        self.episodes = self.steps = 0
        self.is_wrong = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.episodes, self.steps = self.episodes + 1, 0
        self.is_wrong = self.episodes % self.every == 0
        if self.chance:
            self.is_wrong = self.np_random.random() < self.chance
        self.is_wrong &= not self.is_mended
        if self.what == "reset raises" and self.is_wrong:
            raise OSError("the simulator is gone")
        if self.what == "its space is another one now" and self.is_wrong:
            self.observation_space = gym.spaces.Box(-2, 2, (2,), np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        observation, reward = self._seen(), float(action)
        if self.steps == 3 and self.is_wrong:
            if self.what == "step raises":
                raise ZeroDivisionError("division by zero")
            if self.what == "step calls sys.exit":
                sys.exit(3)
            if self.what == "step waits for ever":
                while True:
                    with contextlib.suppress(Exception):  # as careless environments do
                        time.sleep(0.01)
            if self.what == "step loops for ever":
                while True:
                    self.steps += 1
            change = VALUES.get(self.what, lambda step: step)
            return change((observation, reward, False, False, {}))
        return observation, reward, self.steps >= 6, False, {}

    def _seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)


Step = tuple[Any, ...]
OUTSIDE = "observation is outside its bounds"
VALUES: dict[str, Callable[[Step], Step]] = {
    "observation is NaN": lambda step: (np.array([np.nan, 0], np.float32), *step[1:]),
    "observation has another shape": lambda step: (np.zeros(3, np.float32), *step[1:]),
    OUTSIDE: lambda step: (np.array([0, 1.5], np.float32), *step[1:]),
    "observation is a text": lambda step: ("left", *step[1:]),
    "reward is NaN": lambda step: (step[0], float("nan"), *step[2:]),
    "reward is a text": lambda step: (step[0], "1.0", *step[2:]),
    "terminated is a text": lambda step: (*step[:2], "no", *step[3:]),
    "info is no mapping": lambda step: (*step[:4], None),
    "step returns four values": lambda step: step[:4],
}
IN_RESET = ("reset raises", "its space is another one now")
ENVIRONMENT = (
    "step raises",
    "step calls sys.exit",
    "step waits for ever",
    "step loops for ever",
    *VALUES,
    *IN_RESET,
)
"""Faults of an environment."""


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        fault: What goes wrong.
        policy: What is said of it in the experiment, or which command is given.
        seen: What the user sees.
        kept: What is left of the training.
    """

    fault: str
    policy: str
    seen: str
    kept: str

    def __str__(self) -> str:
        return f"| {self.fault} | {self.policy} | {self.seen} | {self.kept} |"


class Harness:
    """Trains in small, and lets things go wrong.

    Args:
        folder: Where runs are put.
        commands: Runs commands that can be killed; made when the first is needed.
    """

    def __init__(self, folder: Path, commands: Callable[[], Commands]) -> None:
        self.folder = folder
        self._commands = commands
        self._straight: Run | None = None

    def row(self, fault: str, policy: str) -> Row:
        """Let a fault happen, and return what was seen."""
        if fault in ENVIRONMENT:
            return self._of_environment(fault, policy)
        return OTHERS[fault, policy](self, fault, policy)

    def experiment(self, what: str = "", every: int = LATE, **guard: Any) -> Experiment:
        """Return a training of about a second, with checkpoints."""
        return Experiment.from_dict(
            {
                "env": "tests.faults:Unsound",
                "env_settings": {"what": what, "every": every},
                "observe": None,
                "steps": STEPS,
                "num_envs": 2,
                "checkpoint": 48,
                "guard": {"seconds": 0.3, **guard},
                "algorithm": {
                    "name": "ppo",
                    "network": [4],
                    "settings": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
                },
            }
        )

    def straight(self) -> Run:
        """Return the same training without any fault."""
        if self._straight is None:
            self._straight = train(self.experiment(), 3, out=self.folder / "straight")
        return self._straight

    def fresh(self, fault: str, policy: str) -> Path:
        """Return a folder that is not there yet."""
        return self.folder / re.sub(r"\W+", "-", f"{fault} {policy}")

    def resumed(self, run: Run) -> str:
        """Go on with a run, and say from where and whether the end is that of a straight one."""
        found = read_checkpoint(run.path)
        begun = 0 if found is None else found.steps
        with mended():
            assert_same(self.straight(), train(resume=run))
        assert begun > 0
        return f"resumed at step {begun}, it ends as without the fault, to the bit"

    def _of_environment(self, fault: str, policy: str) -> Row:
        guard = dict(re.findall(r"(\w+): (\w+)", policy))
        out = self.fresh(fault, policy)
        what = self.experiment(fault, **guard)
        if guard.get("on_fault") == "restart":
            return self._restarted(what, out, fault, policy)
        if guard.get("outside") == "warn":
            with pytest.warns(BoundsWarning) as told:
                run = train(what, 3, out=out)
            assert len(told) == 1
            kept = f"{run.status}; `guard/outside` in the metrics is "
            kept += f"{run.last_metrics()['guard/outside']}"
            return Row(fault, policy, quoted(BoundsWarning, told[0].message), kept)
        seen = refused(lambda: train(what, 3, out=out))
        return Row(fault, policy, seen, self._kept(Run(out)))

    def _restarted(self, what: Experiment, out: Path, fault: str, policy: str) -> Row:
        run = train(what, 3, out=out)
        assert run.status == "finished"
        restarts = run.last_metrics()["guard/restarts"]
        cut = sum(row["truncated"] for row in run.episodes())
        assert restarts > 0
        assert cut == (0 if fault in IN_RESET else restarts)
        how = f"{cut} episodes are cut off" if cut else "it is reset again, and no episode is lost"
        seen = f"`guard/restarts` in the metrics is {restarts}, and a warning in the log names each"
        return Row(fault, policy, seen, f"{run.status}; {how}")

    def _kept(self, run: Run) -> str:
        """Say what an ended training has left, and go on with it."""
        weights = f" and the weights of step {run.steps}" if run.steps else ""
        left = f"{run.status}; {len(run.episodes())} episodes{weights}"
        return f"{left}; {self.resumed(run)}"

    def stopped(self, out: Path) -> Run:
        """Return a run that Ctrl-C has stopped after two checkpoints."""
        with contextlib.suppress(KeyboardInterrupt):
            train(self.experiment(), 3, out=out, watchers=[StopAt(220)])
        return Run(out)

    def ended(self, number: int, out: Path) -> tuple[Run, int]:
        """Send a signal to a training in a process of its own, and return its exit code."""
        commands, file = self._commands(), out.with_suffix(".yaml")
        file.write_text(self.experiment().replaced({"steps": 100 * STEPS}).to_yaml())
        process = commands.start(f"train {file} --seed 3 --out {out}")
        while lines(out / "episodes.jsonl") < 40:
            time.sleep(0.002)
        os.kill(process, number)
        return Run(out), commands.code()


@contextlib.contextmanager
def mended() -> Iterator[None]:
    """Let no environment fail any more."""
    Unsound.is_mended = True
    try:
        yield
    finally:
        Unsound.is_mended = False


def refused(call: Callable[[], Any]) -> str:
    """Return what a user sees of the error that a call raises."""
    with pytest.raises(DragomanError) as caught:
        call()
    return quoted(type(caught.value), caught.value.problem)


def quoted(kind: type, message: object) -> str:
    """Return a message without what differs between machines."""
    place = r",( from \S+)? in line \d+ of \S+?(?=;| \(|$)"
    text = re.sub(place, "", str(message).split("\n")[0])
    text = re.sub(r"/\S*/(?=[\w.]+)", "", text)
    return f"{kind.__name__}: `{text}`"


def _interrupted(harness: Harness, fault: str, policy: str) -> Row:
    run = harness.stopped(harness.fresh(fault, policy))
    return Row(fault, policy, f"status `{run.status}`, exit code 130", harness._kept(run))


def _signalled(harness: Harness, fault: str, policy: str) -> Row:
    number = signal.SIGTERM if "SIGTERM" in fault else signal.SIGKILL
    run, code = harness.ended(number, harness.fresh(fault, policy))
    found = read_checkpoint(run.path)
    assert found is not None
    seen = f"status `{run.status}`" + (f", exit code {code}" if code > 0 else " in `dragoman ls`")
    # At which step is chance; that the end is the same is seen in the tests of resumed trainings.
    return Row(fault, policy, seen, "all to the last checkpoint, from which it is resumed")


def _full(harness: Harness, fault: str, policy: str) -> Row:
    out = harness.fresh(fault, policy)

    class FillsUp(StopAt):
        def step(self, training: Any, infos: Any) -> None:
            if training.steps >= self.steps and not disks:
                disks.append(FullDisk(patch, at=0))

    disks: list[FullDisk] = []
    with pytest.MonkeyPatch.context() as patch:
        seen = refused(lambda: train(harness.experiment(), 3, out=out, watchers=[FillsUp(220)]))
    assert not [
        file for file in out.rglob("*") if file.name.startswith(".") and "lock" not in file.name
    ]
    return Row(fault, policy, seen, harness._kept(Run(out)))


def _torn(harness: Harness, fault: str, policy: str) -> Row:
    run = harness.stopped(harness.fresh(fault, policy))
    newest = max((run.path / FOLDER).glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(CheckpointWarning) as told:
        read_checkpoint(run.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointWarning)
        kept = harness.resumed(run)
    return Row(fault, policy, quoted(CheckpointWarning, told[0].message), kept)


def _taken(harness: Harness, fault: str, policy: str) -> Row:
    run = harness.straight()
    before = contents(run.path)
    seen = refused(lambda: train(harness.experiment(), 3, out=run.path))
    assert contents(run.path) == before
    return Row(fault, policy, seen, "the first run, as it was")


def _changed(harness: Harness, fault: str, policy: str) -> Row:
    run = harness.stopped(harness.fresh(fault, policy))
    config = run.path / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace(f"steps: {STEPS}", "steps: 999"))
    before = contents(run.path)
    seen = refused(lambda: train(resume=run.path))
    assert contents(run.path) == before
    config.write_text(text)
    return Row(fault, policy, seen, f"all; with the old file back, {harness.resumed(run)}")


def _diverged(harness: Harness, fault: str, policy: str) -> Row:
    out = harness.fresh(fault, policy)
    what = harness.experiment().replaced({"algorithm.settings.learning_rate": 1e30})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = refused(lambda: train(what, 3, out=out))
    run = Run(out)
    kept = f"{run.status}; {len(run.episodes())} episodes, and no weights that are no numbers"
    assert all(np.isfinite(tensor).all() for tensor in _weights(run).values())
    return Row(fault, policy, seen, kept)


def _weights(run: Run) -> Mapping[str, Any]:
    return run.weights() if (run.path / "weights.safetensors").is_file() else {}


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder but the lock."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in files if file.name != ".lock"}


OTHERS: dict[tuple[str, str], Callable[[Harness, str, str], Row]] = {
    ("Ctrl-C", "`checkpoint: 48`"): _interrupted,
    ("SIGTERM, as of systemd, docker and Slurm", "`checkpoint: 48`"): _signalled,
    ("the process is killed: kill -9, memory, power", "`checkpoint: 48`"): _signalled,
    ("the disk becomes full", "`checkpoint: 48`"): _full,
    ("the newest checkpoint is torn", "`--resume`"): _torn,
    ("a second start into the folder", "`--out`"): _taken,
    ("`config.yaml` is changed", "`--resume`"): _changed,
    ("weights are no finite numbers any more", "always"): _diverged,
}
POLICIES = ("on_fault: fail", "on_fault: restart")


def rows() -> list[tuple[str, str]]:
    """Return fault and policy of each row, in order."""
    result: list[tuple[str, str]] = []
    for fault in ENVIRONMENT:
        if fault == OUTSIDE:
            more = [f"`{policy}, outside: fault`" for policy in POLICIES]
            result += [(fault, policy) for policy in ("`outside: warn`", *more)]
        else:
            result += [(fault, f"`{policy}`") for policy in POLICIES]
    return [*result, *OTHERS]


def table_of(page: str) -> str:
    """Return the table of a page."""
    return HEAD + page.partition(HEAD)[2].partition("\n\n")[0] + "\n"

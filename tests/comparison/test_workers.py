from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from dragoman.comparison.workers import Report, Workers


@dataclass(frozen=True)
class Play:
    """Does what its name says."""

    folder: Path
    what: str

    def run(self, tell) -> None:
        file = self.folder / self.what
        if self.what == "raise":
            raise ValueError("this environment is broken")
        if self.what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "exit":
            os._exit(7)
        if self.what == "wait":
            file.write_text(str(os.getpid()))
            try:
                while True:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                file.write_text("saved")
                raise
        tell(5)
        file.write_text(str(os.getpid()))


def finish(workers: Workers, *jobs: Play) -> list[Report]:
    """Do jobs in order, as processes become idle; return what was said last of each."""
    waiting, said = list(jobs), []
    while waiting or workers.jobs:
        while waiting and workers.idle:
            workers.start(waiting.pop(0))
        said += workers.reports()
    return said


def test_jobs_are_done_one_after_the_other_in_one_process(tmp_path: Path) -> None:
    with Workers(1) as workers:
        said = finish(workers, Play(tmp_path, "a"), Play(tmp_path, "b"))
    assert [(report.job.what, report.kind, report.steps) for report in said] == [
        ("a", "steps", 5), ("a", "done", 0), ("b", "steps", 5), ("b", "done", 0),
    ]  # fmt: skip
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() != str(os.getpid())


def test_one_that_raises_or_dies_loses_no_other(tmp_path: Path) -> None:
    with Workers(2) as workers:
        names = ("raise", "die", "exit", "a", "b")
        said = finish(workers, *(Play(tmp_path, name) for name in names))
    ends = {report.job.what: report for report in said if report.kind != "steps"}
    assert {name: report.kind for name, report in ends.items()} == {
        "raise": "failed", "die": "failed", "exit": "failed", "a": "done", "b": "done",
    }  # fmt: skip
    assert ends["raise"].error.startswith("Traceback")
    assert "ValueError: this environment is broken" in ends["raise"].error
    assert "killed by SIGKILL" in ends["die"].error
    assert "exit code 7" in ends["exit"].error


def test_leaving_lets_jobs_save_what_they_have(tmp_path: Path) -> None:
    file = tmp_path / "wait"
    with Workers(1) as workers:
        workers.start(Play(tmp_path, "wait"))
        while not (file.is_file() and file.read_text()):
            time.sleep(0.01)
        # A terminal sends Ctrl-C to every process; only the owner's word counts.
        os.kill(int(file.read_text()), signal.SIGINT)
        time.sleep(0.1)
        assert file.read_text() != "saved"
    assert file.read_text() == "saved"

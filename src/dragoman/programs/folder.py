"""The folder of a search: every prompt, answer, program, error and statistic, as text.

search.json                     task, schema, settings and model
round-1/prompt.txt              what was asked
round-1/candidate-1/answer.txt  what the model wrote
round-1/candidate-1/program.py  the program in it
round-1/candidate-1/record.json trained | refused | failed, the error, results by seed
best.json                       the winner, its scores on selection and on test seeds
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from dragoman.errors import RunError
from dragoman.files import write_json, write_text
from dragoman.programs.results import ProgramResult

Status: TypeAlias = Literal["open", "refused", "failed", "trained"]


class SearchFolder:
    """A folder in which a search is written down as it goes.

    Args:
        path: The folder; made where it does not exist.
        settings: What decides the search, as plain data.

    Raises:
        RunError: The folder belongs to a search with other settings, or to something else.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        file = self.path / "search.json"
        settings = json.loads(json.dumps(settings))
        if file.is_file():
            before = json.loads(file.read_text(encoding="utf-8"))
            differing = [key for key in settings | before if settings.get(key) != before.get(key)]
            if differing:
                key = differing[0]
                raise RunError(
                    f"{self.path} holds a search in which {key} is {_brief(before.get(key))}, "
                    f"not {_brief(settings.get(key))}",
                    cure="choose another folder",
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty", cure="choose another folder")
        else:
            write_json(file, settings)

    def prompt(self, round_: int, text: str) -> None:
        """Keep what is asked in a round."""
        write_text(self.path / f"round-{round_}" / "prompt.txt", text)

    def candidate(self, round_: int, number: int) -> Candidate:
        """Return one candidate as far as it came."""
        return Candidate.at(self.path / f"round-{round_}" / f"candidate-{number}")

    def finish(self, data: Mapping[str, Any]) -> None:
        """Write down the winner."""
        write_json(self.path / "best.json", data)


@dataclass
class Candidate:
    """One program of a search, kept in a folder of its own.

    Attributes:
        path: The folder.
        answer: What the model wrote, once it has.
        program: The program in it, if there is one.
        status: How far it came.
        error: What went wrong, in words that the model can use.
        about: What the checks found: its terms, how steep it is.
        results: What came of trainings, by seed.
        tests: The same for test seeds, which no choice depends on.
    """

    path: Path
    answer: str | None
    program: str | None
    status: Status
    error: str
    about: dict[str, Any]
    results: dict[int, ProgramResult]
    tests: dict[int, ProgramResult]

    @classmethod
    def at(cls, path: Path) -> Candidate:
        """Read a candidate, or begin a new one."""
        record = path / "record.json"
        data = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        return cls(
            path,
            _text(path / "answer.txt"),
            _text(path / "program.py"),
            data.get("status", "open"),
            data.get("error", ""),
            data.get("about", {}),
            _results(data.get("results", {})),
            _results(data.get("tests", {})),
        )

    @property
    def score(self) -> float:
        """Mean score over the selection seeds."""
        return float(np.mean([result.score for result in self.results.values()]))

    def keep_answer(self, answer: str) -> None:
        """Write down what the model has written."""
        self.answer = answer.encode("utf-8", "backslashreplace").decode()
        write_text(self.path / "answer.txt", answer)

    def keep_program(self, program: str) -> None:
        """Write down the program."""
        self.program = program
        write_text(self.path / "program.py", program)

    def save(self) -> None:
        """Write down everything else."""
        data = {
            "status": self.status,
            "error": self.error,
            "about": self.about,
            "results": {str(seed): value.to_dict() for seed, value in self.results.items()},
            "tests": {str(seed): value.to_dict() for seed, value in self.tests.items()},
        }
        write_json(self.path / "record.json", data)


def _text(file: Path) -> str | None:
    return file.read_bytes().decode() if file.is_file() else None


def _results(data: Mapping[str, Any]) -> dict[int, ProgramResult]:
    return {int(seed): ProgramResult.from_dict(value) for seed, value in data.items()}


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""Experiments and comparison files, valid and spoilt: read as they are, or one error of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.file import read_comparison
from dragoman.errors import DragomanError
from dragoman.experiment import Experiment
from dragoman.yaml12 import dump, load
from tests.fuzz.fuzzing import data, edited, fuzzed, mutated, outcome

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.rglob("*.yaml"))
EXPERIMENTS = [file for file in FILES if "\nenv:" in "\n" + file.read_text()]
COMPARISONS = [file for file in FILES if "\nbase:" in "\n" + file.read_text()]


def of(files: list[Path], how: Any) -> st.SearchStrategy[Any]:
    """Draw one of some files, and what becomes of it."""
    return st.sampled_from(files).flatmap(how)


def spoilt(file: Path) -> st.SearchStrategy[bytes]:
    return mutated(file.read_bytes())


def changed(file: Path) -> st.SearchStrategy[Any]:
    return edited(load(file.read_text(), str(file)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that is read; what it names lies beside it."""
    for known in COMPARISONS + EXPERIMENTS:
        (tmp_path / known.name).write_bytes(known.read_bytes())
    return tmp_path / "fuzzed.yaml"


def same_again(experiment: Experiment | DragomanError, file: Path) -> None:
    """What could be read can be written, and read as the same."""
    if not isinstance(experiment, Experiment):
        return
    assert repr(experiment)
    text = outcome(experiment.to_yaml)
    if isinstance(text, str):
        file.write_text(text)
        assert Experiment.from_yaml(file).to_yaml() == text


@fuzzed(content=of(EXPERIMENTS, spoilt))
def test_spoilt_experiments(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    same_again(outcome(Experiment.from_yaml, file), file)


@fuzzed(content=of(EXPERIMENTS, changed))
def test_experiments_with_other_values(content: Any, file: Path) -> None:
    if isinstance(content, dict):
        same_again(outcome(Experiment.from_dict, content), file)
    text = outcome(dump, content)
    if isinstance(text, str):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        same_again(outcome(Experiment.from_yaml, file), file)


@fuzzed(key=st.text(max_size=20), value=data)
def test_overrides(key: str, value: Any, file: Path) -> None:
    same_again(outcome(Experiment("CartPole-v1").replaced, {key: value}), file)


@fuzzed(content=of(COMPARISONS, spoilt))
def test_spoilt_comparisons(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    read = outcome(read_comparison, file)
    assert isinstance(read, Comparison | DragomanError)


@fuzzed(content=of(COMPARISONS, changed))
def test_comparisons_with_other_values(content: Any, file: Path) -> None:
    text = outcome(dump, content)
    if isinstance(text, str):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert isinstance(outcome(read_comparison, file), Comparison | DragomanError)

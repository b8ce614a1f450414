"""Hostile programs do no harm, and a user is told what was wrong with each."""

from __future__ import annotations

import gc
import json
import os
import re
import socket
import time
from pathlib import Path

import pytest

from dragoman.programs import Sandbox
from dragoman.programs.sandbox import GRACE_SECONDS
from tests.programs.outcomes import HOSTILE, LIMITS, alone, outcome

PROGRAMS = sorted(HOSTILE.glob("*.py"))
EXPECTED = json.loads((Path(__file__).parent / "hostile.json").read_text())
HARMLESS = {
    # A state is made new for each row, and the whole program too.
    *("mutation", "mutation_by_method", "mutation_by_update"),
    *("class_state", "closure_state", "default_of_a_helper"),
    *("many_loops", "replaced_imports", "walrus"),
}
HARMLESS_ALONE = {
    *("mutation", "mutation_by_method", "mutation_by_update", "many_loops", "sleep", "walrus")
}
MOST_SECONDS = 4 * (LIMITS.seconds + GRACE_SECONDS)
"""Two loads, and two batches of calls."""
VARYING = re.compile(r"is \S+ and then \S+ for")


def environment() -> dict[str, str]:
    # Pytest notes there which phase of a test is running.
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


class Canary:
    """A file, an environment variable and a listening socket that nobody may touch."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        (folder / "CANARY").write_text("alive")
        monkeypatch.setenv("CANARY", "alive")
        monkeypatch.chdir(folder)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.environment = environment()

    @property
    def port(self) -> int:
        return self.server.getsockname()[1]

    def harm(self) -> list[str]:
        """Return what was touched."""
        found = []
        if [file.name for file in self.folder.iterdir()] != ["CANARY"]:
            found.append("folder")
        elif (self.folder / "CANARY").read_text() != "alive":
            found.append("file")
        if environment() != self.environment:
            found.append("environment")
        try:
            self.server.accept()[0].close()
            found.append("network")
        except BlockingIOError:
            pass
        return found


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = Canary(tmp_path, monkeypatch)
    yield found
    found.server.close()


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as box:
        yield box


def source_of(file: Path, canary: Canary) -> str:
    return file.read_bytes().decode().replace("PORT", str(canary.port))


def plainly(text: str) -> str:
    return VARYING.sub("is ... and then ... for", text)


def test_the_corpus_is_whole() -> None:
    assert len(PROGRAMS) >= 100
    assert [file.stem for file in PROGRAMS] == sorted(EXPECTED)


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_no_program_escapes(file: Path, canary: Canary, sandbox: Sandbox) -> None:
    source = source_of(file, canary)
    started = time.monotonic()
    found = {"program": plainly(outcome(source, sandbox))}
    assert time.monotonic() - started < MOST_SECONDS
    # The sandbox does not rest on the rules: without them nothing gets out either.
    found["alone"] = plainly(alone(source, sandbox))
    assert canary.harm() == []
    assert found == EXPECTED[file.stem]
    assert ("harmless" in found["program"]) == (file.stem in HARMLESS)
    assert ("harmless" in found["alone"]) == (file.stem in HARMLESS_ALONE)


def test_hidden_state_is_new_in_each_call(sandbox: Sandbox) -> None:
    """Alone, these count their calls; as programs they start again in each."""
    for name in ("class_state", "closure_state", "default_of_a_helper"):
        source = (HOSTILE / f"{name}.py").read_text()
        assert "is 100" in alone(source, sandbox)
        assert outcome(source, sandbox).startswith("harmless: from 0.58")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("write_file", ["file"]),
        ("with_statement", ["file"]),
        ("unicode_name", ["file"]),
        ("annotation", ["file"]),
        ("delete_file", ["folder"]),
        ("environment", ["environment"]),
        ("network", ["network"]),
    ],
)
# These programs close nothing.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_canary_notices(name: str, harm: list[str], canary: Canary) -> None:
    """The same programs do harm where Python itself runs them."""
    source = source_of(HOSTILE / f"{name}.py", canary).replace(" -> exit()", "")
    names: dict[str, object] = {}
    exec(compile(source, name, "exec", dont_inherit=True), names)
    names["reward"]({"pole_angle": 0.0}, 0, {})  # type: ignore[operator]
    gc.collect()
    assert canary.harm() == harm


def test_the_sandbox_goes_on_after_a_crash(sandbox: Sandbox) -> None:
    harmless = (
        "kept = [1]\ndef reward(state, action, next_state):\n    return state['pole_angle']\n"
    )
    assert outcome(harmless, sandbox).startswith("harmless")
    for name in ("endless_loop", "memory_by_list", "huge_integer", "recursion"):
        outcome((HOSTILE / f"{name}.py").read_text(), sandbox)
        assert outcome(harmless, sandbox).startswith("harmless")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("\ud800", r"U\+D800"),
        ("x = '\x0c'", r"U\+000C"),
        ("\x00", r"U\+0000"),
        ("(" * 9000, "no valid Python"),
        ("x = " + "-" * 9000 + "1", "nested more than 60"),
        ("x" + "[0]" * 3000, "nested more than 60|no valid Python"),
        ("1" * 9999, "no valid Python"),
        ("f'{" * 200, "no valid Python"),
        (" " * 10_001, "may have 10,000"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_program(
    source: str, problem: str, sandbox: Sandbox
) -> None:
    assert re.search(problem, outcome(source, sandbox))

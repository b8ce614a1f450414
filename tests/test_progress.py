from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from dragoman import progress
from dragoman.errors import ConfigError
from dragoman.progress import Progress, in_notebook, shown

STAGES = [
    Progress("loading words"),
    Progress("loading words", seconds=3.21, is_over=True),
    Progress("training", 0, 200),
    Progress("training", 100, 200, 1.0, figures={"steps/s": 1234.5, "return": 21.57}),
    Progress("training", 200, 200, 2.0, is_over=True, figures={"return": 30.0}),
]


def tell(wanted, told=STAGES) -> None:
    with shown(wanted) as show:
        for one in told if show is not None else []:
            show(one)


def test_each_says_itself_in_a_line() -> None:
    assert [str(one) for one in STAGES] == [
        "loading words ...",
        "loading words: 3.2 s",
        "training: 0 of 200",
        "training: 100 of 200 · steps/s 1,234 · return 21.6",
        "training: 200 of 200 · return 30",
    ]


def test_a_function_is_told_everything() -> None:
    told: list[Progress] = []
    tell(told.append)
    assert told == STAGES


@pytest.mark.parametrize("wanted", [None, False])
def test_nothing_is_said_where_nobody_looks(wanted, capsys) -> None:
    tell(wanted)
    assert capsys.readouterr() == ("", "")


def test_a_file_gets_a_line_for_what_is_over_and_one_from_time_to_time(capsys, monkeypatch) -> None:
    tell(True)
    said, lines = capsys.readouterr().err.splitlines(), [str(one) for one in STAGES]
    assert said == [lines[1], lines[4]]
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    tell(True)
    assert capsys.readouterr().err.splitlines() == lines[1:]


def test_a_terminal_gets_a_bar_and_the_stages_above_it(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    tell(None)
    said = capsys.readouterr().err
    assert "loading words ...\rloading words: 3.2 s\n" in said
    assert "200/200" in said
    assert "return 30" in said
    tell(False)
    assert capsys.readouterr().err == ""


class Notebook:
    """What IPython is in the kernel of a notebook."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def display(self, data, *, raw, display_id) -> Notebook:
        assert raw
        assert display_id
        return self

    def update(self, data, *, raw) -> None:
        self.said.append(data["text/plain"])


def test_a_notebook_gets_one_line_that_is_written_anew(monkeypatch, capsys) -> None:
    notebook = Notebook()
    shell = SimpleNamespace(kernel=object())
    module = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    assert in_notebook()
    monkeypatch.setattr(progress, "NOTEBOOK_SECONDS", 0.0)
    tell(None)
    assert notebook.said == [
        "loading words ...",
        "loading words: 3.2 s",
        "loading words: 3.2 s · training: 0 of 200",
        "loading words: 3.2 s · training: 100 of 200 · steps/s 1,234 · return 21.6",
        "loading words: 3.2 s · training: 200 of 200 · return 30",
    ]
    assert capsys.readouterr() == ("", "")
    notebook.said.clear()
    monkeypatch.setattr(progress, "NOTEBOOK_SECONDS", 1e9)
    tell(None)
    assert notebook.said[-1].endswith("training: 200 of 200 · return 30")
    assert not any("100 of 200" in said for said in notebook.said)
    tell(False)


def test_a_shell_without_a_kernel_is_no_notebook(monkeypatch) -> None:
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    )
    assert not in_notebook()


@pytest.mark.parametrize("wanted", [3, "yes"])
def test_what_is_neither_yes_nor_no_nor_a_function_is_refused(wanted) -> None:
    with pytest.raises(ConfigError, match=f"progress is {wanted!r}"):
        tell(wanted)

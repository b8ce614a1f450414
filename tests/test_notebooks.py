"""The notebooks run from their first cell to their last, as in a kernel without IPython's magic."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell, and return the value of its last line where that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return (
        None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    )


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_as_an_editor_saves_it_without_outputs(file: Path) -> None:
    notebook = json.loads(file.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        assert set(cell) - {"outputs", "execution_count"} == {
            "cell_type",
            "id",
            "metadata",
            "source",
        }
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_first_hour_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # as in a kernel, whose folder is the notebook's
    cells = json.loads((ROOT / "docs/notebooks/first_hour.ipynb").read_text())["cells"]
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [
        run_cell("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"
    ]
    monkeypatch.delitem(sys.modules, "tank")
    run, trained, random = (value for value in shown if value is not None)
    page = run._repr_html_()
    assert "<table>" in page
    assert "data:image/png;base64," in page
    assert "finished, 2,048 of 2,048 steps" in page
    assert trained.mean > random.mean + 3  # it has learnt to hold the level
    said = capsys.readouterr().out
    assert "water level 50 %" in said
    assert "open the valve" in said
    assert "random-weights" in said
    assert "24 runs" in said
    assert "6 seeds can give a verdict" in said

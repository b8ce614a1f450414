"""Every snippet in the README and the docs is a file, and every file runs."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

import dragoman
from dragoman.experiment import Experiment
from dragoman.testing import ScriptedModel
from tests.models.remote.stub_server import StubServer, chat_answer
from tests.reading import read_numbers

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "recipes/README.md"]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SNIPPETS = sorted((ROOT / "docs/snippets").glob("*.py"))
SNIPPET = re.compile(r"^<!-- (docs/snippets/\S+\.py) -->\n```python\n(.*?)^```", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_is_a_snippet_file(page: Path) -> None:
    text = page.read_text()
    snippets = SNIPPET.findall(text)
    assert len(snippets) == text.count("```python")
    for name, code in snippets:
        assert (ROOT / name).read_text() == code, f"{page.name} and {name} differ"


def test_every_snippet_file_is_shown() -> None:
    shown = {name for page in PAGES for name, _ in SNIPPET.findall(page.read_text())}
    files = {str(file.relative_to(ROOT)) for file in SNIPPETS}
    assert files == shown


def count_characters(text: str) -> list[float]:
    return [float(len(text)), float(text.count("-")), float(text.count("left"))]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "docs/snippets").glob("*.py")), ids=lambda f: f.stem
)
def test_snippets_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **settings: object) -> ScriptedModel:
        return ScriptedModel(
            count_characters,
            hidden_size=3,
            num_layers=30,
            log_probs=lambda prompt, candidate: [-float(len(candidate))],
            write=lambda prompt, seed: "a text",
        )

    monkeypatch.setattr("dragoman.models.catalog.load_model", load)
    monkeypatch.setattr("dragoman.vector.load_model", load)
    monkeypatch.setattr("dragoman.engines.assembly.load_model", load)
    (tmp_path / "recipes").mkdir()
    for recipe in RECIPES:
        short = replace(Experiment.from_yaml(recipe), steps=1)
        (tmp_path / "recipes" / recipe.name).write_text(short.to_yaml())
    monkeypatch.chdir(tmp_path)
    with StubServer(lambda path, body: chat_answer('{"answer": "right"}')) as stub:
        monkeypatch.setenv("MODEL_URL", stub.url)
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_every_recipe_trains_for_one_update(recipe: Path, tmp_path: Path) -> None:
    experiment = Experiment.from_yaml(recipe, {"steps": 1})
    model = ScriptedModel(count_characters, hidden_size=3, num_layers=30)
    run = dragoman.train(experiment, out=tmp_path / "run", model=model)
    assert len(run.metrics()) >= 1


def founding_sketch():
    return runpy.run_path(str(ROOT / "docs/gpt2_cartpole.py"))["main"]


def test_the_founding_sketch_runs_on_a_gpt2(
    tiny_gpt2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = founding_sketch()(dragoman.load_model(str(tiny_gpt2_path)), layer=2, updates=100)
    assert "12800 steps: return" in capsys.readouterr().out
    assert len(finished) > 100


def test_the_founding_sketch_learns() -> None:
    finished = founding_sketch()(ScriptedModel(read_numbers, num_layers=4), updates=400)
    # The random policy earns 22 on average.
    assert sum(finished[:100]) / 100 < 40
    assert sum(finished[-50:]) / 50 > 70

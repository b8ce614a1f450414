"""What every recipe must keep to, whatever machine it runs on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from dragoman.comparison import runner as comparing
from dragoman.comparison.file import read_comparison
from dragoman.engines.assembly import reader_of
from dragoman.experiment import Experiment
from dragoman.models import hardware
from dragoman.models.cache import CachedModel
from dragoman.models.torch_model import TorchModel
from tests.models import tiny

ROOT = Path(__file__).parent.parent
RECIPES = [*sorted((ROOT / "recipes").rglob("*.yaml")), *sorted((ROOT / "docs").rglob("*.yaml"))]
SCRIPTS = sorted((ROOT / "docs").rglob("*.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save("llama", tmp_path_factory.mktemp("recipes")))


@pytest.fixture(autouse=True)
def as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test a cache of its own, and the others their threads back."""
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    threads = torch.get_num_threads()
    hardware.warn_if_emulated.cache_clear()
    yield
    torch.set_num_threads(threads)
    hardware.warn_if_emulated.cache_clear()


def experiments_of(recipe: Path) -> list[Experiment]:
    """Return the experiment of a recipe, or those of all arms of a comparison."""
    if "base" not in yaml.safe_load(recipe.read_text()):
        return [Experiment.from_yaml(recipe)]
    comparison = comparing.settled(read_comparison(recipe))
    return [comparison.experiment(arm) for arm in comparison.arms]


@pytest.mark.parametrize(("native", "fast"), [(True, "bfloat16"), (False, "float32")])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe.relative_to(ROOT)))
def test_every_recipe_loads_its_model_in_what_the_machine_is_fast_in(
    recipe: Path,
    native: bool,
    fast: str,
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    able = {"avx512_bf16": native}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    monkeypatch.setattr(hardware, "_seconds", lambda device, dtype: float(dtype.itemsize == 2) + 1)
    for experiment in experiments_of(recipe):
        assert experiment.model.threads is None, "threads are measured, or shared among processes"
        model = reader_of(experiment.replaced({"model.name": folder}))
        if experiment.uses_model:
            assert isinstance(model, CachedModel)
            assert isinstance(model.model, TorchModel)
            assert model.model.dtype == getattr(torch, fast)
    assert not caplog.records


def test_every_recipe_has_its_minutes_in_the_table() -> None:
    page = (ROOT / "recipes/README.md").read_text()
    _, _, table = page.partition("| recipe | AVX2 | AVX-512 with bfloat16 | AMX |\n")
    listed = re.findall(r"^\| (\S+) (?:\| [^|]+){3}\|$", table.partition("\n\n")[0], re.M)
    files = (ROOT / "recipes").rglob("*.yaml")
    names = [str(file.relative_to(ROOT / "recipes").with_suffix("")) for file in files]
    assert sorted(listed) == sorted(names)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_no_example_asks_for_a_precision_by_name(script: Path) -> None:
    assert "float16" not in script.read_text()

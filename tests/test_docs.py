"""Every snippet in the README and the docs is a file, and every file runs."""

from __future__ import annotations

import functools
import importlib
import re
import runpy
import shlex
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from gymnasium.utils.env_checker import check_env
from typer.testing import CliRunner

import dragoman
from dragoman.cli import app
from dragoman.comparison.file import read_comparison
from dragoman.environments import environment_spec, make_environment
from dragoman.experiment import Experiment
from dragoman.tasks.atari_memory import Ball, Breakout
from dragoman.testing import ScriptedModel
from tests.models import tiny
from tests.models.remote.stub_server import StubServer, chat_answer
from tests.number_reader import read_numbers
from tests.short_experiments import one_update

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "recipes/README.md",
    ROOT / "recipes/acting/README.md",
    ROOT / "recipes/tasks/README.md",
]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
TASK_RECIPES = sorted((ROOT / "recipes/tasks").glob("*.yaml"))
SNIPPETS = sorted((ROOT / "docs/snippets").glob("*.py"))
YAML_SNIPPET = re.compile(r"^<!-- (docs/snippets/\S+\.yaml) -->\n```yaml\n(.*?)^```", re.M | re.S)
INDENTED = re.compile(r"^    (?:\$ )?(dragoman .+)", re.M)
SESSION = re.compile(r"^    \$ dragoman (describe docs/.*)\n((?:    .+\n)+)", re.M)
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


def test_every_settings_block_of_a_snippet_is_its_file_and_can_be_read() -> None:
    shown = [pair for page in PAGES for pair in YAML_SNIPPET.findall(page.read_text())]
    files = {str(file.relative_to(ROOT)) for file in (ROOT / "docs/snippets").glob("*.yaml")}
    assert {name for name, _ in shown} == files
    for name, settings in shown:
        assert (ROOT / name).read_text() == settings, name
        if "base" in yaml.safe_load(settings):
            assert read_comparison(ROOT / name).arms
        else:
            assert Experiment.from_yaml(ROOT / name).steps > 0


def test_every_command_of_the_pages_can_be_read_by_the_command_line() -> None:
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    pages = {*PAGES, *(ROOT / "recipes").rglob("*.md")}
    text = "\n".join(page.read_text() for page in pages).replace("\\\n", " ")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))
    commands = {*re.findall(r"^(dragoman .+)", blocks, re.M), *INDENTED.findall(text)}
    assert len(commands) > 60
    for command in commands:
        for one in re.sub(r" > \S+", "", command).split(" && "):
            verb, *rest = shlex.split(one, comments=True)[1:]
            with verbs[verb].make_context(verb, rest):
                pass


def count_characters(text: str) -> list[float]:
    return [float(len(text)), float(text.count("-")), float(text.count("left"))]


def _load_instead(folder: Path, load_model, name: str, **settings: object):
    return load_model(str(folder), **settings)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "docs/snippets").glob("*.py")), ids=lambda f: f.stem
)
def test_snippets_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if file.stem in ("cluster", "rllib_script"):
        pytest.importorskip("ray", reason="needs the extra 'rllib'")

    model = ScriptedModel(
        count_characters,
        hidden_size=3,
        num_layers=30,
        log_probs=lambda prompt, candidate: [-float(len(candidate))],
        write=lambda prompt, seed: "a text",
    )

    def load(name: str, **settings: object) -> ScriptedModel:
        return model

    if file.stem == "teach":  # whose model is trained
        folder = tiny.save("llama", tmp_path / "llama")
        load = functools.partial(_load_instead, folder, dragoman.load_model)
    monkeypatch.setattr("dragoman.models.catalog.load_model", load)
    monkeypatch.setattr("dragoman.models.spec.load_model", load)
    (tmp_path / "recipes").mkdir()
    for recipe in RECIPES:
        short = one_update(Experiment.from_yaml(recipe))
        (tmp_path / "recipes" / recipe.name).write_text(short.to_yaml())
    monkeypatch.chdir(tmp_path)
    # Beside it, as a script's own folder is on the path; all of them would hide minigrid.
    shutil.copy(ROOT / "docs/snippets/cold_store.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with StubServer(lambda path, body: chat_answer('{"answer": "right"}')) as stub:
        monkeypatch.setenv("MODEL_URL", stub.url)
        runpy.run_path(str(file), run_name="__main__")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_every_recipe_trains_for_one_update(recipe: Path, tmp_path: Path) -> None:
    experiment = one_update(Experiment.from_yaml(recipe))
    model = ScriptedModel(count_characters, hidden_size=3, num_layers=30)
    run = dragoman.train(experiment, out=tmp_path / "run", model=model)
    assert len(run.metrics()) >= 1


TWINS = {
    "numbers": {"observe": None},
    "described": {"observe": None, "act.policy": "head"},
    "text": {"observe.model": "words", "act.model": "words"},
}
"""The arm without a model, where an observation is numbers, actions say more, and all is text."""
KINDS = {"babyai": "text", "textworld": "text", "cvrp": "described", "jobshop": "described"}
SHORT = {
    "ppo": {"steps": 64, "algorithm.settings.n_steps": 16, "algorithm.settings.batch_size": 16},
    "sac": {"steps": 24, "algorithm.settings.learning_starts": 8, "max_episode_steps": 8},
}
"""A row of metrics tells of an update that is over, so two rollouts, or two episodes, are least."""


@pytest.mark.parametrize("arm", ["model", "twin"])
@pytest.mark.parametrize("recipe", TASK_RECIPES, ids=lambda recipe: recipe.stem)
def test_every_task_recipe_and_its_twin_update(recipe: Path, arm: str, tmp_path: Path) -> None:
    experiment = Experiment.from_yaml(recipe).replaced({"num_envs": 2})
    experiment = experiment.replaced(SHORT[experiment.algorithm.name])
    if recipe.stem == "textworld":  # a game takes a second to make
        experiment = experiment.replaced({"env_settings.num_games": 1})
    model: Any = ScriptedModel(count_characters, num_layers=30)
    if arm == "twin":
        experiment = experiment.replaced(TWINS[KINDS.get(recipe.stem, "numbers")])
        assert not experiment.uses_model
        model = None
    run = dragoman.train(experiment, out=tmp_path / "run", model=model)
    assert max(row.get("train/n_updates", 0) for row in run.metrics()) > 0


def test_the_page_on_own_environments_shows_what_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    sessions = SESSION.findall((ROOT / "docs/own-environment.md").read_text())
    assert len(sessions) == 2
    for command, shown in sessions:
        printed = CliRunner().invoke(app, command.split()).stdout
        assert printed.splitlines() == [line[4:] for line in shown.splitlines()]


def test_the_figures_on_the_page_on_own_environments() -> None:
    text = (ROOT / "docs/own-environment.md").read_text()
    env = make_environment(environment_spec(f"{ROOT}/docs/snippets/cold_store.py:ColdStore"))

    def cost_of_a_day(policy: Callable[[Any], Any]) -> float:
        total = 0.0
        for seed in range(50):
            env.reset(seed=seed)
            env.action_space.seed(seed)
            over = False
            while not over:
                _, reward, _, over, _ = env.step(policy(env.unwrapped))
                total -= float(reward) / 50
        return total

    assert f"pays {cost_of_a_day(lambda store: env.action_space.sample()):.0f} euros" in text
    assert f"5 degrees) {cost_of_a_day(lambda store: int(store.inside > 5)):.2f}" in text


def test_the_own_environments_keep_gymnasiums_rules_and_train(tmp_path: Path) -> None:
    ((name, _),) = YAML_SNIPPET.findall((ROOT / "docs/own-environment.md").read_text())
    file = ROOT / "docs/snippets/cold_store.py"
    model = ScriptedModel(count_characters, num_layers=30)
    for kind, more in (("ColdStore", {}), ("SpeakingColdStore", {"act.policy": "match"})):
        env = make_environment(environment_spec(f"{file}:{kind}")).unwrapped
        check_env(env, skip_render_check=True)
        short = {"env": f"{file}:{kind}", "num_envs": 2, **more}
        experiment = Experiment.from_yaml(ROOT / name, {**short, **SHORT["ppo"]})
        assert dragoman.train(experiment, out=tmp_path / kind, model=model).metrics()


def test_the_page_on_tasks_quotes_what_breakout_says() -> None:
    game = Breakout(paddle=60, ball=Ball(73, 127, 2, -1), lives=5, score=0)
    (quoted,) = re.findall(r"`(The ball [^`]*)`", (ROOT / "docs/tasks.md").read_text())
    assert game.text().startswith(f"{quoted} The paddle")


def test_the_page_on_testing_names_every_fake_and_checker() -> None:
    named = re.findall(r"^- `(\w+)\(", (ROOT / "docs/testing.md").read_text(), re.M)
    here = [value for value in vars(dragoman.testing).values() if hasattr(value, "__module__")]
    public = [value.__name__ for value in here if value.__module__.startswith("dragoman.testing.")]
    assert sorted(named) == sorted(name for name in public if not name.startswith("_"))


def founding_sketch():
    return runpy.run_path(str(ROOT / "docs/gpt2_cartpole.py"))["main"]


@pytest.mark.slow
def test_the_founding_sketch_runs_on_a_gpt2(
    tiny_gpt2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = founding_sketch()(dragoman.load_model(str(tiny_gpt2_path)), layer=2, updates=100)
    assert "12800 steps: return" in capsys.readouterr().out
    assert len(finished) > 100


@pytest.mark.slow
def test_the_founding_sketch_learns() -> None:
    finished = founding_sketch()(ScriptedModel(read_numbers, num_layers=4), updates=400)
    # The random policy earns 22 on average.
    assert sum(finished[:100]) / 100 < 40
    assert sum(finished[-50:]) / 50 > 70


def test_the_plan_names_files_and_modules_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    files = re.findall(r"`(src/dragoman/[\w/]+\.py)`", text)
    assert len(files) >= 12
    for file in files:
        assert (ROOT / file).is_file(), file
    for name in re.findall(r"`((?:\w+\.)+\w+)`", text):
        package, *_ = name.split(".")
        if (ROOT / "src/dragoman" / package).is_dir():
            result = dragoman
            for part in name.split("."):
                if not hasattr(result, part):
                    importlib.import_module(f"{result.__name__}.{part}")
                result = getattr(result, part)


def test_the_plan_shows_every_layer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    names = [name for layer in layers for name in re.findall(r"\w+", layer)]
    text = (ROOT / "docs/architecture.md").read_text()
    table = text[text.index("| layer | packages |") : text.index("\nTransformers")]
    shown = re.findall(r"`(\w+)`", table)
    assert shown == [name for name in names if name in shown]  # in their order
    assert set(shown) == set(names)

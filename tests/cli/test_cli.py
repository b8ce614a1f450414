from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from dragoman.cli import app, main
from dragoman.cli.options import count
from dragoman.cli.train import EngineName, engine_of, parse_overrides
from dragoman.comparison.file import read_comparison
from dragoman.errors import ConfigError
from dragoman.experiment.source import read_experiment
from dragoman.models.store import Store
from dragoman.stopping import Terminated

runner = CliRunner()
VERBS = (
    "train",
    "eval",
    "compare",
    "seek",
    "export",
    "distill",
    "reproduce",
    "teach",
    "push",
    "pull",
    "ls",
    "init",
    "help",
    "report",
    "replay",
    "watch",
    "describe",
    "check",
    "serve",
    "doctor",
    "env",
    "cache",
)
EXPERIMENT = """\
env: CartPole-v1
observe: null
steps: 64
num_envs: 2
algorithm: {name: ppo, settings: {n_steps: 16, batch_size: 16}}
"""


@pytest.mark.parametrize("verb", [[], *([verb] for verb in VERBS), ["cache", "ls"]])
def test_help_fits_a_screen(verb: list[str]) -> None:
    result = runner.invoke(app, [*verb, "--help"], terminal_width=80)
    assert result.exit_code == 0
    # The overview has a line a verb.
    assert len(result.output.splitlines()) <= (25 if verb else 25 + len(VERBS))


def test_train_then_eval(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    out = tmp_path / "run"
    trained = runner.invoke(app, ["train", str(file), "--out", str(out), "--set", "steps=128"])
    assert trained.exit_code == 0, trained.output
    assert "CartPole-v1: return of training episodes" in trained.output
    evaluated = runner.invoke(app, ["eval", str(out), "--episodes", "2"])
    assert evaluated.exit_code == 0, evaluated.output
    assert "trained for 128 steps" in evaluated.output
    for policy in ("greedy", "sampled", "random"):
        assert policy in evaluated.output


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
@pytest.mark.parametrize("verb", ["train", "compare"])
def test_the_exit_code_says_what_stopped_it(
    stop: BaseException, code: int, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **settings: object) -> None:
        raise stop

    monkeypatch.setattr("dragoman.engines.train.train", stopped)
    monkeypatch.setattr("dragoman.comparison.runner.compare", stopped)
    words = [] if verb == "train" else ["--seeds", "2"]
    ended = runner.invoke(app, [verb, "CartPole-v1", *words, "--out", str(tmp_path / "out")])
    assert (ended.exit_code, "stopped; " in ended.output) == (code, True)


def test_options_of_a_cluster_need_its_engine(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    given = ["train", str(file), "--out", str(tmp_path / "run"), "--env-runners", "2"]
    refused = runner.invoke(app, given)
    assert isinstance(refused.exception, ConfigError)
    assert "so --env-runners has no meaning" in str(refused.exception)
    engine = engine_of(EngineName.RLLIB, env_runners=2, address=None)
    assert engine.record["env_runners"] == 2


def test_describe_prints_what_the_model_would_read() -> None:
    result = runner.invoke(app, ["describe", "CartPole-v1", "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert "pole angle" in result.output
    assert "push cart to the" in result.output


def test_describe_makes_the_environment_with_the_settings_given() -> None:
    asked = ["describe", "FrozenLake-v1", "--steps", "0"]
    assert "of 4x4" in runner.invoke(app, asked).output
    assert "of 8x8" in runner.invoke(app, [*asked, "--env", "map_name=8x8"]).output
    refused = runner.invoke(app, [*asked, "--env", "map=8x8"])
    assert "map" in str(refused.exception)
    refused = runner.invoke(app, [*asked, "--env", "is_slippery=no"])
    assert "is_slippery" in str(refused.exception)


def test_describe_loads_no_model() -> None:
    code = (
        "import sys; from dragoman.cli import app\n"
        "app(['describe', 'CartPole-v1'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_env_prints_versions() -> None:
    assert "gymnasium:" in runner.invoke(app, ["env"]).output


def test_an_expected_error_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dragoman", "describe", "CartPol-v1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: environment 'CartPol-v1' is not registered")
    assert "Cure:" in errors


def test_overrides_are_yaml() -> None:
    assert parse_overrides(["a=1", "b.c=[x, y]", "d=null"]) == {
        "a": 1,
        "b.c": ["x", "y"],
        "d": None,
    }
    assert parse_overrides(["a=1e-2", "b=yes", "c=1e5"]) == {"a": 0.01, "b": "yes", "c": 1e5}
    with pytest.raises(ConfigError, match="has no '='"):
        parse_overrides(["steps"])
    with pytest.raises(ConfigError, match=r"--set 'a=\{x: 1, x: 2\}': the key 'x' stands"):
        parse_overrides(["a={x: 1, x: 2}"])


def test_cache_shows_and_clears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(*command: str) -> str:
        result = runner.invoke(app, ["cache", *command])
        assert result.exit_code == 0, result.output
        return result.output

    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    (tmp_path / "models" / "some").mkdir(parents=True)
    Store(tmp_path).put({b"a": b"answer", b"b": b"answer"})
    assert "answers of models" in says("ls")
    assert "model some" in says("ls")
    assert "forgot 2 answers" in says("clear")
    assert Store(tmp_path).size().entries == 0
    assert "removed the converted models" in says("clear", "--models")
    assert not (tmp_path / "models").exists()


def test_ls_tasks_says_what_each_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = runner.invoke(app, ["ls", "tasks", "--filter", "board game"])
    assert shown.exit_code == 0, shown.output
    rows = [line for line in shown.output.splitlines() if "dragoman/" in line]
    assert len(rows) == 5
    name = rows[0].split()[0]
    about = runner.invoke(app, ["ls", "tasks", name]).output
    assert "boards (installed)" in about
    assert "[" in about
    monkeypatch.setattr("dragoman.tasks.catalog.find_spec", lambda name: None)
    assert "pip install 'dragoman[boards]'" in runner.invoke(app, ["ls", "tasks", name]).output


@pytest.mark.parametrize("what", ["tasks", "recipes"])
def test_lists_fit_eighty_columns(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr("dragoman.cli.ls.Console", lambda: console)
    with console.capture() as shown:
        assert runner.invoke(app, ["ls", what], catch_exceptions=False).exit_code == 0
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    # Nothing is squeezed: names take a line or two, sentences a few more.
    rows = json.loads(runner.invoke(app, ["ls", what, "--json"]).output)
    assert len(lines) <= {"tasks": 3, "recipes": 7}[what] * len(rows)


def test_a_failed_start_leaves_no_folder_and_default_names_count_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    broken = "tests/broken_envs.py:RaisesInReset"
    words = ["--set", f"env={Path(__file__).parents[2] / broken}", "--set", "max_episode_steps=9"]
    assert runner.invoke(app, ["train", "experiment.yaml", *words]).exception is not None
    assert not list(tmp_path.glob("runs/*"))
    for name in ("CartPole-v1-ppo-0", "CartPole-v1-ppo-0-2"):
        result = runner.invoke(app, ["train", "experiment.yaml"])
        assert f"run folder: runs/{name}\n" in result.output
        assert (tmp_path / "runs" / name / "weights.safetensors").is_file()


def test_counts_may_be_written_short() -> None:
    assert [count(text) for text in ("20", "10k", "1e5", "1.5M")] == [20, 10_000, 10**5, 1_500_000]
    for text in ("0", "-1", "1.5", "many", "nan"):
        with pytest.raises(typer.BadParameter, match="no whole number of at least 1"):
            count(text)


def test_version_and_short_help() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"dragoman {metadata.version('dragoman')}\n")
    assert "EXPERIMENT" in runner.invoke(app, ["train", "-h"]).output


def test_recipes_are_listed() -> None:
    result = runner.invoke(app, ["ls", "recipes", "--filter", "truck"])
    assert "recipe:tasks/cvrp" in result.output
    assert "recipe:tasks/jobshop" not in result.output


def test_init_prints_a_file_that_trains(tmp_path: Path) -> None:
    result = runner.invoke(app, ["init", "CartPole-v1"])
    file = tmp_path / "mine.yaml"
    file.write_text(result.stdout)
    assert read_experiment(file) == read_experiment("CartPole-v1")


def test_an_environment_alone_trains_and_is_compared(tmp_path: Path) -> None:
    small = ["steps=64", "observe=null", "num_envs=2"]
    small += ["algorithm.settings.n_steps=16", "algorithm.settings.batch_size=16"]
    options = [part for pair in small for part in ("--set", pair)]
    out = tmp_path / "run"
    result = runner.invoke(app, ["train", "CartPole-v1", "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    assert f"next: dragoman eval {out}" in result.output
    arms = read_comparison("CartPole-v1").arms
    assert list(arms) == ["model", "no-model", "random-weights", "learned-embedding"]
    assert read_comparison("recipe:comparisons/frozenlake").base["env"] == "FrozenLake-v1"
    assert read_comparison("CartPole-v1").name == "CartPole-v1"


def test_an_unexpected_error_is_one_message_and_a_traceback_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(
        "from dataclasses import dataclass\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Broken:\n"
        "    controls = ()\n"
        "    prior = 'none'\n"
        "    uses_model = False\n\n"
        "    def wrap(self, env, context):\n"
        "        return {}['battery']\n"
    )
    overrides = ("observe=null", f"roles.broken.use={file}:Broken")
    given = ["train", "CartPole-v1", *(part for one in overrides for part in ("--set", one))]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dragoman", *given])
    with pytest.raises(SystemExit, match="1"):
        main()
    errors = capfd.readouterr().err
    assert "KeyError: 'battery'" in errors
    assert f"line 11 of {file}" in errors
    assert "Traceback" not in errors
    monkeypatch.setattr(sys, "argv", ["dragoman", "--debug", *given])
    with pytest.raises(KeyError, match="battery"):
        main()


def test_reading_verbs_print_json(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    out = tmp_path / "runs" / "one"
    runner.invoke(app, ["train", str(file), "--out", str(out)])
    result = runner.invoke(app, ["eval", str(out), "--episodes", "2", "--json"])
    played = json.loads(result.stdout)
    assert list(played) == ["greedy", "sampled", "random"]
    assert len(played["greedy"]["episodes"]) == 2
    (row,) = json.loads(runner.invoke(app, ["ls", str(tmp_path / "runs"), "--json"]).stdout)
    assert (row["name"], row["steps"], row["status"]) == ("one", 64, "finished")

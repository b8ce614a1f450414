"""What a user may mistype: each ends in one message that names the value, never in a traceback."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
from typer.testing import CliRunner

import dragoman
from dragoman.cli import app
from dragoman.cli.train import parse_overrides
from dragoman.errors import DragomanError
from dragoman.experiment import Collapse, Describe
from dragoman.experiment.source import read_experiment
from dragoman.models.spec import ModelSpec
from dragoman.testing import ScriptedModel

ENVS = Path(__file__).parents[1] / "broken_envs.py"
FILES = {
    "syntax.py": "def f(:\n",
    "missing.py": "import nopackage\n",
    "rewards.py": "def far(texts, limit=1):\n    return [0.0 for _ in texts]\n\n\n"
    "def moved(texts, actions):\n    return [0.0 for _ in texts]\n\n\n"
    "class Mute:\n    pass\n",
    "broken.yaml": "x: [\n",
    "list.yaml": "- a\n",
    "empty.yaml": "",
    "unknown.yaml": "env: CartPole-v1\nstepz: 3\n",
}
SMALL = ["steps=40", "num_envs=2", "algorithm.settings.n_steps=10"]
SMALL += ["algorithm.settings.batch_size=10"]

ENVIRONMENTS = [
    ("NoSpaces", "cannot be made: AttributeError"),
    ("NeedsArgs", "missing 1 required positional argument: 'size'"),
    ("RaisesInInit", "cannot be made: RuntimeError: no licence, in line"),
    ("RaisesInReset", "reset() raised KeyError: 'battery', in line"),
    ("RaisesInStep", "raised ZeroDivisionError: division by zero, in line"),
    ("WrongShape", "step 0: the observation has shape (3,), but its space says (2,)"),
    ("TextReward", "the reward is 'one', which is no number"),
    ("NoneObservation", "step 1: the observation is None"),
    ("FourTuple", "step() returns 4 values instead of"),
    ("InfoList", "info is [], which is no mapping"),
    ("NanReward", "the reward is nan"),
    ("ResetOne", "instead of an observation and an info"),
    ("TupleActions", "ppo cannot act in Tuple"),
    ("GraphObs", "which does not lie in Graph"),
    ("NotEnv", "is a class, but not of gymnasium.Env"),
    ("function", "is neither a Gymnasium environment class"),
    ("Missing", "is neither a Gymnasium environment class"),
]
NAMES = [
    ("syntax.py:A", "is no Python: invalid syntax (syntax.py, line 1)"),
    ("missing.py:A", "imports what is not installed: No module named 'nopackage'"),
    ("nofile.py:A", "there is no file nofile.py"),
    ("nomodule:A", "no module named 'nomodule'"),
    ("dragoman:A", "'A' is neither a Gymnasium environment class"),
    ("os.path:join", "'join' is neither a Gymnasium environment class"),
    ("syntax.py", "names a file, and no class in it"),
    ("syntax.py:", "is no Python"),
    ("CartPole-v9", "which has 'CartPole-v1'"),
    ("cartpole-v1", "did you mean 'CartPole-v1'"),
    ("", "environment '' is not registered"),
    ("  ", "environment '  ' is not registered"),
    ("CartPole-v1/", "did you mean 'CartPole-v1'"),
    ("../x", "environment '../x' is not registered"),
    ("broken.yaml", "broken.yaml is not valid YAML"),
    ("list.yaml", "list.yaml holds list, not a mapping"),
    ("empty.yaml", "empty.yaml holds nothing, not a mapping"),
    ("unknown.yaml", "unknown key 'stepz' (did you mean 'steps'?)"),
    ("none.yaml", "there is no experiment file none.yaml"),
    ("recipe:", "there is no recipe ''"),
    ("recipe:frozenlak", "did you mean 'frozenlake' or 'open-lake'?"),
]
SETTINGS = [
    ("steps=0", "steps is 0, but must be at least 1"),
    ("steps=-1", "steps is -1"),
    ("steps=ten", "steps is 'ten'"),
    ("num_envs=0", "num_envs is 0"),
    ("num_envs=50", "steps is 40, but 50 copies"),
    ("algorithm.name=pppo", "did you mean 'ppo'"),
    ("algorithm.name=sac", "sac refuses the settings"),
    ("algorithm.settings.learning_rate=-1", "Invalid learning rate"),
    ("algorithm.settings.learning_rate=fast", "learning_rate is 'fast'"),
    ("algorithm.settings.n_steps=0", "n_steps"),
    ("algorithm.settings.batch_size=0", "batch_size"),
    ("algorithm.settings.gamma=2", "gamma is 2, but must lie between 0 and 1"),
    ("algorithm.settings.gae_lambda=-1", "gae_lambda is -1, but must lie between 0 and 1"),
    ("algorithm.settings.nonsense=1", "nonsense"),
    ("algorithm.settings.policy_kwargs={activation_fn: relu}", "ppo refuses the settings"),
    ("algorithm.settings=3", "algorithm.settings is 3"),
    ("algorithm.network=[0]", "algorithm.network is 0"),
    ("algorithm.network=[-3]", "algorithm.network is -3"),
    ("algorithm.nam=ppo", "did you mean 'name'?"),
    ("env_settings.nonsense=3", "refuses the settings {'nonsense': 3}"),
    ("env_settings=3", "env_settings is 3"),
    ("max_episode_steps=0", "max_episode_steps is 0"),
    ("max_episode_steps=-2", "max_episode_steps is -2"),
    ("model.device=cuda:99", "but PyTorch sees"),
    ("model.device=toaster", "which PyTorch does not know"),
    ("model.dtype=float8", "did you mean 'float32'"),
    ("model.name=/no/path", "there is no model folder '/no/path'"),
    ("model.threads=0", "model.threads is 0"),
    ("model.threads=-1", "model.threads is -1"),
    ("model.weights=zero", "model.weights is 'zero'"),
    ("model.server=nonsense", "the server nonsense gives one embedding a text"),
    ("observe.layr=3", "did you mean 'layer'?"),
    ("observe.layer=two", "observe.layer is 'two'"),
    ("observe.pooling=max", "is 'max': Input should be 'last'"),
    ("observe.pooling=[]", "observe.pooling is empty"),
    ("observe.freeze_after=-1", "observe.freeze_after is -1"),
    ("describe.precision=0", "describe.precision is 0"),
    ("describe.observation={nothing}", "describe.observation is {'nothing': None}"),
    ("describe.observation=5", "describe.observation is 5"),
    ("describe.actions=[a]", "got 1 different action texts for Discrete(2)"),
    ("describe.history=-1", "describe.history is -1"),
    ("act.policy=matsch", "did you mean 'match'?"),
    ("act.tune.rank=0", "act.tune.rank is 0"),
    ("act.temperature=0", "act.temperature is 0"),
    ("act.template=none", "no place for the action's text"),
    ("reward.use=nonsense", "there is no reward 'nonsense'"),
    ("reward.use=goal-similarity", "needs the setting 'goal'"),
    ("reward=3", "reward is 3"),
    ("reward={use: goal-similarity, goal: x, gamma: 0.5}", "reward.gamma is 0.5, but the learner"),
    ("reward={use: mine.py:f}", "there is no file mine.py"),
    ("reward={use: 'rewards.py:none'}", "there is no 'none' in 'rewards.py'"),
    ("reward={use: 'rewards.py:far', limt: 3}", "has no setting 'limt' (did you mean 'limit'?)"),
    ("reward={use: 'rewards.py:moved'}", "so it is no function of the state"),
    ("reward={use: written, program: none.py}", "the program none.py cannot be read"),
    ("roles.x=3", "roles.x is 3"),
    ("roles.x.use=a", "which names no role"),
    ("roles.1x.use=a:b", "'1x' cannot name a role"),
    ("roles.x.use=rewards.py:far", "which is no dataclass"),
    ("describe.use=rewards.py:far", "cannot be made: TypeError: "),
    ("describe.use=rewards.py:Mute", "has no method observation and no method action"),
    ("track=wandbb", "did you mean 'wandb'"),
    ("track=3", "is 3"),
    ("describe.use=mine", "which names no describer"),
    ("describe.use=mine.py:A", "there is no file mine.py"),
    ("collapse.entropy=many", "collapse.entropy is 'many'"),
    ("stepz=3", "did you mean 'steps'?"),
    ("a.b.c=1", "unknown key 'a'"),
    ("=3", "unknown key ''"),
    ("steps", "--set 'steps' has no '='"),
]
COMMANDS = [
    (["eval", "none"], "there is no run folder none"),
    (["eval", "."], "it is no run folder"),
    (["eval", "syntax.py"], "there is no run folder"),
    (["compare", "broken.yaml"], "is not valid YAML"),
    (["compare", "unknown.yaml"], "unknown key 'stepz'"),
    (["compare", "CartPole-v1", "--set", "observe=null"], "no arm uses a role"),
    (["compare", "recipe:x"], "there is no recipe 'x'"),
    (["compare", "CartPole-v1", "--set", "algorithm=sac"], "arm 'model': sac cannot act in"),
    (["compare", "CartPole-v1", "--set", "steps=3"], "arm 'model': steps is 3, but 16 copies"),
    (["compare", f"{ENVS}:NanReward"], "arm 'model': environment 'NanReward-v0'"),
    (["compare", f"{ENVS}:GraphObs"], "arm 'model': environment 'GraphObs-v0'"),
    (["report", "none"], "it is no folder of a comparison"),
    (["report", "."], "it is no folder of a comparison"),
    (["replay", "none"], "there is no run folder none"),
    (["watch", "none"], "there is no run folder none"),
    (["export", "none", "--out", "out"], "there is no run folder none"),
    (["distill", "none", "--out", "out"], "there is no run folder none"),
    (["describe", "CartPole-v9"], "which has 'CartPole-v1'"),
    (["ls", "none"], "there is no folder none"),
    (["ls", ".", "--sort", "x"], "there is no column 'x'"),
    (["ls", "tasks", "Cartpole-v1"], "did you mean 'CartPole-v1'"),
    (["init", ""], "environment '' is not registered"),
    (
        ["train", "CartPole-v1", "--out", "/proc/x", "--set", "observe=null"],
        "/proc has 0.0 MiB free, and a run there needs 4.0",
    ),
    (
        ["train", "CartPole-v1", "--out", "syntax.py", "--set", "observe=null"],
        "exists and is not empty",
    ),
]
USAGE = [
    ["train"],
    ["train", "CartPole-v1", "--seed", "x"],
    ["eval", ".", "--episodes", "0"],
    ["eval", ".", "--episodes", "1.5k3"],
    ["distill", ".", "--out", "x", "--steps", "many"],
    ["compare", "CartPole-v1", "--seeds", "0"],
    ["compare", "CartPole-v1", "--jobs", "0"],
    ["compare", "CartPole-v1", "--budget", "money"],
    ["export"],
    ["describe", "CartPole-v1", "--steps", "-1"],
    ["cache", "x"],
    ["nonsense"],
]


def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail where a model is loaded before its mistake is found."""
    monkeypatch.setattr(ModelSpec, "load", lambda *given: pytest.fail("a model is loaded"))


def problem(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the message that a command ends with."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, DragomanError), repr(error)
    assert len(error.cure) > 5
    left = {file.name for file in folder.iterdir() if file.suffix not in (".py", ".yaml")}
    assert left <= {"__pycache__", "runs", "damaged"}
    return error.problem


def training(source: str, *overrides: str) -> list[str]:
    options = [part for pair in (*SMALL, *overrides) for part in ("--set", pair)]
    return ["train", source, *options]


@pytest.mark.parametrize(("name", "message"), ENVIRONMENTS)
def test_an_environment_that_is_wrong(name, message, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    arguments = training(f"{ENVS}:{name}", "max_episode_steps=9")
    assert message in problem(arguments, tmp_path, monkeypatch)


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_a_name_of_nothing(name, message, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    assert message in problem(training(name), tmp_path, monkeypatch)


@pytest.mark.parametrize(("override", "message"), SETTINGS)
def test_a_setting_that_cannot_work(override, message, tmp_path, monkeypatch) -> None:
    if not override.startswith(("model.name=", "model.server=")):
        no_model(monkeypatch)
    assert message in problem(training("CartPole-v1", override), tmp_path, monkeypatch)


@pytest.mark.parametrize(("arguments", "message"), COMMANDS)
def test_a_command_that_cannot_work(arguments, message, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    assert message in problem(arguments, tmp_path, monkeypatch)


@pytest.mark.parametrize("arguments", USAGE)
def test_what_no_command_takes(arguments, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage" in result.output


MODEL = ScriptedModel(lambda text: [float(len(text))])
IN_PYTHON: list[tuple[Callable[[], object], str]] = [
    (lambda: dragoman.Act("matsch"), "did you mean 'match'"),
    (lambda: dragoman.Observe(pooling="max"), "observe.pooling is 'max'"),
    (lambda: dragoman.Tune(how="lor"), "did you mean 'lora'"),
    (lambda: dragoman.Algorithm("pppo"), "did you mean 'ppo'"),
    (lambda: dragoman.Sampling(temperature="hot"), "temperature is 'hot'"),
    (lambda: dragoman.Distillation(steps="many"), "steps is 'many'"),
    (lambda: Collapse(entropy="many"), "collapse.entropy is 'many'"),
    (lambda: Describe(precision="many"), "describe.precision is 'many'"),
    (lambda: dragoman.Experiment(3), "env is 3"),
    (lambda: dragoman.train(3), "3 names no experiment"),
    (lambda: dragoman.train(None), "nothing is named to train"),
    (lambda: dragoman.train("CartPole-v1", seed="x"), "seed is 'x', but must be a whole number"),
    (lambda: dragoman.train("CartPole-v1", engine="sb4"), "'sb4' is no engine"),
    (lambda: dragoman.train("CartPole-v1", watchers=[3]), "watchers is [3]"),
    (lambda: dragoman.train(gymnasium.make("CartPole-v1")), "names no experiment"),
    (lambda: dragoman.evaluate(3), "3 is no run folder"),
    (lambda: dragoman.evaluate({"env": "CartPole-v1"}), "is no run folder"),
    (lambda: dragoman.evaluate("CartPole-v1"), "there is no run folder CartPole-v1"),
    (lambda: dragoman.evaluate_random("CartPole-v9"), "which has 'CartPole-v1'"),
    (lambda: dragoman.export(3, "out"), "3 is no run folder"),
    (lambda: dragoman.distill(3, "out"), "3 is no run folder"),
    (lambda: dragoman.compare(3, "out"), "3 names no experiment"),
    (lambda: dragoman.compare({"bse": {}}, "out"), "the key 'base' is required"),
    (lambda: dragoman.observe("CartPole-v9", MODEL), "which has 'CartPole-v1'"),
    (lambda: dragoman.observe(3, MODEL), "3 is no environment"),
    (lambda: dragoman.observe("CartPole-v1", 7), "7 is no language model"),
    (lambda: dragoman.observe("CartPole-v1", MODEL, {"layr": 2}), "did you mean 'layer'"),
    (lambda: dragoman.observe("CartPole-v1", MODEL, 3), "observe is 3"),
    (lambda: dragoman.observe("CartPole-v1", settings={"layr": 2}), "did you mean 'layer'"),
    (lambda: dragoman.observe("CartPole-v1", describer="no.py:D"), "there is no file no.py"),
    (lambda: dragoman.observe("CartPole-v1", describer=3), "has no method observation"),
    (lambda: dragoman.train("CartPole-v1", progress=3), "progress is 3"),
    (lambda: dragoman.describe_env(3), "3 is no environment"),
    (lambda: dragoman.load_model(3), "3 names no model"),
]


@pytest.mark.parametrize(("call", "message"), IN_PYTHON)
def test_what_python_gives(call, message, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DragomanError) as error:
        call()
    assert message in error.value.problem
    assert len(error.value.cure) > 5
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that has read texts, and so needs its model to be played."""
    experiment = read_experiment("CartPole-v1", parse_overrides([*SMALL, "observe.layer=2"]))
    out = tmp_path_factory.mktemp("runs") / "run"
    return dragoman.train(experiment, out=out, model=MODEL).path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "nonsense=3"], "refuses the settings {'nonsense': 3}"),
        (["--env", "nonsense"], "--env 'nonsense' has no '='"),
        (["--video", "film.avi"], "no kind of film"),
    ],
)
def test_a_run_that_cannot_be_played_so(options, message, run, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    assert message in problem(["eval", str(run), *options], tmp_path, monkeypatch)


def test_a_run_is_refused_before_its_model_is_loaded(run, tmp_path, monkeypatch) -> None:
    no_model(monkeypatch)
    with pytest.raises(DragomanError, match="max_steps is 0"):
        dragoman.evaluate(run, max_steps=0)
    with pytest.raises(DragomanError, match="refuses the settings"):
        dragoman.evaluate(run, env_settings={"nonsense": 3})
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(DragomanError, match="damaged"):
        dragoman.evaluate(damaged)
    assert "damaged" in problem(["eval", str(damaged)], tmp_path, monkeypatch)

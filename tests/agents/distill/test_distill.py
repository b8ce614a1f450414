"""From run folders to students."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from gymnasium.spaces import flatten

from dragoman.agents.agent import Agent
from dragoman.agents.distill import distill as distilling
from dragoman.agents.distill import onnx_file
from dragoman.agents.distill.dagger import Distillation
from dragoman.agents.distill.distill import distill
from dragoman.agents.distill.student import load_student
from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.environments import make_environment
from dragoman.errors import MissingExtraError, RunError, SpaceError
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.number_reader import read_numbers

SMALL = Distillation(steps=2_000, rounds=2, epochs=20, num_envs=8, learning_rate=3e-3)
TINY = Distillation(steps=32, rounds=2, epochs=1, num_envs=2)
PPO = Algorithm(
    "ppo", {"n_steps": 32, "batch_size": 64, "n_epochs": 4, "learning_rate": 0.01}, (8,)
)


def trained(out: Path, model=None, **settings) -> Run:
    settings = {"steps": 512, "num_envs": 4, "algorithm": PPO, "observe": None, **settings}
    return train(Experiment(**settings), out=out, model=model)


def test_a_policy_through_a_model_becomes_a_network_without(tmp_path: Path) -> None:
    asked = ScriptedModel(read_numbers)
    run = trained(tmp_path / "run", asked, env="CartPole-v1", observe=Observe(), steps=1024)
    result = distill(run, tmp_path / "out", SMALL, episodes=10, seed=3, model=asked)
    assert result.rounds[result.kept].agreement > 0.9
    # The same episodes that an evaluation plays.
    assert result.teacher == evaluate(run, 10, seed=3, model=asked)
    student = load_student(tmp_path / "out")
    agent = Agent(run, model=asked)
    env = make_environment(agent.spec)
    observation, _ = env.reset(seed=5)
    same = []
    for _ in range(50):
        row = flatten(env.observation_space, observation)
        (action,) = student.act(row[None])
        same.append(action == agent.act([observation], [{}])[0])
        observation, *_, ended, cut, _ = env.step(action)
        if ended or cut:
            observation, _ = env.reset()
    assert np.mean(same) > 0.8
    told = json.loads((tmp_path / "out/distilled.json").read_text())
    assert told["agreement"]["student_states"] == result.student_states
    assert told["returns"]["student"]["mean"] == result.followed.mean
    assert (told["steps"], told["seed"]) == (2000, 3)
    sizes = {f"{item.name}_bytes": item.stat().st_size for item in (tmp_path / "out").iterdir()}
    for name in ("student.safetensors", "student.onnx", "student.json"):
        assert told["sizes"][f"{name}_bytes"] == sizes[f"{name}_bytes"]
    assert told["sizes"]["student_weights"] == 4 * 64 + 64 + 64 * 64 + 64 + 64 * 2 + 2
    assert told["sizes"]["model_weights"] is None


def test_masks_go_into_the_file(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", env="tests.number_tasks:Greatest", act=Act())
    result = distill(run, tmp_path / "out", TINY, episodes=2)
    assert result.student.shape.masked
    file = onnxruntime.InferenceSession(
        tmp_path / "out/student.onnx", providers=["CPUExecutionProvider"]
    )
    assert [get_input.name for get_input in file.get_inputs()] == ["observation", "mask"]
    generator = np.random.default_rng(0)
    rows = generator.uniform(-1, 1, (1000, 4)).astype(np.float32)
    masks = (generator.random((1000, 4)) < 0.5).astype(np.int8)
    masks[:, 0] = 1
    action, _ = file.run(None, {"observation": rows, "mask": masks})
    np.testing.assert_array_equal(action, result.student.act(rows, masks))


@pytest.mark.parametrize("given", [{"masked": False}, {}])
def test_without_masks_or_a_policy_that_knows_them_none_go_in(given, tmp_path: Path) -> None:
    if given:
        run = trained(
            tmp_path / "run", env="tests.number_tasks:Greatest", env_settings=given, act=Act()
        )
    else:
        run = trained(tmp_path / "run", env="CartPole-v1")
    result = distill(run, tmp_path / "out", TINY, episodes=1, onnx=False)
    assert not result.student.shape.masked
    assert not (tmp_path / "out/student.onnx").exists()


def test_continuous_actions(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", env="tests.number_tasks:Turned", steps=2048)
    result = distill(run, tmp_path / "out", SMALL, episodes=3)
    assert result.student_states > 0.8
    rows = np.random.default_rng(0).uniform(-1, 1, (1000, 4)).astype(np.float32)
    file = onnxruntime.InferenceSession(
        tmp_path / "out/student.onnx", providers=["CPUExecutionProvider"]
    )
    (action,) = file.run(None, {"observation": rows})
    np.testing.assert_allclose(action, result.student.act(rows), rtol=0, atol=1e-5)


def test_weights_of_a_real_model_are_counted(tiny_gpt2_path: Path, tmp_path: Path) -> None:
    model = ModelSpec(str(tiny_gpt2_path), dtype="float32", threads=1)
    experiment = Experiment(
        env="CartPole-v1", steps=8, num_envs=2, model=model, max_episode_steps=10,
        algorithm=Algorithm("ppo", {"n_steps": 4, "batch_size": 8, "n_epochs": 1}, (8,)),
    )  # fmt: skip
    run = train(experiment, out=tmp_path / "run")
    result = distill(run, tmp_path / "out", TINY, episodes=1, onnx=False)
    assert result.sizes["model_weights"] > 40_000


def test_texts_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    asked = ScriptedModel(lambda text: [len(text), text.count("l")])
    settings = {
        "env": "tests.text_tasks:Recall",
        "env_settings": {"length": 1},
        "observe": Observe(),
    }
    run = trained(tmp_path / "run", asked, **settings)
    with pytest.raises(SpaceError, match="the observation is Text"):
        distill(run, tmp_path / "out", TINY, model=asked)
    assert [item.name for item in tmp_path.iterdir()] == ["run"]


def test_nothing_is_computed_for_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(tmp_path / "run", env="CartPole-v1")
    monkeypatch.setattr(distilling, "teach", lambda *_, **__: pytest.fail("it was computed"))
    with pytest.raises(RunError, match="is not empty"):
        distill(run, tmp_path / "run", TINY)
    monkeypatch.setattr(onnx_file, "_is_installed", lambda package: False)
    with pytest.raises(MissingExtraError, match="or leave ONNX out"):
        distill(run, tmp_path / "out", TINY)

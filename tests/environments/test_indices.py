"""Policies count from zero, environments from where they like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import onnxruntime
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, flatten

import dragoman
from dragoman.agents.agent import Agent
from dragoman.agents.distill.dagger import Distillation
from dragoman.agents.distill.distill import distill
from dragoman.agents.distill.student import load_student
from dragoman.agents.evaluate import evaluate, evaluate_random
from dragoman.agents.record import record
from dragoman.engines.train import train
from dragoman.environments import make_environment
from dragoman.environments.indices import Indices
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.roles.act.settings import Act
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.settings import Reward, Term
from dragoman.testing import ScriptedModel
from tests.offset_actions import WORDS, Started, reads_the_word, says_the_word

STARTS = [1, -3]
ALGORITHMS: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "learning_rate": 0.01},
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 20, "exploration_fraction": 0.9},
    "recurrent-ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
}
POLICIES: dict[str, Act | None] = {
    "none": None,
    "head": Act(),
    "match": Act("match"),
    "score": Act("score"),
    "hybrid": Act("hybrid"),
    "hybrid of match": Act("hybrid", base="match"),
}


def model() -> ScriptedModel:
    return ScriptedModel(reads_the_word, log_probs=says_the_word)


def experiment(env: str, algorithm: str, **settings: Any) -> Experiment:
    return Experiment(
        env=f"tests.offset_actions:{env}",
        steps=128,
        num_envs=2,
        algorithm=Algorithm(algorithm, ALGORITHMS[algorithm], (8,)),
        **settings,
    )


@pytest.mark.parametrize(
    ("space", "chosen", "done"),
    [
        (Discrete(3), np.array([0, 2]), np.array([0, 2])),
        (Discrete(3, start=1), np.array([0, 2]), np.array([1, 3])),
        (Discrete(3, start=-3), np.int64(2), np.int64(-1)),
        (MultiDiscrete([2, 3]), np.array([[1, 2]]), np.array([[1, 2]])),
        (MultiDiscrete([2, 3], start=[-1, 4]), np.array([[1, 2]]), np.array([[0, 6]])),
        (Box(-1, 1, (2,)), np.array([0.5, 1.0]), np.array([0.5, 1.0])),
    ],
    ids=str,
)
def test_there_and_back(space: gym.Space[Any], chosen: Any, done: Any) -> None:
    indices = Indices(space)
    np.testing.assert_array_equal(indices.actions(chosen), done)
    np.testing.assert_array_equal(indices.indices(done), chosen)
    assert not np.any(getattr(indices.space, "start", 0))
    if not np.any(getattr(space, "start", 0)):
        assert indices.space is space
        assert indices.actions(chosen) is chosen


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("observe", [None, Observe()])
def test_every_algorithm_acts_in_the_space(
    start: int, algorithm: str, observe: Observe | None, tmp_path: Path
) -> None:
    # The environment raises where an action is not in its space.
    short = experiment("StartedNumbers", algorithm, observe=observe, env_settings={"start": start})
    asked = ScriptedModel(lambda text: np.float32([len(text), text.count("1")]))
    run = train(short, out=tmp_path / "run", model=asked)
    assert evaluate(run, 3, model=asked) == evaluate(run, 3, model=asked)
    evaluate(run, 3, sampled=True, model=asked)
    evaluate_random(short, 3)
    played = record(run, model=asked)
    assert played.parts[0].options == tuple(f"action {start + i}" for i in range(3))


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "recurrent-ppo"])
def test_several_choices_with_starts(algorithm: str, tmp_path: Path) -> None:
    short = experiment("StartedSeveral", algorithm, observe=None)
    run = train(short, out=tmp_path / "run")
    evaluate(run, 3)
    evaluate(run, 3, sampled=True)
    played = record(run)
    assert [part.options for part in played.parts] == [("1", "2", "3"), ("-2", "-1")]
    agent = Agent(run)
    action = agent.act([np.eye(3, dtype=np.float32)[0]], [{}])[0]
    assert agent.policy.actions == MultiDiscrete([3, 2])
    assert MultiDiscrete([3, 2], start=[1, -2]).contains(action)


@pytest.mark.parametrize(("start", "masked"), [(1, False), (-3, True)])
@pytest.mark.parametrize("name", [name for name in POLICIES if name != "none"])
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_the_text_that_is_read_is_that_of_the_action(
    start: int, masked: bool, name: str, algorithm: str, tmp_path: Path
) -> None:
    short = experiment(
        "Started",
        algorithm,
        act=POLICIES[name],
        env_settings={"start": start, "masked": masked},
        describe=Describe(history=2),
    )
    asked = ScriptedModel(lambda text: reads_the_word(text.rpartition("Observation")[2]),
        log_probs=lambda p, c: says_the_word(p.rpartition("Observation")[2], c))  # fmt: skip
    run = train(short, out=tmp_path / "run", model=asked)
    evaluate(run, 5, model=asked)
    evaluate(run, 5, sampled=True, model=asked)
    (episode,) = record(run, model=asked).episodes
    for before, after in zip(episode.steps[:-1], episode.steps[1:], strict=True):
        chosen = int(before.weighed[0].chosen)
        assert before.action == WORDS[chosen]
        assert f"Action: {WORDS[chosen]}" in after.text
        said = [word for word in WORDS if f"say {word}" in before.text.rpartition("Obs")[2]]
        assert before.reward == float([before.action] == said)
    if name == "score":
        # A model that knows the answers is right in every step.
        assert episode.episode_return == 3


@pytest.mark.parametrize("start", STARTS)
def test_rewards_read_the_action_that_was_done(start: int, tmp_path: Path) -> None:
    short = experiment(
        "Started", "ppo", observe=None, act=Act("score"), env_settings={"start": start},
        reward=Reward({"said": Term(use="tests.offset_actions:said", shaping="bonus")}),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="plain bonus"):
        run = train(short, out=tmp_path / "run", model=model())
    for step in record(run, model=model()).episodes[0].steps[:-1]:
        assert step.terms["said"] == WORDS.index(step.action)


@pytest.mark.parametrize("start", STARTS)
def test_students_and_files_give_the_environments_actions(start: int, tmp_path: Path) -> None:
    short = experiment("StartedNumbers", "ppo", observe=None, env_settings={"start": start})
    run = train(short.replaced({"steps": 1024}), out=tmp_path / "run")
    settings = Distillation(steps=256, rounds=2, epochs=10, num_envs=4, learning_rate=0.01)
    result = distill(run, tmp_path / "student", settings, episodes=5)
    assert result.teacher == evaluate(run, 5)
    agent, student = Agent(run), load_student(tmp_path / "student")
    file = onnxruntime.InferenceSession(
        tmp_path / "student/student.onnx", providers=["CPUExecutionProvider"]
    )
    env = make_environment(agent.spec, short.env_settings)
    rows = np.eye(3, dtype=np.float32)
    flat = np.stack([flatten(env.observation_space, row) for row in rows])
    wanted = agent.act(list(rows), [{}] * 3)
    assert all(env.action_space.contains(action) for action in wanted)
    np.testing.assert_array_equal(student.act(flat), wanted)
    np.testing.assert_array_equal(file.run(None, {"observation": flat})[0], wanted)
    assert result.rounds[result.kept].agreement == 1


def test_a_loop_of_your_own_keeps_the_environments_space() -> None:
    seen = dragoman.observe(Started(start=4), model())
    assert seen.action_space == Discrete(3, start=4)
    seen.reset(seed=0)
    seen.step(seen.action_space.sample())
    assert seen.unwrapped.done[0] in (4, 5, 6)

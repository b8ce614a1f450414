from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dragoman.comparison.file import all_arms
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import Schedule
from dragoman.models.spec import ModelSpec
from dragoman.roles.reward.settings import Reward, Term
from dragoman.roles.reward.similarity import GoalSimilarity

OWN = """
from dataclasses import dataclass


def shorter(texts, scale=1.0):
    return [-scale * len(text) for text in texts]


@dataclass(frozen=True)
class Nearness:
    word: str
    parts: tuple[float, ...] = (1.0,)

    def __call__(self, texts, *, model):
        return [sum(self.parts) * text.count(self.word) for text in texts]
"""


@dataclass(frozen=True)
class Here:
    word: str = "goal"

    def __call__(self, texts):
        return np.array([float(self.word in text) for text in texts])


def experiment(reward: object, **more: object) -> Experiment:
    return Experiment.from_dict({"env": "CartPole-v1", "reward": reward, **more})


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "my_rewards.py"
    file.write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return file


@pytest.mark.parametrize(
    "reward",
    [
        Reward.of("goal-similarity", goal="the pole is upright", weight=0.5),
        Reward({"near": Term("goal-similarity", {"goal": "up"})}, gamma=0.99),
        Reward(
            {
                "one": Term("judge", {"question": "Good?"}, Schedule(1.0, 0.0, 100), "bonus"),
                "two": Term(
                    "critique",
                    on_error="skip",
                    model=ModelSpec("m", server="http://127.0.0.1:8000/v1", json_schema=True),
                ),
            },
            env_weight=Schedule(0.0, 1.0, 10),
            placebo="noise",
        ),
        Reward({"hidden": Term("my_file.py:f", {"weight": 3, "gamma": 1, "other": [1, 2]})}),
    ],
)
def test_yaml_in_and_out(reward: Reward, tmp_path: Path) -> None:
    first = Experiment(env="CartPole-v1", reward=reward)
    file = tmp_path / "experiment.yaml"
    file.write_text(first.to_yaml())
    assert Experiment.from_yaml(file) == first


def test_a_single_reward_is_written_flat() -> None:
    plain = experiment({"use": "goal-similarity", "goal": "up", "weight": 2}).to_dict()["reward"]
    assert (plain["use"], plain["goal"], plain["weight"], plain["placebo"]) == (
        "goal-similarity", "up", 2.0, None,
    )  # fmt: skip


def test_fields_are_dotted_overrides(own: Path) -> None:
    base = experiment({"use": "goal-similarity", "goal": "up"})
    changed = base.replaced({"reward.goal": "down", "reward.weight": 3, "reward.alpha": 0.5})
    (term,) = changed.reward.terms.values()
    assert (dict(term.settings), term.weight) == ({"goal": "down", "alpha": 0.5}, 3.0)
    both = experiment({"terms": {"a": {"use": "my_rewards.py:shorter"}, "b": {"use": "critique"}}})
    changed = both.replaced({"reward.terms.a.scale": 2})
    assert changed.reward.terms["a"].caller("a").function(["four"]) == [-8]


def test_a_function_and_a_dataclass_are_found_in_a_file(own: Path) -> None:
    made = experiment({"use": "my_rewards.py:Nearness", "word": "up", "parts": [1, 2]})
    caller = made.reward.terms["nearness"].caller("nearness")
    assert caller.function.parts == (1.0, 2.0)
    assert caller(({"texts": ["up", "down"], "model": None}), 2)[0].tolist() == [3.0, 0.0]
    assert made.uses_model
    assert not experiment({"use": "my_rewards.py:shorter"}, observe=None).uses_model


def test_rewards_are_named_by_themselves_in_python() -> None:
    made = Reward.of(Here("door"), weight=0.1)
    assert made == Reward(
        {"here": Term("tests.roles.reward.test_settings:Here", {"word": "door"}, weight=0.1)}
    )
    assert made.terms["here"].caller("here")(({"texts": ["a door"]}), 1)[0].tolist() == [1.0]
    known = Reward.of(GoalSimilarity("up", layer=3))
    assert known.terms["goal-similarity"].settings["layer"] == 3
    with pytest.raises(ConfigError, match="no name by which"):
        Reward.of(lambda texts: texts)


def test_the_configuration_is_read_without_a_users_file() -> None:
    gone = experiment({"use": "gone.py:reward", "fast": True})
    assert gone.reward.terms["reward"].settings == {"fast": True}
    assert gone.uses_model
    with pytest.raises(ConfigError, match=r"there is no file gone.py"):
        gone.reward.terms["reward"].caller("reward")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ({}, "says nothing to use"),
        ({"goal": "up"}, "says nothing to use, only 'goal'"),
        ({"terms": {}}, "no terms"),
        ({"use": "goal-similarty", "goal": "up"}, None),
        ({"use": "goal-similarity"}, "needs the setting 'goal'"),
        ({"use": "goal-similarity", "goal": " "}, "goal is an empty text"),
        ({"use": "goal-similarity", "gaol": "up"}, r"no setting 'gaol' \(did you mean 'goal'"),
        ({"use": "goal-similarity", "goal": "up", "wieght": 2}, r"did you mean 'weight'"),
        ({"use": "goal-similarity", "goal": "up", "alpha": "much"}, "alpha is 'much'"),
        ({"use": "goal-similarity", "goal": "up", "alpha": 2}, "alpha is 2"),
        ({"use": "goal-similarity", "goal": "up", "shaping": "bonsu"}, "did you mean 'bonus'"),
        ({"use": "goal-similarity", "goal": "up", "weight": {"start": 1, "ende": 0}}, "weight"),
        ({"use": "goal-similarity", "goal": "up", "count_power": 3}, "a potential has no counts"),
        ({"use": "goal-reached", "goals": ["up"]}, "takes memory, so it is no function of the"),
        ({"use": "judge", "question": "Good?", "answers": ["yes"]}, "answers are"),
        ({"terms": {"env": {"use": "critique"}}}, "'env' cannot name a reward"),
        ({"use": "critique", "terms": {"a": {"use": "critique"}}}, "both 'use' and 'terms'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_cure(reward: dict, message: str | None) -> None:
    if message is None:
        made = experiment(reward)
        with pytest.raises(ConfigError, match="did you mean 'goal-similarity'"):
            made.reward.terms["goal-similarty"].caller("it")
        return
    with pytest.raises(ConfigError, match=message):
        experiment(reward)


def test_a_potential_may_look_at_nothing_but_the_state(own: Path) -> None:
    own.write_text("def forward(texts, previous):\n    return [0.0 for _ in texts]\n")
    made = experiment({"use": "my_rewards.py:forward"})
    with pytest.raises(ConfigError, match="takes previous, so it is no function of the state"):
        made.reward.terms["forward"].caller("forward")
    bonus = made.replaced({"reward.shaping": "bonus"})
    assert bonus.reward.terms["forward"].caller("forward").takes == {"texts", "previous"}


def test_its_controls_are_placebos_of_its_own_form() -> None:
    base = experiment({"use": "goal-similarity", "goal": "up", "weight": 0.25}, observe=None)
    arms = all_arms(base, {"goal": {}})
    assert list(arms) == ["goal", "no-model", "constant-reward", "noise-reward"]
    assert base.replaced(arms["no-model"].overrides).reward is None
    for name in ("constant-reward", "noise-reward"):
        control = base.replaced(arms[name].overrides)
        assert control.reward.terms == base.reward.terms
        assert not control.uses_model


def test_a_judges_server_is_not_the_experiments_model() -> None:
    made = experiment(
        {"use": "critique", "model": {"name": "m", "server": "http://127.0.0.1:1/v1"}}, observe=None
    )
    assert not made.uses_model
    assert made.reward.terms["critique"].model == ModelSpec("m", server="http://127.0.0.1:1/v1")


def test_a_configuration_with_rewards_loads_no_torch() -> None:
    import subprocess

    code = (
        "import sys; from dragoman.experiment import Experiment; "
        "Experiment.from_dict({'env': 'X', 'reward': {'use': 'preferences', 'question': 'Q?'}}); "
        "assert not {'torch', 'transformers', 'openai'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe.moment import MomentMaker
from dragoman.engines.train import train
from dragoman.errors import ConfigError, ModelError
from dragoman.experiment import Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.explore import goals
from dragoman.roles.explore.goal_settings import Goals
from dragoman.roles.explore.goals import GoalBonus, caption_of, context_of, goals_of
from dragoman.roles.explore.states import States
from dragoman.testing import ScriptedModel

WORDS = ("key", "door", "lamp", "box")


class House:
    """Says what a list of things says, and calls two actions by name."""

    def observation(self, observation: Any, info: Any) -> str:
        return "You see " + ". You hold a ".join(observation) + "."

    def action(self, action: Any) -> str:
        return ("take", "drop")[action]


MAKE = MomentMaker(House, gym.spaces.Discrete(2), goal="open the door")
HERE = np.zeros(1, np.int64)


def embedded(text: str) -> list[float]:
    return [float(text.count(word)) for word in WORDS] + [0.1]


def model(write: Any = None) -> ScriptedModel:
    return ScriptedModel(embedded, write=write)


def reached(*names: str, action: int = 0) -> States:
    return States(HERE, np.zeros((1, 0), np.float32), [MAKE(names, {})], [action])


def bonus_of(settings: Goals, written: str = "", num_envs: int = 1) -> tuple[GoalBonus, list[str]]:
    asked: list[str] = []

    def write(prompt: str, seed: int) -> str:
        asked.append(prompt)
        return written

    return GoalBonus(num_envs, settings, model(), model(write)), asked


def test_a_model_is_asked_once_a_context_and_paid_once_an_episode() -> None:
    method, asked = bonus_of(Goals(threshold=0.9), " take the key\n2. find a lamp\n3. take the key")
    method.begin(HERE, reached("wall"))
    (prompt,) = asked
    assert prompt.startswith("Task: open the door\nPossible actions: take; drop.\n")
    assert method.bonus(HERE, reached("wall")).tolist() == [0.0]
    # What is new is the key, and nothing else that is seen; and only where something changed.
    (paid,) = method.bonus(HERE, reached("wall", "key"))
    assert paid == pytest.approx(1.0)
    assert method.bonus(HERE, reached("wall", "key")).tolist() == [0.0]
    assert method.bonus(HERE, reached("wall", "key", "box")).tolist() == [0.0]
    # Dropped and taken again: it was reached in this episode.
    method.bonus(HERE, reached("wall"))
    assert method.bonus(HERE, reached("wall", "key")).tolist() == [0.0]
    method.begin(HERE, reached("wall"))
    assert method.bonus(HERE, reached("wall", "key"))[0] > 0.9
    assert len(asked) == 1
    assert method.metrics() == {
        "explore/goals_proposed": 2,
        "explore/goals_feasible": 1,
        "explore/goals_reached": 2,
    }


def test_contexts_have_goals_of_their_own() -> None:
    method, asked = bonus_of(Goals(context="start", threshold=0.9, task="tidy"), " take the key")
    method.begin(HERE, reached("wall"))
    method.begin(HERE, reached("box"))
    method.begin(HERE, reached("wall"))
    assert ["\nNow: You see wall.\n" in prompt for prompt in asked] == [True, False]
    assert all(prompt.startswith("Task: tidy\n") for prompt in asked)
    by_task, once = bonus_of(Goals(threshold=0.9), " take the key")
    by_task.begin(HERE, reached("wall"))
    by_task.begin(HERE, reached("box"))
    assert len(once) == 1
    named = MAKE("wall", {"action_texts": ["look", "wait"]})
    assert "Possible actions: look; wait.\n" in context_of(Goals(), named)


def test_the_threshold_is_measured_on_the_first_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goals, "CALIBRATED_ON", 6)
    method, _ = bonus_of(Goals(share=0.1, given=("key", "lamp")))
    method.begin(HERE, reached("wall"))
    for thing in ("stone", "box", "door", "box door", "box", "door"):
        assert method.bonus(HERE, reached("wall", thing)).tolist() == [0.0]
    (own,) = method.contexts.values()
    near = goals.cosines(model(), list(dict.fromkeys(method.captions)), ("key", "lamp"))
    assert own.threshold == pytest.approx(np.quantile(near.max(1), 0.9))
    assert method.bonus(HERE, reached("wall", "box"))[0] == 0.0
    assert method.bonus(HERE, reached("wall", "lamp"))[0] > 0.9


def test_what_was_proposed_is_saved_and_nothing_is_asked_again() -> None:
    method, _ = bonus_of(Goals(threshold=0.9), " take the key\nfind a lamp")
    method.begin(HERE, reached("wall"))
    method.bonus(HERE, reached("wall", "lamp"))
    restored, asked = bonus_of(Goals(threshold=0.9))
    restored.load_state(method.state())
    restored.learning = False
    restored.begin(HERE, reached("wall"))
    assert restored.bonus(HERE, reached("wall", "key"))[0] > 0.9
    assert asked == []
    assert restored.metrics() == method.metrics()


def test_answers_and_captions() -> None:
    assert goals_of("1) go north\n\n* go south.\n(3) go north", 8) == ["go north", "go south"]
    assert goals_of("<think>1. cheat</think>\nwin", 8) == ["win"]
    assert goals_of("", 8) == []
    before, after = MAKE(["wall"], {}), MAKE(["wall", "key"], {})
    assert caption_of(before, 0, after) == "take: You hold a key"
    assert caption_of(after, 0, after) is None


def test_a_model_that_cannot_write_is_refused_and_an_empty_answer_pays_nothing() -> None:
    class Mute:
        name = "mute"

    method = GoalBonus(1, Goals(), model(), Mute())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="'mute' cannot write"):
        method.begin(HERE, reached("wall"))
    silent, _ = bonus_of(Goals(threshold=0.0), "\n \n")
    silent.begin(HERE, reached("wall"))
    assert silent.bonus(HERE, reached("wall", "key")).tolist() == [0.0]
    assert silent.metrics()["explore/goals_proposed"] == 0


@pytest.mark.parametrize(
    ("goals", "problem"),
    [
        ({"count": 0}, "explore.goals.count is 0"),
        ({"threshold": 2}, "explore.goals.threshold is 2"),
        ({"share": -0.1}, "explore.goals.share is -0.1"),
        ({"given": ["go", " "]}, "explore.goals.given has an empty goal"),
        ({"match": "pattern"}, "no goals are given"),
        ({"match": "pattern", "given": "a(b"}, "the goal 'a(b' is no regular expression"),
        (
            {"contxt": "task"},
            "unknown key 'explore.goals.contxt' (did you mean 'context' or 'count'?)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(goals: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        Experiment.from_dict({"env": "FrozenLake-v1", "explore": {"goals": goals}})
    assert problem in str(error.value)


def test_patterns_need_no_model() -> None:
    settings = Goals(given=("^take: .*key", "lamp$"), match="pattern")
    method = GoalBonus(1, settings, None, None)
    method.begin(HERE, reached("wall"))
    assert method.bonus(HERE, reached("wall", "key", action=1)).tolist() == [0.0]
    assert method.bonus(HERE, reached("wall", "lamp", action=1)).tolist() == [1.0]
    assert method.bonus(HERE, reached("wall", "old key")).tolist() == [1.0]
    made = Experiment.from_dict(
        {"env": "FrozenLake-v1", "observe": None, "explore": {"method": "goals"}}
    )
    assert made.uses_model
    patterns = {"explore.goals": {"given": ["a"], "match": "pattern"}}
    assert not made.replaced(patterns).uses_model
    assert "no pre-training" in made.replaced(patterns).explore.prior


def test_models_that_it_names() -> None:
    made = Experiment.from_dict(
        {
            "env": "FrozenLake-v1",
            "observe": None,
            "explore": {"method": "goals", "goals": {"proposer": "gpt2"}, "model": "gpt2"},
        }
    )
    assert made.models[1:] == [ModelSpec("gpt2")] * 2
    assert not made.uses_model
    given = {"explore.goals.proposer": None, "explore.goals.given": "swim"}
    assert not made.replaced(given).uses_model
    assert made.replaced({"explore.goals.proposer": None}).uses_model


def test_a_training_is_paid_for_goals_and_says_how_many(tmp_path: Path) -> None:
    experiment = Experiment.from_dict(
        {
            "env": "tests.exploring:Chain",
            "describe": {"use": "tests.exploring:ChainTold"},
            "observe": None,
            "steps": 600,
            "num_envs": 4,
            "explore": {"method": "goals", "goals": {"given": ["room 3"], "threshold": 0.9}},
            "algorithm": {"name": "ppo", "settings": {"n_steps": 32, "n_epochs": 1}},
        }
    )
    run = train(experiment, out=tmp_path / "run", model=ScriptedModel(one_room, hidden_size=32))
    last = run.last_metrics()
    assert last["explore/goals_proposed"] == last["explore/goals_feasible"] == 1
    paid = sum(row["explore/bonus"] > 0 for row in run.episodes())
    # Those of the episodes that the training has left unfinished count too.
    assert 3 < paid <= last["explore/goals_reached"] <= paid + 4


def one_room(text: str) -> np.ndarray:
    result = np.zeros(32)
    result[int(text.split()[-1])] = 1.0
    return result

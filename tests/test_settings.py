from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from dragoman.comparison.comparison import EvaluationSettings
from dragoman.comparison.file import read_comparison
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.settings import Term
from dragoman.settings import check_least


@pytest.mark.parametrize(
    ("kind", "given", "problem"),
    [
        (Observe, {"pooling": "max"}, "observe.pooling is 'max': Input should be 'last'"),
        (Observe, {"layer": "two"}, "observe.layer is 'two': Input should be a valid integer"),
        (Act, {"policy": "matsch"}, "act.policy is 'matsch' (did you mean 'match'?)"),
        (Tune, {"how": "qlora"}, "act.tune.how is 'qlora' (did you mean 'lora'?)"),
        (Describe, {"history": "long"}, "describe.history is 'long'"),
        (Algorithm, {"name": "pppo"}, "algorithm.name is 'pppo' (did you mean 'ppo'"),
        (ModelSpec, {"dtype": "float8"}, "model.dtype is 'float8'"),
        (Term, {"use": "goal-similarity", "shaping": "bonuss"}, "reward.shaping is 'bonuss'"),
        (EvaluationSettings, {"episodes": "many"}, "evaluation.episodes is 'many'"),
        (Experiment, {"env": 3}, "env is 3: Input should be a valid string"),
        (Experiment, {"env": "a", "observe": 3}, "observe is 3: Input should be"),
        (Experiment, {"env": "a", "steps": "many"}, "steps is 'many'"),
    ],
)
def test_python_is_held_to_the_types_of_a_file(kind, given, problem) -> None:
    with pytest.raises(ConfigError) as error:
        kind(**given)
    assert error.value.problem.startswith(problem)


def test_short_forms_become_what_they_stand_for() -> None:
    assert Observe(pooling="last") == Observe(pooling=("last",))
    assert Observe(model="words") == Observe(model=ModelSpec("words"))
    assert Algorithm(network=64).network == (64,)
    experiment = Experiment(env="CartPole-v1", observe={"layer": 3}, steps=1e3)
    assert experiment.observe == Observe(layer=3)
    assert (experiment.steps, type(experiment.steps)) == (1000, int)
    assert Experiment.from_dict(experiment.to_dict()) == experiment


@pytest.mark.parametrize(
    ("given", "steps"), [("10k", 10_000), ("1.5M", 1_500_000), ("1e5", 100_000), ("640", 640)]
)
def test_steps_may_be_written_short(given: str, steps: int) -> None:
    assert Experiment(env="CartPole-v1", steps=given).steps == steps
    assert Experiment.from_dict({"env": "CartPole-v1", "steps": given}).steps == steps


@pytest.mark.parametrize("given", ["k", "tenk", "1.2345k", "10kk"])
def test_what_is_no_short_number_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="steps is"):
        Experiment(env="CartPole-v1", steps=given)


@pytest.mark.parametrize(
    ("given", "seeds"), [("0-9", range(10)), ("3-4", [3, 4]), ([1, 5], [1, 5]), (2, [0, 1])]
)
def test_seeds_may_be_a_range(given, seeds) -> None:
    comparison = read_comparison({"base": {"env": "CartPole-v1"}, "seeds": given})
    assert list(comparison.seeds) == list(seeds)


def test_too_small_a_field_is_named() -> None:
    settings = SimpleNamespace(rank=0, most=None, share=math.nan)
    check_least(settings, most=1)
    check_least(settings, rank=0)
    with pytest.raises(ConfigError, match=r"^act\.rank is 0, but must be at least 1"):
        check_least(settings, "act", most=1, rank=1)
    with pytest.raises(ConfigError, match=r"^share is nan"):
        check_least(settings, share=0)

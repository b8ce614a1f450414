from __future__ import annotations

import pytest

from dragoman.comparison.comparison import EvaluationSettings
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.settings import Term


@pytest.mark.parametrize(
    ("kind", "given", "problem"),
    [
        (Observe, {"pooling": "max"}, "observe.pooling is 'max': Input should be 'last'"),
        (Observe, {"layer": "two"}, "observe.layer is 'two': Input should be a valid integer"),
        (Act, {"policy": "matsch"}, "act.policy is 'matsch' (did you mean 'match'?)"),
        (Tune, {"how": "qlora"}, "act.tune.how is 'qlora' (did you mean 'lora'?)"),
        (Describe, {"history": "long"}, "describe.history is 'long'"),
        (Algorithm, {"name": "pppo"}, "algorithm.name is 'pppo' (did you mean 'ppo'?)"),
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

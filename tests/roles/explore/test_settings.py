from __future__ import annotations

from typing import Any

import pytest

from dragoman.comparison.file import all_arms
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import Schedule
from dragoman.roles.explore.settings import Explore
from dragoman.roles.role import roles_of

SERVER = {"name": "m", "server": "http://127.0.0.1:1/v1"}


def experiment(explore: Any, **more: Any) -> Experiment:
    return Experiment.from_dict(
        {"env": "FrozenLake-v1", "observe": None, **more, "explore": explore}
    )


def test_a_file_names_it_as_the_other_roles() -> None:
    assert experiment("off").explore is None
    assert experiment("on").explore == Explore()
    assert experiment("counts").explore == Explore("counts")
    assert Experiment("FrozenLake-v1", explore="counts").explore == Explore("counts")
    given = {"method": "e3b", "weight": {"start": 1, "end": 0, "steps": 9}, "pooling": "mean"}
    made = experiment(given)
    assert made.explore == Explore(weight=Schedule(1.0, 0.0, 9), pooling=("mean",))
    assert Experiment.from_dict(made.to_dict()) == made
    assert list(roles_of(made)) == ["explore"]


@pytest.mark.parametrize(
    ("explore", "problem"),
    [
        ("e3c", "explore.method is 'e3c' (did you mean 'e3b'?)"),
        ({"wieght": 1}, "unknown key 'explore.wieght' (did you mean 'weight'?)"),
        ({"weight": -1}, "explore.weight is -1"),
        ({"weight": {"start": 1, "end": -1, "steps": 9}}, "would punish what is new"),
        ({"size": 129}, "explore.size is 129, but must be from 1 to 128"),
        ({"size": 0}, "explore.size is 0"),
        ({"pooling": []}, "explore.pooling is empty"),
        ({"model": SERVER}, "explore asks for layer None and pooling ['last', 'mean']"),
    ],
)
def test_what_does_not_fit_is_refused(explore: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        experiment(explore)
    assert problem in str(error.value)
    assert error.value.cure


def test_a_server_serves_one_pooling_of_its_own() -> None:
    made = experiment({"model": SERVER, "pooling": "last"})
    assert [spec.server for spec in made.models] == [None, SERVER["server"]]
    assert not made.uses_model


@pytest.mark.parametrize(
    ("explore", "names", "prior", "uses_model"),
    [
        ("e3b", ["noise-bonus", "exact-counts", "random-weights"], "pre-training", True),
        ("counts", ["noise-bonus", "exact-counts"], "no pre-training", False),
        ({"method": "counts", "states": "exact"}, ["noise-bonus"], "none: ", False),
        ({"model": "words"}, ["noise-bonus", "exact-counts"], "no pre-training", False),
    ],
)
def test_a_comparison_adds_what_can_unmask_it(
    explore: Any, names: list[str], prior: str, uses_model: bool
) -> None:
    base = experiment(explore)
    assert base.uses_model == uses_model
    arms = all_arms(base, {"new": {}})
    assert list(arms) == ["new", "no-model", *names]
    assert prior in arms["new"].prior
    assert arms["no-model"].overrides == {"explore": None}
    for name in names:
        assert arms[name].kind == "control"
        base.replaced(arms[name].overrides)  # each can be trained


def test_controls_take_the_knowledge_out_and_leave_the_rest() -> None:
    base = experiment({"weight": 0.5, "size": 16})
    arms = all_arms(base, {"new": {}})
    exact = base.replaced(arms["exact-counts"].overrides).explore
    assert exact == Explore("counts", states="exact", weight=0.5, size=16)
    noise = base.replaced(arms["noise-bonus"].overrides).explore
    assert noise == Explore(placebo="noise", weight=0.5, size=16)
    assert base.replaced(arms["random-weights"].overrides).model.weights == "random"

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from dragoman.comparison.file import all_arms
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.roles.control import Control
from dragoman.roles.observe.settings import Observe
from dragoman.roles.role import roles_of


@dataclass(frozen=True)
class Hint:
    """A role that exists only here: nothing else in Dragoman knows of it."""

    strength: float = 1.0
    text: str = "model"

    controls: ClassVar[tuple[Control, ...]] = (
        Control("constant-hint", "always one hint", "nothing", {"hint.text": "constant"}),
        Control(
            "random-weights",
            "no training",
            "nothing",
            {"model.weights": "random", "hint.text": "drawn"},
        ),
    )
    prior: ClassVar[str] = "hints of the model"

    @property
    def uses_model(self) -> bool:
        return self.text == "model"


@dataclass(frozen=True)
class HintedExperiment(Experiment):
    hint: Hint | None = None


def test_roles_in_use_are_found_by_what_they_promise() -> None:
    assert list(roles_of(Experiment(env="CartPole-v1"))) == ["observe"]
    assert roles_of(Experiment(env="CartPole-v1", observe=None)) == {}
    hinted = HintedExperiment(env="CartPole-v1", hint=Hint(), observe=None)
    assert list(roles_of(hinted)) == ["hint"]
    assert hinted.uses_model
    assert not hinted.replaced({"hint.text": "constant"}).uses_model


def test_a_new_role_brings_its_own_controls() -> None:
    base = HintedExperiment(env="CartPole-v1", observe=None)
    arms = all_arms(base, {"weak": {"hint": {"strength": 0.5}}})
    assert list(arms) == ["weak", "no-model", "constant-hint", "random-weights"]
    assert arms["weak"].prior == "hints of the model"
    assert arms["no-model"].overrides == {"hint": None}
    control = arms["constant-hint"]
    assert (control.kind, control.role) == ("control", "hint")
    made = base.replaced(control.overrides)
    assert made.hint == Hint(0.5, "constant")


def test_controls_of_two_roles_stay_apart() -> None:
    base = HintedExperiment(env="CartPole-v1", hint=Hint(), observe=Observe())
    arms = all_arms(base, {"both": {}, "hint-only": {"observe": None}})
    assert list(arms) == [
        "both",
        "hint-only",
        "no-model",
        "random-weights",
        "learned-embedding",
        "constant-hint",
        "hint-random-weights",
    ]
    assert arms["no-model"].overrides == {"observe": None, "hint": None}
    assert arms["random-weights"].role == "observe"
    assert arms["hint-random-weights"].role == "hint"


def test_every_declared_control_makes_an_experiment_that_works() -> None:
    base = Experiment(env="CartPole-v1")
    for settings in roles_of(base).values():
        for control in settings.controls:
            assert base.replaced(control.overrides) != base
            assert control.about
            assert control.prior


def test_an_arm_without_any_role_is_no_arm_to_judge() -> None:
    base = Experiment(env="CartPole-v1", observe=None)
    with pytest.raises(ConfigError, match="no arm uses a role"):
        all_arms(base, {"fast": {"algorithm.settings.learning_rate": 0.01}})
    arms = all_arms(base, {"slow": {}, "fast": {"steps": 9}}, baseline="slow")
    assert [arm.kind for arm in arms.values()] == ["baseline", "arm"]

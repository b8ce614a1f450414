from __future__ import annotations

import pytest

from dragoman.comparison.file import all_arms
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.roles.observe.settings import Observe
from dragoman.roles.role import roles_of


@pytest.mark.parametrize(
    ("act", "uses_model", "controls"),
    [
        (Act(), False, []),
        (Act("match"), True, ["random-weights", "shuffled-texts", "learned-embedding"]),
        (Act("score"), True, ["random-weights", "shuffled-texts", "uniform-prior"]),
        (Act("hybrid"), True, ["random-weights", "shuffled-texts", "uniform-prior"]),
        (
            Act("hybrid", base="match"),
            True,
            ["random-weights", "shuffled-texts", "uniform-prior", "learned-embedding"],
        ),
    ],
)
def test_a_policy_knows_its_placebos(act: Act, uses_model: bool, controls: list[str]) -> None:
    base = Experiment(env="CartPole-v1", observe=None, act=act)
    assert base.uses_model == uses_model
    assert roles_of(base) == {"act": act}
    assert [control.name for control in act.controls] == controls
    arms = all_arms(base, {"arm": {}})
    assert list(arms) == ["arm", "no-model", *controls]
    # Without a model the masks are still known: else they would look like the model's doing.
    assert base.replaced(arms["no-model"].overrides).act == Act("head")
    for name in controls:
        made = base.replaced(arms[name].overrides)
        assert made != base
        assert made.observe is None
    for name in (
        {"uniform-prior", "learned-embedding"} & {*controls} if act.policy != "hybrid" else ()
    ):
        assert not base.replaced(arms[name].overrides).uses_model


def test_one_placebo_serves_two_roles() -> None:
    base = Experiment(env="CartPole-v1", observe=Observe(), act=Act("match"))
    arms = all_arms(base, {"arm": {}})
    names = ["random-weights", "learned-embedding", "shuffled-texts", "act-learned-embedding"]
    assert list(arms) == ["arm", "no-model", *names]
    # That of the observe role leaves the action texts to the model.
    assert arms["learned-embedding"].overrides == {"observe.model": "words"}
    assert not base.replaced(arms["act-learned-embedding"].overrides).uses_model


def test_algorithms_without_a_policy_are_refused() -> None:
    with pytest.raises(ConfigError, match="act is set, but 'dqn' trains no policy"):
        Experiment(env="CartPole-v1", algorithm=Algorithm("dqn"), act=Act())
    with pytest.raises(ConfigError, match=r"act.policy is 'mach' \(did you mean 'match'\?\)"):
        Experiment.from_dict({"env": "CartPole-v1", "act": {"policy": "mach"}})


def test_settings_that_contradict_each_other_say_so() -> None:
    with pytest.raises(ConfigError, match="leave it out"):
        Act("match", model=ModelSpec("words"), tune=Tune())
    with pytest.raises(ConfigError, match=r"act.temperature is 0"):
        Act("score", temperature=0)
    with pytest.raises(ConfigError, match="has no place for the action's text"):
        Act("match", template="do it")
    for act in ({"policy": "match"}, {"policy": "score", "tune": Tune()}):
        with pytest.raises(ConfigError, match="no frozen model scores the actions"):
            Act(**act, calibrate=True)
    for observe in (Observe(layer=2), Observe(raw=True), Observe(model=ModelSpec("words"))):
        with pytest.raises(ConfigError, match="but observe asks for another layer"):
            Experiment(env="CartPole-v1", observe=observe, act=Act(tune=Tune()))
        critic = Act(tune=Tune(value="frozen"))
        assert Experiment(env="CartPole-v1", observe=observe, act=critic).uses_model


def test_yaml_holds_the_role() -> None:
    experiment = Experiment(env="CartPole-v1", act=Act("hybrid", base="match", weight=0.5))
    assert Experiment.from_dict(experiment.to_dict()) == experiment
    assert Experiment.from_dict({"env": "CartPole-v1", "act": {"policy": "match"}}).act == Act(
        "match"
    )

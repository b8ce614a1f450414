from __future__ import annotations

from typing import Any

import pytest

from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.experiment.shift import shifted
from dragoman.roles.act.settings import Act

TRAINED = Experiment("E", env_settings={"split": "train", "size": 3}, act=Act("match"))


def test_a_shift_changes_what_it_names_alone() -> None:
    shift = {
        "env_settings": {"split": "test"},
        "env_settings.size": 5,
        "describe": {"goal": "tidy up"},
        "describe.synonyms": {"take": "grab"},
        "act.template": "Do: {action}",
    }
    changed = shifted(TRAINED, shift)
    assert changed == TRAINED.replaced(
        {
            "env_settings": {"split": "test", "size": 5},
            "describe.goal": "tidy up",
            "describe.synonyms": {"take": "grab"},
            "act.template": "Do: {action}",
        }
    )
    assert TRAINED.env_settings == {"split": "train", "size": 3}
    assert shifted(TRAINED, {}) == TRAINED


def test_words_of_a_role_that_is_off_change_nothing() -> None:
    plain = Experiment("E")
    assert shifted(plain, {"act.template": "Do: {action}"}) == plain


@pytest.mark.parametrize(
    ("shift", "problem"),
    [
        ({"observe.layer": 3}, "a shift changes 'observe.layer', which is no setting"),
        ({"env_setings": {}}, "did you mean 'env_settings'"),
        ({"describe": 3}, "a shift changes 'describe'"),
        ({"describe.use": "my.py:Mine"}, "a shift changes 'describe.use'.* would need another"),
        ({"act.policy": "score"}, "a shift changes 'act.policy'"),
        ({"describe.precision": "many"}, "describe.precision is 'many'"),
        ({"act.template": "nothing"}, "has no place for the action's text"),
    ],
)
def test_what_would_need_another_training_is_refused(shift: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        shifted(TRAINED, shift)

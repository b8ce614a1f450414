"""Action sets of any texts and masks: each valid action has a text, or one error of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

from dragoman.describe import describe_env
from dragoman.describe.masks import ReadMasks
from dragoman.describe.moment import MomentMaker
from dragoman.errors import DragomanError
from dragoman.roles.act.action_set import ActionSet
from dragoman.roles.act.settings import Act
from tests.fuzz.fuzzing import data, fuzzed, leaves, outcome, texts
from tests.fuzz.spaces import Handing

COUNTS = st.integers(1, 5)
names = st.one_of(
    st.lists(st.one_of(texts, leaves), max_size=5),
    st.lists(texts, min_size=5, max_size=5),
    st.just(None),
    data,
)
masks = st.one_of(
    st.lists(st.booleans(), min_size=5, max_size=5).map(lambda bits: np.array(bits, np.int8)),
    st.lists(leaves, max_size=5),
    st.just(None),
    data,
)


def options_of(info: Any, count: int, shuffled: bool) -> dict[int, str]:
    """Return the actions that a policy chooses from, as in a training."""
    space = spaces.Discrete(count, start=-1)
    env = ReadMasks(Handing(spaces.Discrete(2), space, (0, 0.0, False, False, info)))
    observation, info = env.reset()
    make = MomentMaker(lambda: describe_env(env), space)
    settings = Act(policy="score", texts="shuffled" if shuffled else "right")
    return ActionSet(settings, space).texts(make(observation, info))


@fuzzed(own=names, mask=masks, count=COUNTS, shuffled=st.booleans())
def test_action_sets(own: Any, mask: Any, count: int, shuffled: bool) -> None:
    size = slice(count)
    given = {
        "action_texts": own[size] if isinstance(own, list) else own,
        "action_mask": mask[size] if isinstance(mask, list | np.ndarray) else mask,
    }
    options = outcome(
        options_of, {k: v for k, v in given.items() if v is not None}, count, shuffled
    )
    if isinstance(options, DragomanError):
        return
    assert options
    assert set(options) <= set(range(count))
    assert all(isinstance(text, str) and text.strip() for text in options.values())


@fuzzed(own=st.one_of(st.none(), data, st.lists(texts, max_size=4)), count=COUNTS)
def test_texts_of_actions_in_an_experiment(own: Any, count: int) -> None:
    env = Handing(spaces.Discrete(2), spaces.Discrete(count), (0, 0.0, False, False, {}))
    described = outcome(describe_env, env, actions=own)
    if not isinstance(described, DragomanError):
        assert all(isinstance(text, str) for text in described.actions({}))

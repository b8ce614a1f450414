"""Any space of Gymnasium's, and an environment that hands over what it is given."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

NUMBERS = [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, np.uint64]
BOUNDS = [-np.inf, -1e30, -5.0, -1e-9, 0.0, 1e-9, 1.0, 255.0, 1e30, np.inf]


@st.composite
def boxes(draw: st.DrawFn) -> spaces.Box:
    kind = np.dtype(draw(st.sampled_from(NUMBERS)))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=3)))
    low, high = sorted(draw(st.lists(st.sampled_from(BOUNDS), min_size=2, max_size=2)))
    if kind.kind in "iu":
        info = np.iinfo(kind)
        ends = draw(st.sampled_from([(0, 1), (info.min, info.max), (max(info.min, -3), 7)]))
        return spaces.Box(*ends, shape, kind)
    if low == high:  # of which infinite ones hold nothing finite
        low, high = -1.0, 1.0
    most = float(np.finfo(kind).max)
    low, high = (end if np.isinf(end) else float(np.clip(end, -most, most)) for end in (low, high))
    return spaces.Box(kind.type(low), kind.type(high), shape, kind)


names = st.one_of(st.text(min_size=1, max_size=8), st.sampled_from(["a.b", "{x}", "action_mask"]))
simple = st.one_of(
    boxes(),
    st.tuples(st.integers(1, 2**40), st.integers(-(2**40), 2**40)).map(
        lambda ends: spaces.Discrete(ends[0], start=ends[1])
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).map(spaces.MultiDiscrete),
    st.lists(st.integers(1, 4), min_size=1, max_size=2).map(spaces.MultiBinary),
    st.text(min_size=1, max_size=10).map(lambda of: spaces.Text(8, min_length=0, charset=of)),
)
any_space = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, max_size=4).map(spaces.Dict),
        st.lists(inner, max_size=3).map(spaces.Tuple),
        st.lists(inner, min_size=1, max_size=3).map(spaces.OneOf),
        inner.map(spaces.Sequence),
        boxes().map(lambda box: spaces.Graph(box, None)),
    ),
    max_leaves=6,
)


class Handing(gym.Env[Any, Any]):
    """Hands over what it is given."""

    def __init__(
        self, space: gym.Space[Any], actions: gym.Space[Any], step: tuple[Any, ...]
    ) -> None:
        self.observation_space, self.action_space, self.given = space, actions, step

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        return self.given[0], self.given[-1]

    def step(self, action: Any) -> Any:
        return self.given

from __future__ import annotations

import numpy as np

from dragoman.roles.explore.counts import Counts
from dragoman.roles.explore.states import States, named


def states(*texts: str) -> States:
    return States(named(texts), np.zeros((len(texts), 0), np.float32))


def test_visits_are_counted_over_copies_and_episodes() -> None:
    method, both = Counts(), np.arange(2)
    method.begin(both, states("start", "start"))
    assert method.bonus(both, states("a", "b")).tolist() == [1.0, 1.0]
    method.begin(both, states("start", "start"))
    # Both copies come to one state at once: it was visited twice when they are paid.
    np.testing.assert_allclose(method.bonus(both, states("a", "a")), [3**-0.5, 3**-0.5])
    saved = method.state()
    assert dict(zip(saved["names"].tolist(), saved["visits"].tolist(), strict=True)) == {
        int(named(["start"])[0]): 4,
        int(named(["a"])[0]): 3,
        int(named(["b"])[0]): 1,
    }


def test_names_are_the_same_in_every_process() -> None:
    assert named(["a", b"a", "b"]).tolist() == [
        3405396810240292928,
        3405396810240292928,
        8453121595177857668,
    ]
    assert named([]).shape == (0,)

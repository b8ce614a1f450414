from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe.moment import Moment, MomentMaker
from dragoman.errors import SpaceError
from dragoman.roles.explore.archive import Archive, Cell
from dragoman.roles.explore.choices import OFFERED, ModelChoices
from dragoman.roles.explore.guide import Guide
from dragoman.roles.role import Models
from tests.exploring import COPIES, Chain, KeyDoor, noisy_prior_model, prior_model, visits

TASKS = [Chain, KeyDoor]


class Last:
    """Returns to the newest state, and tries the last action."""

    def state(self, cells: Sequence[Cell]) -> int:
        return len(cells) - 1

    def action(self, moment: Moment, untried: Sequence[int]) -> int:
        return untried[-1]


def make_of(kind: type[Chain] | type[KeyDoor]) -> MomentMaker:
    return MomentMaker(lambda: kind.told, kind.action_space)


def chooser(kind: type[Any], model: Any, **settings: Any) -> ModelChoices:
    guide = Guide(**settings)
    prior = guide.action_prior(kind.action_space, Models(model, 0))
    return ModelChoices(guide, prior, model, None, np.random.default_rng(0))


@pytest.mark.parametrize("restore", ["replay", "copy"])
def test_what_is_new_is_kept_with_the_way_there(restore: Any) -> None:
    archive = Archive(Chain(), make_of(Chain), 0, restore)
    reached = [cell.text for cell in archive.explore(Last(), 2, 4)]
    # Right, again and again; then from the newest on.
    assert reached == [f"room {i}" for i in range(1, 9)]
    cells = {cell.text: cell for cell in archive.cells.values()}
    assert cells["room 8"].actions == (1,) * 8
    assert cells["room 3"].tried == {1}
    assert cells["room 3"].untried == [0]
    # Returning by replay takes steps, a copy none.
    assert archive.steps == 8 + (4 if restore == "replay" else 0)


def test_a_better_way_replaces_a_worse_one() -> None:
    archive = Archive(Chain(), make_of(Chain), 0)

    class By(Last):
        def __init__(self, plan: list[int]) -> None:
            self.plan = plan

        def state(self, cells: Sequence[Cell]) -> int:
            return 0

        def action(self, moment: Moment, untried: Sequence[int]) -> int:
            return self.plan.pop(0)

    # In the first room left leads nowhere.
    list(archive.explore(By([0, 1]), 1, 2))
    cells = {cell.text: cell for cell in archive.cells.values()}
    assert (cells["room 0"].actions, cells["room 0"].visits) == ((), 2)
    assert cells["room 1"].actions == (1,)


def test_the_best_are_those_that_earn_most_and_lead_to_no_other() -> None:
    archive = Archive(Chain(), make_of(Chain), 0)
    list(archive.explore(Last(), 30, 10))
    best = archive.best(5)
    returns = [total for total, _ in best]
    # The last room pays for each step in it, until the time is over.
    assert returns[0] == max(cell.best[0] for cell in archive.cells.values()) > 0
    assert returns == sorted(returns, reverse=True)
    ways = [actions for _, actions in best]
    assert not any(one != other and other[: len(one)] == one for one in ways for other in ways)
    assert Archive(Chain(), make_of(Chain), 0).best(5) == []


class Drifting(Chain):
    """Steps that no seed decides."""

    steps = 0

    def step(self, action: int) -> Any:
        Drifting.steps += 1
        return super().step(action if Drifting.steps < 7 else 0)


def test_an_environment_that_goes_elsewhere_is_refused() -> None:
    archive = Archive(Drifting(), make_of(Chain), 0)
    with pytest.raises(SpaceError, match="4 actions that once led to 'room 4' now lead to 'room"):
        list(archive.explore(Last(), 2, 4))


def test_continuous_actions_are_refused() -> None:
    env = gym.make("Pendulum-v1")
    with pytest.raises(SpaceError, match="tries single actions"):
        Archive(env, MomentMaker(lambda: Chain.told, env.action_space), 0)


def rate(kind: type[Chain] | type[KeyDoor], model: Any, steps: int) -> tuple[float, int]:
    """Return how often a step reaches the goal, and the step that first did."""
    archive, found, first = Archive(kind(), make_of(kind), 0), 0, steps
    for cell in archive.explore(chooser(kind, model), 1000, 10):
        is_goal = cell.episode_return > 0
        if is_goal and not found:
            first = archive.steps
        found += is_goal
        if archive.steps >= steps:
            break
    return found / archive.steps, first


@pytest.mark.parametrize("kind", TASKS)
def test_it_goes_where_uniform_play_hardly_comes(kind: type[Chain] | type[KeyDoor]) -> None:
    of_uniform = visits(kind, None) / (COPIES * kind.plays)
    known, first = rate(kind, prior_model(), 300)
    assert known >= 3 * of_uniform
    # Trying what was not tried explores by itself: what a model knows makes it sooner.
    _, of_noise = rate(kind, noisy_prior_model(), 4000)
    assert first < of_noise / 2


def test_many_states_are_offered_in_part() -> None:
    asked: list[str] = []

    def log_probs(prompt: str, text: str) -> list[float]:
        asked.append(text)
        return [0.0]

    cells = [Cell(f"room {i}", b"") for i in range(OFFERED + 8)]
    choose = chooser(Chain, prior_model(log_probs))
    chosen = {choose.state(cells) for _ in range(200)}
    assert max(chosen) > OFFERED
    asked.clear()
    choose.state([Cell(f"hall {i}", b"") for i in range(99)])
    assert len({text for text in asked if "hall" in text}) == OFFERED
    uniform = chooser(Chain, None, scores="uniform")
    assert {uniform.state(cells[:3]) for _ in range(50)} == {0, 1, 2}

"""Advantages by every rule, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dragoman.errors import ConfigError
from dragoman.maths.credit import (
    SMALL,
    Play,
    batch_returns,
    credit,
    gigpo,
    grouped_gae,
    grpo,
    hgpo,
    q_v,
    returns_to_go,
    varied,
)

RULES = ["returns", "grpo", "gigpo", "hgpo", "q-v", "grouped-gae"]


def played(*episodes: tuple[int, Sequence[tuple[int, int, float]], int]) -> Play:
    """Return episodes given as group, steps of state, action and reward, and where they were cut.

    -1 stands for an end of its own.
    """
    steps = [step for _, own, _ in episodes for step in own]
    states, actions, rewards = zip(*steps, strict=True)
    return Play(
        np.array(rewards, dtype=np.float64),
        np.array([len(own) for _, own, _ in episodes]),
        np.array([group for group, _, _ in episodes]),
        np.array(states),
        np.array(actions),
        np.array([reached for _, _, reached in episodes]),
    )


def unequal(reached: int = 0) -> Play:
    """Two groups: episodes of 3 and 2 steps, and of 1 and 2, the last one cut off."""
    return played(
        (0, [(0, 0, 0.0), (1, 1, 0.0), (2, 0, 1.0)], -1),
        (0, [(0, 1, 0.0), (1, 1, 2.0)], -1),
        (1, [(0, 0, 1.0)], -1),
        (1, [(0, 1, 0.0), (3, 0, 0.0)], reached),
    )


def test_returns_end_with_their_episode() -> None:
    assert returns_to_go(unequal(), 0.5).tolist() == [0.25, 0.5, 1.0, 1.0, 2.0, 1.0, 0.0, 0.0]


def test_batch_returns_are_normalised_over_all_steps() -> None:
    returns = np.array([0.25, 0.5, 1.0, 1.0, 2.0, 1.0, 0.0, 0.0])
    result = batch_returns(unequal(), 0.5)
    assert np.allclose(result, (returns - 0.71875) / returns.std())
    assert abs(result.mean()) < 1e-12


def test_grpo_gives_every_step_the_same() -> None:
    result = grpo(unequal(), "mean")
    assert result.tolist() == [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5, -0.5, -0.5]
    # Of two returns that are 1 apart, the sample's standard deviation is the root of 1/2.
    assert np.allclose(grpo(unequal()), result / (np.sqrt(0.5) + SMALL), atol=1e-12)


def test_grpo_sums_to_zero_over_the_episodes_of_a_group() -> None:
    firsts = unequal().starts
    for scale in ("std", "mean"):
        assert np.allclose(grpo(unequal(), scale)[firsts].reshape(2, 2).sum(axis=1), 0)


@pytest.mark.parametrize("rule", ["grpo", "gigpo", "hgpo", "q-v"])
def test_a_group_of_one_is_an_error(rule: Any) -> None:
    alone = played((0, [(0, 0, 7.0)], -1), (1, [(0, 0, 1.0)], -1), (1, [(0, 0, 2.0)], -1))
    with pytest.raises(ConfigError, match="single episode"):
        credit(alone, rule, gamma=1.0)


def test_gigpo_compares_steps_in_one_state() -> None:
    result = gigpo(unequal(), 0.5, scale="mean")
    # State 2 and state 3 were met once: what is left there is the episode's.
    assert np.allclose(result, [-0.875, -1.25, -0.5, 0.875, 1.25, 1.0, -1.0, -0.5])
    assert np.allclose(gigpo(unequal(), 0.5, 0.0, "mean"), grpo(unequal(), "mean"))


def test_steps_of_one_episode_differ_where_credit_is_for_steps() -> None:
    # Not what one number for the whole episode would give.
    for rule in ("gigpo", "hgpo", "q-v", "grouped-gae"):
        result = credit(unequal(), rule, gamma=0.5, scale="mean").advantages
        assert len(set(result[:3].round(6).tolist())) > 1, rule


def test_a_group_keeps_to_itself() -> None:
    # The state of the other group has the same number, and another return.
    whole = gigpo(unequal(), 0.5, scale="mean")
    alone = gigpo(unequal().select(np.array([True, True, False, False])), 0.5, scale="mean")
    assert whole[:5].tolist() == alone.tolist()


def three_ways() -> Play:
    """Three episodes into one state, two of them by the same way."""
    return played(
        (0, [(0, 0, 0.0), (1, 0, 1.0)], -1),
        (0, [(0, 0, 0.0), (1, 0, 3.0)], -1),
        (0, [(2, 0, 0.0), (1, 0, 5.0)], -1),
    )


def test_hgpo_weighs_levels_of_a_shared_past() -> None:
    result = hgpo(three_ways(), 1.0, history=1, scale="mean")
    assert np.allclose(result, [-3, -10 / 3, 1, 2 / 3, 2, 4])
    assert np.allclose(
        hgpo(three_ways(), 1.0, history=0, scale="mean"), gigpo(three_ways(), 1.0, scale="mean")
    )
    # Nobody has a past of two states, so a third level changes nothing.
    assert np.allclose(hgpo(three_ways(), 1.0, history=2, scale="mean"), result)


def test_hgpo_keeps_a_level_whose_advantage_is_zero() -> None:
    # The middle one of three equals their mean: a weight remains for it.
    assert np.isclose(hgpo(three_ways(), 1.0, 1, scale="mean")[3], 2 / 3)


def test_hgpo_divides_by_the_deviation_of_the_population() -> None:
    pair = played((0, [(0, 0, 1.0)], -1), (0, [(0, 0, 3.0)], -1))
    assert np.allclose(hgpo(pair, 1.0, 0), grpo(pair) + np.array([-1, 1]), atol=1e-5)
    assert np.allclose(gigpo(pair, 1.0), 2 * grpo(pair), atol=1e-9)


def test_q_v_compares_actions_of_one_state() -> None:
    same = played((0, [(0, 0, 1.0)], -1), (0, [(0, 0, 3.0)], -1), (0, [(0, 1, 8.0)], -1))
    assert np.allclose(q_v(same, 1.0, scale="mean"), [-5, -3, 8])
    # Where all took one action, it is no better than its state.
    assert np.allclose(q_v(three_ways(), 1.0, scale="mean"), grpo(three_ways(), "mean"))


def test_grouped_gae_reads_values_from_the_group() -> None:
    result = grouped_gae(unequal(), 0.5, 0.5, "mean")
    assert np.allclose(result, [-0.1875, -0.75, 0, 0.1875, 0.75, 0.5, -0.4375, 0.25])


def test_grouped_gae_bootstraps_a_cut_only_where_the_state_was_seen() -> None:
    for reached in (9, -1):
        result = grouped_gae(unequal(reached), 0.5, 0.5, "mean")
        assert np.allclose(result[-2:], [-0.5, 0])


def test_grouped_gae_says_nothing_of_states_met_once() -> None:
    lonely = played((0, [(0, 0, 0.0), (1, 0, 1.0)], -1), (0, [(2, 0, 3.0)], -1))
    assert np.allclose(grouped_gae(lonely, 0.9, 0.9), 0)


def test_grouped_gae_divides_by_the_deviation_of_its_group() -> None:
    plain, result = (grouped_gae(unequal(), 0.5, 0.5, scale) for scale in ("mean", "std"))
    assert np.allclose(result[:5], plain[:5] / plain[:5].std(ddof=1), atol=1e-5)


def test_steps_that_pay_nothing_are_steps() -> None:
    # Ends of turns are not looked for where rewards are.
    quiet = played((0, [(0, 0, 0.0)] * 4, -1), (0, [(0, 1, 0.0), (0, 0, 1.0)], -1))
    result = credit(quiet, "gigpo", gamma=1.0, scale="mean")
    assert result.advantages.shape == (6,)
    assert np.allclose(result.advantages, [*[-0.5 - 1 / 3] * 4, *[0.5 + 2 / 3] * 2])


def test_groups_in_which_all_did_alike_are_dropped_and_counted() -> None:
    alike = played(
        (0, [(0, 0, 1.0)], -1),
        (0, [(0, 1, 1.0)], -1),
        (1, [(0, 0, 1.0)], -1),
        (1, [(0, 1, 0.0)], -1),
    )
    for rule in ("grpo", "gigpo", "hgpo", "q-v", "grouped-gae"):
        result = credit(alike, rule, gamma=1.0)
        assert result.says.tolist() == [False, False, True, True]
        assert result.columns["credit/dropped"] == 1
        assert result.columns["credit/groups"] == 2
        assert result.columns["credit/zero_variance"] == 0.5
        assert result.columns["credit/zero_advantage"] == 0.5


def test_equal_returns_by_ways_of_unequal_length_still_say_something() -> None:
    ways = played((0, [(0, 0, 1.0)], -1), (0, [(0, 1, 0.0), (1, 0, 1.0)], -1))
    assert not credit(ways, "grpo", gamma=0.5).says.any()
    result = credit(ways, "gigpo", gamma=0.5)
    assert result.says.all()
    assert result.columns["credit/zero_variance"] == 1
    assert result.columns["credit/dropped"] == 0


def test_sizes_of_step_groups_are_told() -> None:
    columns = credit(unequal(), "gigpo", gamma=0.5).columns
    # States 0 and 1 of the first group and 0 of the second have two steps, 2 and 3 have one.
    assert columns["credit/singletons"] == 2 / 8
    assert columns["credit/group_size"] == 8 / 5
    assert "credit/singletons" not in credit(unequal(), "grpo", gamma=0.5).columns


@pytest.mark.parametrize("rule", RULES)
def test_nothing_played_says_nothing(rule: Any) -> None:
    nothing = unequal().select(np.zeros(4, dtype=bool))
    assert credit(nothing, rule, gamma=0.9).advantages.shape == (0,)


def test_groups_of_most_variance_are_kept() -> None:
    # Returns by group: 0 and 4 (variance 4), 1 and 1 (none), 0 and 2 (1), 0 and 0.2 (0.01).
    totals = np.array([0.0, 4.0, 1.0, 1.0, 0.0, 2.0, 0.0, 0.2])
    none = np.zeros(8, np.int64)
    play = Play(totals, none + 1, np.repeat([5, 6, 7, 8], 2), none, none, none - 1)
    kept = {keep: varied(play, keep)[::2].tolist() for keep in (0.5, 0.9, 1.0)}
    assert kept[0.5] == [True, False, False, False]  # 4 of 5.01
    assert kept[0.9] == [True, False, True, False]
    assert kept[1.0] == [True, False, True, True]

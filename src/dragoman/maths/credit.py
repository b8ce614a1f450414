"""Credit for single steps without a critic: whole episodes, compared with those that began alike.

returns      the return from a step on, less the mean of all steps
grpo         the return of an episode, less that of its group; every step gets the same
gigpo        grpo, and the return from a step on, less that of the steps in the same state
hgpo         gigpo by several levels: steps that share more and more of the states before
q-v          grpo, and the mean return of the same action in the same state, less that of the state
grouped-gae  generalised advantages, whose values are mean returns of the steps in the same state

A group are episodes from one start. Two steps are in one state only within a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError

Rule: TypeAlias = Literal["gae", "returns", "grpo", "gigpo", "hgpo", "grouped-gae", "q-v"]
Scale: TypeAlias = Literal["std", "mean"]
Floats: TypeAlias = NDArray[np.float64]
Ids: TypeAlias = NDArray[np.int64]

SMALL = 1e-6
"""Added to standard deviations; one that is zero belongs to numbers that are all equal."""
NOTHING = 1e-8
"""An advantage of this size says nothing."""


@dataclass(frozen=True)
class Play:
    """Whole episodes, the steps of one behind those of the other.

    Attributes:
        rewards: Of each step, ``(M,)``.
        lengths: Steps of each episode, ``(E,)``, at least one.
        groups: Number of the group of each episode, ``(E,)``.
        states: Number of the state in which each step was taken, ``(M,)``; equal states have
            equal numbers.
        actions: Number of each action, ``(M,)``.
        reached: Number of the state in which each episode was cut off, ``(E,)``; -1 where it came
            to its own end.
    """

    rewards: Floats
    lengths: Ids
    groups: Ids
    states: Ids
    actions: Ids
    reached: Ids

    @cached_property
    def episode(self) -> Ids:
        """Number of the episode of each step, ``(M,)``."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def starts(self) -> Ids:
        """First step of each episode, ``(E,)``."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def totals(self) -> Floats:
        """Undiscounted return of each episode, ``(E,)``."""
        return np.add.reduceat(self.rewards, self.starts)

    @cached_property
    def own_group(self) -> Ids:
        """Number of the group of each step, ``(M,)``."""
        return self.groups[self.episode]

    @cached_property
    def places(self) -> Ids:
        """Number of the state of each step within its group, ``(M,)``."""
        return _numbered(self.own_group, self.states)

    def select(self, episodes: NDArray[np.bool_]) -> Play:
        """Return some of the episodes."""
        steps = np.repeat(episodes, self.lengths)
        return Play(
            self.rewards[steps],
            self.lengths[episodes],
            self.groups[episodes],
            self.states[steps],
            self.actions[steps],
            self.reached[episodes],
        )


def returns_to_go(play: Play, gamma: float) -> Floats:
    """Return the discounted return from each step on, ``(M,)``; a cut counts as an end."""
    return _summed(play, play.rewards, gamma)


def batch_returns(play: Play, gamma: float) -> Floats:
    """Return returns to go, less their mean over all steps and over their deviation.

    REINFORCE with the batch as its baseline: no groups, any discount.
    """
    result = returns_to_go(play, gamma)
    normalised: Floats = (result - result.mean()) / (result.std() + NOTHING)
    return normalised


def grpo(play: Play, scale: Scale = "std") -> Floats:
    """Return each episode's return less the mean of its group, the same for all its steps.

    Group-relative policy optimisation (Shao et al. 2024); ``mean`` leaves out the division by the
    group's sample standard deviation (Liu et al. 2025).

    Raises:
        ConfigError: A group has one episode, which nothing can be compared with.
    """
    sizes = np.bincount(_numbered(play.groups))
    if len(sizes) and sizes.min() < 2:
        raise ConfigError(
            "a group has a single episode, so there is nothing to compare it with",
            cure="set credit.copies to at least 2",
        )
    return _compared(play.totals, _numbered(play.groups), scale)[play.episode]


def gigpo(play: Play, gamma: float, weight: float = 1.0, scale: Scale = "std") -> Floats:
    """Return `grpo`, and beside it what each step earned against others in the same state.

    Group-in-group policy optimisation (Feng et al. 2025). A step that is alone in its state gets
    nothing beside.

    Args:
        play: The episodes.
        gamma: Discount of the returns from a step on.
        weight: Factor of the part of steps.
        scale: Whether differences are over the sample standard deviation.
    """
    return grpo(play, scale) + weight * _compared(returns_to_go(play, gamma), play.places, scale)


def hgpo(
    play: Play, gamma: float, history: int = 2, weight: float = 1.0, scale: Scale = "std"
) -> Floats:
    """Return `gigpo` whose part of steps is a mean over levels of a shared past.

    Level ``l`` compares steps that share their state and the ``l`` states before. Levels in which
    a step is alone do not count; the others weigh ``l + 1``. Deviations are those of the
    population.
    """
    returns = returns_to_go(play, gamma)
    step = np.arange(len(returns)) - play.starts[play.episode]
    total, weights, same = np.zeros_like(returns), np.zeros_like(returns), play.places
    for level in range(history + 1):
        if level:
            before = np.roll(play.places, level)
            # Steps so early have no such past: each is alone.
            alone = step < level
            same = _numbered(same, np.where(alone, -1 - np.arange(len(same)), before))
        counts = np.bincount(same)[same] > 1
        own = (level + 1.0) * counts
        total += own * _compared(returns, same, scale, ddof=0)
        weights += own
    return grpo(play, scale) + weight * total / np.where(weights > 0, weights, 1.0)


def q_v(play: Play, gamma: float, weight: float = 1.0, scale: Scale = "std") -> Floats:
    """Return `grpo`, and beside it how much better the action did than its state.

    Both are means of returns within a group: of the steps with this action in this state, and of
    all steps in this state.
    """
    returns = returns_to_go(play, gamma)
    value = _means(returns, play.places)
    quality = _means(returns, _numbered(play.places, play.actions))
    difference = (quality - value) / _spread(returns, play.places, scale)
    return grpo(play, scale) + weight * difference


def grouped_gae(play: Play, gamma: float, lam: float, scale: Scale = "std") -> Floats:
    """Return generalised advantages (Schulman et al. 2016) without a critic.

    The value of a state is the mean return from it within the group. The state in which an episode
    was cut off has its value too, where another step of the group was taken in it.

    Args:
        play: The episodes.
        gamma: Discount.
        lam: Share of what later steps say, the lambda of generalised advantages.
        scale: ``std`` divides by the deviation of the group's advantages.
    """
    values = _means(returns_to_go(play, gamma), play.places)
    known = dict(zip(zip(play.own_group, play.states, strict=True), values, strict=True))
    after = np.append(values[1:], 0.0)
    last = play.starts + play.lengths - 1
    after[last] = [known.get(place, 0.0) for place in zip(play.groups, play.reached, strict=True)]
    deltas = play.rewards + gamma * after - values
    advantages = _summed(play, deltas, gamma * lam)
    # Their mean in a group is zero already where lambda is 1.
    return advantages / _spread(advantages, _numbered(play.own_group), scale)


def varied(play: Play, keep: float) -> NDArray[np.bool_]:
    """Return which episodes ``(E,)`` are of the groups whose returns vary most.

    Groups are taken, most variance first, until they have this share of all of it (the filter of
    RAGEN-2, Wang et al. 2026); at 1 all that vary are.
    """
    groups = _numbered(play.groups)
    variances = _spread(play.totals, groups, "std", ddof=0) - SMALL
    of_group = np.zeros(groups.max() + 1)
    of_group[groups] = np.square(variances)
    order = np.argsort(-of_group, kind="stable")
    before = np.cumsum(of_group[order]) - of_group[order]
    kept = np.zeros(len(of_group), np.bool_)
    kept[order] = (before < keep * of_group.sum() - NOTHING) & (of_group[order] > NOTHING)
    result: NDArray[np.bool_] = kept[groups]
    return result


@dataclass(frozen=True)
class Credit:
    """What each step has earned.

    Attributes:
        advantages: ``(M,)``.
        returns: Discounted returns from each step on, ``(M,)``.
        says: Whether the step's group says anything, ``(M,)``: where no episode of it did better
            or worse than another in any step, nothing is learnt from it.
        columns: Statistics of the groups, for the metrics.
    """

    advantages: Floats
    returns: Floats
    says: NDArray[np.bool_]
    columns: dict[str, float]


def credit(
    play: Play,
    rule: Rule,
    *,
    gamma: float,
    lam: float = 0.95,
    weight: float = 1.0,
    history: int = 2,
    scale: Scale = "std",
) -> Credit:
    """Return what each step has earned by a rule, with statistics of the groups.

    Args:
        play: Whole episodes.
        rule: One of those of this module; ``gae`` needs a critic and is none of them.
        gamma: Discount.
        lam: Of ``grouped-gae``.
        weight: Of the part of steps of ``gigpo``, ``hgpo`` and ``q-v``.
        history: Levels of ``hgpo`` above the first.
        scale: Whether differences are over a standard deviation.

    Raises:
        ConfigError: A rule that compares episodes meets a group of one.
    """
    if not len(play.rewards):
        nothing = np.empty(0)
        return Credit(nothing, nothing, np.empty(0, np.bool_), {"credit/groups": 0.0})
    advantages = {
        "returns": lambda: batch_returns(play, gamma),
        "grpo": lambda: grpo(play, scale),
        "gigpo": lambda: gigpo(play, gamma, weight, scale),
        "hgpo": lambda: hgpo(play, gamma, history, weight, scale),
        "q-v": lambda: q_v(play, gamma, weight, scale),
        "grouped-gae": lambda: grouped_gae(play, gamma, lam, scale),
    }[rule]()
    is_zero = np.abs(advantages) <= NOTHING
    groups = _numbered(play.own_group)
    count = int(groups.max()) + 1
    is_silent = np.bincount(groups, weights=~is_zero, minlength=count) == 0
    columns = {"credit/zero_advantage": float(is_zero.mean())}
    if rule != "returns":
        spread = _spread(play.totals, _numbered(play.groups), "std", ddof=0) - SMALL
        equal = np.bincount(_numbered(play.groups), weights=spread > NOTHING, minlength=count) == 0
        columns |= {
            "credit/groups": float(count),
            "credit/zero_variance": float(equal.mean()),
            "credit/dropped": float(is_silent.sum()),
        }
    if rule not in ("returns", "grpo"):
        sizes = np.bincount(play.places)
        columns |= {
            "credit/singletons": float((sizes[play.places] == 1).mean()),
            "credit/group_size": float(sizes.mean()),
        }
    return Credit(advantages, returns_to_go(play, gamma), ~is_silent[groups], columns)


def _summed(play: Play, values: Floats, factor: float) -> Floats:
    """Return the sums of what comes from each step on within its episode, ever less by a factor."""
    result = np.array(values, dtype=np.float64)
    last = set((play.starts + play.lengths - 1).tolist())
    for i in range(len(result) - 2, -1, -1):
        if i not in last:
            result[i] += factor * result[i + 1]
    return result


def _numbered(*keys: Ids) -> Ids:
    """Return one number for each row of keys, equal for equal rows, from zero."""
    _, result = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
    return result.reshape(-1)


def _means(values: Floats, keys: Ids) -> Floats:
    """Return for each value the mean of those with its key."""
    result: Floats = (np.bincount(keys, weights=values) / np.bincount(keys))[keys]
    return result


def _spread(values: Floats, keys: Ids, scale: Scale, ddof: int = 1) -> Floats:
    """Return for each value the standard deviation of those with its key, or ones."""
    if scale == "mean":
        return np.ones_like(values)
    counts = np.bincount(keys)
    squares = np.bincount(keys, weights=np.square(values - _means(values, keys)))
    result: Floats = np.sqrt(squares / np.maximum(counts - ddof, 1))[keys] + SMALL
    return result


def _compared(values: Floats, keys: Ids, scale: Scale, ddof: int = 1) -> Floats:
    """Return values less the mean of those with the same key, zero for one that is alone."""
    return (values - _means(values, keys)) / _spread(values, keys, scale, ddof)

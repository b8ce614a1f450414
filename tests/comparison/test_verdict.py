from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dragoman.comparison.scores import Scores
from dragoman.comparison.verdict import judge
from dragoman.errors import ConfigError
from dragoman.stats.power import detectable_effect

CHANCE = {"random": 0.2, "best": 1.0}


def arm(name, scores, *, first=0) -> Scores:
    return Scores(name, tuple(range(first, first + len(scores))), np.asarray(scores, float))


def noise(seed, size=10, spread=0.05):
    return np.random.default_rng(seed).normal(0, spread, size)


def only(arm, no_model, *controls, **options):
    (verdict,) = judge([(arm, no_model, *controls)], **{**CHANCE, "resamples": 2000, **options})
    return verdict


NONE = arm("no model", 0.4 + noise(0))
CONSTANT = arm("constant", 0.45 + noise(1))
RANDOM = arm("random weights", 0.4 + noise(2))
GOOD = arm("judge", 0.7 + noise(3))


def test_better_than_all_and_above_chance_helped() -> None:
    verdict = only(GOOD, NONE, CONSTANT, RANDOM)
    assert verdict.outcome == "helped"
    assert [comparison.against for comparison in verdict.comparisons] == [
        "no model",
        "constant",
        "random weights",
    ]
    # Each p is 2^-10, so Holm multiplies each by three.
    assert [comparison.p_value for comparison in verdict.comparisons] == [2.0**-10] * 3
    assert [comparison.adjusted for comparison in verdict.comparisons] == [3 * 2.0**-10] * 3
    assert verdict.p_helped == 3 * 2.0**-10
    assert verdict.p_hurt == 1.0
    assert verdict.reason.startswith(
        # Of comparisons with one p-value the one that was beaten by least.
        "better than 'no model' and than each of its 2 controls; the hardest to beat, 'constant', "
    )
    assert verdict.reason.endswith("above the random policy's 0.2.")
    assert verdict.share_of_best == pytest.approx((verdict.mean.estimate - 0.2) / 0.8)
    difference = verdict.comparisons[1].difference
    assert difference.estimate == pytest.approx((GOOD.values - CONSTANT.values).mean())
    assert difference.low < 0.25 < difference.high
    assert verdict.comparisons[1].improvement.estimate == 1.0


def test_a_placebo_that_helps_as_much_is_no_evidence() -> None:
    placebo = arm("constant", 0.7 + noise(7))
    verdict = only(GOOD, NONE, RANDOM, placebo)
    assert verdict.outcome == "no evidence"
    assert verdict.reason.startswith("not better than 'constant': the difference is ")
    p_values = {comparison.against: comparison.adjusted for comparison in verdict.comparisons}
    assert p_values["no model"] <= 0.05 < p_values["constant"] == verdict.p_helped


def test_worse_than_no_model_hurt() -> None:
    bad = arm("judge", 0.3 + noise(3))
    verdict = only(bad, NONE, CONSTANT, RANDOM)
    assert verdict.outcome == "hurt"
    assert verdict.p_hurt <= 0.05
    assert verdict.reason.startswith("worse than 'no model' by -0.1")


def test_worse_than_a_control_alone_is_not_hurt() -> None:
    verdict = only(arm("judge", NONE.values[:, 0]), NONE, GOOD_AS_CONTROL)
    assert verdict.outcome == "no evidence"


GOOD_AS_CONTROL = arm("counts", GOOD.values[:, 0])


@pytest.mark.parametrize("above", [-0.01, 0.0, 2.0])
def test_not_above_chance_never_helped(above) -> None:
    # The whole interval must lie above, not only the mean.
    chance = GOOD.values.mean() + above
    verdict = only(GOOD, NONE, CONSTANT, random=chance, best=None)
    assert verdict.outcome == "no evidence"
    assert verdict.p_helped <= 0.05
    assert verdict.reason.startswith("not above chance: better than every comparison")
    assert verdict.share_of_best is None


def test_too_few_seeds_say_how_many_would_do() -> None:
    arms = (GOOD, NONE, CONSTANT, RANDOM)
    few = [Scores(item.name, item.seeds[:5], item.values[:5]) for item in arms]
    verdict = only(*few)
    assert verdict.outcome == "no evidence"
    assert verdict.power.fewest_seeds == 6
    assert verdict.power.detectable_effect == np.inf
    assert verdict.reason == (
        "too few seeds: 5 cannot give a p-value below 0.031, which after Holm over 3 tests is "
        "above 0.05, so at least 6 are needed, and the gain observed would take 6."
    )
    # Without controls five would do.
    assert only(*few[:2]).outcome == "helped"


def test_one_seed_is_no_evidence_and_no_crash() -> None:
    verdict = only(arm("judge", [0.7]), arm("no model", [0]), arm("constant", [0.4]))
    assert verdict.outcome == "no evidence"
    assert verdict.comparisons[0].deviation is None
    assert verdict.power.needed_seeds is None
    assert verdict.reason.endswith("so at least 6 are needed.")
    assert verdict.mean.low == -np.inf


def test_no_evidence_says_what_the_seeds_could_have_shown() -> None:
    weak = arm("judge", 0.48 + noise(3))
    verdict = only(weak, NONE, CONSTANT, RANDOM)
    assert verdict.outcome == "no evidence"
    effect = detectable_effect(10, comparisons=3)
    deviations = [(weak.values - item.values).std(ddof=1) for item in (NONE, CONSTANT, RANDOM)]
    assert verdict.power.detectable_effect == effect
    assert verdict.power.detectable_gain == pytest.approx(effect * max(deviations))
    weakest = min(comparison.effect for comparison in verdict.comparisons)
    needed = verdict.power.needed_seeds
    assert detectable_effect(needed, comparisons=3) <= weakest
    assert detectable_effect(needed - 1, comparisons=3) > weakest
    assert f"10 seeds show a gain of {verdict.power.detectable_gain:.3g} (" in verdict.reason
    assert verdict.reason.endswith(f"the gain observed would take {needed}.")


def test_no_gain_needs_no_number_of_seeds() -> None:
    same = arm("judge", NONE.values[:, 0])
    verdict = only(same, NONE, CONSTANT)
    assert verdict.power.needed_seeds is None
    assert verdict.reason.endswith("no number would show a gain, for none was observed.")
    # Equal to the bit: no difference, no width, no NaN.
    first = verdict.comparisons[0]
    assert (first.difference.low, first.difference.high, first.p_value) == (0, 0, 1)
    assert (first.deviation, first.effect) == (0, 0)


def test_a_gain_that_is_always_the_same_is_detectable_at_once() -> None:
    shifted = arm("judge", NONE.values[:, 0] + 0.25)
    verdict = only(shifted, NONE, arm("constant", NONE.values[:, 0] + 0.125))
    assert verdict.outcome == "helped"
    assert verdict.power.needed_seeds == verdict.power.fewest_seeds == 6


def test_only_the_seeds_that_all_share_count_and_it_says_so() -> None:
    late = arm("judge", np.append(GOOD.values[1:, 0], 0.7), first=1)
    verdict = only(late, NONE, CONSTANT)
    assert verdict.seeds == tuple(range(1, 10))
    assert verdict.left_out == (0, 10)
    assert verdict.reason.endswith("(on the 9 of 11 seeds that all compared arms share).")
    assert verdict.mean.estimate == pytest.approx(GOOD.values[1:].mean())


def test_seeds_pair_runs_whatever_their_order() -> None:
    order = np.random.default_rng(5).permutation(10)
    shuffled = Scores("constant", tuple(order), CONSTANT.values[order])
    ordered = only(GOOD, NONE, CONSTANT)
    assert only(GOOD, NONE, shuffled) == ordered


def test_several_arms_share_the_level() -> None:
    good = (GOOD, NONE, CONSTANT, RANDOM)
    others = [(arm(f"arm {i}", 0.4 + noise(10 + i)), NONE, CONSTANT) for i in range(17)]
    alone = only(*good)
    among = judge([*others[:3], good], **CHANCE, resamples=2000)[-1]
    assert among.p_helped == 4 * alone.p_helped
    assert among.comparisons == alone.comparisons
    assert among.power.detectable_effect > alone.power.detectable_effect
    verdict = judge([*others, good], **CHANCE, resamples=200)[-1]
    assert verdict.p_helped == pytest.approx(18 * 3 * 2.0**-10)
    assert verdict.power.fewest_seeds == 11
    assert verdict.outcome == "no evidence"


def test_tasks_are_units_too() -> None:
    def on_two(one, name):
        return Scores(name, one.seeds[:4], one.values[:8].reshape(4, 2))

    verdict = only(on_two(GOOD, "judge"), on_two(NONE, "no model"), on_two(CONSTANT, "constant"))
    assert verdict.outcome == "helped"
    assert verdict.comparisons[0].p_value == 2.0**-8
    assert verdict.power.fewest_seeds == 3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-0.3, 0.3), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_unit_of_the_score_changes_no_verdict(seed, gain, shift, scale) -> None:
    def verdict(shift, scale):
        arms = [arm(str(i), shift + scale * noise((seed, i), 8)) for i in range(3)]
        raised = arm("judge", arms[0].values[:, 0] + scale * (gain + noise(seed, 8)))
        return only(raised, *arms, random=shift - 9 * scale, best=None)

    here, there = verdict(0.0, 1.0), verdict(shift, scale)
    assert (here.outcome, here.p_helped) == (there.outcome, there.p_helped)
    assert there.power.detectable_gain == pytest.approx(scale * here.power.detectable_gain)


def planted(kind, random, seeds, gains):
    """Scores of arms of known gains, one row each: shared luck of the seed, and their own."""
    size = (len(gains), seeds)
    if kind == "normal":
        luck, own = random.normal(0, 2, seeds), random.standard_normal(size)
    elif kind == "skewed":
        luck, own = random.exponential(2, seeds), random.exponential(1, size)
    else:
        luck = np.zeros(seeds)
        own = np.where(random.random(size) < 0.5, 1.0, -1.0) + random.normal(0, 0.1, size)
    # Two runs' own parts have variance 1 each, so gains are in deviations of a difference.
    return luck + own + np.sqrt(2) * np.asarray(gains)[:, None]


def count_helped(kind, seeds, gain, placebos, repetitions=200) -> int:
    count = 0
    for repetition in range(repetitions):
        random = np.random.default_rng((seeds, len(placebos), repetition))
        rows = planted(kind, random, seeds, [gain, 0.0, *placebos])
        controls = tuple(arm(f"control {i}", row) for i, row in enumerate(rows[2:]))
        (verdict,) = judge(
            [(arm("judge", rows[0]), arm("no model", rows[1]), *controls)],
            random=-20.0,
            resamples=100,
        )
        count += verdict.outcome == "helped"
    return count


# Every kind with every number of controls, and with few seeds and many, is in test_power.py and
# test_paired.py, on p-values alone; these are whole verdicts.
PLANTED = [
    ("two humps", 6, 1),
    ("normal", 10, 1),
    ("skewed", 10, 3),
    ("two humps", 20, 2),
    ("normal", 20, 3),
]


@pytest.mark.parametrize(("kind", "seeds", "controls"), PLANTED[::2])
def test_arms_without_effect_seldom_helped(kind, seeds, controls) -> None:
    assert count_helped(kind, seeds, 0.0, [0.0] * controls) <= 0.05 * 200


@pytest.mark.slow
def test_arms_no_better_than_one_placebo_seldom_helped() -> None:
    # The hardest case: all other comparisons are won, so one test at 5 % is all there is.
    counts = [
        count_helped(kind, seeds, 4.0, [0.0] * (controls - 1) + [4.0])
        for kind, seeds, controls in PLANTED
    ]
    assert sum(counts) <= stats.binom.ppf(0.99, 200 * len(PLANTED), 0.05)
    assert max(counts) <= stats.binom.ppf(0.999, 200, 0.05)


@pytest.mark.slow
def test_effects_called_detectable_are_detected() -> None:
    counts = [
        count_helped(
            kind, seeds, detectable_effect(seeds, comparisons=1 + controls), [0.0] * controls
        )
        for kind, seeds, controls in PLANTED
    ]
    assert sum(counts) >= 0.8 * 200 * len(PLANTED)
    assert min(counts) >= stats.binom.ppf(0.01, 200, 0.8)


def test_five_seeds_and_a_control_never_helped() -> None:
    assert count_helped("normal", 5, 50.0, [0.0], repetitions=20) == 0


@pytest.mark.parametrize(
    ("family", "problem"),
    [
        ((arm("judge", [0.5] * 3, first=99), NONE), "no seed is shared by all of 'judge'"),
        ((arm("no model", [0.5] * 3), NONE), "a name comes twice"),
        ((GOOD, NONE, CONSTANT, CONSTANT), "a name comes twice"),
        ((Scores("judge", (0,), np.zeros((1, 2))), NONE), "numbers of tasks differ"),
    ],
)
def test_what_cannot_be_compared_is_refused(family, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        judge([family], random=0.2)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(ConfigError, match="no arm to judge"):
        judge([], random=0.2)
    with pytest.raises(ConfigError, match="alpha 5"):
        judge([(GOOD, NONE)], random=0.2, alpha=5)


def test_it_needs_neither_torch_nor_gymnasium() -> None:
    code = (
        "import sys, dragoman.comparison.verdict; "
        "assert not {'torch', 'gymnasium', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

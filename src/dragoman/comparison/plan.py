"""What a comparison will do, and whether its seeds can give a verdict, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.comparison.comparison import Comparison
from dragoman.phrases import counted
from dragoman.stats.power import detectable_effect, fewest_units


@dataclass(frozen=True)
class Plan:
    """The size of a comparison, and what its number of seeds can show.

    Attributes:
        runs: Trainings, arms x seeds.
        steps: Environment steps over all of them.
        seeds: Seeds of each arm.
        fewest_seeds: How many seeds a judged arm needs for any verdict, by name of the arm.
        detectable: The gain over the hardest opponent that these seeds show in 80 % of experiments,
            in standard deviations of the paired differences; infinity below the fewest seeds.
    """

    runs: int
    steps: int
    seeds: int
    fewest_seeds: dict[str, int]
    detectable: dict[str, float]

    @property
    def verdict(self) -> str:
        """One sentence: whether these seeds can give a verdict at all, and what they can show."""
        needed = max(self.fewest_seeds.values())
        have = counted(self.seeds, "seed")
        if self.seeds < needed:
            return f"{have} cannot give a verdict, {needed} can (--seeds {needed})"
        effect = max(self.detectable.values())
        return (
            f"{have} can give a verdict: a gain of {effect:.2g} standard deviations is shown in "
            "80 % of experiments"
        )


def plan_of(comparison: Comparison) -> Plan:
    """Return the plan of a comparison; nothing is trained and no model is loaded."""
    judged = [name for name, arm in comparison.arms.items() if arm.kind == "arm"]
    opponents = {name: len(comparison.opponents(name)) for name in judged}
    seeds, arms = len(comparison.seeds), len(judged)
    return Plan(
        runs=len(comparison.arms) * seeds,
        steps=sum(comparison.experiment(name).steps for name in comparison.arms) * seeds,
        seeds=seeds,
        fewest_seeds={
            name: fewest_units(comparisons=count, arms=arms) for name, count in opponents.items()
        },
        detectable={
            name: detectable_effect(seeds, comparisons=count, arms=arms)
            for name, count in opponents.items()
        },
    )

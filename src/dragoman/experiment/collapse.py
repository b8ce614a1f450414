"""From where on a training shows a sign of collapse, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman.settings import check_fields, check_least


@dataclass(frozen=True)
class Collapse:
    """Limits of the signs that `dragoman.engines.collapse` measures; ``None`` never trips.

    Attributes:
        entropy: Least entropy of the policy, over that of a uniform choice. A policy that has
            learnt its task may go below too: the warning says so.
        top_action: Largest share of one action among all taken.
        value: Least share of the returns' variance that the critic explains, once it has
            explained any.
        gradient: Most times that a gradient may be as long as the median of those before it.
        drift: Largest divergence of the policy after an update from that before, in nats.
        invalid: Largest share of steps whose text was no valid action.
        information: Least mutual information of prompts and written texts, in nats, once it was
            above: below, every prompt gets the same texts.
        length: Most times that written texts may be longer or shorter than in the first updates.
        sample: Prompts by which that information is estimated, each with the texts of all; 0 for
            no estimate.
        patience: A sign trips when it has been beyond its limit in so many updates in a row.
        stop: End the training then.
    """

    entropy: float | None = 0.01
    top_action: float | None = 0.99
    value: float | None = -0.5
    gradient: float | None = 20.0
    drift: float | None = 0.2
    invalid: float | None = 0.5
    information: float | None = 0.05
    length: float | None = 3.0
    sample: int = 8
    patience: int = 5
    stop: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "collapse")
        check_least(self, "collapse", patience=1, sample=0)

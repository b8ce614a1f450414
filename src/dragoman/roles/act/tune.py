"""How rewards change the language model itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from dragoman.settings import ONE_OR_MORE, check_fields, check_least


@dataclass(frozen=True)
class Tune:
    """Which weights of the model are trained through the policy, and how.

    The policy then reads token ids, and gradients flow through the model. Dropout is off in
    rollout and update alike, as else the first ratio of new to old probability is not one.

    Attributes:
        how: ``lora`` trains low-rank adapters (Hu et al. 2021), ``full`` the weights themselves.
            Weights in bfloat16 are trained through float32 copies, adapters are float32.
        rank: Rank of the adapters.
        alpha: Their factor, over the rank.
        modules: Names of the linear maps that get one; the architecture's usual ones by default.
        top: Train only so many blocks, the uppermost; ``None`` trains all of them. What the
            blocks below make of a text is then computed once and kept for all epochs.
        learning_rate: Of the model, at the start; it falls as the algorithm's own rate does,
            which is that of everything else.
        critic_learning_rate: Of the critic, if it is not the algorithm's.
        warm_up: Train only the critic in so many first updates: a critic that knows nothing yet
            would send noise through the model.
        value: What the critic reads: ``shared`` the state that the policy reads, and trains the
            model too; ``frozen`` the state as the model made it before any training (or the raw
            observation where there is no observe role).
        reference_kl: Factor of the Kullback-Leibler divergence from the untrained model's policy,
            added to the loss (score).
        tokens: Most tokens that pass through the model with gradients at a time; by default 4,096
            on a processor, and on a GPU what fits by measure. A minibatch of more is cut into
            pieces that are computed again on the way back: the gradient is the same.
        keep_bytes: Most bytes of kept hidden states.
        max_prompt: Most tokens of a prompt.
        max_action: Most tokens of an action's text.
        too_long: What becomes of a prompt beyond ``max_prompt``: an ``error``, or ``forget`` the
            oldest remembered steps until it fits. How often that was done stands in the metrics.
        check_ratio: Stop with an error where old and new probabilities differ before the first
            step of an update, which would mean that the two are not computed alike.
    """

    how: Literal["lora", "full"] = "lora"
    rank: int = 8
    alpha: float = 16.0
    modules: Annotated[tuple[str, ...] | None, ONE_OR_MORE] = None
    top: int | None = None
    learning_rate: float = 1e-4
    critic_learning_rate: float | None = None
    warm_up: int = 0
    value: Literal["shared", "frozen"] = "shared"
    reference_kl: float = 0.0
    tokens: int | None = None
    keep_bytes: int = 2**30
    max_prompt: int = 256
    max_action: int = 24
    too_long: Literal["error", "forget"] = "error"
    check_ratio: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "act.tune")
        check_least(self, "act.tune", rank=1, tokens=1, max_prompt=1, max_action=1)

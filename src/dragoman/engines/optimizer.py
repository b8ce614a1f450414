"""The optimiser of a policy whose model is trained: rates for its parts, and float32 copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from dragoman.roles.act.policy import ActionPolicy
from dragoman.roles.act.readers import TunedReader
from dragoman.roles.act.tune import Tune
from dragoman.roles.act.written import WrittenPolicy


class Masters(torch.optim.Optimizer):
    """An optimiser of float32 copies of weights that are kept in a shorter format.

    A step is often smaller than the distance between two numbers of bfloat16, and would be lost.

    Args:
        groups: Groups of weights, as of any optimiser.
        make: The optimiser of the copies.
        settings: Its keyword arguments.
    """

    resumes = ("_inner", "_pairs")

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        make: Callable[..., torch.optim.Optimizer],
        **settings: Any,
    ) -> None:
        own = []
        self._pairs: list[tuple[Tensor, Tensor]] = []
        for group in groups:
            weights: list[Tensor] = list(group["params"])
            masters = [w if w.dtype == torch.float32 else w.detach().float() for w in weights]
            self._pairs += [(w, m) for w, m in zip(weights, masters, strict=True) if w is not m]
            own.append({**group, "params": masters, "weights": weights})
        self._inner = make(own, **settings)
        # Schedules write learning rates into these very groups.
        self.param_groups = self._inner.param_groups
        self.defaults = self._inner.defaults
        self.state = self._inner.state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of weights and copies."""
        self._inner.zero_grad(set_to_none)
        for weight, master in self._pairs:
            weight.grad = master.grad = None

    def step(self, closure: Any = None) -> None:  # type: ignore[override] # a closure has no use
        """Step the copies along the weights' gradients, and write them back."""
        for weight, master in self._pairs:
            master.grad = None if weight.grad is None else weight.grad.float()
        self._inner.step()
        with torch.no_grad():
            for weight, master in self._pairs:
                if weight.grad is not None:
                    weight.copy_(master)


def groups_of(
    policy: ActionPolicy | WrittenPolicy, tune: Tune, rate: float
) -> list[dict[str, Any]]:
    """Return groups of weights with their factors of the rate: model, critic and all the rest.

    Args:
        policy: A policy whose model is trained.
        tune: Says the rates of model and critic.
        rate: The algorithm's own rate, at the start.
    """
    reader = policy.reader
    assert isinstance(reader, TunedReader)
    model, critic = list(reader.model.parameters()), list(policy.critic.parameters())
    taken = {id(weight) for weight in (*model, *critic)}
    rest = [p for p in policy.parameters() if id(p) not in taken and p.requires_grad]
    critic_rate = rate if tune.critic_learning_rate is None else tune.critic_learning_rate
    groups: list[dict[str, Any]] = [
        {"part": "model", "params": model, "factor": tune.learning_rate / rate},
        {"part": "critic", "params": critic, "factor": critic_rate / rate},
        {"part": "rest", "params": rest, "factor": 1.0},
    ]
    return [group for group in groups if group["params"]]

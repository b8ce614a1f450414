"""What a training has learnt, as named tensors and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.engines.policies.policy import Policy
from dragoman.engines.sb3.names import our_names
from dragoman.errors import RunError
from dragoman.roles.observe.observer import AnyObserver
from dragoman.run import FORMAT, Run, Tensors


def tensors_of(weights: Mapping[str, Tensor], roles: Tensors) -> Tensors:
    """Return everything trained, by name, without the frozen language model.

    Args:
        weights: Those of the policy, by the names of `dragoman.engines.policies`.
        roles: What roles have learnt, by names that begin with the role's.
    """
    policy = {f"policy.{name}": array for name, array in arrays_of(weights).items()}
    return {**policy, **roles}


def arrays_of(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return tensors as arrays of the same numbers, by the same names."""
    # NumPy has no bfloat16; every one of its numbers is one of float32 too.
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
        for name, tensor in tensors.items()
    }


def is_finite(policy: nn.Module) -> bool:
    """Return whether everything that a policy trains is finite."""
    return all(
        bool(parameter.isfinite().all())
        for parameter in policy.parameters()
        if parameter.requires_grad
    )


def weights_of(run: Run) -> Tensors:
    """Return what `tensors_of` returned for a run.

    Raises:
        RunError: There is nothing, it is damaged, or it is of a later version.
    """
    tensors = run.weights()
    if run.format > FORMAT:
        raise RunError(
            f"{run.path} has format {run.format}, and this version reads up to {FORMAT}",
            cure="pip install --upgrade dragoman",
        )
    if run.format == 1:
        # Version 0.1 kept the names of Stable-Baselines3.
        policy = our_names(below("policy.", tensors))
        tensors = {name: value for name, value in tensors.items() if not name.startswith("policy.")}
        tensors |= {f"policy.{name}": value for name, value in policy.items()}
    return tensors


def restore(policy: Policy, observer: AnyObserver | None, tensors: Tensors) -> None:
    """Load what `weights_of` returned.

    Raises:
        RunError: The tensors belong to another network.
    """
    state = {key: torch.as_tensor(value) for key, value in below("policy.", tensors).items()}
    try:
        policy.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(
            f"the saved weights do not fit the run's own experiment: {error}",
            cure="keep config.yaml as the training wrote it",
        ) from error
    if observer is not None:
        observer.load_state(below("observer.", tensors))


def below(prefix: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return the tensors whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }

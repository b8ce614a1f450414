"""The state of live objects as plain data with arrays, and back into objects of the same kind.

An object says in ``resumes`` which of its attributes a resumed training must have again; what it
does not name is made anew, as it is at the start of an episode or from settings. Names may have
dots. Nothing is read that could run code: what is read is put into objects that are there.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, MutableMapping
from dataclasses import fields, is_dataclass, replace
from operator import attrgetter
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (bool, int, float, str, type(None))
_SHORT = {torch.bfloat16: torch.int16}
"""Formats that NumPy has not, and what has as many bits."""


class Random:
    """The random numbers of this process: of Python, NumPy and PyTorch."""

    resumes = ("python", "numpy", "torch", "cuda")

    @property
    def python(self) -> Any:
        """The state of the module random."""
        return random.getstate()

    @python.setter
    def python(self, state: Any) -> None:
        version, numbers, gauss = state
        random.setstate((version, tuple(numbers), gauss))

    @property
    def numpy(self) -> Any:
        """The state of NumPy's generator of all code that has none of its own."""
        return np.random.get_state(legacy=False)  # noqa: NPY002

    @numpy.setter
    def numpy(self, state: Any) -> None:
        np.random.set_state(state)  # noqa: NPY002

    @property
    def torch(self) -> Tensor:
        """The state of PyTorch's generator on the processor."""
        return torch.get_rng_state()

    @torch.setter
    def torch(self, state: Tensor) -> None:
        torch.set_rng_state(state)

    @property
    def cuda(self) -> list[Tensor]:
        """The state of those on graphics processors, where any are in use."""
        cuda: Any = torch.cuda
        return cuda.get_rng_state_all() if cuda.is_initialized() else []

    @cuda.setter
    def cuda(self, states: list[Tensor]) -> None:
        if states:
            torch.cuda.set_rng_state_all([torch.as_tensor(state) for state in states])


def taken(value: Any) -> Any:
    """Return the state of a value: plain data for JSON, with NumPy arrays in it.

    Raises:
        TypeError: It is of a kind whose state is not known.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        return tensor.view(_SHORT.get(tensor.dtype, tensor.dtype)).numpy().copy()
    parts = _parts(value)
    if parts is not None:
        return {name: taken(part) for name, part in parts.items()}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: taken(own) for key, own in value.items()}
        return [[taken(key), taken(own)] for key, own in value.items()]
    if isinstance(value, list | tuple | deque | set):
        return [taken(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no attribute 'resumes' that says what is kept")


def given(like: Any, state: Any) -> Any:
    """Return a value with the state that `taken` returned.

    Args:
        like: A value of the same kind. Objects and tensors are changed in place, and returned.
        state: What was taken.
    """
    if isinstance(like, Tensor):
        with torch.no_grad():
            read = torch.from_numpy(np.asarray(state))
            like.copy_(read.view(like.dtype) if like.dtype in _SHORT else read)
        return like
    if isinstance(like, np.ndarray):
        return np.array(state, dtype=like.dtype)
    if isinstance(like, np.random.Generator):
        like.bit_generator.state = state
        return like
    if isinstance(like, torch.optim.Optimizer) and not hasattr(like, "resumes"):
        return _optimizer_given(like, state)
    parts = _parts(like)
    if parts is not None:
        new = {name: given(part, state[name]) for name, part in parts.items()}
        return _with_parts(like, new)
    if isinstance(like, MutableMapping):
        pairs = state.items() if isinstance(state, dict) else [(key, own) for key, own in state]
        new = {key: given(like.get(key), own) for key, own in pairs}
        like.clear()
        like.update(new)
        return like
    if isinstance(like, deque | set):
        like.clear()
        (like.extend if isinstance(like, deque) else like.update)(state)
        return like
    if isinstance(like, list | tuple) and len(like) == len(state):
        return type(like)(given(own, item) for own, item in zip(like, state, strict=True))
    return state


def _parts(value: Any) -> dict[str, Any] | None:
    """Return what the state of an object is made of, by name; nothing where it has no parts."""
    if hasattr(value, "resumes"):
        return {name: attrgetter(name)(value) for name in value.resumes}
    if isinstance(value, nn.Module):
        return dict(value.state_dict())
    if isinstance(value, torch.optim.Optimizer):
        return _optimizer_parts(value)
    if isinstance(value, gym.Space):
        return {"np_random": value.np_random}
    if isinstance(value, np.random.Generator):
        return dict(value.bit_generator.state)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return None


def _with_parts(like: Any, new: dict[str, Any]) -> Any:
    if hasattr(like, "resumes"):
        for name, part in new.items():
            owner, _, last = name.rpartition(".")
            setattr(attrgetter(owner)(like) if owner else like, last, part)
    elif is_dataclass(like) and not isinstance(like, type):
        return replace(like, **new)
    return like


def _optimizer_parts(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return what it keeps of each weight, in order, and the rates of its groups."""
    groups = optimizer.param_groups
    weights = [weight for group in groups for weight in group["params"]]
    return {
        "state": [dict(optimizer.state.get(weight, {})) for weight in weights],
        "rates": [float(group["lr"]) for group in groups],
    }


def _optimizer_given(optimizer: torch.optim.Optimizer, state: Any) -> torch.optim.Optimizer:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight, own in zip(weights, state["state"], strict=True):
        if own:
            optimizer.state[weight] = {
                # PyTorch counts steps on the processor.
                key: torch.from_numpy(kept).to("cpu" if key == "step" else weight.device)
                if isinstance(kept, np.ndarray)
                else kept
                for key, kept in own.items()
            }
    for group, rate in zip(optimizer.param_groups, state["rates"], strict=True):
        group["lr"] = rate
    return optimizer

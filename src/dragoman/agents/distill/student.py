"""A small network that acts on raw observations, without a language model.

student.safetensors  weights, and the statistics that observations are standardised by
student.json         what goes in and what comes out
student.onnx         the same function for other runtimes
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dragoman.errors import RunError, SpaceError
from dragoman.files import write_bytes, write_json
from dragoman.roles.act.networks import mlp

FAR = 10.0
"""Standard deviations at which an observation is cut off."""

NEVER = -1e9
"""Logit of an invalid action; finite, as not every runtime multiplies infinities alike."""

FIXED = (
    gym.spaces.Box,
    gym.spaces.Discrete,
    gym.spaces.MultiBinary,
    gym.spaces.MultiDiscrete,
)
"""Spaces whose values are always as many numbers."""


@dataclass(frozen=True)
class Shape:
    """What goes into a student and what comes out.

    Attributes:
        inputs: Numbers ``D`` of a flattened observation.
        hidden: Units of the hidden layers.
        actions: Number of actions ``K`` to choose from; 0 where they are continuous.
        start: The number of the first one.
        action_shape: Shape of a continuous action.
        masked: Whether a mask ``(B, K)`` goes in too, other than 0 where an action is valid.
        observation: The space whose values `gymnasium.spaces.flatten` makes the numbers of.
    """

    inputs: int
    hidden: tuple[int, ...]
    actions: int
    start: int = 0
    action_shape: tuple[int, ...] = ()
    masked: bool = False
    observation: str = ""

    @property
    def outputs(self) -> int:
        """Units of the last layer."""
        return self.actions or int(np.prod(self.action_shape))


def shape_of(
    observations: gym.Space[Any],
    actions: gym.Space[Any],
    hidden: tuple[int, ...],
    *,
    masked: bool,
) -> Shape:
    """Return the shape of a student between two (unbatched) spaces.

    Raises:
        SpaceError: Observations are no fixed number of numbers, or actions neither named nor real.
    """
    _refuse_text(observations)
    inputs, data = gym.spaces.flatdim(observations), str(observations)
    if isinstance(actions, gym.spaces.Discrete):
        count, start = int(actions.n), int(actions.start)
        return Shape(inputs, hidden, count, start, masked=masked, observation=data)
    if isinstance(actions, gym.spaces.Box) and np.issubdtype(actions.dtype, np.floating):
        return Shape(inputs, hidden, 0, action_shape=actions.shape, observation=data)
    raise SpaceError(
        f"a student cannot act in {actions}: it chooses one of some actions or real numbers",
        cure="wrap the action space as Discrete or as Box of float32",
    )


def _refuse_text(space: gym.Space[Any], name: str = "the observation") -> None:
    if isinstance(space, gym.spaces.Dict):
        for key, inner in space.spaces.items():
            _refuse_text(inner, f"{name}[{key!r}]")
    elif isinstance(space, gym.spaces.Tuple):
        for place, inner in enumerate(space.spaces):
            _refuse_text(inner, f"{name}[{place}]")
    elif not isinstance(space, FIXED):
        raise SpaceError(
            f"{name} is {space}, but a network without a language model reads a fixed number of "
            "numbers",
            cure="train with the environment's numbers as raw observations, beside "
            "info['text'] for the language model; or deploy the model: dragoman export --merged",
        )


class Student(nn.Module):
    """Flattened raw observations in, actions out.

    Args:
        shape: What goes in and what comes out.
    """

    mean: Tensor
    scale: Tensor
    centre: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.network = mlp(shape.inputs, shape.hidden, shape.outputs)
        self.register_buffer("mean", torch.zeros(shape.inputs))
        self.register_buffer("scale", torch.ones(shape.inputs))
        if not shape.actions:
            self.register_buffer("centre", torch.zeros(shape.outputs))
            self.register_buffer("spread", torch.ones(shape.outputs))
            self.register_buffer("low", torch.full((shape.outputs,), -torch.inf))
            self.register_buffer("high", torch.full((shape.outputs,), torch.inf))

    def outputs(self, observation: Tensor) -> Tensor:
        """Return logits ``(B, K)``, or continuous actions in units of their spread."""
        scaled = ((observation - self.mean) / self.scale).clamp(-FAR, FAR)
        result: Tensor = self.network(scaled)
        return result

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the environment's actions ``(B,)`` and logits ``(B, K)``; or actions alone.

        Args:
            observation: float32 ``(B, D)``.
            mask: ``(B, K)``, 0 where an action is not valid.
        """
        result = self.outputs(observation)
        if not self.shape.actions:
            actions = (result * self.spread + self.centre).clamp(self.low, self.high)
            return (actions.reshape(-1, *self.shape.action_shape),)
        if mask is not None:
            result = torch.where(mask != 0, result, torch.full_like(result, NEVER))
        return result.argmax(dim=-1) + self.shape.start, result

    def act(self, observations: NDArray[Any], mask: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the environment's actions of flattened observations ``(B, D)``."""
        rows = torch.as_tensor(np.asarray(observations, np.float32))
        if self.shape.masked and mask is None:
            raise SpaceError(
                "this student learnt which actions are valid from a mask, but there is none",
                cure="hand on info['action_mask']",
            )
        allowed = torch.as_tensor(np.asarray(mask)) if self.shape.masked else None
        with torch.no_grad():
            result: NDArray[Any] = self(rows, allowed)[0].numpy()
        return result

    @property
    def size(self) -> int:
        """Number of trained weights."""
        return sum(weight.numel() for weight in self.parameters())


def save_student(student: Student, folder: Path) -> None:
    """Write weights and shape into a folder."""
    tensors = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    write_bytes(folder / "student.safetensors", save(tensors))
    write_json(folder / "student.json", asdict(student.shape))


def load_student(folder: str | Path) -> Student:
    """Load what `dragoman.distill` has written.

    Raises:
        RunError: The folder holds no student, or a damaged one.
    """
    folder = Path(folder)
    try:
        data = json.loads((folder / "student.json").read_text(encoding="utf-8"))
        lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
        student = Student(Shape(**{**data, **lists}))
        student.load_state_dict(load_file(folder / "student.safetensors"))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise RunError(
            f"{folder} holds no student that can be read: {error}",
            cure="name a folder that dragoman distill has written",
        ) from error
    return student.eval()

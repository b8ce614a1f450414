"""From an environment's own observations to one row of numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from torch import Tensor, nn
from torch.nn.functional import one_hot

from dragoman.roles.observe.raw import is_image, is_picture

PICTURE_FEATURES = 256
"""Features of each picture within a dictionary."""


def reads(space: gym.Space[Any]) -> bool:
    """Return whether `Features` takes observations of a space as they are.

    Others are made numbers of, see `dragoman.roles.observe.raw.RawState`.
    """
    if isinstance(space, Dict):
        return all(
            not isinstance(part, Dict)
            and reads(part)
            # The network for pictures is too deep for small ones.
            and (not is_image(part) or is_picture(part))
            # Modules are named by keys.
            and not (hasattr(nn.ModuleDict, key) or "." in key or not key)
            for key, part in space.spaces.items()
        )
    if isinstance(space, Box):
        return len(space.shape) > 0
    if isinstance(space, Discrete | MultiDiscrete):
        # One-hot from zero on.
        return len(space.shape or ()) < 2 and not np.any(space.start)
    return isinstance(space, MultiBinary)


def stack(space: gym.Space[Any], observations: Sequence[Any]) -> Any:
    """Return raw observations as the batch that `Features` takes."""
    if isinstance(space, Dict):
        return {key: np.stack([row[key] for row in observations]) for key in space}
    return np.stack(observations)


class Features(nn.Module):
    """Numbers as they are, choices one-hot, bits as 0 and 1, dictionaries part after part.

    Pictures become numbers from 0 to 1 with their colours first; those within a dictionary pass
    the convolutions of Mnih et al. 2015 ("Human-level control through deep reinforcement
    learning"), a picture that is the whole observation does not.

    Args:
        space: The (unbatched) observation space.
        scale: Divide pictures by 255.
        picture_features: Features of each picture within a dictionary.

    Attributes:
        width: Features ``D`` of an observation.
    """

    def __init__(
        self,
        space: gym.Space[Any],
        *,
        scale: bool = True,
        picture_features: int = PICTURE_FEATURES,
    ) -> None:
        super().__init__()
        self.space = space
        self.scale = scale
        self.parts = nn.ModuleDict()
        parts = space.spaces if isinstance(space, Dict) else {}
        for key, part in parts.items():
            # Unscaled ones may have been scaled before.
            if is_image(part) or (not scale and isinstance(part, Box) and len(part.shape) == 3):
                self.parts[key] = convolutions(_channels_first(part), picture_features)
        self.width = sum(
            picture_features if key in self.parts else _width(part)
            for key, part in (parts or {"": space}).items()
        )

    def forward(self, observations: Any) -> Tensor:
        """Return features ``(B, D)`` of a batch: a tensor, or a dictionary of tensors."""
        if not isinstance(self.space, Dict):
            return self._numbers(self.space, observations).flatten(1)
        result = []
        for key, part in self.space.spaces.items():
            numbers = self._numbers(part, observations[key])
            result.append(self.parts[key](numbers) if key in self.parts else numbers.flatten(1))
        return torch.cat(result, dim=1)

    def _numbers(self, space: gym.Space[Any], values: Tensor) -> Tensor:
        if isinstance(space, Discrete):
            return one_hot(values.long(), int(space.n)).float()
        if isinstance(space, MultiDiscrete):
            columns = zip(values.long().unbind(dim=1), space.nvec.tolist(), strict=True)
            return torch.cat([one_hot(column, size).float() for column, size in columns], dim=-1)
        if is_image(space):
            if not _has_channels_first(space):
                values = values.permute(0, 3, 1, 2)  # (B, rows, columns, colours) -> (B, C, H, W)
            return values.float() / 255.0 if self.scale else values.float()
        return values.float()


def convolutions(shape: tuple[int, ...], features: int) -> nn.Sequential:
    """Return the network for pictures of a shape ``(C, H, W)``."""
    convolved = nn.Sequential(
        nn.Conv2d(shape[0], 32, kernel_size=8, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=4, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, kernel_size=3, stride=1),
        nn.ReLU(),
        nn.Flatten(),
    )
    with torch.no_grad():
        size = convolved(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*convolved, nn.Linear(size, features), nn.ReLU())


def _width(space: gym.Space[Any]) -> int:
    if isinstance(space, MultiDiscrete):
        return int(space.nvec.sum())
    if isinstance(space, Discrete):
        return int(space.n)
    assert space.shape is not None
    return int(np.prod(space.shape))


def _has_channels_first(space: gym.Space[Any]) -> bool:
    assert space.shape is not None
    return int(np.argmin(space.shape)) == 0


def _channels_first(space: gym.Space[Any]) -> tuple[int, ...]:
    assert space.shape is not None
    if not is_image(space) or _has_channels_first(space):
        return space.shape
    rows, columns, colours = space.shape
    return colours, rows, columns

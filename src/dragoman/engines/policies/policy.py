"""What a trained policy must do, and how an action comes from what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Weighing: TypeAlias = Literal["probability", "action value"]
"""What the numbers of the options of an action are: probabilities or Q-values."""


@dataclass(frozen=True)
class View:
    """What a policy makes of one state.

    Attributes:
        value: Estimate of the return still to come.
        options: One number an option, for each independent part of a discrete action.
        means: Mean of each number of a continuous action, before it is clipped to the bounds.
        spreads: Their standard deviations.
    """

    value: float
    options: tuple[tuple[float, ...], ...] = ()
    means: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()


class Policy(Protocol):
    """A trained policy: what observers or environments return in, actions out."""

    @property
    def weighing(self) -> Weighing:
        """What the options in a `View` are."""
        ...

    def begin(self) -> None:
        """Forget what was seen: all that is acted on next begins an episode."""
        ...

    def follow(self, episodes: Sequence[int]) -> None:
        """Say to which of the episodes that began the rows of the next batch belong.

        Args:
            episodes: One number a row; rows are numbered in their order until this is called.
        """
        ...

    def act(self, batch: Any, sampled: bool) -> NDArray[Any]:
        """Return actions ``(B, ...)`` of a batch, drawn or the likeliest; choices from zero on."""
        ...

    def view(self, batch: Any, action: Any) -> View:
        """Return what it makes of a batch of one, and of the action that it has taken there."""
        ...

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return its weights by name, without a frozen language model."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Restore what `state_dict` returned.

        Raises:
            RuntimeError: They belong to another network.
        """
        ...


class ModulePolicy:
    """A policy that is a module, and the space that it acts in.

    Args:
        module: What is trained. It reads tensors.
        actions: The (unbatched) action space.
        squashes: Continuous actions come between -1 and 1, rather than within the bounds.
        device: Where it computes.
    """

    weighing: Weighing = "probability"

    def __init__(
        self,
        module: nn.Module,
        actions: gym.Space[Any],
        *,
        squashes: bool = False,
        device: Any = "cpu",
    ) -> None:
        self.module = module.to(device).eval()
        self.actions = actions
        self.squashes = squashes
        self.device = device

    def begin(self) -> None:
        """Begin episodes; what has no memory has nothing to forget."""

    def follow(self, episodes: Sequence[int]) -> None:
        """Take the next observations for those of these episodes."""

    def act(self, batch: Any, sampled: bool) -> NDArray[Any]:
        """Return actions ``(B, ...)``."""
        with torch.no_grad():
            chosen = self.choose(self.tensors(batch), sampled).cpu().numpy()
        return self._within(chosen.reshape(-1, *(self.actions.shape or ())))

    def view(self, batch: Any, action: Any) -> View:
        """Return what it makes of a batch of one."""
        with torch.no_grad():
            return self.look(self.tensors(batch), np.asarray(action))

    def choose(self, batch: Any, sampled: bool) -> Tensor:
        """Return what is chosen, in a form that has the space's numbers in it."""
        raise NotImplementedError

    def look(self, batch: Any, action: NDArray[Any]) -> View:
        """Return what it makes of a batch of one, as tensors."""
        raise NotImplementedError

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the module's weights."""
        return self.module.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Restore them."""
        return self.module.load_state_dict(state)

    def tensors(self, batch: Any) -> Any:
        """Return a batch as tensors, where it computes."""
        if isinstance(batch, Mapping):
            return {key: self.tensors(part) for key, part in batch.items()}
        return torch.as_tensor(batch, device=self.device)

    def _within(self, actions: NDArray[Any]) -> NDArray[Any]:
        space = self.actions
        if not isinstance(space, gym.spaces.Box):
            return actions
        if self.squashes:
            return unscaled(space, actions)
        clipped: NDArray[Any] = np.clip(actions, space.low, space.high)
        return clipped


def scaled(space: gym.spaces.Box, actions: NDArray[Any]) -> NDArray[Any]:
    """Return actions within the bounds of a space as numbers between -1 and 1."""
    result: NDArray[Any] = 2.0 * ((actions - space.low) / (space.high - space.low)) - 1.0
    return result


def unscaled(space: gym.spaces.Box, actions: NDArray[Any]) -> NDArray[Any]:
    """Return what `scaled` was given."""
    result: NDArray[Any] = space.low + (0.5 * (actions + 1.0) * (space.high - space.low))
    return result


def layers(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: Callable[[], nn.Module]
) -> nn.Sequential:
    """Return linear layers of these units with activations between; no last one for 0 outputs."""
    result: list[nn.Module] = []
    for units in hidden:
        result += [nn.Linear(inputs, units), activation()]
        inputs = units
    return nn.Sequential(*result, *([nn.Linear(inputs, outputs)] if outputs else []))

"""RND and NovelD: how badly a network predicts what a random one makes of a state.

Burda, Edwards, Storkey and Klimov (2018): a network f of random weights stays as it is, and another
one learns to say the same of the states that are visited. Where it fails, few were like this one:

    n(s) = ‖f̂(φ(s)) − f(φ(s))‖

Zhang and others, "NovelD" (2021), pay for the step over the border of what is known, and only for
the first visit in an episode:

    b(s, s') = max(n(s') − ½ n(s), 0) · [s' is new in this episode]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dragoman.maths.seeds import derive_seed
from dragoman.roles.explore.states import States
from dragoman.types import FloatArray

HIDDEN = 128
OUTPUTS = 64
RATE = 3e-3
"""Learning rate of the predictor."""
ROWS = 128
"""It learns when this many states have been visited since."""
SHARE = 0.5
"""What NovelD takes away of the novelty of the state that was left."""


class RND:
    """The bonus of random network distillation, by itself or as NovelD has it.

    Args:
        num_envs: ``N``.
        size: Width ``D`` of the features.
        seed: Draws both networks.
        difference: Pay as NovelD does.

    Attributes:
        learning: Whether the predictor is trained.
    """

    learning = True
    resumes = ("target", "predictor", "_optimizer", "_rows")

    def __init__(self, num_envs: int, size: int, seed: int, *, difference: bool) -> None:
        self.difference = difference
        # The random numbers of the training stay as they would be without this role.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("random network", seed))
            self.target, self.predictor = network(size), network(size)
        self.target.requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.predictor.parameters(), lr=RATE, fused=True)
        self._left = np.zeros((num_envs, size), np.float32)
        self._visited: list[set[int]] = [set() for _ in range(num_envs)]
        self._rows: list[FloatArray] = []

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Forget the episodes before."""
        self._left[envs] = states.features
        for i, name in zip(envs, states.names.tolist(), strict=True):
            self._visited[i] = {name}

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Return the bonus by what was learnt before, and learn these states."""
        count, visits = len(envs), list(zip(envs, states.names.tolist(), strict=True))
        novelty = self.novelty(np.concatenate([states.features, self._left[envs]]))
        result = novelty[:count]
        if self.difference:
            is_new = [name not in self._visited[i] for i, name in visits]
            # Elementwise: the maximum of each step with zero.
            result = np.maximum(result - SHARE * novelty[count:], 0.0) * is_new
        for i, name in visits:
            self._visited[i].add(name)
        self._left[envs] = states.features
        if self.learning:
            self._learn(states.features)
        return result

    def novelty(self, features: FloatArray) -> NDArray[np.float64]:
        """Return the distance of the two networks' outputs ``(n,)``."""
        with torch.inference_mode():
            inputs = self._inputs(features)
            error: torch.Tensor = self.predictor(inputs) - self.target(inputs)
        result: NDArray[np.float64] = np.linalg.norm(error.double().numpy(), axis=1)
        return result

    def _learn(self, features: FloatArray) -> None:
        self._rows += list(features)
        if len(self._rows) < ROWS:
            return
        inputs, self._rows = self._inputs(np.stack(self._rows)), []
        loss = ((self.predictor(inputs) - self.target(inputs)) ** 2).mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def _inputs(self, features: FloatArray) -> torch.Tensor:
        # Features are about 1 long; what a network reads should be about 1 in each place.
        return torch.from_numpy(features * np.float32(features.shape[1] ** 0.5))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights of both networks."""
        return {
            f"{name}.{key}": tensor.numpy()
            for name, net in self._networks.items()
            for key, tensor in net.state_dict().items()
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned."""
        for name, net in self._networks.items():
            own = {key: torch.as_tensor(state[f"{name}.{key}"]) for key in net.state_dict()}
            net.load_state_dict(own)

    @property
    def _networks(self) -> dict[str, nn.Sequential]:
        return {"target": self.target, "predictor": self.predictor}


def network(size: int) -> nn.Sequential:
    """Return a network of random weights; PyTorch's own are too small for a target that varies."""
    inner, outer = nn.Linear(size, HIDDEN), nn.Linear(HIDDEN, OUTPUTS)
    for layer in (inner, outer):
        nn.init.orthogonal_(layer.weight, 2**0.5)
    return nn.Sequential(inner, nn.ReLU(), outer)

"""A small network that gives the preferred state of a pair the greater reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.maths.moments import Moments
from dragoman.types import FloatArray

RATE = 1e-3
DECAY = 1e-3
BATCH = 128
HELD_OUT = 0.2
CLIP = 10.0


@dataclass(frozen=True)
class Fit:
    """What a fit came to.

    Attributes:
        network: Weights by name.
        train_accuracy: Share of the decided training pairs that it orders right.
        accuracy: The same of the held-out pairs, which it never saw; NaN where none is decided.
        loss: Cross-entropy on the held-out pairs.
        epochs: Epochs until the held-out loss was least.
    """

    network: Mapping[str, NDArray[np.float32]]
    train_accuracy: float
    accuracy: float
    loss: float
    epochs: int


def fit(
    features: FloatArray,
    pairs: NDArray[np.int64],
    labels: NDArray[np.float64],
    *,
    hidden: int,
    epochs: int,
    seed: int,
) -> Fit:
    """Fit the Bradley-Terry model ``P(second is better) = sigmoid(r_2 - r_1)``.

    Minimises ``-E[y log s(r_2 - r_1) + (1 - y) log s(r_1 - r_2)]``, where y is 0, 1, or 0.5 for
    a tie (Klissarov et al., 2024, "Motif", eq. 1). A fifth of the pairs is held out, and the
    epoch that does best on them is kept.

    Args:
        features: One row a text, ``(B, H)``.
        pairs: Rows of the two texts of each pair, ``(P, 2)``.
        labels: ``(P,)``.
        hidden: Units of the hidden layer; 0 makes the reward linear.
        epochs: Most epochs.
        seed: Of weights, batches and the choice of what is held out.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(pairs))
    held = order[: max(1, int(HELD_OUT * len(pairs)))]
    seen = order[len(held) :] if len(pairs) > 1 else order
    moments = Moments.empty(features.shape[1]).merge(features)
    inputs = torch.as_tensor(moments.standardise(features, clip=CLIP))
    places, targets = torch.as_tensor(pairs), torch.as_tensor(labels, dtype=torch.float32)
    # Whatever else is drawn in this process must not depend on whether a reward was fitted.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(features.shape[1], hidden)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    best, best_loss, best_epoch = _state(network), np.inf, 0
    for epoch in range(1, epochs + 1):
        for batch in np.array_split(generator.permutation(seen), -(-len(seen) // BATCH)):
            loss = _loss(network, inputs, places[batch], targets[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            held_loss = float(_loss(network, inputs, places[held], targets[held]))
        if held_loss < best_loss:
            best, best_loss, best_epoch = _state(network), held_loss, epoch
    network.load_state_dict(best)
    with torch.no_grad():
        rewards = network(inputs)[:, 0].numpy()
    return Fit(
        network={
            **{name: value.numpy() for name, value in best.items()},
            "mean": moments.mean.astype(np.float32),
            "std": np.sqrt(moments.variance + 1e-8).astype(np.float32),
        },
        train_accuracy=pair_accuracy(rewards, pairs[seen], labels[seen]),
        accuracy=pair_accuracy(rewards, pairs[held], labels[held]),
        loss=best_loss,
        epochs=best_epoch,
    )


def evaluate(network: Mapping[str, NDArray[np.floating]], features: FloatArray) -> FloatArray:
    """Return the reward of each row of features, ``(B,)``, by the weights that `fit` found."""
    inputs = np.clip((features - network["mean"]) / network["std"], -CLIP, CLIP)
    if "2.weight" in network:
        inputs = np.tanh(inputs @ network["0.weight"].T + network["0.bias"])
    last = "2" if "2.weight" in network else "0"
    rewards = inputs @ network[f"{last}.weight"].T + network[f"{last}.bias"]
    result: FloatArray = rewards[:, 0].astype(np.float32)
    return result


def pair_accuracy(
    rewards: NDArray[np.floating], pairs: NDArray[np.int64], labels: NDArray[np.float64]
) -> float:
    """Return the share of decided pairs whose preferred text has the greater reward."""
    is_decided = labels != 0.5
    if not is_decided.any():
        return float("nan")
    differences = rewards[pairs[is_decided, 1]] - rewards[pairs[is_decided, 0]]
    return float(((differences > 0) == (labels[is_decided] == 1)).mean())


def _network(width: int, hidden: int) -> nn.Sequential:
    if not hidden:
        return nn.Sequential(nn.Linear(width, 1))
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def _loss(network: nn.Module, inputs: Tensor, pairs: Tensor, labels: Tensor) -> Tensor:
    rewards = network(inputs)[:, 0]
    differences = rewards[pairs[:, 1]] - rewards[pairs[:, 0]]
    return nn.functional.binary_cross_entropy_with_logits(differences, labels)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}

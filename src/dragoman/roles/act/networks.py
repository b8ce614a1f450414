"""Small networks, initialised as the reference implementations of actor-critic methods are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

HIDDEN_GAIN = math.sqrt(2)
ACTION_GAIN = 0.01
"""Of the layer that ends in logits: the first policy is close to uniform."""


def linear(inputs: int, outputs: int, gain: float = HIDDEN_GAIN) -> nn.Linear:
    """Return a layer with orthogonal weights and zero biases."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(inputs: int, hidden: Sequence[int], outputs: int, gain: float = 1.0) -> nn.Sequential:
    """Return ``tanh`` layers of these units, and a last one without."""
    widths = [inputs, *hidden]
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [linear(wide, narrow), nn.Tanh()]
    return nn.Sequential(*layers, linear(widths[-1], outputs, gain))

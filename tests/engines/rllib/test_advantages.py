"""Advantages under the policy, of steps in which a prior took part, as RLlib lays episodes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets

from dragoman.engines.rllib.advantages import Advantages
from dragoman.roles.explore.mixture import advantages

LENGTHS = (3, 5, 4)
ENDS = ("terminated", "truncated", "terminated")


def laid_out(seed: int) -> dict[str, np.ndarray]:
    """Return episodes behind each other, each with one more row for the state after it."""
    draw = np.random.default_rng(seed)
    count = sum(LENGTHS) + len(LENGTHS)
    found = {
        name: draw.random(count).astype(np.float32) for name in ("rewards", "values", "weights")
    }
    for name in ("terminated", "truncated"):
        found[name] = np.zeros(count, np.bool_)
    at = 0
    for length, end in zip(LENGTHS, ENDS, strict=True):
        found[end][at + length - 1] = True
        at += length + 1
        found["truncated"][at - 1] = True  # what is appended carries nothing back
    return found


def test_without_weights_they_are_rllibs_own() -> None:
    rows = laid_out(0)
    given = rows["rewards"], rows["values"], rows["terminated"], rows["truncated"]
    found = Advantages(0.9, 0.8)._weighted(*given, np.ones_like(rows["weights"]))
    targets = compute_value_targets(
        values=rows["values"],
        rewards=rows["rewards"],
        terminateds=rows["terminated"],
        truncateds=rows["truncated"],
        gamma=0.9,
        lambda_=0.8,
    )
    np.testing.assert_allclose(found, targets - rows["values"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_each_episode_has_the_advantages_that_it_has_alone(seed: int) -> None:
    rows = laid_out(seed)
    given = rows["rewards"], rows["values"], rows["terminated"], rows["truncated"]
    found = Advantages(0.9, 0.8)._weighted(*given, rows["weights"])
    at = 0
    for length, end in zip(LENGTHS, ENDS, strict=True):
        own = slice(at, at + length)
        column = {
            name: torch.from_numpy(rows[name][own]).unsqueeze(1)
            for name in ("rewards", "values", "weights")
        }
        goes_on = torch.ones(length, 1)
        goes_on[-1] = float(end == "truncated")
        after = torch.tensor([rows["values"][at + length]])
        alone = advantages(
            column["rewards"], column["values"], after, goes_on, column["weights"], 0.9, 0.8
        )
        np.testing.assert_allclose(found[own], alone.squeeze(1), rtol=1e-5, atol=1e-6)
        at += length + 1

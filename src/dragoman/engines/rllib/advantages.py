"""Advantages as Stable-Baselines3 estimates them, on the episodes that RLlib has collected."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets
from torch import Tensor

from dragoman.engines.watcher import Rollout
from dragoman.roles.explore.mixture import WEIGHT, advantages


class Advantages(ConnectorV2):
    """Adds advantages in units of the reward, values before the update, and returns.

    RLlib's own standardises advantages over the whole batch, and leaves the step that it appends
    to each episode in the minibatches, so that these would hold fewer steps than they should.

    Args:
        gamma: The discount.
        gae_lambda: Of generalised advantage estimation.

    Attributes:
        columns: Of the metrics: the share of the returns' variance that values before the update
            explained, and weights of steps where a prior took part in them.
        rollout: What was chosen in the batch.
    """

    def __init__(self, gamma: float, gae_lambda: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.gae_lambda = gae_lambda
        self.columns: dict[str, float] = {}
        self.rollout: Rollout | None = None

    def __call__(self, *, rl_module: Any, episodes: Any, batch: Any, **named: Any) -> Any:
        """Return the batch with them, in a random order, without the appended steps."""
        own = batch[DEFAULT_MODULE_ID]
        values = rl_module[DEFAULT_MODULE_ID].compute_values(own).cpu().numpy()
        rewards, terminated, truncated = (
            own[name].cpu().numpy()
            for name in (Columns.REWARDS, Columns.TERMINATEDS, Columns.TRUNCATEDS)
        )
        kept = np.flatnonzero(own[Columns.LOSS_MASK].cpu().numpy())
        self.columns = {}
        if WEIGHT in own:
            weights = own[WEIGHT].cpu().numpy()
            self.columns["importance_max"] = float(weights[kept].max())
            self.columns["importance_mean"] = float(weights[kept].mean())
            found = self._weighted(rewards, values, terminated, truncated, weights)
            returns = values + weights * found
        else:
            returns = compute_value_targets(
                values=values,
                rewards=rewards,
                terminateds=terminated,
                truncateds=truncated,
                gamma=self.gamma,
                lambda_=self.gae_lambda,
            ).astype(np.float32)
            found = returns - values
        self.columns["explained_variance"] = _explained(values[kept], returns[kept])
        self.rollout = rollout_of(own, kept)
        device = own[Columns.REWARDS].device
        own[Columns.VF_PREDS] = torch.as_tensor(values, device=device)
        own[Postprocessing.VALUE_TARGETS] = torch.as_tensor(returns, device=device)
        own[Postprocessing.ADVANTAGES] = torch.as_tensor(found, device=device)
        # RLlib shuffles before each epoch but the first.
        order = torch.as_tensor(kept)[torch.randperm(len(kept))]
        own = {name: value for name, value in own.items() if name != Columns.LOSS_MASK}
        batch[DEFAULT_MODULE_ID] = taken(own, order)
        return batch

    def _weighted(
        self,
        rewards: np.ndarray,
        values: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        """Return advantages under the policy of steps in which a prior took part, ``(T,)``."""
        goes_on = 1.0 - terminated.astype(np.float32)
        columns = (rewards, values, goes_on, weights, goes_on * ~truncated.astype(np.bool_))
        reward, value, on, weight, carries = (
            torch.as_tensor(one, dtype=torch.float32).unsqueeze(1) for one in columns
        )
        settings = self.gamma, self.gae_lambda
        result = advantages(reward, value, torch.zeros(1), on, weight, *settings, carries)
        found: np.ndarray = result.squeeze(1).numpy()
        return found


def rollout_of(own: Any, rows: np.ndarray) -> Rollout:
    """Return what was chosen in some rows of a batch, and from what."""
    seen = own[Columns.OBS]
    mask = seen.get("mask") if isinstance(seen, dict) else None
    observations = {} if mask is None else {"mask": mask.cpu().numpy()[rows]}
    return Rollout(own[Columns.ACTIONS].cpu().numpy()[rows], observations)


def taken(column: Any, rows: Tensor) -> Any:
    """Return rows of a tensor, or of every one in a dictionary."""
    if isinstance(column, dict):
        return {key: taken(part, rows) for key, part in column.items()}
    return column[rows.to(column.device)] if isinstance(column, Tensor) else column


def _explained(values: np.ndarray, returns: np.ndarray) -> float:
    variance = float(np.var(returns))
    return float("nan") if variance == 0 else 1 - float(np.var(returns - values)) / variance

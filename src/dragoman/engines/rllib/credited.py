"""RLlib's learner of PPO where whole episodes are compared, instead of asking a critic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from dragoman.engines.episodes import earned
from dragoman.engines.rllib.advantages import rollout_of, taken
from dragoman.engines.rllib.episodes import PLAYED, play_of
from dragoman.engines.rllib.learner import PPOLearner
from dragoman.engines.rllib.settings import PPOSettings
from dragoman.engines.watcher import Rollout
from dragoman.experiment.credit import Credit


class Earned(ConnectorV2):
    """Adds what each step has earned by a rule, and leaves out the steps that teach nothing.

    Args:
        credit: The rule.
        settings: Of the algorithm.

    Attributes:
        columns: Of the metrics.
        rollout: What was chosen in the batch.
    """

    def __init__(self, credit: Credit, settings: PPOSettings) -> None:
        super().__init__()
        self.credit = credit
        self.settings = settings
        self.columns: dict[str, float] = {}
        self.rollout: Rollout | None = None

    def __call__(
        self, *, rl_module: Any, episodes: Sequence[SingleAgentEpisode], batch: Any, **named: Any
    ) -> Any:
        """Return the batch of the steps that are learnt from."""
        own, settings = batch[DEFAULT_MODULE_ID], self.settings
        found = earned(
            play_of(episodes), self.credit, gamma=settings.gamma, lam=settings.gae_lambda
        )
        self.columns = {**found.columns, "credit/learnt": float(found.says.mean())}
        self.rollout = rollout_of(own, np.arange(len(found.says)))
        like = own[Columns.REWARDS]
        values = torch.zeros_like(like)
        if settings.vf_coef:
            values = rl_module[DEFAULT_MODULE_ID].compute_values(own).to(like)
        own[Columns.VF_PREDS] = values
        own[Postprocessing.ADVANTAGES] = torch.as_tensor(found.advantages).to(like)
        own[Postprocessing.VALUE_TARGETS] = torch.as_tensor(found.returns).to(like)
        rows = torch.as_tensor(np.flatnonzero(found.says))
        own = {name: column for name, column in own.items() if name != PLAYED}
        batch[DEFAULT_MODULE_ID] = taken(own, rows)
        return batch


class CreditedLearner(PPOLearner):
    """Learns from whole episodes, in minibatches as Stable-Baselines3 draws them.

    RLlib's own fill the last minibatch of an epoch with steps of the next one.
    """

    def build(self) -> None:
        """Take away the step that RLlib appends to each episode, which only a critic reads."""
        super().build()
        self._learner_connector.remove("AddOneTsToEpisodesAndTruncate")

    def connector(self) -> Earned:
        """Return what adds the credit of steps."""
        credit: Credit = self.config.env_config["task"].what.credit
        return Earned(credit, self.settings)

    def _create_iterator_if_necessary(
        self, *, training_data: Any, num_epochs: int = 1, **named: Any
    ) -> Iterator[MultiAgentBatch]:
        batch = self._make_batch_if_necessary(training_data=training_data)
        rows = dict(batch.policy_batches[DEFAULT_MODULE_ID])
        count = len(rows[Columns.ACTIONS])
        # An update of which nothing is left is none.
        self.is_over = not count
        return _minibatches(rows, count, self.settings.batch_size, num_epochs)

    def said(self) -> dict[str, float]:
        """Return columns of the metrics, without those of a critic that nobody trains."""
        if not self.columns:
            return dict(self.advantages.columns)
        result = super().said()
        result.pop("value_loss")
        return result


def _minibatches(
    rows: dict[str, Any], count: int, size: int, epochs: int
) -> Iterator[MultiAgentBatch]:
    """Yield minibatches, each epoch in another order; one without rows where there are none."""
    for _ in range(epochs if count else 1):
        order = torch.randperm(count)
        for at in range(0, max(count, 1), size):
            own = order[at : at + size]
            yield MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(taken(rows, own))}, len(own))

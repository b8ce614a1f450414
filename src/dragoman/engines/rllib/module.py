"""Policies of `dragoman.engines.policies` and of the act role as modules of RLlib."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import (
    InferenceOnlyAPI,
    TargetNetworkAPI,
    ValueFunctionAPI,
)
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor, nn

from dragoman.engines.policies.make import make_policy
from dragoman.engines.rllib.distribution import Drawings
from dragoman.engines.rllib.settings import settings_of
from dragoman.engines.rllib.task import Task, model_of
from dragoman.engines.tuning import make_room
from dragoman.engines.weights import arrays_of
from dragoman.environments.vector import rows_of
from dragoman.maths.seeds import derive_seed
from dragoman.roles.act.masked import MaskedCategorical
from dragoman.roles.act.penalty import divergence as divergence_of
from dragoman.roles.act.penalty import with_penalty
from dragoman.roles.act.policy import ActionPolicy
from dragoman.roles.act.readers import TunedReader
from dragoman.roles.explore.mixture import WEIGHT, importance, mixture_of, prior_of

CHUNK = 256
"""Observations whose values are computed at a time."""


def network_of(task: Task, observations: gym.Space[Any], actions: gym.Space[Any]) -> nn.Module:
    """Return the untrained network of a training, drawn alike in all processes."""
    experiment = task.what
    act = experiment.act
    model = model_of(task) if act is not None and act.tune is not None else None
    # Apart from the process's own draws, or else all runners would go on to draw alike.
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed("weights", task.env_seed))
        policy: Any = make_policy(experiment, observations, actions, model)
    network: nn.Module = policy.module
    if task.weights is not None:
        network.load_state_dict({key: torch.tensor(own) for key, own in task.weights.items()})
    return network


class Network(TorchRLModule):
    """What all modules have.

    Attributes:
        task: What is trained.
        settings: The algorithm's.
        policy: The network, whose tensors a run folder holds by their names.
    """

    policy: Any

    def setup(self) -> None:
        """Make the network."""
        self.task: Task = self.model_config["task"]
        self.settings = settings_of(self.task.what)
        self.policy = network_of(self.task, self.observation_space, self.action_space)

    def make_room(self) -> None:
        """Do nothing: nothing is kept of older texts."""

    def forget(self) -> None:
        """Do nothing: nothing was computed of texts."""


class WithTarget(Network, TargetNetworkAPI, InferenceOnlyAPI):
    """A module with an older copy of its network, which runners need not have.

    Attributes:
        target: The copy.
    """

    target: Any

    def make_target_networks(self) -> None:
        """Begin with a copy that is the present network."""
        self.target = copy.deepcopy(self.policy).requires_grad_(False)

    def get_target_network_pairs(self) -> list[tuple[Any, Any]]:
        """Return what is copied, and where to."""
        return [(self.policy, self.target)]

    def get_non_inference_attributes(self) -> list[str]:
        """Return what runners need not have."""
        return ["target"]


class Module(Network, ValueFunctionAPI):
    """An actor with a critic: that of the act role, or one on features.

    Attributes:
        last_penalty: Mean divergence from the untrained model's policy in the last forward.
        last_divergence: The same from the guide's prior.
        guide_weight: The guide's weight in updates.
    """

    last_penalty: float | None = None
    last_divergence: float | None = None
    guide_weight: float = 0.0

    def setup(self) -> None:
        """Make the network."""
        super().setup()
        self.drawings = Drawings(self.policy.distribution)

    def make_room(self) -> None:
        """Forget what was kept of older texts, where the model is trained and room is short."""
        act = self.task.what.act
        if act is not None and act.tune is not None:
            make_room(self.reader, act.tune.keep_bytes)

    def forget(self) -> None:
        """Forget what was computed of texts, where the model is trained."""
        act = self.task.what.act
        if act is not None and act.tune is not None:
            self.reader.model.inner.forget()

    @property
    def reader(self) -> TunedReader:
        """What reads with the model that is trained."""
        assert isinstance(self.policy, ActionPolicy)
        reader = self.policy.reader
        assert isinstance(reader, TunedReader)
        return reader

    def get_inference_action_dist_cls(self) -> Drawings:
        """Return what makes distributions of actions."""
        return self.drawings

    def get_exploration_action_dist_cls(self) -> Drawings:
        """Return the same."""
        return self.drawings

    def get_train_action_dist_cls(self) -> Drawings:
        """Return the same."""
        return self.drawings

    def get_state(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Return what is trained as arrays."""
        return arrays_of(self.state_dict())

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Return values ``(B,)``: those of this forward, or computed piece by piece."""
        if embeddings is not None:
            values: Tensor = embeddings
            return values
        observations = batch[Columns.OBS]
        first = observations
        while isinstance(first, dict):
            first = next(iter(first.values()))
        with torch.no_grad():
            starts = range(0, len(first), CHUNK)
            pieces = [rows_of(observations, slice(at, at + CHUNK)) for at in starts]
            return torch.cat([self.policy.values(piece) for piece in pieces])

    def _forward(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        inputs, _ = self.policy(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: inputs}

    def _forward_exploration(
        self, batch: dict[str, Any], t: int = 0, **named: Any
    ) -> dict[str, Any]:
        result, guide = self._forward(batch), self.task.what.guide
        if guide is None or guide.use != "mixture":
            return result
        ours: Any = self._categorical(result[Columns.ACTION_DIST_INPUTS])
        prior: Any = prior_of(batch[Columns.OBS])
        share = guide.weight_at(t)
        actions = mixture_of(ours, prior, share).sample()  # type: ignore[no-untyped-call]
        log_probs: Tensor = ours.log_prob(actions)
        weights = importance(log_probs, prior.log_prob(actions), share)
        return {
            **result,
            Columns.ACTIONS: actions,
            Columns.ACTION_LOGP: log_probs,
            WEIGHT: weights,
        }

    def _forward_train(self, batch: dict[str, Any], **named: Any) -> dict[str, Any]:
        observation = batch[Columns.OBS]
        inputs, values = self.policy(observation)
        if self.task.what.guide is not None:
            apart = divergence_of(self._categorical(inputs), prior_of(observation))
            kept = batch.get(Columns.LOSS_MASK)
            apart = apart.mean() if kept is None else apart[kept].mean()
            self.last_divergence = float(apart.detach())
            if self.task.what.guide.use == "kl":
                values = with_penalty(values, self.guide_weight * apart)
        act = self.task.what.act
        tune = None if act is None else act.tune
        if act is not None and tune is not None and tune.reference_kl:
            divergence = self.policy.divergence(inputs, observation, act.temperature).mean()
            self.last_penalty = float(divergence.detach())
            values = with_penalty(values, tune.reference_kl * divergence)
        return {Columns.ACTION_DIST_INPUTS: inputs, Columns.EMBEDDINGS: values}

    def _categorical(self, inputs: Tensor) -> MaskedCategorical:
        result = self.policy.distribution(inputs)
        assert isinstance(result, MaskedCategorical)
        return result

"""A training of RLlib, round by round, as watchers see it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import gymnasium as gym
import numpy as np
import ray
import torch
from gymnasium.vector import VectorEnv
from ray.exceptions import RayActorError
from ray.rllib.core import DEFAULT_MODULE_ID
from torch import Tensor, nn

from dragoman.engines.initial_values import begin_with_prior, guide_of
from dragoman.engines.memory import refuse_rollout
from dragoman.engines.rllib import cluster, replica
from dragoman.engines.rllib.config import config_of
from dragoman.engines.rllib.module import network_of
from dragoman.engines.rllib.processes import Processes
from dragoman.engines.rllib.runner import Drained
from dragoman.engines.rllib.settings import (
    PPOSettings,
    ReplaySettings,
    Settings,
    settings_of,
)
from dragoman.engines.rllib.task import Own, Task, forget, keep, packed
from dragoman.engines.rllib.watchdog import LearnerLostError, NoStepsError, Watchdog
from dragoman.engines.rollouts import warn_of_steps
from dragoman.engines.stack import RoleStack
from dragoman.engines.watcher import Own as Columns
from dragoman.engines.watcher import Watchers
from dragoman.engines.weights import arrays_of
from dragoman.environments.indices import Indices
from dragoman.environments.vector import RESTING, Episode, split_infos
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.models.cache import CachedModel
from dragoman.run import RunWriter
from dragoman.types import Cost, LanguageModel

if TYPE_CHECKING:
    from dragoman.engines.rllib import RLlib

ROW, ROWS = 512, 20
"""Most steps between two rows of algorithms that learn from older steps, and fewest rows."""
DRAIN_SECONDS = 30.0
"""How long a runner may take to hand over its episodes; a lost one has a second."""


class RLlibTraining:
    """An algorithm of RLlib as a `dragoman.engines.checkpoints.Resumable`.

    Args:
        engine: Where it runs.
        task: What is trained.
        settings: The algorithm's.
        actions: What the environment chooses from.
        stack: The roles of this process, if it has any.

    Attributes:
        processes: What plays and what learns, when it is open.
    """

    resumes = ("steps", "row", "_reported", "processes")
    processes: Processes

    def __init__(
        self,
        engine: RLlib,
        task: Task,
        settings: Settings,
        actions: gym.Space[Any],
        stack: RoleStack | None,
    ) -> None:
        self.steps = 0
        self.row: dict[str, Any] = {}
        self.actions = Indices(actions).space
        self._engine = engine
        self._task = task
        self._settings = settings
        self._watchers: Watchers | None = None
        # A cluster that is started has room for all, however few cores share the work.
        cpus = max(os.cpu_count() or 1, engine.processes)
        self._started = cluster.start(engine.address, cpus=cpus)
        self._costs: RunnersCost | None = None
        if engine.env_runners and stack is not None and stack.context is not None:
            self._costs = RunnersCost()
            if stack.context.models.asked:
                # It has no answers, but a cost like them.
                stack.context.models.asked.append(cast(LanguageModel, self._costs))
        self._algorithm: Any = None
        self._stack = stack
        self._reported = 0
        self._replicas: list[Any] = []
        self._is_lost = False

    def open(self) -> None:
        """Start what answers, what plays and what learns."""
        task, count = self._task, self._engine.model_replicas
        self._replicas = replica.start(task.what, task.seed, task.name, count)
        config = config_of(self._engine, self._task, self._settings)
        try:
            self._algorithm = config.build_algo()
        except Exception:
            # Runners wait for replicas, and an error of these says more than one of theirs.
            replica.wait(self._replicas)
            raise
        self.processes = Processes(
            self._algorithm, self._engine.env_runners, self._stack, self._engine.patience
        )

    def restart(self, seed: int) -> None:
        """Begin a new episode in every environment, and forget what is remembered of texts."""
        self.processes.restart(seed)

    @property
    def policy(self) -> nn.Module:
        """RLlib's own module, in this process."""
        group = self._algorithm.learner_group
        if group.is_local:
            module: nn.Module = group._learner.module[DEFAULT_MODULE_ID].unwrapped()
        else:
            module = self._algorithm.env_runner.module
        return module

    def record(self, name: str, value: Any) -> None:
        """Put a column into the next row."""
        self.row[name] = value

    def weights(self) -> Mapping[str, Tensor]:
        """Return what was trained, by the names of our own policies."""
        if self._is_lost:
            # What a learner that is gone has last told the runners.
            result = self._algorithm.env_runner.module.get_state()
        else:
            result = self._algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]
        own = "policy."
        return {
            # A learner of another process sends arrays that nobody may write to.
            name.removeprefix(own): torch.tensor(array)
            for name, array in result.items()
            if name.startswith(own)
        }

    def learn(self, watchers: Watchers, steps: int, writer: RunWriter | None = None) -> None:
        """Train, and call the watchers."""
        self._watchers = watchers
        watchdog = Watchdog(self._engine.patience)
        watchers.begin(self)
        least = self._steps_of_a_row(steps)
        while self.steps < steps and not watchers.stopped:
            before = self.steps
            result = self._round(max(watchers.progress(), self.steps / steps))
            if self._engine.env_runners:
                self._drain(watchers, writer)
            try:
                watchdog.note(self.steps - before)
            except NoStepsError:
                # A runner that hangs would not stop when it is asked to.
                for runner in self._algorithm.env_runner_group._worker_manager.actors().values():
                    ray.kill(runner)
                raise
            is_last = self.steps >= steps or watchers.stopped
            if self.steps > before and (is_last or self.steps - self._reported >= least):
                self._reported = self.steps
                self._report(watchers, result)
                if writer is not None:
                    writer.metric({"step": self.steps, **self.row})
            if self.steps > before and not is_last:
                watchers.boundary(self)

    def _round(self, progress: float) -> Mapping[str, Any]:
        """Play and learn once."""
        cause: Exception | None = None
        result: Mapping[str, Any] = {}
        try:
            self._set_rate(progress)
            result = self._algorithm.train()
        except Exception as error:  # without learners RLlib fails in ways of its own
            cause = error
        group = self._algorithm.learner_group
        self._is_lost = group.is_remote and group._worker_manager.num_healthy_actors() < len(group)
        # Runners and replicas that are lost do not come here: they are started again.
        if self._is_lost or isinstance(cause, RayActorError):
            self._is_lost = True
            raise LearnerLostError(
                f"a process that learns is gone after {self.steps:,} steps",
                cure="see in Ray's logs whether its memory was short; what was learnt until then "
                "is saved, and the run goes on from its last checkpoint where it is resumed",
            ) from cause
        if cause is not None:
            raise cause
        return result

    def _steps_of_a_row(self, steps: int) -> int:
        """Return the fewest steps between two rows: some algorithms update every few steps."""
        if isinstance(self._settings, ReplaySettings):
            return min(ROW, steps // ROWS)
        return 1

    def on_step(self, acted: int, infos: dict[str, Any]) -> None:
        """Note a step of the environments of this process."""
        self.steps += acted
        if self._watchers is not None:
            every = split_infos(infos, self._task.what.num_envs)
            self._watchers.step(self, [info for info in every if not info.get(RESTING)])

    def close(self) -> None:
        """End all processes that were started."""
        if self._algorithm is not None:
            self._algorithm.stop()
        for actor in self._replicas:
            ray.kill(actor)
        forget(self._task)
        if self._started:
            cluster.stop()

    def _set_rate(self, progress: float) -> None:
        rate, guide = self._settings.rate_at(progress), self._task.what.guide
        weight = guide.weight_at(self.steps) if guide is not None and guide.in_policy else None
        self._algorithm.learner_group.foreach_learner(partial(_set_rates, rate=rate, weight=weight))

    def _drain(self, watchers: Watchers, writer: RunWriter | None) -> None:
        """Take over what the runners have done since the last round."""
        group = self._algorithm.env_runner_group
        ask: Callable[..., list[Drained]] = partial(
            group.foreach_env_runner, _drain, local_env_runner=False
        )
        result = ask(timeout_seconds=DRAIN_SECONDS)
        if len(result) < self._engine.env_runners:
            # RLlib no longer asks a runner that has failed, which is the one that knows why.
            others = ask(timeout_seconds=1.0, healthy_only=False)
            known = {runner.worker for runner in result}
            result += [runner for runner in others if runner.worker not in known]
        for runner in result:
            if runner.error is not None:
                raise runner.error
        for name, row in (note for runner in result for note in runner.notes):
            if writer is not None:
                writer.append(name, row)
        rows = self._in_order(result)
        self.steps += sum(runner.steps for runner in result)
        watchers.episodes(self, rows)
        watchers.step(self, [])
        for name in result[0].metrics if result else ():
            self.record(name, float(np.mean([runner.metrics[name] for runner in result])))
        if self._costs is not None:
            self._costs.update(result)

    def _in_order(self, found: list[Drained]) -> list[tuple[int, Episode, Columns]]:
        """Return the episodes of all runners by step, numbered by environments of all of them."""
        taken = sum(runner.steps for runner in found)
        each = self._task.what.num_envs // self._engine.env_runners
        rows = []
        for runner in found:
            first = (runner.worker - 1) * each
            for step, episode, columns in runner.episodes:
                # All play at once: a runner's steps stand for those of the others too.
                at = self.steps + round(step * taken / max(runner.steps, 1))
                rows.append((at, replace(episode, env=first + episode.env), columns))
        return sorted(rows, key=lambda row: (row[0], row[1].env))

    def _report(self, watchers: Watchers, result: Mapping[str, Any]) -> None:
        """Report the update that followed the steps."""
        learnt = result.get("learners", {}).get(DEFAULT_MODULE_ID, {})
        group = self._algorithm.learner_group
        advantages = getattr(group._learner, "advantages", None) if group.is_local else None
        watchers.rollout(self, None if advantages is None else advantages.rollout)
        for name in (name for name in learnt if name.startswith("credit/")):
            self.record(name, float(learnt[name]))
        if learnt.get("credit/learnt") == 0:
            # There was no update, and what was said of the one before is not of this row.
            self.row = {key: own for key, own in self.row.items() if not key.startswith(OF_UPDATES)}
            return
        for name in COLUMNS:
            if name in learnt:
                self.record(f"train/{name}", float(learnt[name]))
        for name in GUIDE_COLUMNS:
            if name in learnt:
                self.record(f"guide/{name}", float(learnt[name]))
        for theirs, (ours, factor) in THEIRS.items():
            if theirs in learnt:
                self.record(f"train/{ours}", factor * float(learnt[theirs]))
        if "n_updates" in learnt:
            self.record("train/n_updates", round(float(learnt["n_updates"])))
        watchers.update(self)


COLUMNS = (
    "actor_loss",
    "approx_kl",
    "clip_fraction",
    "clip_range",
    "critic_loss",
    "ent_coef",
    "entropy_loss",
    "explained_variance",
    "first_ratio",
    "learning_rate",
    "loss",
    "policy_gradient_loss",
    "reference_kl",
    "value_loss",
)
"""Of an update, as Stable-Baselines3 calls them."""
OF_UPDATES = ("train/", "collapse/", "written/")
"""How columns of an update begin."""
GUIDE_COLUMNS = ("importance_max", "importance_mean", "kl")
"""Of a prior that took part."""
THEIRS = {
    "policy_loss": ("policy_gradient_loss", 1.0),
    "vf_loss": ("value_loss", 2.0),
    "entropy": ("entropy_loss", -1.0),
}
"""What RLlib calls some of them, and what they are multiplied by."""


class RunnersCost:
    """What the language models of all runners have cost together.

    Attributes:
        earlier: What they had cost before the training was resumed.
    """

    def __init__(self) -> None:
        self.earlier = Cost()
        self._costs: dict[int, list[Cost]] = {}

    @property
    def cost(self) -> Cost:
        """The sum. Of a runner that was lost it holds what the last one in its place has cost."""
        return sum((cost for costs in self._costs.values() for cost in costs), self.earlier)

    def update(self, found: list[Drained]) -> None:
        """Take in the costs of runners."""
        self._costs |= {runner.worker: runner.costs for runner in found}


def build(
    engine: RLlib,
    experiment: Experiment,
    env: VectorEnv[Any, Any, Any],
    seed: int,
    model: CachedModel | None,
    stack: RoleStack | None,
) -> RLlibTraining:
    """Return a training that has started its processes.

    Raises:
        ConfigError: Runners are asked for, and there is nothing that they could make again.
    """
    context = None if stack is None else stack.context
    if engine.env_runners and context is None:
        raise ConfigError(
            f"env_runners is {engine.env_runners}, but this environment is in this process alone",
            cure="leave env_runners out",
        )
    settings = settings_of(experiment)
    if isinstance(settings, PPOSettings):
        refuse_rollout(env.single_observation_space, settings.n_steps, env.num_envs)
    warn_of_steps(experiment, vars(settings))
    observed: Mapping[str, np.ndarray] = {}
    if stack is not None and stack.observer is not None:
        observed = stack.observer.state()
    task = Task(
        name=uuid.uuid4().hex,
        experiment=json.dumps(experiment.to_dict()),
        seed=seed if context is None else context.seed,
        env_seed=seed,
        observer=observed,
        fingerprint=None if model is None else model.fingerprint,
        model=packed(model) if engine.env_runners and not engine.model_replicas else None,
        replicas=engine.model_replicas,
    )
    if stack is not None and experiment.guide is not None and not experiment.guide.in_policy:
        task = replace(task, weights=_prior_values(task, env, stack))
    training = RLlibTraining(engine, task, settings, env.single_action_space, stack)
    try:
        keep(task, Own(env, model, training.on_step))
        if stack is not None and experiment.guide is not None:
            guide_of(stack).steps = lambda: training.steps
        training.open()
    except BaseException:
        training.close()
        raise
    return training


def _prior_values(
    task: Task, env: VectorEnv[Any, Any, Any], stack: RoleStack
) -> Mapping[str, np.ndarray]:
    """Return the weights of a network whose action values are those of the guide's prior."""
    actions = Indices(env.single_action_space).space
    network = network_of(task, env.single_observation_space, actions)

    def see(batch: Any) -> Any:
        if isinstance(batch, dict):
            return {key: torch.as_tensor(own) for key, own in batch.items()}
        return torch.as_tensor(batch)

    begin_with_prior(network, see, task.what, stack)
    return arrays_of(network.state_dict())


def _set_rates(learner: Any, rate: float, weight: float | None) -> None:
    learner.set_rate(rate)
    if weight is not None:
        learner.set_guide(weight)


def _drain(runner: Any) -> Drained:
    result: Drained = runner.drain()
    return result

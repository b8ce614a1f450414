"""RLlib's environment runner on our vector environments, with their roles around them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import DictInfoToList
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from dragoman.describe.rollout import sample_texts
from dragoman.engines.assembly import moments_of, spec_of
from dragoman.engines.checkpoints import forget, spend_on, spent
from dragoman.engines.initial_values import guide_of
from dragoman.engines.rllib.kept import remember_on, remembered
from dragoman.engines.rllib.task import Task, model_of, own_of, seed_process
from dragoman.engines.stack import RoleStack
from dragoman.engines.watcher import Own, drained
from dragoman.environments import make_environment
from dragoman.environments.indices import Indices
from dragoman.environments.vector import (
    Episode,
    EpisodeRecorder,
    Step,
    acted_and_begun,
    autoreset_mode,
    make_vector,
)
from dragoman.maths.seeds import derive_seed
from dragoman.roles.role import Context, Models
from dragoman.types import Cost


@dataclass
class Drained:
    """What a runner has done since it was last asked.

    Attributes:
        worker: Its number.
        steps: Environment steps.
        episodes: Finished ones: steps of this runner until then, episode and columns of roles.
        metrics: The roles' columns of the metrics.
        costs: What its language models have cost since they were loaded.
        notes: What roles have noted: rows, and the files of the run folder that they belong to.
        error: What has stopped it, if anything.
    """

    worker: int = 0
    steps: int = 0
    episodes: list[tuple[int, Episode, Own]] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    error: Exception | None = None


class Stepped(VectorWrapper):
    """The outermost wrapper: takes a policy's indices, and counts the steps.

    What environments say besides stays here: RLlib would send every info to the learner.

    Args:
        env: The vector environment, with its roles.
        on_step: Called after each step with the number of environments that have acted in it,
            and the infos.

    Attributes:
        infos: Of the last step or reset.
    """

    infos: dict[str, Any]

    def __init__(
        self, env: VectorEnv[Any, Any, Any], on_step: Callable[[int, dict[str, Any]], None]
    ) -> None:
        super().__init__(env)
        self._indices = Indices(env.single_action_space)
        self._on_step = on_step
        self._mode = autoreset_mode(env)
        self._ended = np.zeros(self.num_envs, dtype=np.bool_)
        if self._indices.space is not env.single_action_space:
            self.single_action_space = self._indices.space
            self.action_space = batch_space(self._indices.space, self.num_envs)

    def reset(self, **settings: Any) -> tuple[Any, dict[str, Any]]:
        """Reset all."""
        observations, self.infos = self.env.reset(**settings)
        self._ended[:] = False
        return observations, {}

    def step(self, actions: Any) -> Step:
        """Step all."""
        result = self.env.step(self._indices.actions(np.asarray(actions)))
        observations, rewards, terminations, truncations, self.infos = result
        ended = terminations | truncations
        acted, _ = acted_and_begun(self._ended, ended, self._mode, self.infos)
        self._ended = ended
        self._on_step(int(acted.sum()), self.infos)
        return observations, rewards, terminations, truncations, {}


class Runner(SingleAgentEnvRunner):
    """Plays, knows its number, and keeps its episodes until it is asked for them."""

    env: Any
    error: Exception | None

    def make_env(self) -> None:
        """Make the vector environment: that of this process, or the same once more."""
        if self.env is not None:
            self.env.close()
        task: Task = self.config.env_config["task"]
        self.drained, self.error = Drained(self.worker_index), None
        own = own_of(task)
        self.num_envs = self.config.num_envs_per_env_runner
        if own is None:
            self.stepped = Stepped(self._with_roles(task), self._note)
        else:
            self.stepped = Stepped(own.env, own.on_step)
        self._seed = self._seeds(task.env_seed)
        self.env = DictInfoToList(self.stepped)
        self._needs_initial_reset = True

    def _with_roles(self, task: Task) -> VectorEnv[Any, Any, Any]:
        experiment, settings = task.what, task.what.env_settings
        spec = spec_of(experiment)
        self.recorder = EpisodeRecorder(
            make_vector(
                spec,
                self.num_envs,
                settings,
                autoreset=self.config.env_config["autoreset"],
                can_rest=experiment.credit.plays_whole_episodes,
            )
        )
        self.stack = RoleStack(self.recorder)
        self.models = Models(model_of(task, self.worker_index), task.seed)
        moments = moments_of(experiment, self.recorder)
        self.stack.add(experiment, Context(self.models, moments, self.config.gamma))
        if self.stack.observer is not None:
            if task.observer:
                self.stack.observer.load_state(task.observer)
            self.stack.observer.learning = False
        with tempfile.TemporaryDirectory() as folder:
            make = partial(make_environment, spec, settings)
            self.notes = Kept(Path(folder))
            self.stack.prepare(
                lambda count: sample_texts(make(), moments, task.seed, count), self.notes
            )
        if experiment.guide is not None:
            guide_of(self.stack).steps = lambda: int(self.num_env_steps_sampled_lifetime)
        # The process that has started the training has prepared its roles too, and noted that.
        self.notes.rows.clear()
        return self.stack.env

    def _note(self, acted: int, infos: Mapping[str, Any]) -> None:
        self.drained.steps += acted
        finished = drained(self.recorder, self.stack)
        self.drained.episodes += [(self.drained.steps, *episode) for episode in finished]

    def _try_env_step(self, actions: Any) -> Any:
        # RLlib would raise an error of its own instead, or go on with another environment.
        return self.env.step(actions)

    def sample(self, **settings: Any) -> Any:
        """Play, after making room for what the frozen blocks will make of the new texts."""
        self.module.make_room()
        return super().sample(**settings)

    def apply(self, func: Any, *arguments: Any, **named: Any) -> Any:
        """Do something for the learner's process, and keep an error for the next `drain`."""
        # RLlib would end this process, start another one, and say nothing of the reason.
        try:
            return func(self, *arguments, **named)
        except Exception as error:
            self.error = self.error or error
            raise

    def restart(self, seed: int, steps: int) -> None:
        """Begin a new episode in every environment, as a checkpoint's runs do.

        Args:
            seed: What environments, and actions of a process of its own, are drawn from.
            steps: What RLlib has counted over all runners.
        """
        self._seed = self._seeds(seed)
        self._needs_initial_reset = True
        self.num_env_steps_sampled_lifetime = steps
        self.module.forget()
        if own_of(self.config.env_config["task"]) is None:
            forget(self.stack, self.models)
            seed_process(derive_seed("runner", seed, self.worker_index))

    def remembered(self) -> dict[str, Any]:
        """Return what roles know here, and what was spent."""
        return {**remembered(self.stack), "spends": spent(self.models)}

    def remember_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what roles knew here, or in another runner."""
        remember_on(self.stack, state, self.notes)
        spend_on(self.models, state.get("spends", ()))
        # The run folder has them.
        self.notes.rows.clear()

    def _seeds(self, seed: int) -> list[int]:
        # Those of RLlib overlap: the second environment of one runner is the first of the next.
        return [derive_seed("env", seed, self.worker_index, i) for i in range(self.num_envs)]

    def drain(self) -> Drained:
        """Return what was done since the last call."""
        result, self.drained = self.drained, Drained(self.worker_index)
        result.error = self.error
        if own_of(self.config.env_config["task"]) is None:
            result.metrics = self.stack.metrics()
            result.costs = [model.cost for model in self.models.asked]
            result.notes, self.notes.rows = self.notes.rows, []
        return result


class Kept:
    """Where roles of a runner write to: what they append is kept until the runner is asked for it.

    Args:
        path: A folder that is removed afterwards.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[tuple[str, Mapping[str, Any]]] = []

    def document(self, name: str, content: Mapping[str, Any]) -> None:
        """Write nothing: the run folder has it already."""

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Keep a row of a file."""
        self.rows.append((name, row))

"""The engine on Ray RLlib: the same experiments on many processes, or on a cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from dragoman.errors import ConfigError, MissingExtraError
from dragoman.experiment import Experiment
from dragoman.settings import check_least

if TYPE_CHECKING:
    from dragoman.engines.rllib.training import RLlibTraining
    from dragoman.engines.stack import RoleStack


ROLLOUT = (
    "batch_mode",
    "minibatch_size",
    "rollout_fragment_length",
    "train_batch_size_per_learner",
)
"""What RLlib calls the length of a rollout and of its minibatches."""


@dataclass(frozen=True)
class RLlib:
    """Ray RLlib, in this process or on a cluster.

    Attributes:
        address: Of a running cluster; ``auto`` finds the one on this machine. Unless given, and
            unless Ray runs in this process already, it is started here, and ended after the
            training.
        env_runners: Processes that play; with none, this process does.
        learners: Processes that learn; with none, this process does.
        gpus_per_learner: GPUs of each of them, or of this process.
        model_replicas: Processes with the experiment's language model that answer for all runners,
            each on a GPU where ``model.device`` names one; with none, each runner has the model.
        patience: Seconds without a step after which a training ends with an error.
    """

    address: str | None = None
    env_runners: int = 0
    learners: int = 0
    gpus_per_learner: float = 0
    model_replicas: int = 0
    patience: float = 90.0

    name: ClassVar[str] = "rllib"
    algorithms: ClassVar[tuple[str, ...]] = ("appo", "dqn", "ppo", "sac")
    autoreset: ClassVar[AutoresetMode] = AutoresetMode.NEXT_STEP
    can_resume: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_least(self, env_runners=0, learners=0, gpus_per_learner=0, model_replicas=0)
        if self.patience <= 0:
            raise ConfigError(
                f"patience is {self.patience}, but no training steps all the time",
                cure="give the seconds that the slowest step may take",
            )

    @property
    def record(self) -> Mapping[str, Any]:
        """What a run's record says of it."""
        return {
            "env_runners": self.env_runners,
            "learners": self.learners,
            "gpus_per_learner": self.gpus_per_learner,
            "model_replicas": self.model_replicas,
        }

    @property
    def processes(self) -> int:
        """How many processes one training keeps busy, this one included."""
        return 1 + self.env_runners + self.learners + self.model_replicas

    # Ray is imported where it is used, so that naming the engine costs nothing.

    def check(
        self, experiment: Experiment, observations: gym.Space[Any], actions: gym.Space[Any]
    ) -> None:
        """Refuse settings and spaces that cannot be trained."""
        from dragoman.engines.engine import check_actions
        from dragoman.engines.rllib.settings import ACTION_SPACES, settings_of

        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("ray", extra="rllib")
        from dragoman.engines.rllib import replica

        replica.check(experiment, self.model_replicas, self.env_runners)
        if experiment.guard.on_fault == "restart":
            raise ConfigError(
                "guard.on_fault is 'restart', but the engine rllib starts whole runners again",
                cure="leave guard.on_fault out, or train with the engine sb3",
            )
        if experiment.guard.outside == "fault":
            raise ConfigError(
                "guard.outside is 'fault', but the engine rllib looks at bounds before the "
                "training only",
                cure="leave guard.outside out, or train with the engine sb3",
            )
        act = experiment.act
        if experiment.algorithm.name == "appo" and act is not None and act.tune is not None:
            raise ConfigError(
                "appo keeps an older policy beside the present one, and act.tune trains a model "
                "of which there is one",
                cure="use ppo, or leave act.tune out",
            )
        if act is not None and act.writes_tokens:
            raise ConfigError(
                f"act.constrain is {act.constrain!r}, but the engine rllib keeps no written texts",
                cure="train with the engine sb3, or set act.constrain to 'texts'",
            )
        guide = experiment.guide
        if guide is not None and guide.use == "mixture" and experiment.algorithm.name == "appo":
            raise ConfigError(
                "guide.use is 'mixture', but appo cuts the weights of steps off, so that it would "
                "learn the values of the mixture and not those of its policy",
                cure="train with ppo, or set guide.use to 'kl'",
            )
        if experiment.algorithm.demonstrations is not None:
            raise ConfigError(
                "algorithm.demonstrations is set, but the engine rllib has no place for them",
                cure="train with the engine sb3, or leave them out",
            )
        settings_of(experiment)
        check_actions(experiment.algorithm.name, actions, ACTION_SPACES)
        if self.env_runners and experiment.num_envs % self.env_runners:
            raise ConfigError(
                f"num_envs is {experiment.num_envs}, which {self.env_runners} runners cannot share "
                "equally",
                cure=f"make num_envs a multiple of {self.env_runners}",
            )
        if experiment.credit.plays_whole_episodes:
            self._check_episodes(experiment)

    def _check_episodes(self, experiment: Experiment) -> None:
        """Refuse processes that would part what is compared, and settings of another rollout."""
        credit, each = experiment.credit, experiment.num_envs // max(self.env_runners, 1)
        if each % credit.group_size:
            raise ConfigError(
                f"num_envs is {experiment.num_envs}, of which each of {self.env_runners} runners "
                f"has {each}, but a group of {credit.copies} copies plays in one process",
                cure=f"make num_envs a multiple of {self.env_runners * credit.copies}, or use "
                "fewer runners",
            )
        if self.learners > 1:
            raise ConfigError(
                f"learners is {self.learners}, but credit.use {credit.use!r} compares whole "
                "episodes, which several learners would cut and share out",
                cure="use one learner, or none",
            )
        given = experiment.algorithm.settings.get("rllib", {})
        for name in (name for name in ROLLOUT if name in given):
            raise ConfigError(
                f"algorithm.settings.rllib.{name} is {given[name]!r}, but with credit.use "
                f"{credit.use!r} a rollout is one episode of each copy",
                cure=f"leave {name} out; algorithm.settings.batch_size is that of minibatches",
            )

    def gamma(self, experiment: Experiment) -> float:
        """Return the discount."""
        from dragoman.engines.rllib.settings import settings_of

        return float(settings_of(experiment).gamma)

    def build(
        self,
        experiment: Experiment,
        env: VectorEnv[Any, Any, Any],
        seed: int,
        model: Any = None,
        stack: RoleStack | None = None,
    ) -> RLlibTraining:
        """Prepare a training."""
        from dragoman.engines.rllib.training import build

        return build(self, experiment, env, seed, model, stack)

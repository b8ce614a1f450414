"""RLlib's configuration of an experiment."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from dragoman.engines.rllib.asynchronous import APPOLearner, AsynchronousModule
from dragoman.engines.rllib.credited import CreditedLearner
from dragoman.engines.rllib.episodes import EpisodeRunner
from dragoman.engines.rllib.learner import PPOLearner
from dragoman.engines.rllib.module import Module, Network
from dragoman.engines.rllib.runner import Runner
from dragoman.engines.rllib.settings import (
    APPOSettings,
    DQNSettings,
    PPOSettings,
    ReplaySettings,
    SACSettings,
    Settings,
)
from dragoman.engines.rllib.soft_actor_critic import ContinuousModule, SACLearner
from dragoman.engines.rllib.task import Task
from dragoman.engines.rllib.values import DQNLearner, ValuesModule
from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Experiment

if TYPE_CHECKING:
    from dragoman.engines.rllib import RLlib

PROBE_SECONDS = 1.0
"""How long a round waits for a lost runner to say that it is back; it is asked again each round."""


def config_of(engine: RLlib, task: Task, settings: Settings) -> AlgorithmConfig:
    """Return the configuration of a training.

    Raises:
        ConfigError: RLlib refuses a setting.
    """
    experiment = task.what
    name = experiment.algorithm.name
    config = _CONFIGS[name](settings, experiment, engine.env_runners)
    config.environment("dragoman", env_config={"task": task, "autoreset": engine.autoreset})
    config.rl_module(
        rl_module_spec=RLModuleSpec(module_class=_MODULES[name], model_config={"task": task})
    )
    config.env_runners(
        env_runner_cls=EpisodeRunner if experiment.credit.plays_whole_episodes else Runner,
        num_env_runners=engine.env_runners,
        num_envs_per_env_runner=experiment.num_envs // max(engine.env_runners, 1),
        sample_timeout_s=engine.patience,
    )
    config.learners(num_learners=engine.learners, num_gpus_per_learner=engine.gpus_per_learner)
    config.fault_tolerance(
        restart_failed_env_runners=True, env_runner_health_probe_timeout_s=PROBE_SECONDS
    )
    config.debugging(seed=task.env_seed, log_level=logging.getLevelName(logging.ERROR))
    # With a least number of steps RLlib would wait for ever where no runner can take one.
    config.reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=0)
    # The learner's own optimiser has the rate.
    config.training(gamma=settings.gamma, learner_config_dict={"settings": settings})
    # What is no number must show, and not be replaced by zero.
    config.torch_skip_nan_gradients = True
    known = config.to_dict()
    for key, value in settings.rllib.items():
        if key not in known:
            raise ConfigError(
                f"RLlib has no setting {key!r}{did_you_mean(key, list(known))}",
                cure=f"see the attributes of ray.rllib's {type(config).__name__}",
            )
        setattr(config, key, value)
    return config


def _by_gradients(config: Any, settings: APPOSettings, experiment: Experiment) -> Any:
    # Actions are drawn without bounds; the environment gets them within.
    config.environment(normalize_actions=False, clip_actions=True)
    return config.training(
        train_batch_size_per_learner=settings.n_steps * experiment.num_envs,
        clip_param=settings.clip_range,
        entropy_coeff=settings.ent_coef,
        grad_clip=settings.max_grad_norm,
        grad_clip_by="global_norm",
    )


def _ppo(settings: Settings, experiment: Experiment, runners: int) -> AlgorithmConfig:
    assert isinstance(settings, PPOSettings)
    config: AlgorithmConfig = _by_gradients(PPOConfig(), settings, experiment).training(
        # A rollout that is smaller than a minibatch is one, as with Stable-Baselines3.
        minibatch_size=min(settings.batch_size, settings.n_steps * experiment.num_envs),
        num_epochs=settings.n_epochs,
        lambda_=settings.gae_lambda,
        vf_clip_param=math.inf,
        vf_loss_coeff=settings.vf_coef,
        use_kl_loss=False,
        learner_class=PPOLearner,
    )
    if experiment.credit.plays_whole_episodes:
        # A round is one episode of each copy, and its learner draws the minibatches.
        config.env_runners(batch_mode="complete_episodes")
        config.training(
            train_batch_size_per_learner=1, minibatch_size=None, learner_class=CreditedLearner
        )
    return config


def _appo(settings: Settings, experiment: Experiment, runners: int) -> AlgorithmConfig:
    assert isinstance(settings, APPOSettings)
    config: AlgorithmConfig = _by_gradients(APPOConfig(), settings, experiment).training(
        # Its loss of the critic is half of that of Stable-Baselines3.
        vf_loss_coeff=2 * settings.vf_coef,
        learner_class=APPOLearner,
    )
    return config.env_runners(rollout_fragment_length=settings.n_steps)


def _replaying(
    config: Any, settings: ReplaySettings, experiment: Experiment, runners: int
) -> AlgorithmConfig:
    copies, rounds = experiment.num_envs, max(runners, 1)
    # RLlib counts the process that learns among the runners, where it works out this ratio.
    sampled = settings.train_freq * (copies // rounds) * max(runners + 1, 1)
    return config.training(
        train_batch_size_per_learner=settings.batch_size,
        num_steps_sampled_before_learning_starts=settings.learning_starts,
        replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": settings.buffer_size},
        target_network_update_freq=settings.target_update_interval,
        tau=settings.tau,
        training_intensity=settings.gradient_steps * settings.batch_size / sampled,
        n_step=1,
    ).env_runners(rollout_fragment_length=settings.train_freq)


def _dqn(settings: Settings, experiment: Experiment, runners: int) -> AlgorithmConfig:
    assert isinstance(settings, DQNSettings)
    config = DQNConfig().training(
        double_q=False,
        dueling=False,
        td_error_loss_fn="huber",
        grad_clip=settings.max_grad_norm,
        grad_clip_by="global_norm",
        learner_class=DQNLearner,
    )
    return _replaying(config, settings, experiment, runners)


def _sac(settings: Settings, experiment: Experiment, runners: int) -> AlgorithmConfig:
    assert isinstance(settings, SACSettings)
    config = SACConfig().training(learner_class=SACLearner)
    # Actions are drawn between -1 and 1.
    config.environment(normalize_actions=True, clip_actions=False)
    return _replaying(config, settings, experiment, runners)


_CONFIGS: dict[str, Callable[[Settings, Experiment, int], AlgorithmConfig]] = {
    "appo": _appo,
    "dqn": _dqn,
    "ppo": _ppo,
    "sac": _sac,
}
_MODULES: dict[str, type[Network]] = {
    "appo": AsynchronousModule,
    "dqn": ValuesModule,
    "ppo": Module,
    "sac": ContinuousModule,
}

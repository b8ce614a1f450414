"""RLlib's configuration of an experiment."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from dragoman.engines.rllib.learner import PPOLearner
from dragoman.engines.rllib.module import Module
from dragoman.engines.rllib.runner import Runner
from dragoman.engines.rllib.settings import PPOSettings, Settings
from dragoman.engines.rllib.task import Task
from dragoman.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from dragoman.engines.rllib import RLlib

PROBE_SECONDS = 5.0
"""How long a runner that was lost may take to say that it is back."""


def config_of(engine: RLlib, task: Task, settings: Settings) -> AlgorithmConfig:
    """Return the configuration of a training.

    Raises:
        ConfigError: RLlib refuses a setting.
    """
    experiment = task.what
    config = _CONFIGS[experiment.algorithm.name](settings, experiment.num_envs)
    config.environment(
        "dragoman",
        env_config={"task": task, "autoreset": engine.autoreset},
        # Actions are drawn without bounds; the environment gets them within.
        normalize_actions=False,
        clip_actions=True,
    )
    config.env_runners(
        env_runner_cls=Runner,
        num_env_runners=engine.env_runners,
        num_envs_per_env_runner=experiment.num_envs // max(engine.env_runners, 1),
        sample_timeout_s=engine.patience,
    )
    config.learners(num_learners=engine.learners, num_gpus_per_learner=engine.gpus_per_learner)
    config.fault_tolerance(
        restart_failed_env_runners=True, env_runner_health_probe_timeout_s=PROBE_SECONDS
    )
    config.debugging(seed=task.env_seed, log_level=logging.getLevelName(logging.ERROR))
    config.reporting(min_time_s_per_iteration=0)
    config.training(
        gamma=settings.gamma,
        lr=settings.rate_at(0.0),
        learner_config_dict={"settings": settings},
    )
    # What is no number must show, and not be replaced by zero.
    config.torch_skip_nan_gradients = True
    known = config.to_dict()
    for name, value in settings.rllib.items():
        if name not in known:
            raise ConfigError(
                f"RLlib has no setting {name!r}{did_you_mean(name, list(known))}",
                cure=f"see the attributes of ray.rllib's {type(config).__name__}",
            )
        setattr(config, name, value)
    return config


def _ppo(settings: Settings, num_envs: int) -> AlgorithmConfig:
    assert isinstance(settings, PPOSettings)
    config = PPOConfig()
    config.training(
        train_batch_size_per_learner=settings.n_steps * num_envs,
        minibatch_size=settings.batch_size,
        num_epochs=settings.n_epochs,
        lambda_=settings.gae_lambda,
        clip_param=settings.clip_range,
        vf_clip_param=math.inf,
        vf_loss_coeff=settings.vf_coef,
        entropy_coeff=settings.ent_coef,
        use_kl_loss=False,
        grad_clip=settings.max_grad_norm,
        grad_clip_by="global_norm",
        learner_class=PPOLearner,
    )
    return config


def with_module(config: AlgorithmConfig, task: Task) -> AlgorithmConfig:
    """Return the configuration with the network of a task."""
    return config.rl_module(
        rl_module_spec=RLModuleSpec(module_class=Module, model_config={"task": task})
    )


_CONFIGS: dict[str, Any] = {"ppo": _ppo}

"""Training: the experiment meets a training library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium.vector import VectorEnv

from dragoman.describe.rollout import sample_texts
from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import (
    compute_of,
    moments_of,
    observer_of,
    reader_of,
    remembering,
    rewarder_of,
    spec_of,
)
from dragoman.engines.check import check_spaces
from dragoman.engines.masks import masks_of, obeying, warn_of
from dragoman.engines.sb3 import algorithms as sb3
from dragoman.environments import make_environment, refuse_endless
from dragoman.experiment import Experiment
from dragoman.experiment.budget import Budget
from dragoman.maths.seeds import derive_seed
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.reward.vector import RewardVector
from dragoman.run import Run, RunWriter
from dragoman.types import LanguageModel, Tokenizer
from dragoman.vector import EpisodeRecorder, make_vector

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback


def train(
    experiment: Experiment,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    model: LanguageModel | Tokenizer | None = None,
    budget: Budget | None = None,
    callbacks: Sequence[BaseCallback] = (),
) -> Run:
    """Train an agent and return its run folder.

    Ctrl-C saves the weights before it goes on, so the folder stays loadable.

    Args:
        experiment: What to train.
        seed: Seed of environments, weights and exploration. Equal seeds give equal metrics.
        out: Run folder to make; ``runs/<environment>-<algorithm>-<seed>`` unless given.
        model: Language model to use instead of loading the experiment's.
        budget: Train until this is used up, instead of for the experiment's steps.
        callbacks: Callbacks of Stable-Baselines3.

    Raises:
        ConfigError: The experiment cannot work.
        RunError: The run folder is taken.
    """
    spec = spec_of(experiment)
    refuse_endless(spec)
    sb3.settings_of(experiment)  # which refuses what does not fit, before a model is loaded
    masks = masks_of(experiment, spec)
    warn_of(masks, experiment)
    made = {} if masks is None else {"masks": masks}
    acting = obeying(experiment, made)
    # A namespace would make a folder of its own.
    name = f"{spec.id.replace('/', '-')}-{experiment.algorithm.name}-{seed}"
    folder = Path(out) if out else Path("runs", name)
    recorder = EpisodeRecorder(make_vector(spec, experiment.num_envs, experiment.env_settings))
    rewards: RewardVector | None = None
    try:
        moments = moments_of(experiment, recorder)
        check_spaces(experiment, recorder, moments)
        model = model if model is not None else reader_of(experiment, seed)
        if experiment.reward is not None:
            model = remembering(experiment, model)
        observer = observer_of(replace(acting, reward=None), recorder, model, seed)
        env: VectorEnv[Any, Any, Any] = recorder
        if observer is not None or experiment.reward is not None:
            env = MomentVector(env, moments)
        gamma = sb3.gamma_of(experiment)
        rewarder = rewarder_of(experiment, recorder, model, seed=seed, gamma=gamma)
        if rewarder is not None:
            env = rewards = RewardVector(env, rewarder)
        if observer is not None:
            env = ObserveVector(env, observer)
        algorithm = sb3.build(acting, env, derive_seed("train", seed), model)
        with RunWriter(folder, experiment, seed, {**compute_of(model), **made}) as writer:
            if rewards is not None:

                def sampled(steps: int) -> list[str]:
                    env = make_environment(spec, experiment.env_settings)
                    return sample_texts(env, moments, seed, steps)

                rewards.rewarder.prepare(sampled, folder)
                writer.rewards(rewards.rewarder.found)
                rewards.rewarder.keep_critiques(writer.critique)
            sb3.learn(algorithm, experiment, writer, recorder, observer, callbacks, budget, rewards)
    finally:
        (recorder if rewards is None else rewards).close()
    return Run(folder)

"""Training and evaluation: the experiment meets a training library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.budget import Budget
from dragoman.engines import sb3
from dragoman.engines.agent import Agent
from dragoman.engines.assembly import (
    compute_of,
    observer_of,
    reader_of,
    remembering,
    rewarder_of,
    spec_of,
)
from dragoman.engines.checking import check, check_spaces
from dragoman.engines.masking import masks_of, obeying, warn_of
from dragoman.engines.playing import Act, Evaluation, play, random_actions, sample_texts
from dragoman.engines.recording import record
from dragoman.environments import make_environment, refuse_endless
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.maths.seeding import derive_seed
from dragoman.runs import Run, RunWriter
from dragoman.types import LanguageModel, Tokenizer
from dragoman.vector import EpisodeRecorder, ObserveVector, make_vector
from dragoman.vector_reward import RewardVector

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

__all__ = ["Evaluation", "check", "evaluate", "evaluate_random", "reader_of", "record", "train"]


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
        check_spaces(experiment, recorder)
        model = model if model is not None else reader_of(experiment, seed)
        if experiment.reward is not None:
            model = remembering(experiment, model)
        observer = observer_of(replace(acting, reward=None), recorder, model, seed)
        rewards = _rewards(experiment, recorder, model, seed)
        rewarded = rewards if rewards is not None else recorder
        env = ObserveVector(rewarded, observer) if observer is not None else rewarded
        algorithm = sb3.build(acting, env, derive_seed("train", seed), model)
        with RunWriter(folder, experiment, seed, {**compute_of(model), **made}) as writer:
            if rewards is not None:
                sampled = partial(sample_texts, experiment, rewards.rewarder.describer, seed)
                rewards.rewarder.prepare(sampled, folder)
                writer.rewards(rewards.rewarder.found)
                rewards.rewarder.keep_critiques(writer.critique)
            sb3.learn(algorithm, experiment, writer, recorder, observer, callbacks, budget, rewards)
    finally:
        (recorder if rewards is None else rewards).close()
    return Run(folder)


def evaluate(
    run: Run | str | Path,
    episodes: int = 20,
    *,
    seed: int = 0,
    sampled: bool = False,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    model: LanguageModel | Tokenizer | None = None,
    trust_code: bool = False,
    on_step: Callable[[int], None] = lambda running: None,
) -> Evaluation:
    """Play a trained agent on episodes that its training never saw.

    Args:
        run: The run, or its folder.
        episodes: How many episodes to play.
        seed: Names the set of episode seeds, so that agents can be compared on the same ones.
        sampled: Draw actions from the policy instead of taking the likeliest.
        env_settings: What of the environment's settings differs from the training's, such as
            objects that were held out from it.
        max_steps: Most steps of an episode, which counts as stopped if it has not ended by then.
            Unless given, 10,000 where the environment has no time limit of its own.
        model: Language model to use instead of loading the experiment's.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.trust`.
        on_step: Told after every step how many episodes are still running.

    Raises:
        ConfigError: A count is below one, or the run's config names code that is not trusted.
        RunError: The run folder is missing, half-written or damaged.
    """
    run = run if isinstance(run, Run) else Run(run)
    if episodes < 1:
        raise ConfigError(f"episodes is {episodes}, but must be at least 1", cure="raise it")
    agent = Agent(run, sampled=sampled, seed=seed, model=model, trust_code=trust_code)
    return play(
        agent.spec,
        {**run.experiment.env_settings, **(env_settings or {})},
        agent.act,
        episodes=episodes,
        seed=seed,
        max_steps=max_steps,
        on_step=on_step,
    )


def evaluate_random(
    experiment: Experiment,
    episodes: int = 20,
    *,
    seed: int = 0,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
) -> Evaluation:
    """Play the uniformly random policy on the same episodes that `evaluate` plays.

    Where the environment masks actions, it draws from those that are allowed.
    """
    spec = spec_of(experiment)
    settings = {**experiment.env_settings, **(env_settings or {})}
    env = make_environment(spec, settings)
    act: Act = random_actions(env.action_space, seed=seed)
    env.close()
    return play(spec, settings, act, episodes=episodes, seed=seed, max_steps=max_steps)


def _rewards(
    experiment: Experiment,
    recorder: EpisodeRecorder,
    model: LanguageModel | Tokenizer | None,
    seed: int,
) -> RewardVector | None:
    gamma = sb3.gamma_of(experiment)
    rewarder = rewarder_of(experiment, recorder, model, seed=seed, gamma=gamma)
    return None if rewarder is None else RewardVector(recorder, rewarder)

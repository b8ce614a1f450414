"""From an experiment to running parts: environment, describer, model and observer."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import gymnasium as gym
import torch
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import VectorEnv

from dragoman.describe import describe_env
from dragoman.describe.moment import MomentMaker
from dragoman.engines.sb3 import algorithms as sb3
from dragoman.environments import environment_spec
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.models.cache import CachedModel
from dragoman.models.catalog import cache_folder, load_model, load_tokenizer
from dragoman.models.store import Store
from dragoman.models.torch_model import TorchModel
from dragoman.roles.act.observer import OptionsObserver
from dragoman.roles.observe.embedding import TokenObserver
from dragoman.roles.observe.observer import AnyObserver, Observer
from dragoman.roles.observe.raw import RawState
from dragoman.roles.observe.settings import Observe
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.types import Describer, LanguageModel, Tokenizer


def spec_of(experiment: Experiment) -> EnvSpec:
    """Return the specification of the experiment's environment, with a memory if it has one."""
    spec = environment_spec(
        experiment.env,
        max_episode_steps=experiment.max_episode_steps,
        keep_mask=not experiment.can_obey_masks,
    )
    steps = experiment.describe.history
    if steps:
        told = {"steps": steps, "goal": experiment.describe.goal, **_description(experiment)}
        memory = WrapperSpec("Remember", "dragoman.describe.history:Remember", told)
        spec.additional_wrappers += (memory,)
    return spec


def _model_of(experiment: Experiment, seed: int = 0) -> LanguageModel | None:
    """Load the experiment's language model, or nothing where no role uses one."""
    if not experiment.uses_model:
        return None
    settings = experiment.model
    model = load_model(
        settings.name,
        dtype=settings.dtype,
        device=settings.device,
        compile=settings.compile,
        trust_remote_code=settings.trust_remote_code,
        weights=settings.weights,
        seed=seed if settings.seed is None else settings.seed,
    )
    if settings.threads is None and isinstance(model, TorchModel):
        model.choose_threads()
    store = Store(cache_folder()) if settings.disk_cache else None
    return CachedModel(model, store=store)


def remembering(
    experiment: Experiment, model: LanguageModel | Tokenizer | None
) -> LanguageModel | Tokenizer | None:
    """Return a language model with one memory for all roles that ask it, else what was given."""
    if isinstance(model, CachedModel) or not hasattr(model, "encode") or _by_table(experiment):
        return model
    return CachedModel(cast(LanguageModel, model))


def _by_table(experiment: Experiment) -> bool:
    """Return whether a role looks the tokens of its texts up in a table."""
    return any(
        role is not None and role.encoder == "embedding"
        for role in (experiment.observe, experiment.act)
    )


def compute_of(model: LanguageModel | Tokenizer | None) -> dict[str, Any]:
    """Return where and how a model computes, for the run's record."""
    inner = model.model if isinstance(model, CachedModel) else model
    return {
        "device": str(getattr(inner, "device", "cpu")),
        "dtype": str(getattr(inner, "dtype", torch.float32)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def describer_of(experiment: Experiment, env: Any) -> Describer:
    """Return the describer of the experiment for one of its environments."""
    return describe_env(env, **_description(experiment))


def _description(experiment: Experiment) -> dict[str, Any]:
    describe = experiment.describe
    return {
        "precision": describe.precision,
        "limits": describe.limits,
        "observation": describe.observation,
        "actions": describe.actions,
        "exact": describe.exact,
    }


def moments_of(experiment: Experiment, env: Any) -> MomentMaker:
    """Return what makes the moments of the experiment's environments, vectors of them or not."""
    space = env.single_action_space if isinstance(env, VectorEnv) else env.action_space
    goal, history = experiment.describe.goal, experiment.describe.history
    describe = partial(describer_of, experiment, env)
    return MomentMaker(describe, space, goal=goal, history=history)


def observer_of(
    experiment: Experiment,
    env: VectorEnv[Any, Any, Any],
    model: LanguageModel | Tokenizer | None,
    seed: int = 0,
) -> AnyObserver | None:
    """Return what the experiment's agent sees with, or nothing where it sees what is there.

    Args:
        experiment: What to observe with.
        env: The vector environment, for its spaces and its documentation.
        model: What `reader_of` returned, or any other model to use instead.
        seed: Seed of the training, which draws what is drawn for the controls of the act role.
    """
    if isinstance(model, LanguageModel) and not isinstance(model, CachedModel):
        model = CachedModel(model)
    state = _state_of(experiment, env, model)
    act = experiment.act
    if act is None:
        return state
    by_table = act.reads_texts and act.encoder == "embedding"
    return OptionsObserver(
        act,
        experiment.observe or Observe(),
        RawState(env.single_observation_space) if state is None else state,
        env.single_action_space,
        model=model if isinstance(model, LanguageModel) and experiment.uses_model else None,
        tokenizer=_tokenizer_of(experiment, model) if by_table else None,
        seed=derive_seed("shuffled texts", seed),
    )


def _state_of(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], model: LanguageModel | Tokenizer | None
) -> Observer | TokenObserver | RawState | None:
    settings, space = experiment.observe, env.single_observation_space
    if settings is None:
        return raw_state_of(experiment, space)
    if settings.encoder == "embedding":
        tokenizer = _tokenizer_of(experiment, model)
        return TokenObserver(tokenizer, settings, space)
    if not isinstance(model, LanguageModel):
        return None
    return Observer(model, settings, space)


def raw_state_of(experiment: Experiment, space: gym.Space[Any]) -> RawState | None:
    """Return what makes numbers of raw observations, or nothing where they are read as they are.

    Raises:
        ConfigError: Nothing in the space can be read.
    """
    if experiment.act is not None:
        return RawState(space)
    return None if sb3.reads(space) else RawState(space, pictures=True)


def _tokenizer_of(experiment: Experiment, model: LanguageModel | Tokenizer | None) -> Tokenizer:
    return model if isinstance(model, Tokenizer) else tokenizer_of(experiment)


def reader_of(experiment: Experiment, seed: int = 0) -> LanguageModel | Tokenizer | None:
    """Load what reads the experiment's texts: its model, or a tokenizer alone, or nothing.

    The number of threads that the experiment asks for is set in any case.

    Args:
        experiment: What to load for.
        seed: Seed of the training, which draws random weights unless the experiment does.
    """
    if experiment.model.threads is not None:
        torch.set_num_threads(experiment.model.threads)
    if _by_table(experiment) and not experiment.uses_model:
        return tokenizer_of(experiment)
    return _model_of(experiment, seed)


def tokenizer_of(experiment: Experiment) -> Tokenizer:
    """Load the tokenizer of the experiment's language model."""
    settings = experiment.model
    return load_tokenizer(settings.name, trust_remote_code=settings.trust_remote_code)


def rewarder_of(
    experiment: Experiment,
    env: VectorEnv[Any, Any, Any],
    model: LanguageModel | Tokenizer | None,
    *,
    seed: int,
    gamma: float,
) -> Rewarder | None:
    """Return the reward role of the experiment at work, or nothing where it has none.

    Args:
        experiment: Whose reward.
        env: The vector environment, for its documentation and the number of its copies.
        model: What `reader_of` returned, or any other model to use instead.
        seed: Seed of the training.
        gamma: The learner's own discount.
    """
    if experiment.reward is None:
        return None
    return Rewarder(
        experiment.reward,
        # By name, since before Python 3.12 isinstance would ask a server for its properties.
        cast(LanguageModel, model) if hasattr(model, "encode") else None,
        num_envs=env.num_envs,
        gamma=gamma,
        seed=seed,
        env=env,
    )

"""From an experiment to running parts: environment, describer, model and observer."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import torch
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import VectorEnv

from dragoman.describe.moment import MomentMaker
from dragoman.describe.own import describer_for
from dragoman.engines.policies.features import reads
from dragoman.environments import environment_spec
from dragoman.experiment import Experiment
from dragoman.models.cache import torch_model_of, without_memory
from dragoman.models.taught import Taught, load_taught
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.observe.raw import RawState
from dragoman.roles.role import Models, roles_of
from dragoman.types import Describer, LanguageModel


class TaughtOtherwiseWarning(UserWarning):
    """The model was taught with other prompts than it will read."""


def spec_of(experiment: Experiment, describer: Describer | None = None) -> EnvSpec:
    """Return the specification of the experiment's environment, with a memory if it has one.

    Args:
        experiment: The experiment.
        describer: Puts into words what is remembered, instead of the experiment's.
    """
    spec = environment_spec(
        experiment.env,
        max_episode_steps=experiment.max_episode_steps,
        keep_mask=not experiment.can_obey_masks,
    )
    steps = experiment.describe.history
    if steps:
        memory_settings = {
            "steps": steps,
            **_wording(experiment),
            **_description(experiment, describer),
        }
        memory = WrapperSpec("Remember", "dragoman.describe.history:Remember", memory_settings)
        spec.additional_wrappers += (memory,)
    act = experiment.act
    if act is not None and act.writes_tokens:
        tolerant = WrapperSpec(
            "Tolerant", "dragoman.environments.tolerant:Tolerant", {"ends": act.invalid == "end"}
        )
        spec.additional_wrappers += (tolerant,)
    return spec


def compute_of(model: LanguageModel | None) -> dict[str, Any]:
    """Return where and how a model computes, for the run's record."""
    inner = None if model is None else without_memory(model)
    weights = fingerprint_of(model)
    return {
        **({} if weights is None else {"model_fingerprint": weights}),
        "device": str(getattr(inner, "device", "cpu")),
        "dtype": str(getattr(inner, "dtype", torch.float32)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def fingerprint_of(model: LanguageModel | None) -> str | None:
    """Return the fingerprint of a model's weights; servers and models of a user's have none."""
    inner = torch_model_of(model)
    return None if inner is None else inner.weights_fingerprint


def _description(experiment: Experiment, describer: Describer | None) -> dict[str, Any]:
    """Return what `describer_for` takes beside the environment."""
    describe = experiment.describe
    if describer is not None or describe.use is not None:
        return {"use": describer or describe.use}
    return {
        "precision": describe.precision,
        "limits": describe.limits,
        "observation": describe.observation,
        "actions": describe.actions,
        "exact": describe.exact,
    }


def _wording(experiment: Experiment) -> dict[str, Any]:
    """Return what a `MomentMaker` puts around and in the place of what is described."""
    describe = experiment.describe
    return {
        "goal": describe.goal,
        "list_actions": describe.list_actions,
        "synonyms": describe.synonyms,
    }


def moments_of(experiment: Experiment, env: Any, describer: Describer | None = None) -> MomentMaker:
    """Return what makes the moments of the experiment's environments, vectors of them or not."""
    space = env.single_action_space if isinstance(env, VectorEnv) else env.action_space
    describe = partial(describer_for, env, **_description(experiment, describer))
    return MomentMaker(describe, space, history=experiment.describe.history, **_wording(experiment))


def observer_of(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], models: Models
) -> AnyObserver | None:
    """Return what the experiment's agent sees with, or nothing where it sees what is there.

    Args:
        experiment: Whose roles to walk over.
        env: The vector environment, for its spaces and its documentation.
        models: The language models.
    """
    observer: AnyObserver | None = None
    for role in roles_of(experiment).values():
        if hasattr(role, "observer"):
            observer = role.observer(env, models, observer)
    return raw_state_of(experiment, env.single_observation_space) if observer is None else observer


def raw_state_of(experiment: Experiment, space: gym.Space[Any]) -> RawState | None:
    """Return what makes numbers of raw observations, or nothing where they are read as they are.

    Raises:
        ConfigError: Nothing in the space can be read.
    """
    if experiment.act is not None:
        return RawState(space)
    return None if reads(space) else RawState(space, pictures=True)


def load_of(experiment: Experiment, seed: int = 0) -> LanguageModel:
    """Load the experiment's language model, as it was taught where the act role says so.

    Random weights know nothing, nor what was taught.

    Args:
        experiment: What to load for.
        seed: Seed of the training, which draws random weights unless the experiment does.

    Warns:
        TaughtOtherwiseWarning: It was taught with other prompts.
    """
    init = None if experiment.act is None else experiment.act.init
    if experiment.act is None or init is None or experiment.model.weights == "random":
        return experiment.model.load(seed)
    was = Experiment.from_dict(Taught.read(init).record["experiment"])
    now = (experiment.describe, experiment.act.question, experiment.act.chat)
    if was.act is None or (was.describe, was.act.question, was.act.chat) != now:
        warnings.warn(
            f"the model in {init} was taught with another describe, act.question or act.chat, so "
            "it reads prompts here that it was not taught on",
            TaughtOtherwiseWarning,
            stacklevel=3,
        )
    return load_taught(init, experiment.model)


def reader_of(experiment: Experiment, seed: int = 0) -> LanguageModel | None:
    """Load the experiment's language model, or nothing where no role asks it.

    The number of threads that the experiment asks for is set in any case.

    Args:
        experiment: What to load for.
        seed: Seed of the training, which draws random weights unless the experiment does.
    """
    if experiment.model.threads is not None:
        torch.set_num_threads(experiment.model.threads)
    if not experiment.uses_model:
        return None
    model = load_of(experiment, seed)
    inner = torch_model_of(model)
    if experiment.model.threads is None and inner is not None:
        inner.choose_threads()
    return model

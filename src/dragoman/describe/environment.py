"""The describer of an environment, found without configuration."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from dragoman.describe import known
from dragoman.describe.documentation import Documentation, read_documentation
from dragoman.describe.features import Feature, feature_texts, vector_writer
from dragoman.describe.spaces import Writer, checked, space_writer
from dragoman.errors import ConfigError, did_you_mean
from dragoman.types import Describer, Info


@dataclass(frozen=True)
class EnvDescriber:
    """Describes the observations and actions of one kind of environment; keeps no state.

    Attributes:
        write_observation: One observation to text.
        write_action: One action to text.
    """

    write_observation: Writer
    write_action: Writer

    def observation(self, observation: Any, info: Info) -> str:
        """Return what a language model reads of one observation.

        Raises:
            SpaceError: The observation lies outside its space, or is not finite.
        """
        return self.write_observation(observation)

    def action(self, action: Any) -> str:
        """Return one action in words.

        Raises:
            SpaceError: The action lies outside its space.
        """
        return self.write_action(action)


def describe_env(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
    *,
    precision: int = 3,
    limits: bool = True,
    observation: str | None = None,
    actions: Sequence[str] | None = None,
) -> EnvDescriber:
    """Return a describer for an environment, from its spaces and its documentation.

    >>> env = gym.make("CartPole-v1")
    >>> describer = describe_env(env, precision=2, limits=False)
    >>> describer.observation(env.reset(seed=0)[0], {}).split(", ")[1:3]
    ['cart velocity -0.023', 'pole angle 2.6 degrees left']
    >>> describer.action(1)
    'push cart to the right'

    Names are used only where their number fits the space; elsewhere, and behind wrappers that
    change a space, features are numbered.

    Args:
        env: An environment or a vector environment.
        precision: Significant digits: they decide how often texts repeat.
        limits: Say the bounds of a value, where it has any, beside the value.
        observation: A sentence instead of the generated one. ``{cart_position}`` stands for a
            feature by its name, ``{observation}`` for the generated sentence.
        actions: Texts of discrete actions instead of the documented ones.

    Raises:
        ConfigError: The template has an unknown field, or the number of action texts is wrong.
    """
    inner, observation_space, action_space = _parts_of(env)
    knowledge = _Knowledge.of(env, inner)
    sentence = _sentence(observation_space, knowledge, precision=precision, limits=limits)
    return EnvDescriber(
        sentence.write if observation is None else _template_writer(observation, sentence),
        _action_writer(action_space, knowledge, actions, precision=precision),
    )


def observation_features(env: gym.Env[Any, Any]) -> tuple[Feature, ...] | None:
    """Return the documented features of an environment's vector observation, if there are any."""
    inner, space, _ = _parts_of(env)
    knowledge = _Knowledge.of(env, inner)
    return _observation_features(space, knowledge) if knowledge.knows_observation else None


def action_features(env: gym.Env[Any, Any]) -> tuple[Feature, ...] | None:
    """Return the documented features of an environment's vector action, if there are any."""
    inner, _, space = _parts_of(env)
    knowledge = _Knowledge.of(env, inner)
    return _action_features(space, knowledge)


def rollout(
    env: gym.Env[Any, Any], describer: Describer, *, steps: int, seed: int = 0
) -> Iterator[str]:
    """Yield, line by line, what a model would read of a random episode."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    yield f"0: {describer.observation(observation, info)}"
    for step in range(1, steps + 1):
        action = env.action_space.sample()
        yield f"   > {describer.action(action)}"
        observation, reward, terminated, truncated, info = env.step(action)
        ending = " (terminated)" if terminated else " (truncated)" if truncated else ""
        yield f"{step}: {describer.observation(observation, info)} [reward {reward:g}]{ending}"
        if terminated or truncated:
            observation, info = env.reset()
            yield f"   reset: {describer.observation(observation, info)}"


@dataclass(frozen=True)
class _Knowledge:
    """What is known of an environment's class, as far as wrappers have left it true."""

    name: str
    documentation: Documentation
    env: Any
    knows_observation: bool
    knows_action: bool

    @classmethod
    def of(cls, env: Any, inner: gym.Env[Any, Any] | None) -> _Knowledge:
        if inner is not None:
            plain = inner.unwrapped
            _, observation_space, action_space = _parts_of(env)
            return cls(
                name=type(plain).__name__,
                documentation=_documentation(type(plain), inner.spec),
                env=plain,
                knows_observation=observation_space == plain.observation_space,
                knows_action=action_space == plain.action_space,
            )
        # The environments live in other processes: only their specification is here.
        spec = env.spec
        creator = None if spec is None or spec.entry_point is None else spec.entry_point
        if isinstance(creator, str):
            creator = load_env_creator(creator)
        if not isinstance(creator, type):
            return cls("", Documentation(), None, False, False)
        return cls(creator.__name__, _documentation(creator, spec), None, True, True)


def _parts_of(env: Any) -> tuple[gym.Env[Any, Any] | None, gym.Space[Any], gym.Space[Any]]:
    """Return one environment if there is one in this process, and its two spaces."""
    if isinstance(env, gym.vector.VectorEnv):
        copies = getattr(env.unwrapped, "envs", None)
        inner = copies[0] if copies else None
        return inner, env.single_observation_space, env.single_action_space
    return env, env.observation_space, env.action_space


def _documentation(environment: type, spec: Any) -> Documentation:
    """Return the documentation of a class, or of its newest version where it has none."""
    found = read_documentation(environment)
    if found != Documentation() or spec is None:
        return found
    versions = [
        other
        for other in gym.registry.values()
        if (other.namespace, other.name) == (spec.namespace, spec.name)
        and isinstance(other.entry_point, str)
    ]
    if not versions:
        return found
    newest = max(versions, key=lambda other: other.version or 0)
    creator = load_env_creator(str(newest.entry_point))
    return read_documentation(creator) if isinstance(creator, type) else found


@dataclass(frozen=True)
class _Sentence:
    """A writer of whole observations, and of their features one by one for templates."""

    write: Writer
    fields: tuple[str, ...] = ()
    texts: Callable[[Any], list[str]] = lambda value: []


def _sentence(
    space: gym.Space[Any], knowledge: _Knowledge, *, precision: int, limits: bool
) -> _Sentence:
    if knowledge.knows_observation:
        if knowledge.env is not None and knowledge.name in known.WRITERS:
            return _Sentence(checked(space, known.WRITERS[knowledge.name](knowledge.env)))
        features = _observation_features(space, knowledge)
        if features and isinstance(space, gym.spaces.Box):
            return _Sentence(
                vector_writer(space, features, precision=precision, limits=limits),
                tuple(re.sub(r"\W+", "_", feature.name).strip("_") for feature in features),
                feature_texts(space, features, precision=precision, limits=limits),
            )
    return _Sentence(space_writer(space, precision=precision, limits=limits))


def _observation_features(
    space: gym.Space[Any], knowledge: _Knowledge
) -> tuple[Feature, ...] | None:
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
        return None
    features = known.OBSERVATIONS.get(knowledge.name)
    if features is None or len(features) != space.shape[0]:
        features = knowledge.documentation.observation_features(space.shape[0])
    words = known.DIRECTIONS.get(knowledge.name, {})
    return features and tuple(
        replace(feature, positive=words[feature.name][0], negative=words[feature.name][1])
        if feature.name in words
        else feature
        for feature in features
    )


def _template_writer(template: str, sentence: _Sentence) -> Writer:
    allowed = ("observation", *sentence.fields)
    try:
        used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigError(
            f"the template {template!r} cannot be read: {error}",
            cure="close every brace; write {{ for a brace in the text",
        ) from error
    for field in used:
        if field not in allowed:
            raise ConfigError(
                f"the template names {field!r}{did_you_mean(field, allowed)}",
                cure=f"use {', '.join(allowed)}",
            )

    def write(value: Any) -> str:
        parts = dict(zip(sentence.fields, sentence.texts(value), strict=True))
        return template.format(observation=sentence.write(value), **parts)

    return write


def _action_writer(
    space: gym.Space[Any], knowledge: _Knowledge, texts: Sequence[str] | None, *, precision: int
) -> Writer:
    if texts is not None:
        if not isinstance(space, gym.spaces.Discrete) or len(set(texts)) != space.n:
            raise ConfigError(
                f"got {len(set(texts))} different action texts for {space}",
                cure="give one text for each action of a Discrete space, all different",
            )
        return _choice_writer(space, list(texts))
    if knowledge.knows_action and isinstance(space, gym.spaces.Discrete):
        choices = knowledge.documentation.action_features(int(space.n))
        if choices:
            return _choice_writer(space, [choice.name for choice in choices])
    features = _action_features(space, knowledge)
    if features and isinstance(space, gym.spaces.Box):
        return vector_writer(space, features, precision=precision, limits=False)
    write = space_writer(space, precision=precision, limits=False)
    return lambda value: f"action {write(value)}"


def _action_features(space: gym.Space[Any], knowledge: _Knowledge) -> tuple[Feature, ...] | None:
    is_vector = isinstance(space, gym.spaces.Box) and len(space.shape) == 1
    if not knowledge.knows_action or not is_vector or space.shape is None:
        return None
    features = known.ACTIONS.get(knowledge.name)
    if features is None or len(features) != space.shape[0]:
        features = knowledge.documentation.action_features(space.shape[0])
    return features


def _choice_writer(space: gym.spaces.Discrete, texts: list[str]) -> Writer:
    first = int(space.start)
    return checked(space, lambda action: texts[int(action) - first])

"""The describer of an environment, found without configuration."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

from dragoman.describe import known
from dragoman.describe.documentation import Documentation, read_documentation
from dragoman.describe.exact import Key, exact_writer, key_writer, rounds
from dragoman.describe.features import Feature, feature_texts, vector_writer
from dragoman.describe.spaces import Writer, checked, space_writer
from dragoman.errors import ConfigError, SpaceError, did_you_mean
from dragoman.types import Describer, Info

_T = TypeVar("_T")


@dataclass(frozen=True)
class EnvDescriber:
    """Describes the observations and actions of one kind of environment; keeps no state.

    Attributes:
        space: The observations' space.
        action_space: The actions' space.
        write_observation: One observation to text.
        write_action: One action to text.
        heeds: Say what the environment itself says in ``info["text"]``, where it does.
        heeds_actions: Likewise for ``info["action_texts"]``.
        add_exact: One observation to what is written behind its text, so that no two have one.
    """

    space: gym.Space[Any]
    action_space: gym.Space[Any]
    write_observation: Writer
    write_action: Writer
    heeds: bool = False
    heeds_actions: bool = False
    add_exact: Writer | None = None

    def observation(self, observation: Any, info: Info) -> str:
        """Return what a language model reads of one observation.

        Raises:
            SpaceError: The observation lies outside its space, or is not finite.
        """
        text = info.get("text") if self.heeds else None
        # The writer also tells a rounded bound from an observation that is really outside.
        if not isinstance(text, str) or not self.space.contains(observation):
            written = self.write_observation(observation)
            text = text if isinstance(text, str) else written
        return text if self.add_exact is None else text + self.add_exact(observation)

    def state_key(self, observation: Any) -> bytes:
        """Return bytes that two observations share only if they are equal, number for number.

        A text rounds, so that two observations may have one text; they never have one key.

        Raises:
            SpaceError: The observation does not have the shape of its space, or holds NaN.
        """
        return self._key(observation)

    @cached_property
    def _key(self) -> Key:
        return key_writer(self.space)

    def action(self, action: Any) -> str:
        """Return one action in words.

        Raises:
            SpaceError: The action lies outside its space.
        """
        return self.write_action(action)

    def actions(self, info: Info) -> list[str]:
        """Return the texts of the ``A`` actions of a Discrete space, "" where not admissible now.

        Args:
            info: Of this moment: ``action_texts`` are the environment's own, and
                ``action_mask`` says which are admissible.

        Raises:
            SpaceError: The actions are not choices.
        """
        texts = info.get("action_texts") if self.heeds_actions else None
        if texts is None:
            if not isinstance(self.action_space, gym.spaces.Discrete):
                raise SpaceError(
                    f"{self.action_space} has no list of actions",
                    cure="ask for the text of one action at a time",
                )
            first = int(self.action_space.start)
            texts = [self.action(first + i) for i in range(int(self.action_space.n))]
        mask = info.get("action_mask", np.ones(len(texts), dtype=np.int8))
        return [text if allowed else "" for text, allowed in zip(texts, mask, strict=True)]


def describe_env(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
    *,
    precision: int = 3,
    limits: bool = True,
    observation: str | None = None,
    actions: Sequence[str] | None = None,
    exact: bool = False,
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

    An environment that speaks for itself, in ``info["text"]``, is quoted, unless a template is
    given or a wrapper has changed what the agent sees, which that text would give away.

    Args:
        env: An environment or a vector environment.
        precision: Significant digits: they decide how often texts repeat.
        limits: Say the bounds of a value, where it has any, beside the value.
        observation: A sentence instead of the generated one. ``{cart_position}`` stands for a
            feature by its name, ``{observation}`` for the generated sentence.
        actions: Texts of discrete actions instead of the documented ones.
        exact: Write the exact numbers behind a text that rounds them or leaves them out, so that
            different observations never have the same text.

    Raises:
        ConfigError: The template has an unknown field, or the number of action texts is wrong.
    """
    inner, observation_space, action_space = _parts_of(env)
    knowledge = _Knowledge.of(env, inner)
    sentence = _sentence(observation_space, knowledge, precision=precision, limits=limits)
    heeds = observation is None and knowledge.knows_observation
    return EnvDescriber(
        observation_space,
        action_space,
        sentence.write if observation is None else _template_writer(observation, sentence),
        _action_writer(action_space, knowledge, actions, precision=precision),
        heeds=heeds and not _changes_observations(env),
        heeds_actions=actions is None and knowledge.knows_action,
        add_exact=_exact_writer(observation_space, observation is not None) if exact else None,
    )


def _exact_writer(space: gym.Space[Any], is_template: bool) -> Writer | None:
    """Return what writes the exact numbers, or nothing where a sentence has them already."""
    if not rounds(space) and not is_template:
        return None
    write = exact_writer(space)
    return lambda value: f" Exactly: {write(value)}."


def rollout(
    env: gym.Env[Any, Any], describer: Describer, *, steps: int, seed: int = 0
) -> Iterator[str]:
    """Yield, line by line, what a model would read of a random episode.

    Actions are drawn where ``info["action_mask"]`` is 1 and written as in
    ``info["action_texts"]``, where the environment reports these.
    """
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    yield f"0: {describer.observation(observation, info)}"
    for step in range(1, steps + 1):
        action = _allowed_action(env.action_space, info)
        yield f"   > {_action_text(describer, action, info)}"
        observation, reward, terminated, truncated, info = env.step(action)
        ending = " (terminated)" if terminated else " (truncated)" if truncated else ""
        yield f"{step}: {describer.observation(observation, info)} [reward {reward:g}]{ending}"
        if terminated or truncated:
            observation, info = env.reset()
            yield f"   reset: {describer.observation(observation, info)}"


def _allowed_action(space: gym.Space[Any], info: Info) -> Any:
    """Return a random action, one that the mask of this moment allows where there is one."""
    if isinstance(space, gym.spaces.Discrete) and "action_mask" in info:
        return space.sample(mask=np.asarray(info["action_mask"], dtype=np.int8))
    return space.sample()


def _action_text(describer: Describer, action: Any, info: Info) -> str:
    return ("action_texts" in info and info["action_texts"][action]) or describer.action(action)


@dataclass(frozen=True)
class _Knowledge:
    """What is known of an environment's class, as far as wrappers have left it true.

    Attributes:
        names: The names of the class and of those it inherits from, nearest first.
    """

    names: tuple[str, ...]
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
                names=_names(type(plain)),
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
            return cls((), Documentation(), None, False, False)
        return cls(_names(creator), _documentation(creator, spec), None, True, True)

    def of_class(self, table: Mapping[str, _T]) -> _T | None:
        """Return the entry of a table by class name that is nearest in the class's ancestry."""
        return next((table[name] for name in self.names if name in table), None)


def _names(kind: type) -> tuple[str, ...]:
    return tuple(base.__name__ for base in kind.__mro__)


def _changes_observations(env: Any) -> bool:
    """Whether a wrapper is made to change observations, even within their space."""
    while isinstance(env, gym.Wrapper | gym.vector.VectorWrapper):
        if isinstance(env, gym.ObservationWrapper | gym.vector.VectorObservationWrapper):
            return True
        env = env.env
    copies = getattr(env, "envs", ())
    return len(copies) > 0 and _changes_observations(copies[0])


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
        make = knowledge.of_class(known.WRITERS) if knowledge.env is not None else None
        write = None if make is None else make(knowledge.env)
        if write is not None:
            return _Sentence(checked(space, write))
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
    features = knowledge.of_class(known.OBSERVATIONS)
    if features is None or len(features) != space.shape[0]:
        features = knowledge.documentation.observation_features(space.shape[0])
    words = knowledge.of_class(known.DIRECTIONS) or {}
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
    if knowledge.knows_action and isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
        size = space.shape[0]
        features = knowledge.of_class(known.ACTIONS)
        if features is None or len(features) != size:
            features = knowledge.documentation.action_features(size)
        if features:
            return vector_writer(space, features, precision=precision, limits=False)
    write = space_writer(space, precision=precision, limits=False)
    return lambda value: f"action {write(value)}"


def _choice_writer(space: gym.spaces.Discrete, texts: list[str]) -> Writer:
    first = int(space.start)
    return checked(space, lambda action: texts[int(action) - first])

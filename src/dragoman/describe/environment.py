"""The describer of an environment, found without configuration."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.describe.documentation import Documentation
from dragoman.describe.exact import Key, exact_writer, key_writer, rounds
from dragoman.describe.families.registry import Knowledge, changes_observations, parts_of
from dragoman.describe.features import Feature, feature_texts, numbers_reader, vector_writer
from dragoman.describe.spaces import (
    Writer,
    checked,
    dict_writer,
    labelled,
    part_writers,
    space_writer,
)
from dragoman.describe.words import Words
from dragoman.environments import as_environment
from dragoman.environments.fits import lies_in
from dragoman.errors import ConfigError, SpaceError, did_you_mean
from dragoman.phrases import shown
from dragoman.types import Info


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
        write_exact: One observation to numbers that only it has, to stand behind its text.
        says_all: Whether ``write_observation`` says everything, so that these add nothing to it.
    """

    space: gym.Space[Any]
    action_space: gym.Space[Any]
    write_observation: Writer
    write_action: Writer
    heeds: bool = False
    heeds_actions: bool = False
    write_exact: Writer | None = None
    says_all: bool = False

    def observation(self, observation: Any, info: Info) -> str:
        """Return what a language model reads of one observation.

        Raises:
            SpaceError: The observation lies outside its space, or is not finite.
        """
        text = info.get("text") if self.heeds else None
        # The writer also separates a rounded bound from an observation that is really outside.
        is_quoted = isinstance(text, str) and bool(text.strip())
        if not is_quoted or not lies_in(self.space, observation):
            written = self.write_observation(observation)
            text = text if is_quoted else written
        if self.write_exact is None or (self.says_all and not is_quoted):
            return str(text)
        return f"{text} Exactly: {self.write_exact(observation)}."

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

    def action_in(self, info: Info, action: Any) -> str:
        """Return one action in the words of the state that it is taken in, where it has some.

        Args:
            info: Of that state.
            action: As the environment numbers it; ``info["action_texts"]`` counts from zero.
        """
        texts = info.get("action_texts") if self.heeds_actions else None
        if texts is None or not isinstance(self.action_space, gym.spaces.Discrete):
            return self.action(action)
        index = int(action) - int(self.action_space.start)
        return str(texts[index] if 0 <= index < len(texts) else "") or self.action(action)

    def actions(self, info: Info) -> list[str]:
        """Return the texts of the ``A`` actions of a Discrete space, "" where not valid now.

        Args:
            info: Of this moment: ``action_texts`` are the environment's own, and
                ``action_mask`` says which are valid.

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
    env: str | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
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
        env: An environment or a vector environment, or the name of one.
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
    env = as_environment(env)
    inner, observation_space, action_space = parts_of(env)
    knowledge = Knowledge.of(env, inner)
    sentence = _sentence(observation_space, knowledge, precision=precision, limits=limits)
    heeds = observation is None and knowledge.knows_observation
    return EnvDescriber(
        observation_space,
        action_space,
        sentence.write if observation is None else _template_writer(observation, sentence),
        _action_writer(action_space, knowledge, actions, precision=precision),
        heeds=heeds and not changes_observations(env),
        heeds_actions=actions is None and knowledge.knows_action,
        write_exact=exact_writer(observation_space) if exact else None,
        says_all=observation is None and not rounds(observation_space),
    )


def observation_features(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
) -> tuple[Feature, ...] | None:
    """Return the documented features of an environment's vector observation, if there are any."""
    inner, space, _ = parts_of(env)
    knowledge = Knowledge.of(env, inner)
    return _observation_features(space, knowledge) if knowledge.knows_observation else None


def action_features(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any],
) -> tuple[Feature, ...] | None:
    """Return the documented features of an environment's vector action, if there are any."""
    inner, _, space = parts_of(env)
    knowledge = Knowledge.of(env, inner)
    return _action_features(space, knowledge)


@dataclass(frozen=True)
class _Sentence:
    """A writer of whole observations, and of their features one by one for templates."""

    write: Writer
    fields: tuple[str, ...] = ()
    texts: Callable[[Any], list[str]] = lambda value: []


def _sentence(
    space: gym.Space[Any], knowledge: Knowledge, *, precision: int, limits: bool
) -> _Sentence:
    family = knowledge.family
    wrappers = knowledge.wrappers_of(family.package)
    if wrappers is not None and (write := family.wrapped_writer(space, wrappers)) is not None:
        return _Sentence(write)
    if knowledge.knows_observation:
        plain = knowledge.env
        if plain is not None and (write := family.writer(plain)) is not None:
            fields = family.fields(plain)
            texts = lambda value: [field(value) for field in fields.values()]  # noqa: E731
            return _Sentence(checked(space, write), tuple(fields), texts)
        features = _observation_features(space, knowledge)
        if features and isinstance(space, gym.spaces.Box):
            if len(features) in family.sizes:
                read, words = numbers_reader(space, features), Words.of(precision, limits)
                write = lambda value: family.sentences(words, read(value))  # noqa: E731
            else:
                write = vector_writer(space, features, precision=precision, limits=limits)
            return _Sentence(
                write,
                tuple(map(_field, features)),
                feature_texts(space, features, precision=precision, limits=limits),
            )
        if isinstance(space, gym.spaces.Dict):
            return _of_parts(space, knowledge.documentation, precision, limits)
    return _Sentence(space_writer(space, precision=precision, limits=limits))


def _of_parts(
    space: gym.spaces.Dict, documentation: Documentation, precision: int, limits: bool
) -> _Sentence:
    """Return the writer of a dictionary, whose parts are named as its documentation names them."""
    whole: dict[str, Writer] = {}
    single: list[tuple[str, tuple[str, ...], Callable[[Any], list[str]]]] = []
    for key, write in part_writers(space, space.spaces, precision, limits).items():
        part, features = space.spaces[key], documentation.part_features(key)
        if isinstance(part, gym.spaces.Box) and len(features) == math.prod(part.shape):
            whole[key] = vector_writer(part, features, precision=precision, limits=limits)
            texts = feature_texts(part, features, precision=precision, limits=limits)
            single.append((key, tuple(map(_field, features)), texts))
            continue
        is_named = len(features) == 1 and not isinstance(part, gym.spaces.Box)
        whole[key] = _after(features[0].name, write) if is_named else labelled(key, write)
        single.append((key, (_field(features[0]) if is_named else key,), _listed(write)))
    return _Sentence(
        dict_writer(space, whole),
        tuple(field for _, fields, _ in single for field in fields),
        lambda value: [text for key, _, texts in single for text in texts(value[key])],
    )


def _after(name: str, write: Writer) -> Writer:
    return lambda value: f"{name} {write(value)}"


def _listed(write: Writer) -> Callable[[Any], list[str]]:
    return lambda value: [write(value)]


def _field(feature: Feature) -> str:
    """Return what a template calls a feature."""
    return re.sub(r"\W+", "_", feature.name).strip("_")


def _observation_features(
    space: gym.Space[Any], knowledge: Knowledge
) -> tuple[Feature, ...] | None:
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
        return None
    known, words = knowledge.family.observation_features, knowledge.family.directions
    fits = known and len(known) == space.shape[0]
    features = known if fits else knowledge.documentation.observation_features(space.shape[0])
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
    space: gym.Space[Any], knowledge: Knowledge, texts: Sequence[str] | None, *, precision: int
) -> Writer:
    if texts is not None:
        is_list = isinstance(texts, Sequence) and not isinstance(texts, str | bytes)
        if not is_list or not all(isinstance(text, str) for text in texts):
            raise ConfigError(
                f"the action texts are {shown(texts)}, which is no list of texts",
                cure="give one text for each action of a Discrete space, all different",
            )
        if not isinstance(space, gym.spaces.Discrete) or len(set(texts)) != space.n:
            raise ConfigError(
                f"got {len(set(texts))} different action texts for {space}",
                cure="give one text for each action of a Discrete space, all different",
            )
        return _choice_writer(space, list(texts))
    if knowledge.knows_action and isinstance(space, gym.spaces.Discrete):
        known = knowledge.family.action_texts
        if space.n <= len(known):
            return _choice_writer(space, list(known[: int(space.n)]))
        choices = knowledge.documentation.action_features(int(space.n))
        if choices:
            return _choice_writer(space, [choice.name for choice in choices])
    features = _action_features(space, knowledge)
    if features and isinstance(space, gym.spaces.Box):
        return vector_writer(space, features, precision=precision, limits=False)
    if isinstance(space, gym.spaces.Text):
        return str  # what is typed, even where the space does not hold it
    write = space_writer(space, precision=precision, limits=False)
    return lambda value: f"action {write(value)}"


def _action_features(space: gym.Space[Any], knowledge: Knowledge) -> tuple[Feature, ...] | None:
    is_vector = isinstance(space, gym.spaces.Box) and len(space.shape) == 1
    if not knowledge.knows_action or not is_vector or space.shape is None:
        return None
    known = knowledge.family.action_features
    if known and len(known) == space.shape[0]:
        return known
    return knowledge.documentation.action_features(space.shape[0])


def _choice_writer(space: gym.spaces.Discrete, texts: list[str]) -> Writer:
    first = int(space.start)
    return checked(space, lambda action: texts[int(action) - first])

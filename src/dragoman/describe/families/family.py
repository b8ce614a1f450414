"""What is known of a class of environments beyond its documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym

from dragoman.describe.features import Feature
from dragoman.describe.words import Words

Writer = Callable[[Any], str]


class Family:
    """Environments of one class: their names, sentences and the fields of their templates.

    Subclasses give what they know, and `registry.FAMILIES` names their environments. Whatever a
    family does not know is read from the documentation and the spaces.

    Attributes:
        observation_features: Features of an observation that is a vector.
        action_features: Features of an action that is a vector.
        action_texts: Texts of discrete actions; some environments have only the first ones.
        directions: Words for positive and negative numbers, by the name of an observation's
            feature.
        sizes: Lengths of the vectors that `sentences` reads; wrappers and settings change them.
        package: The package whose wrappers `wrapped_writer` reads through.
    """

    observation_features: tuple[Feature, ...] = ()
    action_features: tuple[Feature, ...] = ()
    action_texts: tuple[str, ...] = ()
    directions: ClassVar[Mapping[str, tuple[str, str]]] = {}
    sizes: tuple[int, ...] = ()
    package: str = ""

    def sentences(self, words: Words, numbers: Sequence[float]) -> str:
        """Return an observation that is a vector of one of the `sizes` in sentences."""
        raise NotImplementedError

    def writer(self, env: Any) -> Writer | None:
        """Return a writer of whole observations, or nothing where their space is another.

        No two observations of whole numbers may have one text.

        Args:
            env: One environment, without its wrappers.
        """
        return None

    def fields(self, env: Any) -> Mapping[str, Writer]:
        """Return writers of parts of an observation, by their names in a template.

        Args:
            env: One environment, without its wrappers, for which there is a `writer`.
        """
        return {}

    def wrapped_writer(self, space: gym.Space[Any], wrappers: frozenset[str]) -> Writer | None:
        """Return a writer of observations behind wrappers of the `package`, or nothing.

        Args:
            space: The space of the observations; an environment may have one of its own.
            wrappers: Class names of the wrappers of the package that change observations.
        """
        return None

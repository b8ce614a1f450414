"""Rewards from a language model: one file each, and the way to find and make one by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import pydantic

from dragoman.errors import ConfigError, did_you_mean
from dragoman.imports import import_name
from dragoman.roles.reward.call import GIVEN, names_of
from dragoman.settings import misfit
from dragoman.types import RewardFunction

KNOWN = {
    "goal-similarity": "dragoman.roles.reward.similarity:GoalSimilarity",
    "goal-reached": "dragoman.roles.reward.similarity:GoalReached",
    "judge": "dragoman.roles.reward.judge:Judge",
    "critique": "dragoman.roles.reward.critique:Critic",
    "preferences": "dragoman.roles.reward.preferences.reward:Preferences",
    "written": "dragoman.roles.reward.program:Written",
}
"""Short names of the rewards that come with Dragoman, and where they are."""


def find_reward(use: str) -> Any:
    """Return the function or class that a short name or an import path leads to.

    Raises:
        ConfigError: There is none.
    """
    if use not in KNOWN and ":" not in use:
        raise ConfigError(
            f"there is no reward {use!r}{did_you_mean(use, KNOWN)}",
            cure=f"choose from {', '.join(KNOWN)}, or name your own as 'my_file.py:my_reward'",
        )
    result = import_name(KNOWN.get(use, use))
    if not callable(result):
        raise ConfigError(
            f"{use!r} is {result!r}, which cannot be called",
            cure="name a function, or a frozen dataclass with __call__",
        )
    return result


def make_reward(
    use: str, settings: Mapping[str, Any], *, beside: Sequence[str] = ()
) -> RewardFunction:
    """Return a reward with its settings: the fields of a dataclass, or arguments of a function.

    Args:
        use: A short name or an import path.
        settings: The settings by name.
        beside: Other keys that a user may have meant.

    Raises:
        ConfigError: There is no such reward, or a setting is unknown, missing or unfit.
    """
    result = find_reward(use)
    known = _settings_of(result)
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"the reward {use!r} has no setting {key!r}{did_you_mean(key, [*known, *beside])}",
                cure=f"its settings are: {', '.join(known) or 'none'}",
            )
    missing = [key for key, is_needed in known.items() if is_needed and key not in settings]
    if missing:
        raise ConfigError(
            f"the reward {use!r} needs the setting {missing[0]!r}", cure=f"give {missing[0]}"
        )
    if not inspect.isclass(result):
        return functools.partial(result, **settings) if settings else result
    return _instance(result, use, settings)


def asks_model(use: str) -> bool:
    """Return whether a reward takes the language model; one that cannot be found may."""
    try:
        result = find_reward(use)
    except ConfigError:
        return True
    return "model" in names_of(result.__call__ if inspect.isclass(result) else result)


def _settings_of(found: Any) -> dict[str, bool]:
    """Return the settings of a reward by name, and whether each must be given."""
    parameters = inspect.signature(found).parameters.values()
    is_function = not inspect.isclass(found)
    return {
        parameter.name: parameter.default is inspect.Parameter.empty
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and not (is_function and parameter.name in GIVEN)
    }


def _instance(kind: type[Any], use: str, settings: Mapping[str, Any]) -> RewardFunction:
    if not is_dataclass(kind) or not all(field.init for field in fields(kind)):
        made: RewardFunction = kind(**settings)
        return made
    try:
        # Lists of a YAML file become tuples, and a word that is no number is refused.
        validated: Any = pydantic.TypeAdapter(kind).validate_python(dict(settings))
    except pydantic.ValidationError as error:
        key, problem = misfit(error)
        raise ConfigError(f"the reward {use!r}: {problem}", cure=f"mend {key}") from None
    checked: RewardFunction = validated
    return checked

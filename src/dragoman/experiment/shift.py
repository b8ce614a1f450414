"""Changes under which a trained agent is played, to find out what it has learnt to rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from dragoman.errors import ConfigError, did_you_mean
from dragoman.experiment import Describe, Experiment

TEXTS = {
    "describe": tuple(field.name for field in fields(Describe) if field.name != "use"),
    "act": ("template", "question"),
}
"""Settings that change what an agent reads, and nothing that it has learnt, by role."""


def shifted(experiment: Experiment, shift: Mapping[str, Any]) -> Experiment:
    """Return an experiment whose agents meet another environment, or other words for it.

    >>> lake = Experiment("FrozenLake-v1", env_settings={"map_name": "4x4"})
    >>> shift = {"env_settings": {"is_slippery": False}, "describe.synonyms": {"row": "line"}}
    >>> dict(shifted(lake, shift).env_settings)
    {'map_name': '4x4', 'is_slippery': False}

    Args:
        experiment: What was trained.
        shift: What differs: keys of ``env_settings``, of ``describe`` (but ``use``), and
            ``act.template`` and ``act.question``; dotted or nested. Those of ``act`` change
            nothing where an experiment has no such role.

    Raises:
        ConfigError: Another key stands in it, or a value does not fit.
    """
    for key, value in shift.items():
        part, dotted, name = key.partition(".")
        if part not in ("env_settings", *TEXTS) or not (dotted or isinstance(value, Mapping)):
            known = ("env_settings", *(f"{role}.{one}" for role in TEXTS for one in TEXTS[role]))
            raise ConfigError(
                f"a shift changes {key!r}{did_you_mean(key, known)}, which is no setting of the "
                "environment or of what is read",
                cure=f"the keys are: {', '.join(known)}",
            )
        experiment = _changed(experiment, part, {name: value} if dotted else value)
    return experiment


def _changed(experiment: Experiment, part: str, values: Mapping[str, Any]) -> Experiment:
    if part == "env_settings":
        return replace(experiment, env_settings={**experiment.env_settings, **values})
    for name in values:
        if name not in TEXTS[part]:
            raise ConfigError(
                f"a shift changes '{part}.{name}'{did_you_mean(name, TEXTS[part])}, which would "
                "need another training or other code",
                cure=f"the keys of {part} are: {', '.join(TEXTS[part])}",
            )
    settings = getattr(experiment, part)
    return (
        experiment
        if settings is None
        else replace(experiment, **{part: replace(settings, **values)})
    )

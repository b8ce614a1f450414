"""Controls: what an arm becomes when only the language model's knowledge is taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dragoman.models.spec import ModelSpec
from dragoman.models.words import WORDS


@dataclass(frozen=True)
class Control:
    """An experiment that has everything of an arm but the knowledge in the language model.

    Attributes:
        name: Its name among the arms, which is also the name of a folder.
        about: One line of what it is.
        prior: One line of what prior knowledge it was given.
        overrides: What makes an arm its control, by dotted key of the experiment. A key that
            begins with a dot is a setting of the role itself.
    """

    name: str
    about: str
    prior: str
    overrides: Mapping[str, Any]


def random_weights(role: str, model: ModelSpec | None, prior: str) -> tuple[Control, ...]:
    """Return the control of pre-training, where a model's weights can be drawn.

    Args:
        role: Name of the role.
        model: The role's own model; ``None`` where it asks the experiment's.
        prior: What knowledge is left.
    """
    if model is not None and (model.server is not None or model.knows_nothing):
        return ()
    key = "model.weights" if model is None else f"{role}.model.weights"
    about = "the same architecture and tokenizer with random initial weights, drawn by seed"
    return (Control("random-weights", about, prior, {key: "random"}),)


def learned_embedding(
    roles: tuple[str, ...], model: ModelSpec | None, prior: str
) -> tuple[Control, ...]:
    """Return the control of the text itself: words and neighbours, and nothing known of them.

    Args:
        roles: The roles that read through an embedding.
        model: The role's own model; ``None`` where it asks the experiment's.
        prior: What knowledge is left.
    """
    if model is not None and model.knows_nothing:
        return ()
    about = "the same text through an embedding of its words that is trained by rewards alone"
    overrides = {f"{role}.model": WORDS for role in roles}
    return (Control("learned-embedding", about, prior, overrides),)

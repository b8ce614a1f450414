"""What a policy sees of texts when the model itself is trained: their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.models.scoring import score
from dragoman.roles.act import Act
from dragoman.roles.tune import Tune

PAD = -1
LARGEST = 2**31 - 1


class Cutter(Protocol):
    """Cuts texts into tokens, as the model that is trained does."""

    def continuations(self, prompt: str, candidates: Sequence[str]) -> Any:
        """Return the tokens of a prompt and of what may follow it."""
        ...

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text."""
        ...


class OptionTokens:
    """Texts of observations and actions to token ids, which a rollout keeps for its update.

    Args:
        settings: The act role.
        tune: How the model is trained.
        count: Number of actions ``K``.
        model: The language model, around or without a memory.

    Attributes:
        spaces: What a call returns for each observation.

    Raises:
        ConfigError: The model computes elsewhere, so that it cannot be trained.
    """

    def __init__(self, settings: Act, tune: Tune, count: int, model: Any) -> None:
        inner = getattr(model, "model", model)
        if not hasattr(inner, "continuations"):
            raise ConfigError(
                f"act.tune is set, but {getattr(model, 'name', model)!r} is no model of "
                "Transformers in this process",
                cure="name a model that is loaded here, or leave act.tune out",
            )
        self._cutter: Cutter = inner
        self._model = model
        self.settings = settings
        self.tune = tune
        self._count = count
        self._cut: dict[tuple[str, tuple[str, ...]], Any] = {}
        ids = (PAD, LARGEST)
        self.spaces: dict[str, gym.Space[Any]] = {
            "prompt": gym.spaces.Box(*ids, (tune.max_prompt,), np.int32)
        }
        if settings.policy == "score" or settings.reads_texts:
            self.spaces["candidates"] = gym.spaces.Box(*ids, (count, tune.max_action), np.int32)
        if settings.policy == "score":
            self.spaces["divisor"] = gym.spaces.Box(1, np.inf, (count,), np.float32)
            if settings.domain is not None:
                self.spaces["domain"] = gym.spaces.Box(-np.inf, np.inf, (count,), np.float32)

    def __call__(
        self, texts: Sequence[str], options: Sequence[Mapping[int, str]]
    ) -> dict[str, NDArray[Any]]:
        """Return token ids of ``B`` observations and of their admissible actions.

        Raises:
            ConfigError: A text has more tokens than the settings allow.
        """
        seen: dict[str, NDArray[Any]] = {
            name: np.full((len(texts), *(space.shape or ())), PAD, space.dtype)
            for name, space in self.spaces.items()
        }
        for i, (text, own) in enumerate(zip(texts, options, strict=True)):
            if self.settings.policy == "score":
                self._score(seen, i, text, own)
                continue
            (prompt,) = self._cutter.token_ids([text])
            self._fill(seen["prompt"][i], prompt, text, "max_prompt")
            if self.settings.reads_texts and own:
                ids = self._cutter.token_ids(list(own.values()))
                for (action, name), tokens in zip(own.items(), ids, strict=True):
                    self._fill(seen["candidates"][i, action], tokens, name, "max_action")
        return seen

    def _score(
        self, seen: dict[str, NDArray[Any]], i: int, text: str, options: Mapping[int, str]
    ) -> None:
        """Fill in one prompt and what may follow it, cut together."""
        candidates = [candidate_of(name) for name in options.values()]
        found = self._cutter.continuations(prompt_of(self.settings, text), candidates)
        self._fill(seen["prompt"][i], found.prompt, text, "max_prompt")
        seen["divisor"][i] = 1.0
        if "domain" in seen:
            seen["domain"][i] = 0.0
        for (action, name), tokens in zip(options.items(), found.candidates, strict=True):
            self._fill(seen["candidates"][i, action], tokens, name, "max_action")
            if self.settings.normalisation != "sum":
                by_word = self.settings.normalisation == "word"
                seen["divisor"][i, action] = len(name.split()) if by_word else len(tokens)
        if self.settings.domain is not None and options:
            (scores,) = score(
                self._model,
                [self.settings.domain],
                [candidates],
                normalisation=self.settings.normalisation,
            )
            seen["domain"][i, list(options)] = scores

    def _fill(self, row: NDArray[Any], ids: Sequence[int], text: str, setting: str) -> None:
        if len(ids) > len(row):
            raise ConfigError(
                f"a text has {len(ids)} tokens, but act.tune.{setting} is {len(row)}: "
                f"{text[:60]!r}...",
                cure=f"raise act.tune.{setting}, or describe less",
            )
        row[: len(ids)] = ids


def prompt_of(settings: Act, text: str) -> str:
    """Return what an action's text is scored after."""
    return f"{text}\n{settings.question}"


def candidate_of(text: str) -> str:
    """Return an action's text as what may follow a prompt."""
    # Tokenizers of our time cut a word together with the space before it.
    return f" {text}"

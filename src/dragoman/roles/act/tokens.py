"""What a policy sees of texts when the model itself is trained: their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError
from dragoman.maths.likelihood import divisors
from dragoman.models.cache import without_memory
from dragoman.models.score import score
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune

PAD = -1
THINK = "Think first:"
"""Asks for a thought; the question follows behind it."""
LARGEST = 2**31 - 1


@runtime_checkable
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
        shortened: Number of prompts that were shortened to fit.

    Raises:
        ConfigError: The model computes elsewhere, so that it cannot be trained.
    """

    resumes = ("shortened",)

    def __init__(self, settings: Act, tune: Tune, count: int, model: Any) -> None:
        inner = without_memory(model)
        if not isinstance(inner, Cutter):
            raise ConfigError(
                f"act.tune is set, but {model.name!r} is no model of Transformers in this process",
                cure="name a model that is loaded here, or leave act.tune out",
            )
        self._cutter = inner
        self._model = model
        self.settings = settings
        self.tune = tune
        self._count = count
        self.shortened = 0
        ids = (PAD, LARGEST)
        self.spaces: dict[str, gym.Space[Any]] = {
            "prompt": gym.spaces.Box(*ids, (tune.max_prompt,), np.int32)
        }
        if count and (settings.reads_candidates or settings.reads_texts):
            self.spaces["candidates"] = gym.spaces.Box(*ids, (count, tune.max_action), np.int32)
        if settings.sums_candidates:
            self.spaces["divisor"] = gym.spaces.Box(1, np.inf, (count,), np.float32)
            if settings.domain is not None:
                self.spaces["domain"] = gym.spaces.Box(-np.inf, np.inf, (count,), np.float32)

    def __call__(
        self, moments: Sequence[Moment], options: Sequence[Mapping[int, str]]
    ) -> dict[str, NDArray[Any]]:
        """Return token ids of ``B`` moments and of their valid actions.

        A prompt that is too long is cut by the oldest steps of its past, if the settings allow.

        Args:
            moments: What is read.
            options: The valid actions of each, with their texts.

        Raises:
            ConfigError: A text has more tokens than the settings allow.
        """
        seen: dict[str, NDArray[Any]] = {
            name: np.full((len(moments), *(space.shape or ())), PAD, space.dtype)
            for name, space in self.spaces.items()
        }
        for i, own in enumerate(options):
            text, forgotten, past = moments[i].text, 0, moments[i].past
            while True:
                prompt, candidates = self._cut(text, own)
                fits = len(prompt) <= self.tune.max_prompt or self.tune.too_long == "error"
                if fits or forgotten == len(past):
                    break
                forgotten += 1
                text = moments[i].prompt(past[forgotten:])
            self.shortened += forgotten > 0
            self._fill(seen["prompt"][i], prompt, text, "max_prompt")
            for (action, name), ids in zip(own.items(), candidates, strict=bool(candidates)):
                self._fill(seen["candidates"][i, action], ids, name, "max_action")
            if "divisor" in seen:
                self._weigh(seen, i, own, candidates)
        return seen

    def _cut(
        self, text: str, options: Mapping[int, str]
    ) -> tuple[list[int], Sequence[Sequence[int]]]:
        """Return the tokens of a prompt, and of the action texts where the policy reads them."""
        if self.settings.reads_candidates:
            question = question_of(self.settings, text, self._model)
            answers = [answer_of(self.settings, name) for name in options.values()]
            result = self._cutter.continuations(question, answers)
            return result.prompt, result.candidates
        (prompt,) = self._cutter.token_ids([text])
        if not (self.settings.reads_texts and options):
            return prompt, ()
        names = [self.settings.template.replace("{action}", name) for name in options.values()]
        return prompt, self._cutter.token_ids(names)

    def _weigh(
        self,
        seen: dict[str, NDArray[Any]],
        i: int,
        options: Mapping[int, str],
        candidates: Sequence[Sequence[int]],
    ) -> None:
        """Fill in what sums of log-probs are divided by, and what is subtracted after that."""
        seen["divisor"][i] = 1.0
        if "domain" in seen:
            seen["domain"][i] = 0.0
        if not options:
            return
        places, how = list(options), self.settings.divides_by
        tokens = [len(ids) for ids in candidates]
        seen["divisor"][i, places] = divisors(tokens, list(options.values()), how)
        if self.settings.domain is not None:
            answers = [answer_of(self.settings, name) for name in options.values()]
            (scores,) = score(self._model, [self.settings.domain], [answers], normalisation=how)
            seen["domain"][i, places] = scores

    def _fill(self, row: NDArray[Any], ids: Sequence[int], text: str, setting: str) -> None:
        if len(ids) > len(row):
            raise ConfigError(
                f"a text has {len(ids)} tokens, but act.tune.{setting} is {len(row)}: "
                f"{text[:60]!r}...",
                cure=f"raise act.tune.{setting}, or describe less",
            )
        row[: len(ids)] = ids


def question_of(settings: Act, text: str, model: Any) -> str:
    """Return what an action's text is scored after.

    Args:
        settings: The act role.
        text: What describes the moment.
        model: The language model, around or without a memory.
    """
    question = f"{text}\n{THINK if settings.think else settings.question}"
    if not settings.chat:
        return question
    chat = getattr(without_memory(model), "chat", None)
    if chat is None:
        raise ConfigError(
            f"act.chat is on, but {model.name!r} says nothing of how it chats",
            cure="set act.chat to false, or name a model that is loaded here",
        )
    said: str = chat(question)  # which knows what in it is the template's own
    return said


def answer_of(settings: Act, text: str) -> str:
    """Return an action's text as what may follow the question."""
    # Tokenizers of our time cut a word together with the space before it; an answer in a chat
    # starts a line.
    return text if settings.chat else f" {text}"

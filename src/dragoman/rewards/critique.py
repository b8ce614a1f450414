"""A judge in text: the model writes what it thinks of a state, and a score."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.generation import Generation, Json, Sampling
from dragoman.types import GeneratingModel

PROMPT = (
    "{task}\nObservation: {text}\n{question}\n"
    'Write JSON: first "critique", one short sentence about how the situation stands, then '
    '"score", a whole number from 0 (hopeless) to {most} (reached).\nJSON: '
)


@dataclass(frozen=True)
class Critic:
    """The model's written judgement of a state, as a score from 0 to 1.

    The critique is written before the score, so that the score may follow from it. Its text is
    kept by the model's memory and shown in the replay. What does not parse is an error of that
    text, which ``on_error`` of the reward's term stops or skips.

    Attributes:
        question: What is asked of the state.
        task: What the prompt begins with.
        most: The best score.
        critique_length: Most characters of a critique.
        max_tokens: Most tokens of an answer.
    """

    question: str = "How near is this to what should be achieved?"
    task: str = ""
    most: int = 10
    critique_length: int = 160
    max_tokens: int = 96

    def __post_init__(self) -> None:
        for name in ("most", "critique_length", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} of the critic is {getattr(self, name)}, but must be at least 1",
                    cure=f"raise {name}",
                )

    @property
    def constraint(self) -> Json:
        """What an answer must be."""
        properties = {
            "critique": {"type": "string", "maxLength": self.critique_length},
            "score": {"type": "integer", "minimum": 0, "maximum": self.most},
        }
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return Json(json.dumps(schema))

    def __call__(self, texts: Sequence[str], *, model: GeneratingModel) -> NDArray[np.float64]:
        """Return ``(B,)`` scores from 0 to 1.

        Raises:
            ValueError: An answer holds no score.
        """
        scores = [self._read(written)[1] for written in self._written(texts, model)]
        return np.array(scores, dtype=np.float64) / self.most

    def critique(self, text: str, *, model: GeneratingModel) -> str:
        """Return what the model says of a text, with its score."""
        said, score = self._read(self._written([text], model)[0])
        return f"{said} ({score} of {self.most})"

    def _written(self, texts: Sequence[str], model: GeneratingModel) -> list[Generation]:
        prompts = [
            PROMPT.format(task=self.task, text=text, question=self.question, most=self.most)
            for text in texts
        ]
        return model.generate(
            [prompt.lstrip() for prompt in prompts],
            sampling=Sampling(max_tokens=self.max_tokens),
            constraint=self.constraint,
        )

    def _read(self, written: Generation) -> tuple[str, int]:
        """Return critique and score of an answer."""
        try:
            answer = json.loads(written.text)
            said, score = str(answer["critique"]), answer["score"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"the model wrote {written.text!r}, which is no critique with a score"
            ) from None
        if isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= self.most:
            raise ValueError(f"the model gave the score {score!r}, not one of 0 to {self.most}")
        return re.sub(r"\s+", " ", said).strip(), score

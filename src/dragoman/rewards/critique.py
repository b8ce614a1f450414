"""A judge in text: the model writes what it thinks of a state, and a score."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.generation import Generation, Json, Sampling
from dragoman.types import GeneratingModel

HEAD = "{task}\nObservation: {text}\n{question}\n"
SCALE = "a whole number from 0 (hopeless) to {most} (reached)"
PROMPTS = {
    "json": HEAD + "Answer with one line of JSON that has a short critique of the situation and a "
    f"score, {SCALE}, such as "
    '{{"critique": "Nothing is done yet.", "score": {low}}} or '
    '{{"critique": "It is almost there.", "score": {high}}}\nAnswer: ',
    "text": HEAD + "Write one short sentence about the situation, and then a score, "
    f"{SCALE}, such as\nNothing is done yet. Score: {{low}}\nor\n"
    "It is almost there. Score: {high}\nAnswer: ",
}
SCORE = re.compile(r"\b(?:score|answer)\b\D{0,12}(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Critic:
    """The model's written judgement of a state, as a score from 0 to 1.

    The critique is written before the score, so that the score may follow from it. Both are kept
    in the run folder and shown in the replay. What does not parse is an error of that text, which
    ``on_error`` of the reward's term stops or skips.

    Attributes:
        question: What is asked of the state.
        task: What the prompt begins with.
        most: The best score.
        form: ``json`` constrains the answer, which a model on this machine always keeps to and
            a server where it takes JSON schemas. ``text`` reads the first "score: 7" or "the
            answer is 7" of a free text, for the others.
        critique_length: Most characters of a critique in JSON.
        max_tokens: Most tokens of an answer.
    """

    question: str = "How near is this to what should be achieved?"
    task: str = ""
    most: int = 10
    form: Literal["json", "text"] = "json"
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
        """What an answer in JSON must be."""
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
        low, high = round(0.1 * self.most), round(0.8 * self.most)
        own = {"task": self.task, "question": self.question}
        prompts = [
            PROMPTS[self.form].format(text=text, most=self.most, low=low, high=high, **own)
            for text in texts
        ]
        return model.generate(
            [prompt.lstrip() for prompt in prompts],
            sampling=Sampling(max_tokens=self.max_tokens),
            constraint=self.constraint if self.form == "json" else None,
        )

    def _read(self, written: Generation) -> tuple[str, int]:
        """Return critique and score of an answer."""
        said, score = (self._json if self.form == "json" else self._text)(written.text)
        if isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= self.most:
            raise ValueError(f"the model gave the score {score!r}, not one of 0 to {self.most}")
        return re.sub(r"\s+", " ", said).strip(), score

    def _json(self, text: str) -> tuple[str, object]:
        try:
            answer = json.loads(text)
            return str(answer["critique"]), answer["score"]
        except (ValueError, TypeError, KeyError):
            raise _no_critique(text) from None

    def _text(self, text: str) -> tuple[str, object]:
        # The first one: what a model goes on to write is about something else.
        found = SCORE.search(text)
        if found is None:
            raise _no_critique(text)
        return text[: found.end()], int(found[1])


def _no_critique(text: str) -> ValueError:
    return ValueError(f"the model wrote {text!r}, which is no critique with a score")

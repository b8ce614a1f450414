"""A judge in text: the model writes what it thinks of a state, and a score."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import ConfigError
from dragoman.generation import Generation, Json, Sampling
from dragoman.models.free_text import json_texts, score, without_thinking
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
MADE_UP = "\nObservation:"
"""Where a model that goes on writes the next situation itself."""


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
            a server where it takes JSON schemas. ``text`` reads the last "score: 7" or "the
            answer is 7" of a free text, for the others; it may be a decimal number there.
        critique_length: Most characters of a critique in JSON.
        max_tokens: Most tokens of an answer; a model that thinks first needs more.
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

    def _read(self, written: Generation) -> tuple[str, float]:
        """Return critique and score of an answer."""
        said, given = (self._json if self.form == "json" else self._text)(written)
        numbers = (int,) if self.form == "json" else (int, float)
        is_number = isinstance(given, numbers) and not isinstance(given, bool)
        if not is_number or not 0 <= given <= self.most:
            raise ValueError(f"the model gave the score {given!r}, not one of 0 to {self.most}")
        return re.sub(r"\s+", " ", said).strip(), given

    def _json(self, written: Generation) -> tuple[str, Any]:
        for part in json_texts(written.text):
            try:
                answer = json.loads(part)
                return str(answer["critique"]), answer["score"]
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
        raise ValueError(f"the model wrote {written.text!r}, which is no critique with a score")

    def _text(self, written: Generation) -> tuple[str, Any]:
        answer = without_thinking(written.text).split(MADE_UP)[0]
        try:
            result, said = score(answer, self.most)
            if written.finish == "length" and said == answer:
                raise ValueError("was cut off within the score or right behind it")
        except ValueError as error:
            raise ValueError(
                f"the model wrote {written.text!r}, which is no critique with a score: it {error}"
            ) from None
        return said, int(result) if result.is_integer() else result

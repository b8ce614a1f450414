"""Pairs of states, which of them the model prefers, and the file that keeps its choices."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from dragoman.errors import ConfigError
from dragoman.generation import Generation, Sampling
from dragoman.models.free_text import without_thinking
from dragoman.models.score import score
from dragoman.types import LanguageModel

By: TypeAlias = Literal["logits", "odds", "text"]

PROMPT = (
    "{task}\nSituation 1: {first}\nSituation 2: {second}\n{question} "
    "Answer with 1 or 2{tie}.\nAnswer:"
)
CHOICES = (" 1", " 2")
FIRST_LINE = re.compile(r"\W*(?:(?:answer|situation)\W*)*([12])\W*(?:\n|$)", re.IGNORECASE)
LABELLED = re.compile(
    r"\b(?:answer|choice)\b\W*(?:is\W*)?(?:situation\W*)?([12])(?!\w|[.,/]\d)", re.IGNORECASE
)
AT_THE_END = re.compile(
    r"\b(?:situation|number|option|take|choose|chose|pick|prefer|select|so"
    r"|(?:one|choice|better|best|situation) is)\W*(?:is\W*)?([12])\W*$",
    re.IGNORECASE,
)
A_TIE = re.compile(r"\b(neither|tie|none|equal|equally|identical)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Annotation:
    """What the model has chosen between two states, asked in both orders.

    Attributes:
        first: Text of one state.
        second: Text of the other.
        choices: Which it chose in the order as here, and with the two swapped: 1 for ``first``,
            2 for ``second``, 0 for neither, ``None`` where its answer could not be read.
        label: 0 where it prefers the first, 1 where it prefers the second, 0.5 for a tie: it
            said so, could not be read, or (but for ``odds``) chose by the place and not by the
            state.
        prompt: Digest of the wording of the prompt.
        model: The model's name.
    """

    first: str
    second: str
    choices: tuple[int | None, int | None]
    label: float
    prompt: str
    model: str

    @property
    def is_swapped(self) -> bool:
        """Whether it chose the same place twice, so two different states."""
        return set(self.choices) == {1, 2}


@dataclass(frozen=True)
class Asking:
    """How the model is asked about a pair.

    Attributes:
        question: Which situation is the better one.
        task: What the prompt begins with.
        by: ``logits`` takes the likelier of "1" and "2", in each order; ``odds`` that by the mean
            of their log-odds over both orders, in which a liking for a place cancels; ``text``
            reads what the model writes, which may be a tie.
        max_tokens: Most tokens of what it writes.
    """

    question: str
    task: str
    by: By
    max_tokens: int = 48

    @property
    def digest(self) -> str:
        """Digest of the wording: annotations by another wording are others."""
        words = f"{PROMPT}\n{self.question}\n{self.task}\n{self.by}"
        if self.by == "text":
            words += f"\n{self.max_tokens}"
        return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()

    def annotate(self, pairs: Sequence[tuple[str, str]], model: LanguageModel) -> list[Annotation]:
        """Return the model's choice for each pair, asked in both orders."""
        orders = [*pairs, *((second, first) for first, second in pairs)]
        prompts, count = self._prompts(orders), len(pairs)
        if self.by == "text":
            sampling = Sampling(max_tokens=self.max_tokens)
            written = model.generate(prompts, sampling=sampling)  # type: ignore[attr-defined]
            answers = [_parsed(item) for item in written]
        else:
            scores = score(model, prompts, [CHOICES] * len(prompts))  # type: ignore[arg-type]
            odds = np.array([two - one for one, two in scores])  # (2B,), of "2" against "1"
            # Equal scores are a tie, which only a model without an opinion gives.
            answers = [0 if item == 0 else int(item > 0) + 1 for item in odds]
        chosen = list(zip(answers[:count], map(_turn, answers[count:]), strict=True))
        if self.by == "odds":
            labels = (0.5 + 0.5 * np.sign(odds[:count] - odds[count:])).tolist()
        else:
            labels = [_label(item) for item in chosen]
        return [
            Annotation(first, second, choices, label, self.digest, model.name)
            for (first, second), choices, label in zip(pairs, chosen, labels, strict=True)
        ]

    def _prompts(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        return [
            PROMPT.format(
                task=self.task,
                first=first,
                second=second,
                question=self.question,
                tie=", or with neither" if self.by == "text" else "",
            ).lstrip()
            for first, second in pairs
        ]


def _parsed(written: Generation) -> int | None:
    """Return the choice of an answer: alone in its first line, labelled, or where reasons end.

    Situations hold numbers of their own, so that no other 1 or 2 counts, nor the end of a text
    that was cut off, nor what a model thinks before it answers.
    """
    answer = without_thinking(written.text).strip()
    labelled = [int(item) for item in LABELLED.findall(answer)]
    result = FIRST_LINE.match(answer)
    if result is None and not labelled and written.finish == "stop":
        result = AT_THE_END.search(answer)
    if result is not None or labelled:
        return int(result[1]) if result is not None else labelled[-1]
    return 0 if A_TIE.search(answer) else None


def _turn(choice: int | None) -> int | None:
    return {1: 2, 2: 1}.get(choice, choice) if choice is not None else None


def _label(choices: tuple[int | None, int | None]) -> float:
    if choices[0] != choices[1] or choices[0] not in (1, 2):
        return 0.5
    return float(choices[0] - 1)


def rates(annotations: Sequence[Annotation]) -> dict[str, float]:
    """Return shares of pairs: ties, answers that could not be read, choices by the place alone."""
    count = max(len(annotations), 1)
    unread = sum(annotation.choices.count(None) for annotation in annotations)
    return {
        "pairs": len(annotations),
        "tie_rate": sum(annotation.label == 0.5 for annotation in annotations) / count,
        "parse_failure_rate": unread / (2 * count),
        "swap_bias_rate": sum(annotation.is_swapped for annotation in annotations) / count,
    }


def sample_pairs(texts: Sequence[str], count: int, seed: int) -> list[tuple[str, str]]:
    """Return different pairs of different texts, drawn by a seed; fewer where there are fewer.

    Raises:
        ConfigError: There are no two different texts.
    """
    distinct = list(dict.fromkeys(texts))
    most = len(distinct) * (len(distinct) - 1) // 2
    if not most:
        raise ConfigError(
            f"random play met {len(distinct)} different texts, of which no pair can be made",
            cure="raise rollout_steps, or describe more of the observation",
        )
    generator = np.random.default_rng(seed)
    result: dict[tuple[int, int], None] = {}
    while len(result) < min(count, most):
        i, j = generator.choice(len(distinct), 2, replace=False).tolist()
        if (i, j) not in result and (j, i) not in result:
            result[i, j] = None
    return [(distinct[i], distinct[j]) for i, j in result]


def read_annotations(file: Path) -> list[Annotation]:
    """Return the annotations of a file, of whatever wording and model; none where it is missing.

    Raises:
        ConfigError: A line is no annotation.
    """
    if not file.is_file():
        return []
    result = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            data: dict[str, Any] = json.loads(line)
            result.append(Annotation(**{**data, "choices": tuple(data["choices"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"line {number} of {file} is no annotation: {error}", cure="mend or remove the line"
            ) from None
    return result


def append_annotations(file: Path, annotations: Sequence[Annotation]) -> None:
    """Append annotations to a file, one line of JSON each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        for annotation in annotations:
            lines.write(json.dumps(asdict(annotation), ensure_ascii=False) + "\n")

"""What a model answers in free text, after it has thought, around Markdown, and in sentences."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Callable, Sequence

THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""What models write before and after they think; a new model family is one more line."""

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
QUOTES = " \t\r\n\"'“”‘’`*_.,;:!()[]{}"  # noqa: RUF001
"""What may stand around an answer without changing it."""

ANSWER = re.compile(
    r"(?:\b(?:answer|choice|choose|decision)\b|\\boxed(?=\{))"
    r"[\s:=*_\"'`()\[\]{]*(?:(?:is|would be|should be)\b[\s:*_\"'`(\[]*)?([^\n]*)",
    re.IGNORECASE,
)
NUMBER = r"(?:(?<![^\s:=*_(\[{\"'`])[-+−])?\d+(?:\.\d+)?"  # noqa: RUF001
LABEL = re.compile(r"\b(?:score|rating|grade|answer)\b|\\boxed(?=\{)", re.IGNORECASE)
BETWEEN = re.compile(
    r"(?:[\s:=,*_\"'`()\[\]{|>~–—-]"  # noqa: RUF001
    r"|\b(?:i|is|of|as|at|a|an|it|this|that|the|to|for|here|now|be|would|will|should|give|assign"
    r"|state|situation|equals)\b)*?(?=" + NUMBER + ")",
    re.IGNORECASE,
)
VALUE = re.compile(
    rf"({NUMBER})(?P<rest>\s*(?:[-–]|to\b|or\b)\s*\d|[.,]\d|\s*%|\w)?"  # noqa: RUF001
    r"(?:[\s*_\"'`)\]}]*(?:/|\bout of\b|\bof\b)[\s*_]*(?P<scale>\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)


def without_thinking(text: str) -> str:
    """Return a text without what the model has thought before it answered.

    Where the prompt's template opens the thought, the text holds only its end. A thought that was
    cut off holds no answer.
    """
    for begin, end in THINKING:
        text = _without(text, begin, end)
    return text


def _without(text: str, begin: str, end: str) -> str:
    # One walk over the marks: a pattern from mark to mark would take the square of their number.
    marks = re.finditer(rf"({re.escape(begin)})|{re.escape(end)}", text, re.IGNORECASE)
    kept: list[str] = []
    place, opened = 0, None
    for mark in marks:
        if mark[1]:
            opened = mark.start() if opened is None else opened
            continue
        # An end without a beginning: all before it was thought.
        kept = [] if opened is None else [*kept, text[place:opened]]
        place, opened = mark.end(), None
    return "".join(kept) + text[place:opened]


def fenced_blocks(text: str) -> list[str]:
    """Return what stands between fences of Markdown, each without its own indentation.

    A last block without an end was cut off and reaches to the end of the text.
    """
    blocks, place = [], 0
    while opening := FENCE.search(text, place):
        fence, line = opening[1], opening[0].strip()
        start = opening.end()
        # Small models write the line that names the language twice.
        if line != fence and (
            again := re.compile(rf"\n[ \t]*{re.escape(line)}$", re.M).match(text, start)
        ):
            start = again.end()
        closing = re.compile(
            rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.MULTILINE
        ).search(text, start)
        end = len(text) if closing is None else closing.start()
        blocks.append(textwrap.dedent(text[start + 1 : end]))
        place = len(text) if closing is None else closing.end()
    return blocks


def json_texts(text: str) -> list[str]:
    """Return what may be the JSON of an answer: all of it, its fenced blocks, its last object."""
    answer = without_thinking(text).strip()
    return [answer, *reversed(fenced_blocks(answer)), *_last_object(answer)]


def chosen(text: str, options: Sequence[str]) -> str | None:
    """Return the option that an answer names, or ``None`` where it names none or several.

    It may be all of the answer, what follows the last "answer is" or "answer:", or stand alone in
    a line; in other capitals, within quotes or Markdown, and before a full stop.
    """
    answer = without_thinking(text)
    # An option may itself begin or end with a space.
    exact = next((option for option in options if option.strip() == answer.strip()), None)
    if exact is not None:
        return exact
    known: dict[str, list[str]] = {}
    for option in options:
        known.setdefault(_plain(option), []).append(option)
    meant = {plain: own[0] for plain, own in known.items() if plain and len(own) == 1}
    return _named(answer, lambda part: meant.get(_plain(part)))


def integer(text: str) -> str | None:
    """Return the whole number that an answer is, in the same places as by `chosen`."""

    def read(part: str) -> str | None:
        # Python refuses to read a number of more than 4300 digits.
        result = re.fullmatch(r"-?[0-9]{1,4000}", part.strip(QUOTES))
        return result[0] if result else None

    return _named(without_thinking(text), read)


def score(text: str, most: int) -> tuple[float, str]:
    """Return the last number of an answer that is labelled as its score, and the answer so far.

    "Score: 8", "**Score:** 8/10", "a score of 8 out of 10", "Score (0-10): 8", or the number alone
    in the last line. A range of the scale, as in "a score from 0 to 10", is no score.

    Args:
        text: What the model has written.
        most: The best score.

    Raises:
        ValueError: It holds no score, or one that is ambiguous: a range, a percentage, another
            scale.
    """
    answer = without_thinking(text)
    searched = _without_scale(answer, most)
    for label in reversed(list(LABEL.finditer(searched))):
        between = BETWEEN.match(searched, label.end())
        if between is not None:
            return _value(answer, between.end(), most)
    lines = answer.rstrip().splitlines() or [""]
    alone = re.fullmatch(rf"[\s*_`]*({NUMBER}(?:\s*(?:/|out of)\s*\d+)?)[\s*_`.]*", lines[-1])
    if alone is not None:
        return _value(answer, len(answer.rstrip()) - len(lines[-1]) + alone.start(1), most)
    raise ValueError("holds no score")


def _without_scale(answer: str, most: int) -> str:
    """Return an answer of the same length in which the scale itself is blank."""
    scale = rf"\b(?:(?:from|between)\s+)?[01]\s*(?:-|–|to|and)\s*{most}\b(?![.,]\d)"  # noqa: RUF001
    out_of = rf"(?<![\d*_\s])\s*\(?\b(?:out of|of)\s+{most}\b\)?(?=\W*[:=])"
    return re.sub(rf"{scale}|{out_of}", lambda found: " " * len(found[0]), answer, flags=re.I)


def _value(answer: str, place: int, most: int) -> tuple[float, str]:
    result = VALUE.match(answer, place)
    number = math.inf if result is None else float(result[1].replace("−", "-"))  # noqa: RUF001
    is_scaled = result is not None and float(result["scale"] or most) == most
    # A number of hundreds of digits is infinite.
    if result is None or result["rest"] or not is_scaled or not math.isfinite(number):
        shown = " ".join(answer[place : place + 20].split())
        raise ValueError(f"gives {shown!r} as its score, which could mean several")
    return number, answer[: result.end(1)]


def _named(answer: str, read: Callable[[str], str | None]) -> str | None:
    """Return what is read in all of an answer, after its last label, or alone in a line."""
    whole = read(answer)
    if whole is not None:
        return whole
    for label in reversed(list(ANSWER.finditer(answer))):
        result = read(label[1])
        if result is not None:
            return result
    alone = {result for result in map(read, answer.splitlines()) if result is not None}
    return alone.pop() if len(alone) == 1 else None


def _plain(text: str) -> str:
    return " ".join(text.strip(QUOTES).casefold().split())


def _last_object(text: str) -> list[str]:
    decoder, place, result = json.JSONDecoder(), text.find("{"), ""
    while place >= 0:
        try:
            _, end = decoder.raw_decode(text, place)
            result = text[place:end]
        except (ValueError, RecursionError):
            end = place + 1
        place = text.find("{", end)
    return [result] if result else []

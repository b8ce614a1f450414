"""What models answer in free text: after a thought, around Markdown, and in sentences."""

from __future__ import annotations

import json

import pytest

from dragoman.models.free_text import (
    THINKING,
    chosen,
    fenced_blocks,
    integer,
    json_texts,
    score,
    without_thinking,
)

SCORES = {
    "Score: 8": 8,
    "I should give a score from 0 to 10. Score: 8": 8,
    "<think>\nI should give a score from 0 to 10.\n</think>\n\nAlmost there. Score: 8": 8,
    "<think>Score: 3</think>Score: 4": 4,
    "Score: 3</think>Score: 4": 4,
    "Score: 7\nScore: 1": 1,
    "Score: 5\nWait.\nFinal score: 8": 8,
    "Score: 8. I gave this score because of 3 boxes": 8,
    "**Score:** 8/10": 8,
    "**Score:** **8** / 10": 8,
    "My score is **7** of 10": 7,
    "Score: 8 out of 10": 8,
    "Score (0-10): 8": 8,
    "Score (0–10): 8": 8,
    "Score out of 10: 8": 8,
    "the score, from 0 to 10, is 7.5": 7.5,
    "A score between 1 and 10.\n**Score**\n\n9": 9,
    "### Score\n8": 8,
    "| Score | 8 |": 8,
    "Score - 8": 8,
    "Score-8": 8,
    "Score: +8": 8,
    "Score: -3": -3,
    "Score: −3": -3,
    "Score: 8, because it leans": 8,
    "Score: 10/10": 10,
    "Rating: 8 / 10": 8,
    "I would score it 8.": 8,
    "I'd give this a score of 8": 8,
    "The answer is 7.": 7,
    "\\boxed{8}": 8,
    '{"critique": "a 3", "score": 8}': 8,
    "8": 8,
    "It leans.\n**8/10**": 8,
}
NO_SCORES = {
    "": "holds no score",
    "It stands at row 3 of 10.": "holds no score",
    "I should give a score from 0 to 10.": "holds no score",
    "A score between 0 and 10": "holds no score",
    "<think>Score: 3": "holds no score",
    "Score: 7-8": "gives '7-8'",
    "Score: 7 to 8": "gives '7 to 8'",
    "Score: 7 or 8": "gives '7 or 8'",
    "Score: 80%": "gives '80%'",
    "Score: 4/5": "gives '4/5'",
    "Score: 4 out of 5": "gives '4 out of 5'",
    "Score: 1,5": "gives '1,5'",
    "Score: 8th": "gives '8th'",
}
CHOICES = {
    "left": "left",
    "Left.": "left",
    "LEFT": "left",
    "**left**": "left",
    '"left"': "left",
    "<think>\nright or left?\n</think>\n\nleft": "left",
    "right or left?\n</think>\n\nleft": "left",
    "The answer is left.": "left",
    "Answer: right\nWait.\nAnswer: **Left**": "left",
    "\\boxed{left}": "left",
    "left\n\nBecause right is bad.": "left",
    "left or right": None,
    "left\nright": None,
    "Answer: left or right": None,
    "I will not go left.": None,
    "<think>left": None,
    "": None,
}
INTEGERS = {
    "7": "7",
    " -5\n": "-5",
    "**7**": "7",
    "<think>8?</think>7": "7",
    "The answer is 7.": "7",
    "I count 3 rows.\n7": "7",
    "7.0": None,
    "3 or 7": None,
    "9" * 5000: None,
}
OBJECTS = {
    '{"a": 7}': 7,
    '```json\n{"a": 7}\n```': 7,
    '<think>{"a": 1}</think>\n{"a": 7}': 7,
    'Sure: {"a": 7}. Anything else?': 7,
    'A draft:\n```\n{"a": 1}\n```\nMended:\n```\n{"a": 7}\n```\n': 7,
}


@pytest.mark.parametrize("text", SCORES)
def test_scores(text: str) -> None:
    assert score(text, 10)[0] == SCORES[text]


@pytest.mark.parametrize("text", NO_SCORES)
def test_what_is_no_clear_score_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=NO_SCORES[text]):
        score(text, 10)


def test_the_scale_is_the_one_that_was_asked_for() -> None:
    assert score("Score (0-5): 4/5", 5)[0] == 4
    with pytest.raises(ValueError, match="gives '4/10'"):
        score("Score: 4/10", 5)


@pytest.mark.parametrize("text", CHOICES)
def test_choices(text: str) -> None:
    assert chosen(text, ("left", "right")) == CHOICES[text]


def test_options_that_differ_by_little_are_kept_apart() -> None:
    assert chosen("left", ("left", "Left")) == "left"
    assert chosen("LEFT", ("left", "Left")) is None
    assert chosen("+", ("+", "-")) == "+"
    assert chosen("a", (" a", "b")) == " a"
    assert chosen("-1.", ("1", "-1")) == "-1"
    assert chosen("Go to the kitchen", ("go to the kitchen.", "wait")) == "go to the kitchen."


@pytest.mark.parametrize("text", INTEGERS)
def test_integers(text: str) -> None:
    assert integer(text) == INTEGERS[text]


@pytest.mark.parametrize("text", OBJECTS)
def test_objects(text: str) -> None:
    read = []
    for part in json_texts(text):
        try:
            read.append(json.loads(part)["a"])
        except ValueError:
            continue
    assert read[0] == OBJECTS[text]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 3_000, "{" * 3_000])
def test_deep_nesting_is_no_object(text: str) -> None:
    assert json_texts(text) == [text]


@pytest.mark.parametrize(("begin", "end"), THINKING)
def test_thoughts_are_left_out(begin: str, end: str) -> None:
    assert without_thinking(f"{begin}hm\n{end}yes") == "yes"
    assert without_thinking(f"{begin}a{begin}b{end}c{end}yes") == "yes"
    assert without_thinking(f"hm{end}yes") == "yes"
    assert without_thinking(f"yes{begin}hm") == "yes"
    assert without_thinking(f"{begin}hm") == ""


def test_fences() -> None:
    assert fenced_blocks("1. So:\n   ```python\n   a\n     b\n   ```\n~~~\nc\n~~~\n") == [
        "a\n  b\n",
        "c\n",
    ]
    assert fenced_blocks("````\n```\na\n```\n````") == ["```\na\n```\n"]
    assert fenced_blocks("```\ncut o") == ["cut o"]
    assert fenced_blocks(" ```python\n```python\na\n```") == ["a\n"]
    assert fenced_blocks("```\n```\na") == [""]
    assert fenced_blocks("none ```here```") == []


def test_a_score_of_hundreds_of_digits_is_none() -> None:
    with pytest.raises(ValueError, match="which could mean several"):
        score("8" * 400, 10)

from __future__ import annotations

import pytest

from dragoman.errors import ProgramError
from dragoman.programs.source import MOST_CHARACTERS, Source, code_of


def test_code_is_found_in_an_answer() -> None:
    answer = "Here it is:\n```python\ndef f(x):\n    return x\n```\nand so\n```\nls\n```\n"
    assert code_of(answer) == "def f(x):\n    return x\n"
    assert code_of("So:\n```python\ndef f(x):\n    ret") == "def f(x):\n    ret"
    assert code_of("def f(x): return x") == "def f(x): return x"
    with pytest.raises(ProgramError, match="holds no function: 'I cannot'"):
        code_of("I cannot")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("<think>\n```\ndef f(): return 1\n```\n</think>\n```\ndef f(): return 2\n```", "F2\n"),
        ("```\ndef f(): return 1\n```\nBetter:\n```\ndef f(): return 2\n```", "F2\n"),
        ("```\ndef f(): return 2\n```\nOr:\n```\ndef f(: return 1\n```", "F2\n"),
        ("```\ndef f(): return 2\n```\nSo:\n```\nprint(f())\n```", "F2\n"),
        ("```\ndef g(): return 1\n```\nThen:\n```\ndef f(): return 2\n```", "G1\n\nF2\n"),
        ("1. So:\n   ~~~python\n   def f(): return 2\n   ~~~\n", "F2\n"),
        ("<think>hm</think>def f(): return 2", "F2"),
    ],
)
def test_drafts_and_thoughts_are_left_out(answer: str, code: str) -> None:
    expected = code.replace("F2", "def f(): return 2").replace("G1", "def g(): return 1")
    assert code_of(answer) == expected


def test_a_long_program_is_not_even_read() -> None:
    with pytest.raises(ProgramError, match="may have 10,000"):
        Source.read(" " * (MOST_CHARACTERS + 1))


def test_line_ends_of_any_kind_are_line_ends() -> None:
    assert Source.read("a = 1\r\nb = 2\rc = 3").text == "a = 1\nb = 2\nc = 3"

"""The checked part of Python: it means what Python means, and what it costs is bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import ProgramError
from dragoman.written.functions import MATH, PLAIN
from dragoman.written.names import MOST_OPERATIONS
from dragoman.written.source import MOST_CHARACTERS, Source, code_of
from dragoman.written.translate import Translated, check_signatures, translate

NAMES = ("angle", "speed", "place")
STATE = (0.3, -1.2, 2.5)
PARAMETERS = {"state": NAMES, "next_state": NAMES, "action": ()}
WANTED = {"reward": ("state", "action", "next_state")}


def function(source: str) -> Translated:
    read = Source.read(source)
    check_signatures(read, WANTED)
    return translate(read, ["reward"], PARAMETERS)["reward"]


def both(body: str, state=STATE, action: float = 1.0, head: str = ""):
    """Return what the translation gives, and what Python gives."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    source = f"{head}\ndef reward(state, action, next_state):\n{lines}\n"
    translated = function(source)
    ours = translated.call(list(state), action, list(state))
    names: dict = {"np": np, "math": math}
    exec(source, names)
    mapping = dict(zip(NAMES, state, strict=True))
    theirs = names["reward"](mapping, action, mapping)
    if not isinstance(theirs, dict):
        return ours, (theirs,)
    assert translated.terms == tuple(theirs)
    return ours, tuple(theirs.values())


BODIES = {
    "arithmetic": "return -state['angle'] ** 2 + 7 // 2 - 7 % 3 * +state['speed'] / 4",
    "truth": "return (state['angle'] > 0) + (not action) + True * 2 + (action in (1, 2))",
    "and or": "return (state['speed'] or 5) + (0 and 3) + (state['angle'] and 2)",
    "chained": "return 1.0 if -2 < state['speed'] <= 0 != action else 0.0",
    "branches": "if action == 1:\n    x = 1\nelif action:\n    x = 2\nelse:\n    x = 3\nreturn x",
    "range": "x = 0\nfor i in range(2, 20, 3):\n    x += i * state['angle']\nreturn x",
    "backwards": "x = 1\nfor i in range(5, -5, -2):\n    x = x * 0.5 + i\nreturn x",
    "keys": "x = 0\nfor name in state:\n    x += abs(state[name])\nreturn x",
    "items": "x = 0\nfor k, v in state.items():\n    x += v * next_state[k]\nreturn x",
    "some keys": "return sum(state[k] ** 2 for k in ('angle', 'place'))",
    "break": "x = 0\nfor i in range(9):\n    if i > 4:\n        break\n    if i == 2:\n"
    "        continue\n    x += i\nreturn x",
    "one name for two loops": "x = 0\nfor i in range(3):\n    x += i\nfor i in state:\n"
    "    x += state[i]\nreturn x",
    "sum": "return sum(v * v for v in state.values() if v > 0) + sum([1, 2, action])",
    "extremes": "return max(state.values()) - min(1, action, state['speed'])",
    "get": "return state.get('angle', 0.0) + len(state)",
    "unpacking": "a, b = state['angle'], 2\na, b = b, a\nreturn a * 10 + b",
    "chained names": "a = b = state['speed']\na += 1\nreturn a * b",
    "terms": "return {'b': state['angle'], 'a': 2}",
    "terms by name": "t = {'b': 1}\nt['a'] = t['b'] + action\nt['b'] -= 3\nreturn t",
    "terms from terms": "t = {}\nt['b'] = 1\nt['a'] = t['b'] * 2\nreturn t",
    "numpy": "return np.clip(state['place'], -1, 1) + np.tanh(action) + np.sign(-2.5) + np.pi",
    "docstring": "'''Says what it does.'''\nx: float = round(state['place'], 1)\nreturn x",
    "rounding": "return int(state['speed']) + round(state['place']) + math.floor(-1.5)",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("action", [0.0, 1.0, 2.0])
def test_it_means_what_python_means(name: str, action: float) -> None:
    ours, theirs = both(BODIES[name], action=action)
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert all(type(one) is float for one in ours)


def test_helpers_constants_and_imports() -> None:
    head = (
        "import math as m\nfrom math import exp, pi\nimport numpy\nGOAL = 2 * pi\n"
        "def tilt(state, scale):\n    return m.sin(state['angle']) * scale\n"
        "def twice(x):\n    return 2 * x\n"
    )
    body = "return twice(tilt(next_state, GOAL)) + exp(-1) + numpy.sqrt(4) + twice(twice(1))"
    ours, theirs = both(body, head=head)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_functions_that_nobody_asked_for_do_not_disturb() -> None:
    head = (
        "def features(state):\n    return {'a': 1}\n"
        "def potential(state):\n    return state['angle']\n"
    )
    ours, theirs = both("return potential(next_state) * 2", head=head)
    assert ours == pytest.approx(theirs)
    with pytest.raises(ProgramError, match="features cannot be called"):
        both("return features(state)", head=head)


expressions = st.recursive(
    st.sampled_from(["state['angle']", "state['speed']", "action", "2", "0.5", "True"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, st.sampled_from(["<", ">=", "==", "and", "or"]), inner).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        st.tuples(st.sampled_from(["abs", "float", "math.tanh", "not ", "-"]), inner).map(
            lambda p: f"({p[0]}({p[1]}))"
        ),
    ),
    max_leaves=12,
)


@given(expressions, st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=200, deadline=None)
def test_any_expression_means_what_python_means(text: str, angle: float, speed: float) -> None:
    try:
        expected = eval(
            text, {"state": {"angle": angle, "speed": speed}, "action": 1.0, "math": math}
        )
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            both(f"return {text}", state=(angle, speed, 0.0))
        return
    ours, _ = both(f"return {text}", state=(angle, speed, 0.0))
    assert ours == pytest.approx((float(expected),), rel=1e-12, nan_ok=True)


def test_every_function_gives_a_float() -> None:
    for table in (PLAIN, MATH):
        for name, allowed in table.items():
            one = 1.5 if name == "acosh" else 0.5
            assert type(allowed.call(*[one] * allowed.least)) is float, name


def test_the_cost_is_counted_beforehand() -> None:
    def loops(turns: int) -> str:
        return (
            "def reward(state, action, next_state):\n    x = 0\n"
            f"    for i in range({turns}):\n        for j in range(10):\n            x += i * j\n"
            "    return x\n"
        )

    small, large = function(loops(10)), function(loops(100))
    assert 8 * small.operations < large.operations <= MOST_OPERATIONS
    with pytest.raises(ProgramError, match=r"line 5 'x \+= i \* j': a call could take more than"):
        function(loops(1000))


def test_errors_quote_the_line() -> None:
    source = "def reward(state, action, next_state):\n    x = 1\n    return x @ 2\n"
    with pytest.raises(ProgramError) as caught:
        function(source)
    assert caught.value.problem == "line 3 'return x @ 2': the operator MatMult is not allowed"


def test_the_program_itself_never_runs() -> None:
    """No name, text or number of the source that was not checked reaches the translation."""
    found = function("def reward(state, action, next_state):\n    evil = 3\n    return evil\n")
    code = found.call.__code__
    names = (*code.co_names, *code.co_varnames)
    assert "evil" not in names
    assert all(name.startswith("n") and name[1:].isdigit() for name in names)
    assert found.call.__globals__["__builtins__"] == {}


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

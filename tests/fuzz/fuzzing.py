"""What every kind of fuzzed input has in common: how many, how long, and what may come out."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dragoman.errors import DragomanError

T = TypeVar("T")

MANY = 1000
"""Inputs of each kind in the slow tier."""
SECONDS = 20
"""What takes longer hangs."""

FAST = settings(max_examples=50, derandomize=True, deadline=None, database=None)
THOROUGH = settings(
    max_examples=MANY,
    deadline=None,
    database=None,
    print_blob=True,
    # The first input that fails is told at once: to make it smaller takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck],
)
TIERS = [pytest.param(FAST, id="fast"), pytest.param(THOROUGH, id="1000", marks=pytest.mark.slow)]


def fuzzed(few: int = FAST.max_examples, **inputs: st.SearchStrategy[Any]) -> Callable[..., Any]:
    """Make a test of a check of one input; its other arguments are fixtures.

    Args:
        few: Inputs in the fast tier, always the same ones. The slow tier draws a thousand others.
        inputs: How each argument is drawn.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        fixtures = [name for name in inspect.signature(check).parameters if name not in inputs]

        @pytest.mark.parametrize("tier", TIERS)
        def test(tier: settings, request: pytest.FixtureRequest) -> None:
            others = {name: request.getfixturevalue(name) for name in fixtures}

            def one(**values: Any) -> None:
                with limited():
                    check(**values, **others)

            # So that inputs differ between tests, and are the same in every run.
            one.__qualname__ = one.__name__ = check.__name__
            own = tier if tier is not FAST else settings(tier, max_examples=few)
            own = settings(own, suppress_health_check=[*HealthCheck])
            own(given(**inputs)(one))()

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        test.__module__ = check.__module__
        return test

    return decorate


def outcome(call: Callable[..., T], *values: Any, **named: Any) -> T | DragomanError:
    """Return what a call returns, or the error of ours that it raises; any other passes."""
    try:
        return call(*values, **named)
    except DragomanError as error:
        result = error
    assert result.problem.strip()
    assert result.cure.strip()
    # A person reads it.
    assert len(str(result)) < 5000, str(result)[:300]
    return result


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Fail what takes too long."""

    def late(number: int, frame: Any) -> None:
        raise TimeoutError(f"has not ended after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


CONTROL = ["<|endoftext|>", "<|im_end|>", "</s>", "<think>", "[INST]", "\x00", "\ud800", "\udfff"]
ODD = [
    "",
    " ",
    "\n",
    "\t\r\n",
    "\u202e",
    "\ufeff",
    "{x}",
    "{",
    "%s",
    "'",
    '"',
    "\\",
    "e\u0301" * 40,
]

# Hypothesis draws no half of a surrogate pair by itself: text() leaves them out.
character = st.characters(codec=None, exclude_categories=())
texts = st.one_of(
    st.text(character, max_size=60),
    st.lists(st.sampled_from([*CONTROL, *ODD, "left", "right"]), max_size=6).map("".join),
    st.text(character, max_size=20).map(lambda text: text * 50),
)
"""Empty and long ones, of any character, halves of pairs among them, and of control tokens."""

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**30), 2**63, 1e-320, 0, -0.0, True]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, texts)
data = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Anything that JSON or YAML can hold."""


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file that is torn, emptied, or has some bytes replaced, doubled or moved."""
    result = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        size = len(result)
        start = draw(st.integers(0, size))
        end = draw(st.integers(start, min(size, start + 40)))
        match draw(st.sampled_from(["tear", "cut", "put", "double", "move", "empty"])):
            case "tear":
                del result[start:]
            case "cut":
                del result[start:end]
            case "put":
                odd = st.sampled_from(
                    [b"\x00", b"\xff\xfe", b"{", b"[" * 200, b'"', b"1e999", b": "]
                )
                result[start:end] = draw(st.one_of(st.binary(max_size=8), odd))
            case "double":
                result[start:start] = result[start:end]
            case "move":
                piece = result[start:end]
                del result[start:end]
                result += piece
            case "empty":
                if draw(st.booleans()):
                    result.clear()
    return bytes(result)


def replaced(tree: Any, path: list[Any], value: Any) -> Any:
    """Return data with another value at a path."""
    if not path:
        return value
    key, *rest = path
    if isinstance(tree, list):
        return [replaced(own, rest, value) if i == key else own for i, own in enumerate(tree)]
    return {name: replaced(own, rest, value) if name == key else own for name, own in tree.items()}


def paths(tree: Any) -> list[list[Any]]:
    """Return the path of every value in data."""
    pairs: Any = enumerate(tree) if isinstance(tree, list) else ()
    pairs = tree.items() if isinstance(tree, dict) else pairs
    return [[], *([key, *rest] for key, own in pairs for rest in paths(own))]


@st.composite
def edited(draw: st.DrawFn, tree: Any) -> Any:
    """Draw data of which some values are others."""
    for _ in range(draw(st.integers(1, 3))):
        places = paths(tree)
        tree = replaced(tree, draw(st.sampled_from(places)), draw(data))
        if not isinstance(tree, dict | list):
            break
    return tree

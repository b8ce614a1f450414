from __future__ import annotations

import gc

import pytest

from dragoman.programs import Limits, Sandbox
from dragoman.programs import sandbox as module
from dragoman.programs.sandbox import Failure


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(seconds=0.3, memory=2_000_000)) as box:
        yield box


def test_a_session_is_renewed_before_its_memory_is_full(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call leaves something behind in a worker, which counts in its memory."""
    session = sandbox.open("kept = [0]", "def count():\n    kept[0] += 1\n    return kept[0]\n")
    monkeypatch.setattr(module, "MOST_CALLS", 3)
    assert [session.run("count()", {}) for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    session.close()


def test_what_many_calls_leave_behind_fits_into_the_memory() -> None:
    with Sandbox() as sandbox:
        session = sandbox.open("def double(x):\n    return [2 * one for one in x]\n")
        first = session._session
        calls = 2_000
        for _ in range(calls):
            session.run("double(x)", {"x": [1.0] * 64})
        assert session._session is first
        session.close()
    # 2 MB hold some 7,000 calls, so these limits leave a good part of the memory to the program.
    assert Limits().memory > 4 * 300 * module.MOST_CALLS


def test_a_sandbox_that_nobody_holds_is_closed_and_one_of_an_open_session_is_not() -> None:
    session = Sandbox().open("def double(x):\n    return 2 * x\n")
    gc.collect()
    assert session.run("double(x)", {"x": 4}) == 8
    pool = session._sandbox.pool
    session.close()
    del session
    gc.collect()
    with pytest.raises(RuntimeError), pool.checkout():
        pass


def test_an_error_says_where(sandbox: Sandbox) -> None:
    session = sandbox.open("x = 1\n", "def f():\n\n    return x / 0\n")
    with pytest.raises(Failure, match="ZeroDivisionError: division by zero") as caught:
        session.run("f()", {})
    assert caught.value.frames == ((2, 1), (1, 3))
    assert session.is_open
    session.close()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("while True: pass", "longer than 0.3 s"),
        ("[0] * 10**9", "more than 2 MB"),
        ("'a' * 1_900_000 + 'b' * 1_900_000", "more than 2 MB"),
    ],
)
def test_a_session_that_was_stopped_begins_again(code: str, problem: str, sandbox: Sandbox) -> None:
    session = sandbox.open("x = 7")
    with pytest.raises(Failure, match=problem):
        session.run(code, {})
    assert not session.is_open
    assert session.run("x", {}) == 7
    session.close()


def test_codes_that_fail_give_their_worker_back() -> None:
    with Sandbox(Limits(seconds=0.3)) as sandbox:
        for _ in range(module.MOST_WORKERS + 1):
            with pytest.raises(Failure, match="NameError"):
                sandbox.open("missing")
        sandbox.open("1").close()

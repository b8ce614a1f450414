from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from dragoman.stopping import Terminated, exit_code, stoppable, unbroken


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_sigterm_is_ctrl_c_within_and_as_before_outside() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt, match="SIGTERM") as stop, stoppable():  # noqa: PT012
        try:
            send(signal.SIGTERM)
        finally:
            # Whoever sends it twice does not break the saving.
            send(signal.SIGTERM)
    assert exit_code(stop.value) == 143
    assert exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_the_user_stays_and_other_threads_are_left_alone() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        with stoppable():
            send(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]

    def elsewhere() -> None:
        with stoppable(), unbroken():
            told.append(0)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert told == [signal.SIGTERM, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_being_saved_is_saved_first(number: int) -> None:
    done = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), stoppable():  # noqa: PT012
            with unbroken():
                send(number)
                done.append("saved")
            done.append("not reached")
        assert done == ["saved"]
        # Whoever insists at the keyboard is heard.
        with pytest.raises(KeyboardInterrupt), stoppable(), unbroken():  # noqa: PT012
            send(number)
            send(number)
            done.append("saved again")
        assert ("saved again" in done) == (number == signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_script_that_does_not_catch_it_exits_as_shells_expect() -> None:
    code = (
        "import os, signal\nfrom dragoman.stopping import stoppable\n"
        "with stoppable():\n    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (143, "")
    assert Terminated().code == 143

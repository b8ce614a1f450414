from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra 'rllib'")

import ray

from dragoman.engines.rllib import cluster
from dragoman.stopping import stoppable, terminate


def of_ray(number: int, frame: Any) -> None:
    """Stand for the handler that Ray sets; that it does so, `cluster_of_three` sees."""


def of_user(number: int, frame: Any) -> None:
    """Stand for a handler of the user."""


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Ray do nothing but take SIGTERM over, since another test's cluster may be there."""
    there = [False]

    def init(address: str, **_: Any) -> None:
        signal.signal(signal.SIGTERM, of_ray)
        if address == "nowhere":
            raise ConnectionError(address)
        there[:] = [True]

    monkeypatch.setattr(ray, "is_initialized", lambda: there[0])
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: there.__setitem__(0, False))
    monkeypatch.setattr(cluster, "_replaced", [])
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("before", [signal.SIG_DFL, of_user])
def test_sigterm_means_after_a_cluster_what_it_meant_before(before: Any) -> None:
    signal.signal(signal.SIGTERM, before)
    for _ in range(2):
        assert cluster.start()
        assert signal.getsignal(signal.SIGTERM) is of_ray
        cluster.stop()
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("before", [signal.SIG_DFL, of_user])
def test_sigterm_means_what_it_meant_where_there_is_no_cluster(before: Any) -> None:
    signal.signal(signal.SIGTERM, before)
    with pytest.raises(ConnectionError):
        cluster.start("nowhere")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_start_that_fails_leaves_what_an_earlier_one_has_to_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cluster.start()
    with monkeypatch.context() as patch:
        patch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(ConnectionError):
            cluster.start("nowhere")
    assert signal.getsignal(signal.SIGTERM) is of_ray
    cluster.stop()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_that_came_after_ray_stays() -> None:
    cluster.start()
    signal.signal(signal.SIGTERM, of_user)
    cluster.stop()
    assert signal.getsignal(signal.SIGTERM) is of_user


def test_a_training_saves_at_sigterm_while_a_cluster_is_there() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stoppable():
        cluster.start()
        assert signal.getsignal(signal.SIGTERM) is terminate
        cluster.stop()
        assert signal.getsignal(signal.SIGTERM) is terminate
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_another_thread_leaves_signals_alone() -> None:
    cluster.start()
    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            cluster.stop()
        except ValueError as error:  # of signal.signal
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert errors == []
    assert signal.getsignal(signal.SIGTERM) is of_ray
    cluster.stop()
    assert signal.getsignal(signal.SIGTERM) is not of_ray

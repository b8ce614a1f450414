from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from dragoman.models.spec import ModelSpec
from tests.models import tiny


@pytest.fixture(scope="package")
def cluster_of_three() -> Iterator[None]:
    """A cluster of three processors on this machine, whose processes find the tests' modules."""
    pytest.importorskip("ray", reason="needs the extra 'rllib'")
    from dragoman.engines.rllib import cluster

    # Ray gives way to every other process of a machine, and tests would wait for those.
    os.environ.setdefault("RAY_worker_niceness", "0")
    before = signal.getsignal(signal.SIGTERM)
    cluster.start(cpus=3)
    assert signal.getsignal(signal.SIGTERM) is not before
    yield
    cluster.stop()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(scope="package")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    """A saved Llama with random weights, small enough to train through."""
    folder = tiny.save("llama", tmp_path_factory.mktemp("tiny") / "llama")
    return ModelSpec(str(folder), dtype="float32", threads=1)

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import tiny

collect_ignore = ["programs/hostile"]  # programs that no import would survive


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep notes of trainings out of the user's own data folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("data")
        patch.setenv("DRAGOMAN_DATA", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def unchanged_signals() -> Iterator[None]:
    """Let no test leave behind another meaning of Ctrl-C or SIGTERM: a later one would fail."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.fixture(scope="session")
def tiny_gpt2_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved GPT-2 with random weights, small enough to train through."""
    return tiny.save("gpt2", tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture(scope="session")
def smollm2():
    """The real default model, from the cache or from wherever it can be had."""
    from dragoman.models.catalog import load_model

    return load_model("smollm2-135m", dtype="float32")

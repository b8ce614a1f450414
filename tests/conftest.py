from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import tiny

collect_ignore = ["written/hostile"]  # programs that no import would survive


@pytest.fixture(scope="session")
def tiny_gpt2_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved GPT-2 with random weights, small enough to train through."""
    return tiny.save("gpt2", tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture(scope="session")
def smollm2():
    """The real default model, from the cache or from wherever it can be had."""
    from dragoman.models.catalog import load_model

    return load_model("smollm2-135m", dtype="float32")

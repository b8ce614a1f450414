from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.resuming import Commands, commands
from tests.models import tiny


@pytest.fixture(scope="session")
def roomy_gpt2_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved GPT-2 with random weights and room for a prompt that shows two situations."""
    return tiny.save("gpt2", tmp_path_factory.mktemp("roomy") / "gpt2", n_positions=512)


@pytest.fixture(scope="session")
def by() -> Iterator[Commands]:
    """What runs commands that can be killed."""
    with commands() as made:
        yield made

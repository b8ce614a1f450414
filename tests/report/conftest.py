from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.known_comparisons import write_comparison
from tests.report.browser import Browser, browser


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison in which smollm2 helps and layer-8 hurts. Only read it."""
    return write_comparison(tmp_path_factory.mktemp("comparison") / "frozenlake")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.remote.stub_server import KEY, StubServer


@pytest.fixture
def api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server

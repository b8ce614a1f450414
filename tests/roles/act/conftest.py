from __future__ import annotations

from typing import Any

import pytest

from tests.models import tiny


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tiny.save("llama", tmp_path_factory.mktemp("tiny") / "llama")
    return {"name": str(folder), "dtype": "float32", "threads": 1}

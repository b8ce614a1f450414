from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.generation import Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.spec import ModelSpec
from tests.models.remote.stub_server import StubServer


def test_a_server_is_asked_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-judge")
    with StubServer() as stub:
        spec = ModelSpec(
            "m", server=stub.url, api_key_env="JUDGE_KEY", extra_body={"top_k": 5}, tokens=2000
        )
        model = spec.load()
        assert isinstance(model, CachedModel)
        (written,) = model.generate(["well"], sampling=Sampling(max_tokens=5))
        model.generate(["well"], sampling=Sampling(max_tokens=5))
    assert written.text == "WELL"
    assert len(stub.bodies) == 1  # remembered
    assert stub.bodies[0]["top_k"] == 5
    assert stub.keys == ["Bearer sk-judge"]
    assert model.cost.tokens == 11


def test_a_model_of_this_machine_is_loaded_by_its_name(tiny_gpt2_path: Path) -> None:
    model = ModelSpec(str(tiny_gpt2_path), dtype="float32").load()
    assert model.encode(["a text"]).shape == (1, model.hidden_size)


def test_an_unsafe_server_is_refused() -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
        ModelSpec("m", server="http://example.com/v1").load()

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.generation import Sampling
from dragoman.models.cache import CachedModel
from dragoman.models.spec import ModelSpec
from dragoman.models.words import Words
from tests.models.remote.stub_server import StubServer, usage

URL = "http://127.0.0.1:8000/v1"


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


def test_words_are_a_model_too() -> None:
    assert isinstance(ModelSpec("words").load(), Words)


def test_weights_behind_a_server_cannot_be_drawn() -> None:
    with pytest.raises(ConfigError, match="cannot be drawn"):
        ModelSpec("m", server=URL, weights="random")


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"observe": {}}, r"observe asks for layer None and pooling \['last', 'mean'\], but the"),
        ({"observe": {"layer": 2, "pooling": "last"}}, "observe asks for layer 2"),
        ({"observe": None, "act": {"policy": "match"}}, r"act asks .* pooling \['mean'\]"),
        ({"observe": None, "act": {"policy": "score"}}, "not known to give log-probs"),
        ({"observe": None, "act": {"policy": "head", "tune": {}}}, "has no weights here"),
    ],
)
def test_a_server_that_cannot_serve_a_role_is_refused_at_once(roles, message: str) -> None:
    data = {"env": "X", "model": {"name": "m", "server": URL}, **roles}
    with pytest.raises(ConfigError, match=message):
        Experiment.from_dict(data)


def test_words_do_not_score() -> None:
    with pytest.raises(ConfigError, match="not known to give log-probs"):
        Experiment.from_dict({"env": "X", "model": "words", "act": {"policy": "score"}})


def test_a_server_is_the_model_of_an_experiment(tmp_path: Path) -> None:
    def answer(path: str, body: Any) -> Any:
        if path.endswith("embeddings"):
            rows = [[float(len(text)), 1.0] for text in body["input"]]
            data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
            return {"object": "list", "data": data, "usage": {"prompt_tokens": 3}}
        tokens = re.findall(r"\S+\s*", body["prompt"])
        choice = {"index": 0, "text": "w", "finish_reason": "length"}
        log_probs = [None, *(-float(len(token)) for token in tokens)]
        choice["logprobs"] = {"tokens": [*tokens, "w"], "token_logprobs": log_probs}
        choice["text"] = body["prompt"] + "w"
        return {"choices": [choice], "usage": usage(len(tokens), 1)}

    with StubServer(answer) as stub:
        model = {"name": "m", "server": stub.url, "prompt_log_probs": "echo"}
        data = {
            "env": "FrozenLake-v1",
            "steps": 32,
            "num_envs": 2,
            "model": model,
            "observe": {"pooling": "last"},
            "act": {"policy": "score"},
            "describe": {"observation": "row {row} column {column}"},
            "reward": {"use": "goal-similarity", "goal": "row 3 column 3"},
            "algorithm": {"settings": {"n_steps": 8, "batch_size": 16, "n_epochs": 1}},
        }
        run = train(Experiment.from_dict(data), out=tmp_path / "run")
        assert len(evaluate(run, 1).returns) == 1
    assert {path.rpartition("/")[2] for path in stub.paths} == {"embeddings", "completions"}
    assert run.last_metrics()["model/tokens"] > 0

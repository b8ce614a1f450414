"""Runs on a stand-in for the hub, by the hub's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.comparison.hub import card_of, pull, push
from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.run import Run, RunWriter
from tests.run.stub_hub import StubHub

runner = CliRunner()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StubHub]:
    monkeypatch.setenv("DRAGOMAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    with StubHub() as stub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", stub.url)
        template = stub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield stub


def a_run(folder: Path, env: str = "CartPole-v1") -> Run:
    experiment = Experiment(env, observe=None)
    with RunWriter(folder, experiment, 3, {}) as writer:
        writer.metric({"step": 8, "train/loss": 0.5})
        writer.save_weights({"policy.w": np.ones(3)}, steps=8)
    return Run(folder)


def test_a_run_goes_to_the_hub_and_back(hub: StubHub, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    assert list(run.path.glob("*tfevents*"))
    sent = runner.invoke(app, ["push", str(run.path), "me/cart"], catch_exceptions=False)
    assert "next: dragoman pull me/cart" in sent.output
    assert hub.tokens == {"Bearer hf_of_the_test"}
    assert set(hub.repos["me/cart"]) == {
        "README.md",
        "config.yaml",
        "env.json",
        "metrics.jsonl",
        "status.json",
        "weights.safetensors",
    }
    out = tmp_path / "theirs"
    taken = runner.invoke(app, ["pull", "me/cart", "--out", str(out)], catch_exceptions=False)
    assert f"next: dragoman eval {out}" in taken.output
    assert Run(out).experiment == run.experiment
    np.testing.assert_array_equal(Run(out).weights()["policy.w"], np.ones(3))
    assert not [file.name for file in out.iterdir() if file.name.startswith(".")]


def test_a_run_that_names_code_is_sent_with_the_users_word_only(
    hub: StubHub, tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", "my_env.py:MyEnv")
    with pytest.raises(RunError, match=r"names the environment my_env.py:MyEnv, which is not sent"):
        push(run, "me/cart")
    assert not hub.repos
    push(run, "me/cart", code=True)
    assert not [file for file in hub.repos["me/cart"] if file.endswith(".py")]


@pytest.mark.parametrize("file", ["weights.pkl", "policy.pt", "my_env.py", "../evil.json"])
def test_what_could_run_is_not_taken(file: str, hub: StubHub, tmp_path: Path) -> None:
    push(a_run(tmp_path / "run"), "me/cart")
    hub.repos["me/cart"][file] = b"evil"
    with pytest.raises(RunError, match="which no run of Dragoman has"):
        pull("me/cart", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_one_message(hub: StubHub, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the hub refuses 'me/none'"):
        pull("me/none", tmp_path / "out")
    push(a_run(tmp_path / "run"), "me/cart")
    with pytest.raises(RunError, match="exists and is not empty"):
        pull("me/cart", tmp_path / "run")


def test_the_card_says_what_a_comparison_says(tmp_path: Path) -> None:
    run = a_run(tmp_path / "lake/model/3")
    evaluation = {"returns": [1.0, 3.0], "sampled_returns": [5.0]}
    (run.path / "evaluation.json").write_text(json.dumps(evaluation))
    verdict = {"outcome": "helped", "reason": "better than the baseline by 1.5"}
    results = {
        "random": 0.25,
        "reference": {"best_known": 7.5},
        "arms": {"model": {"verdict": verdict, "scores": {"3": 2.0, "4": 2.0}}},
    }
    (tmp_path / "lake/results.json").write_text(json.dumps(results))
    card = ModelCard(str(card_of(run, "me/lake")))
    for text in ("helped: better than the baseline by 1.5", "| chance | 0.25 |", "| 7.5 |"):
        assert text in card.text
    assert "model, 2 seeds" in card.text
    # Read back by the hub's own client.
    found = {one.metric_name: one.metric_value for one in card.data.eval_results}
    assert found == {"return (greedy)": 2.0, "return (sampled)": 5.0}
    assert card.data.library_name == "dragoman"


def test_a_run_alone_has_no_verdict(tmp_path: Path) -> None:
    card = ModelCard(str(card_of(a_run(tmp_path / "run"), "me/cart")))
    assert "none: this run belongs to no comparison" in card.text
    assert not card.data.eval_results

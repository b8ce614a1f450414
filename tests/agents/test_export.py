"""What is exported, read back by Transformers and PEFT alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from dragoman.agents import export as exporting
from dragoman.agents.agent import Agent
from dragoman.agents.export import export
from dragoman.engines.train import train
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.adapters import known_as
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.run import Run

PROMPTS = ["the pole leans 3.2 degrees to the right\nso left", "push cart", "one two three"]
SETTINGS = {"n_steps": 16, "batch_size": 32, "n_epochs": 2, "learning_rate": 0.003}
# PEFT asks Transformers by a name that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
AUTO = transformers.AutoModelForCausalLM


def trained(tune: Tune | None, path: Path, out: Path, **changes) -> Run:
    """One update on a bandit of words, through a GPT-2 with random weights."""
    experiment = Experiment(
        env="tests.text_tasks:Recall",
        env_settings={"length": 1},
        steps=32,
        num_envs=2,
        algorithm=Algorithm("ppo", SETTINGS, (8,)),
        model=ModelSpec(str(path), dtype="float32", threads=1),
        act=Act("score" if tune else "head", question="so", tune=tune),
    )
    return train(replace(experiment, **changes), out=out)


def tuned(how: str, **changes) -> Tune:
    changes = {"learning_rate": 0.02, "max_prompt": 64, "max_action": 8, **changes}
    return Tune(how=how, **changes)


def logits_of(model, tokenizer) -> list[np.ndarray]:
    ids = [torch.tensor([tokenizer(prompt)["input_ids"]]) for prompt in PROMPTS]
    with torch.no_grad():
        return [model.eval()(item).logits[0].numpy() for item in ids]


def check_equal(found, wanted) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def check_heads(run: Run, folder: Path) -> None:
    weights, heads = run.weights(), load_file(folder / "heads.safetensors")
    theirs = {name for name in weights if ".reader.model." in name}
    assert len(heads) == len(weights) - len(theirs) > 4
    for name, tensor in weights.items():
        if name not in theirs:
            key = name.removeprefix("policy.")
            np.testing.assert_array_equal(heads[key], tensor)
    told = json.loads((folder / "heads.json").read_text())
    assert {name: tuple(value["shape"]) for name, value in told["tensors"].items()} == {
        name: tensor.shape for name, tensor in heads.items()
    }
    temperature = heads["actor.log_temperature"]
    assert told["temperature"] == pytest.approx(float(np.exp(temperature)))
    assert told["steps"] == 32


@pytest.mark.parametrize("top", [None, 1])
def test_adapters_load_with_peft_alone(top: int | None, tiny_gpt2_path: Path, tmp_path: Path):
    run = trained(tuned("lora", top=top), tiny_gpt2_path, tmp_path / "run")
    written = export(run, tmp_path / "out", merged=True)
    assert written.note == "wrote the adapters, the merged model and the heads"
    inner = Agent(run).policy.module.reader.model.inner
    wanted = logits_of(inner.transformer, inner.tokenizer)
    base = AUTO.from_pretrained(tiny_gpt2_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(written.model)
    # The training has moved it well beyond what is called equal.
    before = logits_of(base, tokenizer)
    assert max(np.abs(a - b).max() for a, b in zip(before, wanted, strict=True)) > 1e-2
    check_equal(logits_of(peft.PeftModel.from_pretrained(base, written.adapter), tokenizer), wanted)
    by_name = peft.AutoPeftModelForCausalLM.from_pretrained(written.adapter)
    check_equal(logits_of(by_name, tokenizer), wanted)
    check_equal(logits_of(AUTO.from_pretrained(written.model), tokenizer), wanted)
    check_heads(run, tmp_path / "out")


def test_a_model_trained_whole_loads_with_transformers_alone(tiny_gpt2_path: Path, tmp_path: Path):
    run = trained(tuned("full", learning_rate=0.003), tiny_gpt2_path, tmp_path / "run")
    written = export(run, tmp_path / "out")
    assert (written.adapter, written.note) == (None, "wrote the trained model and the heads")
    inner = Agent(run).policy.module.reader.model.inner
    tokenizer = transformers.AutoTokenizer.from_pretrained(written.model)
    wanted = logits_of(inner.transformer, inner.tokenizer)
    before = logits_of(AUTO.from_pretrained(tiny_gpt2_path), tokenizer)
    assert max(np.abs(a - b).max() for a, b in zip(before, wanted, strict=True)) > 1e-2
    check_equal(logits_of(AUTO.from_pretrained(written.model), tokenizer), wanted)
    check_heads(run, tmp_path / "out")


def test_without_tuning_there_are_heads_only(tiny_gpt2_path: Path, tmp_path: Path) -> None:
    run = trained(None, tiny_gpt2_path, tmp_path / "run")
    written = export(run, tmp_path / "out")
    assert "heads only" in written.note
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "heads.json",
        "heads.safetensors",
    ]
    # The statistics that features are standardised by are part of what was learnt.
    assert any(
        name.startswith("observer.") for name in load_file(written.path / "heads.safetensors")
    )
    with pytest.raises(ConfigError, match="nothing to merge"):
        export(run, tmp_path / "other", merged=True)


def test_nothing_is_overwritten_or_left_half_written(
    tiny_gpt2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(None, tiny_gpt2_path, tmp_path / "run")
    taken = tmp_path / "taken"
    taken.mkdir()
    export(run, taken)
    with pytest.raises(RunError, match="is not empty"):
        export(run, taken)

    def fail(*arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(exporting, "write_json", fail)
    with pytest.raises(OSError, match="full"):
        export(run, tmp_path / "out")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run", "taken"]


def test_adapters_on_random_weights_need_the_merged_model(
    tiny_gpt2_path: Path, tmp_path: Path
) -> None:
    model = ModelSpec(str(tiny_gpt2_path), dtype="float32", threads=1, weights="random")
    run = trained(tuned("lora"), tiny_gpt2_path, tmp_path / "run", model=model)
    with pytest.raises(ConfigError, match="drawn at random"):
        export(run, tmp_path / "out")
    written = export(run, tmp_path / "out", merged=True)
    inner = Agent(run).policy.module.reader.model.inner
    wanted = logits_of(inner.transformer, inner.tokenizer)
    check_equal(logits_of(AUTO.from_pretrained(written.model), inner.tokenizer), wanted)


def test_the_base_is_recorded_by_a_name_that_others_know(
    tiny_gpt2_path: Path, tmp_path: Path
) -> None:
    assert known_as("smollm2-135m") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    run = trained(tuned("lora"), tiny_gpt2_path, tmp_path / "run")
    written = export(run, tmp_path / "out")
    config = json.loads((written.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_gpt2_path)


def test_a_base_that_came_from_a_wheel_is_named(
    tiny_gpt2_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "cache/models/smollm2-135m"
    shutil.copytree(tiny_gpt2_path, copy)
    model = ModelSpec("smollm2-135m", dtype="float32", threads=1)
    run = trained(tuned("lora"), tiny_gpt2_path, tmp_path / "run", model=model)
    written = export(run, tmp_path / "out")
    assert f"the copy of HuggingFaceTB/SmolLM2-135M-Instruct in {copy}" in written.note
    config = json.loads((written.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"

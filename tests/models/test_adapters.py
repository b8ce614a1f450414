"""Saved adapters of every architecture, read back by PEFT and Transformers alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from dragoman.errors import ModelError
from dragoman.models.adapters import save_adapter, save_merged
from dragoman.models.catalog import load_model
from dragoman.models.torch_model import TorchModel
from dragoman.models.tuned import TunedModel
from tests.models import tiny

TASKS = {
    "gpt2": "CAUSAL_LM",
    "llama": "CAUSAL_LM",
    "qwen": "CAUSAL_LM",
    "gemma": "CAUSAL_LM",
    "t5": "SEQ_2_SEQ_LM",
}
# PEFT asks Transformers by a name that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def tuned(model: TorchModel) -> TunedModel:
    """Adapters that do something: as PEFT makes them, half of the weights are zero."""
    made = TunedModel(model, rank=2, top=2)
    with torch.no_grad():
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.2)
    return made


def output(model) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8]])
    given = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model.eval()(input_ids=ids, **given)[0].float()


@pytest.mark.parametrize("architecture", TASKS)
def test_adapters_are_what_peft_reads(architecture: str, tmp_path: Path) -> None:
    model = tiny.make(architecture)
    before = output(model.transformer)
    made = tuned(model)
    wanted = output(made.inner.transformer)
    assert (wanted - before).abs().max() > 1e-2
    save_adapter(made, tmp_path / "adapter", "some base")
    save_merged(made, tmp_path / "model")
    loaded = peft.PeftModel.from_pretrained(copy.deepcopy(model.transformer), tmp_path / "adapter")
    torch.testing.assert_close(output(loaded), wanted, rtol=0, atol=1e-5)
    # To the letter what PEFT writes by itself.
    loaded.save_pretrained(tmp_path / "theirs", save_embedding_layers=False)
    ours, theirs = (
        load_file(tmp_path / folder / "adapter_model.safetensors")
        for folder in ("adapter", "theirs")
    )
    assert sorted(ours) == sorted(theirs)
    kind = getattr(transformers, type(model.transformer).__name__)
    merged, told = kind.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(told[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    torch.testing.assert_close(output(merged), wanted, rtol=0, atol=1e-5)
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["task_type"], config["base_model_name_or_path"]) == (
        TASKS[architecture],
        "some base",
    )
    # What was written is a copy: the model in use keeps its adapters, and its base is untouched.
    torch.testing.assert_close(output(made.inner.transformer), wanted, rtol=0, atol=0)
    torch.testing.assert_close(output(model.transformer), before, rtol=0, atol=0)


def test_short_numbers_are_merged_in_their_format(tmp_path: Path) -> None:
    parts = tiny.make_parts("llama")
    made = tuned(TorchModel(parts[0].to(torch.bfloat16), parts[1], name="tiny"))
    save_adapter(made, tmp_path / "adapter", None)
    save_merged(made, tmp_path / "model")
    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto")
    assert merged.dtype == torch.bfloat16
    wanted = output(made.inner.transformer)
    assert (output(merged) - wanted).abs().max() < 0.05 * wanted.abs().max()


@pytest.mark.parametrize("architecture", TASKS)
def test_a_folder_with_an_adapter_loads_as_a_model(architecture: str, tmp_path: Path) -> None:
    base = tiny.save(architecture, tmp_path / "base")
    made = tuned(load_model(str(base), dtype="float32"))
    save_adapter(made, tmp_path / "adapter", str(base))
    loaded = load_model(str(tmp_path / "adapter"), dtype="float32")
    torch.testing.assert_close(
        output(loaded.transformer), output(made.inner.transformer), rtol=0, atol=1e-4
    )
    # It can be trained on, and its control knows nothing of the adapter.
    assert list(TunedModel(loaded, rank=2).parameters())
    drawn, plain = (
        load_model(str(tmp_path / name), dtype="float32", weights="random")
        for name in ("adapter", "base")
    )
    torch.testing.assert_close(output(drawn.transformer), output(plain.transformer))


def test_an_adapter_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    base = tiny.save("llama", tmp_path / "base")
    made = tuned(load_model(str(base), dtype="float32"))
    save_adapter(made, tmp_path / "adapter", None)
    with pytest.raises(ModelError, match="names None as its base model"):
        load_model(str(tmp_path / "adapter"))
    with pytest.raises(ModelError) as error:
        load_model(str(tmp_path))
    assert error.value.cure in (f"name {str(tmp_path / 'adapter')!r}", f"name {str(base)!r}")
    save_adapter(made, tmp_path / "pickled", str(base))
    (tmp_path / "pickled/adapter_model.safetensors").rename(tmp_path / "pickled/adapter_model.bin")
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors"):
        load_model(str(tmp_path / "pickled"))

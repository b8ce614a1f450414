"""Import what a user names: ``package.module:Name`` or ``path/to/file.py:Name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from dragoman.errors import ConfigError, did_you_mean

_FROM_FILES: dict[tuple[Path, int], ModuleType] = {}


def import_module(source: str, name: str) -> ModuleType:
    """Return a module by its dotted name or its file.

    Args:
        source: ``package.module`` or ``path/to/file.py``.
        name: What the user wrote, for messages.

    Raises:
        ConfigError: There is no such module or file.
    """
    if source.endswith(".py"):
        return _from_file(Path(source), name)
    top = source.partition(".")[0]
    if top not in sys.modules and (Path(top).is_dir() or Path(f"{top}.py").is_file()):
        _reach(Path.cwd())
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{name!r}: no module named {source!r}: {error}",
            cure=_cure(error, source)
            if error.name and not f"{source}.".startswith(f"{error.name}.")
            else "install the package, or name the file: 'path/to/file.py:Name'",
        ) from error


def import_name(path: str) -> Any:
    """Return what ``module:Name`` or ``file.py:Name`` leads to.

    Raises:
        ConfigError: There is no such module, file or name.
    """
    source, separator, attribute = path.rpartition(":")
    if not separator:
        raise ConfigError(
            f"{path!r} names no module and no file", cure="write 'my_file.py:my_name'"
        )
    module = import_module(source, path)
    result: Any = module
    for part in attribute.split("."):
        if not hasattr(result, part):
            own = [key for key in vars(module) if not key.startswith("_")]
            raise ConfigError(
                f"{path!r}: there is no {attribute!r} in {source!r}{did_you_mean(attribute, own)}",
                cure="name a function or a class that the module defines",
            )
        result = getattr(result, part)
    return result


def class_name(kind: type) -> str:
    """Return what `import_name` finds a class by: its module, or the file that a user named."""
    files = {module.__name__: place for (place, _), module in _FROM_FILES.items()}
    return f"{files.get(kind.__module__, kind.__module__)}:{kind.__qualname__}"


def _from_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"{name!r}: there is no file {path}", cure="check the path")
    # Loaded by location: a class keeps one identity however often its unchanged file is named.
    place = path.resolve()
    _reach(place.parent)
    key = (place, place.stat().st_mtime_ns)
    if key not in _FROM_FILES:
        spec = importlib.util.spec_from_file_location(f"dragoman_user_{path.stem}", place)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{name!r}: {path} cannot be imported", cure="name a Python file")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses look their own module up by name while they are made.
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{name!r}: {path} imports what is not installed: {error}", cure=_cure(error, path)
            ) from error
        except SyntaxError as error:
            raise ConfigError(
                f"{name!r}: {path} is no Python: {error}", cure=f"mend line {error.lineno}"
            ) from error
        _FROM_FILES[key] = module
    return _FROM_FILES[key]


def _reach(folder: Path) -> None:
    """Let modules of a folder be imported, after all others, so that they shadow no package."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _cure(error: ModuleNotFoundError, where: str | Path) -> str:
    """Return what helps where a module of the user's imports one that is missing."""
    package = str(error.name).partition(".")[0]
    if package == "gym":
        return (
            f"write 'import gymnasium as gym' in {where}; reset() then returns observation and "
            "info, and step() observation, reward, terminated, truncated and info"
        )
    return f"install {package}, or correct the import in {where}"

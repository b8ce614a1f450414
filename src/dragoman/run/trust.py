"""Which code playing a run would execute, and whether this user has executed it here before.

A run folder is data, yet its config names code: an environment or a reward in a file or module,
a model that brings code of its own, and a server that is sent a key. Reading a folder executes
none of it. Playing a run does, so it takes the user's word, or a note that a training of theirs
has left in their own data folder. The note is for one config and the code as it was, so a folder
from elsewhere has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from importlib.machinery import PathFinder
from pathlib import Path

import platformdirs

from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.roles.reward.catalog import KNOWN


def data_folder() -> Path:
    """Return where notes are kept: ``$DRAGOMAN_DATA`` or the user's data folder."""
    return Path(os.environ.get("DRAGOMAN_DATA") or platformdirs.user_data_dir("dragoman"))


def code_of(experiment: Experiment) -> dict[str, str]:
    """Return what playing an experiment would execute or send a key to, without importing it.

    Returns:
        A digest of what each name leads to now, by a line for the user. Of a package that is
        not a single file, and of a model by its hub name, the name and place stand for it.
    """
    code = {}
    if ":" in experiment.env:
        code[f"the environment {experiment.env}"] = _state(experiment.env.rpartition(":")[0])
    if experiment.describe.use is not None:
        use = experiment.describe.use
        code[f"the describer {use}"] = _state(use.rpartition(":")[0])
    for term in experiment.reward.terms.values() if experiment.reward is not None else ():
        if term.use not in KNOWN:
            code[f"the reward {term.use}"] = _state(term.use.rpartition(":")[0])
    for name, role in experiment.own_roles.items():
        code[f"the role {name}, {role.use}"] = _state(role.use.rpartition(":")[0])
    for model in experiment.models:
        if model.server is not None:
            code[f"requests to {model.server} with the key in ${model.api_key_env}"] = ""
        elif model.trust_remote_code:
            name = model.name
            code[f"the code that comes with the model {name}"] = _model_state(Path(name))
    return code


def remember(config: bytes, experiment: Experiment) -> None:
    """Note that this user trains with what an experiment names.

    Where the note cannot be written, a warning says so: the run can then be played with the
    user's word only.

    Args:
        config: What the run's ``config.yaml`` holds.
        experiment: The same, read.
    """
    code = code_of(experiment)
    if not code:
        return
    note = _note(config, code)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("\n".join(code) + "\n", encoding="utf-8")
    except OSError as error:
        warnings.warn(
            f"no note of this training could be left in {note.parent}: {error}; playing the run "
            "will need --trust-code",
            stacklevel=2,
        )


def require_trust(folder: Path, config: bytes, experiment: Experiment, trust_code: bool) -> None:
    """Refuse to play a run whose code is neither trusted nor known.

    Args:
        folder: The run folder.
        config: What its ``config.yaml`` holds.
        experiment: The same, read.
        trust_code: The user's word.

    Raises:
        ConfigError: It names code that this user has not trained with here, or that has changed.
    """
    code = code_of(experiment)
    if code and not trust_code and not _note(config, code).is_file():
        raise ConfigError(
            f"playing {folder} would run {', '.join(code)}, and there is no note that you have "
            "trained this run on this machine with that code as it is now",
            cure="read that code; if you trust it, give --trust-code (in Python trust_code=True)",
        )


def _note(config: bytes, code: dict[str, str]) -> Path:
    text = json.dumps([hashlib.sha256(config).hexdigest(), code], sort_keys=True)
    return data_folder() / "trusted" / hashlib.sha256(text.encode()).hexdigest()


def _state(source: str) -> str:
    """Return where a Python file or module lies, and a digest of its text."""
    file = Path(source) if source.endswith(".py") else _file_of(source)
    if file is None or not file.is_file():
        return ""
    return f"{file.resolve()} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _file_of(module: str) -> Path | None:
    """Return a module's file; `importlib.util.find_spec` would import its parents."""
    top, *rest = module.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin else None
    places = [Path(place, *rest) for place in spec.submodule_search_locations or ()]
    files = [item for place in places for item in (place.with_suffix(".py"), place / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def _model_state(path: Path) -> str:
    """Return a digest of the Python files of a model's folder, if it is one."""
    digest = hashlib.sha256(str(path.resolve()).encode())
    for file in sorted(path.glob("**/*.py")) if path.is_dir() else ():
        digest.update(file.read_bytes())
    return digest.hexdigest() if path.is_dir() else ""

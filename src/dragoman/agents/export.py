"""A trained policy in files that others read: Transformers, PEFT, and what reads safetensors.

adapter/           adapters, as PEFT saves and loads them
model/             the model with what was learnt in its weights, and its tokenizer
heads.safetensors  everything else that was trained: networks, temperature, statistics
heads.json         what these are, with their shapes
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from dragoman.agents.agent import Agent
from dragoman.engines.assembly import reader_of
from dragoman.engines.weights import weights_of
from dragoman.errors import ConfigError
from dragoman.files import refuse_taken, whole_folder, write_bytes, write_json
from dragoman.models.adapters import known_as, save_adapter, save_merged, save_model
from dragoman.models.catalog import converted_folder
from dragoman.models.tuned import TunedModel
from dragoman.run import Run, Tensors
from dragoman.types import LanguageModel

POLICY = "policy."
"""Beginning of the names of a policy's saved weights."""

MODEL = "policy.reader.model."
"""Beginning of the names of the weights that belong to the language model."""

TEMPERATURE = ("actor.log_temperature", "actor.prior.log_temperature")


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: The folder.
        adapter: The folder of adapters, if the run trained any.
        model: The folder of the model, if it was written.
        note: One line that says what was written and what was not.
    """

    path: Path
    adapter: Path | None
    model: Path | None
    note: str


def export(
    run: Run | str | Path,
    out: str | Path,
    merged: bool = False,
    *,
    model: LanguageModel | None = None,
    trust_code: bool = False,
) -> Export:
    """Write what a run has trained to a new folder.

    Of a model that was trained through adapters these are written, and the merged model if it is
    asked for; of a model that was trained whole, the model. Of a model that was not trained
    nothing is written: only the heads are.

    Args:
        run: The run, or its folder.
        out: Folder to make. It appears when all is written.
        merged: Write the model with the adapters worked into its weights too.
        model: Language model to use instead of loading the experiment's.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.run.trust`.

    Raises:
        ConfigError: There is nothing to merge, nothing that the adapters could be loaded on, or
            the run's config names code that is not trusted.
        RunError: The folder is taken, or the run has no weights.
        MissingExtraError: Adapters need the extra ``tune``.
    """
    run = run if isinstance(run, Run) else Run(run)
    run.require_trust(trust_code)
    out = Path(out)
    refuse_taken(out)
    how = _how(run)
    act, weights = run.experiment.act, run.experiment.model.weights
    # Adapters of a taught model stand on what it was taught.
    is_drawn = weights == "random" or (act is not None and act.init is not None)
    if merged and how is None:
        raise ConfigError(
            f"{run.path} has not trained its language model, so there is nothing to merge",
            cure="leave merged out",
        )
    if how == "lora" and is_drawn and not merged:
        raise ConfigError(
            "these adapters stand on weights that were drawn at random or taught, which no name "
            "brings back",
            cure="export the merged model: --merged, or merged=True",
        )
    base = None if how is None or is_drawn else known_as(run.experiment.model.name)
    with whole_folder(out) as folder:
        if how is not None:
            loaded = model if model is not None else reader_of(run.experiment, run.seed)
            _save_model(run, loaded, folder, merged=merged, base=base)
        _save_heads(run, folder, base)
    return Export(
        out,
        adapter=out / "adapter" if how == "lora" else None,
        model=out / "model" if how == "full" or merged else None,
        note=_note(run, merged),
    )


def heads_of(weights: Tensors) -> Tensors:
    """Return what of saved weights does not belong to the language model, by shorter names."""
    return {
        name.removeprefix(POLICY): tensor
        for name, tensor in weights.items()
        if not name.startswith(MODEL)
    }


def _how(run: Run) -> str | None:
    act = run.experiment.act
    return None if act is None or act.tune is None else act.tune.how


def _save_model(run: Run, loaded: Any, folder: Path, *, merged: bool, base: str | None) -> None:
    policy: Any = Agent(run, model=loaded, trust_code=True).policy  # asked for in `export`
    tuned = policy.module.reader.model
    assert isinstance(tuned, TunedModel)
    if _how(run) == "full":
        save_model(tuned.inner, folder / "model")
        return
    save_adapter(tuned, folder / "adapter", base)
    if merged:
        save_merged(tuned, folder / "model")


def _save_heads(run: Run, folder: Path, base: str | None) -> None:
    heads = heads_of(weights_of(run))
    plain = {name: np.asarray(tensor, order="C") for name, tensor in heads.items()}
    write_bytes(folder / "heads.safetensors", save(plain))
    temperature = next((heads[name] for name in TEMPERATURE if name in heads), None)
    about: dict[str, Any] = {
        "tuned": _how(run),
        "base": base,
        "temperature": None if temperature is None else float(np.exp(temperature)),
        "seed": run.seed,
        "steps": run.steps,
        "tensors": {
            name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)}
            for name, tensor in plain.items()
        },
        "experiment": run.experiment.to_dict(),
    }
    write_json(folder / "heads.json", about)


def _note(run: Run, merged: bool) -> str:
    how, name = _how(run), run.experiment.model.name
    if how is None:
        return "wrote the heads only: this run did not train its language model"
    if how == "full":
        return "wrote the trained model and the heads"
    copy = converted_folder(name)
    # The file in the wheel is quantised: a little else than what the hub has under that name.
    beside = "" if copy is None else f" (trained on the copy of {known_as(name)} in {copy})"
    return f"wrote the adapters{beside}{', the merged model' if merged else ''} and the heads"

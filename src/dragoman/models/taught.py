"""A model that was taught to act, in a folder: adapters or weights, and what they came of.

adapter/ or model/  what was learnt, as PEFT and Transformers load it
taught.json         what taught it, on what, and how well it does; written last
random-weights/     the same again of random weights, where that was asked for
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dragoman.errors import ConfigError
from dragoman.files import read_json
from dragoman.models.spec import ModelSpec
from dragoman.types import LanguageModel

NAME = "taught.json"
ADAPTER, WHOLE = "adapter", "model"
CURE = (
    "name a folder that `dragoman teach` has finished; what was stopped goes on by the same command"
)


@dataclass(frozen=True, repr=False)
class Taught:
    """A folder of `dragoman.teach`.

    Attributes:
        path: The folder.
        record: What its ``taught.json`` holds.
    """

    path: Path
    record: dict[str, Any]

    def __repr__(self) -> str:
        return f"Taught({str(self.path)!r}, accuracy={self.accuracy:.3g})"

    @classmethod
    def read(cls, folder: str | Path) -> Taught:
        """Open a folder.

        Raises:
            RunError: There is none, or it was not finished.
        """
        return cls(Path(folder), read_json(Path(folder) / NAME, cure=CURE))

    @property
    def accuracy(self) -> float:
        """Share of held-out states in which it does what the teacher did."""
        return float(self.record["accuracy"])

    @property
    def teacher(self) -> dict[str, Any]:
        """Mean return of the play it was taught by, with 95 % limits and number of episodes."""
        return dict(self.record["teacher"])


def load_taught(folder: str | Path, model: ModelSpec) -> LanguageModel:
    """Load a model as it was taught.

    Args:
        folder: Of `dragoman.teach`.
        model: The model, with where and how precisely to compute. Whether its weights were drawn,
            and how, the folder says.

    Raises:
        ConfigError: Another model was taught.
        RunError: The folder is missing or not finished.
    """
    taught = Taught.read(folder)
    was: dict[str, Any] = taught.record["model"]
    if was["name"] != model.name or model.server is not None:
        raise ConfigError(
            f"{taught.path} has taught the model {was['name']!r}, but the experiment's is "
            f"{model.name!r}",
            cure=f"set model.name to {was['name']!r}, or teach {model.name!r}",
        )
    if (taught.path / WHOLE).is_dir():
        return replace(model, name=str(taught.path / WHOLE)).load()
    return replace(model, weights=was["weights"], seed=was["seed"]).load(
        adapter=taught.path / ADAPTER
    )

"""A language model anywhere in the reinforcement-learning loop of any Gymnasium environment.

Importing this package loads neither torch nor transformers: each name below is imported from
its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.comparing import compare
    from dragoman.comparison import Comparison
    from dragoman.comparison_file import read_comparison
    from dragoman.describe import describe_env
    from dragoman.engines import evaluate, evaluate_random, train
    from dragoman.engines.distilling import distill
    from dragoman.engines.exporting import export
    from dragoman.engines.student import load_student
    from dragoman.engines.teaching import Distillation
    from dragoman.errors import ConfigError, DragomanError, ModelError, RunError, SpaceError
    from dragoman.experiment import Algorithm, Experiment
    from dragoman.generation import ChatPrompt, Choice, Generation, Integer, Json, Sampling
    from dragoman.models.cache import CachedModel
    from dragoman.models.catalog import load_model
    from dragoman.models.remote import RemoteModel
    from dragoman.models.scoring import score
    from dragoman.roles.act import Act
    from dragoman.roles.observe import Observe, Observer
    from dragoman.roles.reward import Reward
    from dragoman.roles.tune import Tune
    from dragoman.runs import Run
    from dragoman.vector import ObserveEnv, ObserveVector, observe

_HOME = {
    "Act": "dragoman.roles.act",
    "Algorithm": "dragoman.experiment",
    "CachedModel": "dragoman.models.cache",
    "ChatPrompt": "dragoman.generation",
    "Choice": "dragoman.generation",
    "Comparison": "dragoman.comparison",
    "ConfigError": "dragoman.errors",
    "Distillation": "dragoman.engines.teaching",
    "DragomanError": "dragoman.errors",
    "Experiment": "dragoman.experiment",
    "Generation": "dragoman.generation",
    "Integer": "dragoman.generation",
    "Json": "dragoman.generation",
    "ModelError": "dragoman.errors",
    "Observe": "dragoman.roles.observe",
    "ObserveEnv": "dragoman.vector",
    "ObserveVector": "dragoman.vector",
    "Observer": "dragoman.roles.observe",
    "RemoteModel": "dragoman.models.remote",
    "Reward": "dragoman.roles.reward",
    "Run": "dragoman.runs",
    "RunError": "dragoman.errors",
    "Sampling": "dragoman.generation",
    "SpaceError": "dragoman.errors",
    "Tune": "dragoman.roles.tune",
    "compare": "dragoman.comparing",
    "describe_env": "dragoman.describe",
    "distill": "dragoman.engines.distilling",
    "evaluate": "dragoman.engines",
    "evaluate_random": "dragoman.engines",
    "export": "dragoman.engines.exporting",
    "load_model": "dragoman.models.catalog",
    "load_student": "dragoman.engines.student",
    "observe": "dragoman.vector",
    "read_comparison": "dragoman.comparison_file",
    "score": "dragoman.models.scoring",
    "train": "dragoman.engines",
}

__all__ = [
    "Act",
    "Algorithm",
    "CachedModel",
    "ChatPrompt",
    "Choice",
    "Comparison",
    "ConfigError",
    "Distillation",
    "DragomanError",
    "Experiment",
    "Generation",
    "Integer",
    "Json",
    "ModelError",
    "Observe",
    "ObserveEnv",
    "ObserveVector",
    "Observer",
    "RemoteModel",
    "Reward",
    "Run",
    "RunError",
    "Sampling",
    "SpaceError",
    "Tune",
    "compare",
    "describe_env",
    "distill",
    "evaluate",
    "evaluate_random",
    "export",
    "load_model",
    "load_student",
    "observe",
    "read_comparison",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__

"""A language model anywhere in the reinforcement-learning loop of any Gymnasium environment.

Importing this package loads neither torch nor transformers: each name below is imported from
its module when it is first used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if "OMP_WAIT_POLICY" not in os.environ:
    # Read when PyTorch is loaded. Its threads would spin for a millisecond or more before they
    # sleep, which on a busy machine takes from each other the cores that they wait for.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from dragoman.agents.distill.dagger import Distillation
    from dragoman.agents.distill.distill import distill
    from dragoman.agents.distill.student import load_student
    from dragoman.agents.evaluate import evaluate, evaluate_random
    from dragoman.agents.export import export
    from dragoman.agents.frozen import evaluate_frozen
    from dragoman.agents.seek import seek
    from dragoman.agents.teach.fitting import Teaching
    from dragoman.agents.teach.teach import teach
    from dragoman.comparison.comparison import Comparison
    from dragoman.comparison.file import read_comparison
    from dragoman.comparison.runner import compare
    from dragoman.describe import describe_env
    from dragoman.engines.train import train
    from dragoman.engines.watcher import Watcher
    from dragoman.errors import ConfigError, DragomanError, ModelError, RunError, SpaceError
    from dragoman.experiment import Algorithm, Experiment
    from dragoman.generation import ChatPrompt, Choice, Generation, Integer, Json, Sampling
    from dragoman.models.cache import CachedModel
    from dragoman.models.catalog import load_model
    from dragoman.models.remote import RemoteModel
    from dragoman.models.score import score
    from dragoman.progress import Progress
    from dragoman.roles.act.settings import Act
    from dragoman.roles.act.tune import Tune
    from dragoman.roles.explore.guide import Guide
    from dragoman.roles.explore.settings import Explore
    from dragoman.roles.observe.observer import Observer
    from dragoman.roles.observe.settings import Observe
    from dragoman.roles.observe.vector import ObserveEnv, ObserveVector, observe
    from dragoman.roles.reward.settings import Reward
    from dragoman.run import Run

_HOME = {
    "Act": "dragoman.roles.act.settings",
    "Algorithm": "dragoman.experiment",
    "CachedModel": "dragoman.models.cache",
    "ChatPrompt": "dragoman.generation",
    "Choice": "dragoman.generation",
    "Comparison": "dragoman.comparison.comparison",
    "ConfigError": "dragoman.errors",
    "Distillation": "dragoman.agents.distill.dagger",
    "DragomanError": "dragoman.errors",
    "Experiment": "dragoman.experiment",
    "Explore": "dragoman.roles.explore.settings",
    "Guide": "dragoman.roles.explore.guide",
    "Generation": "dragoman.generation",
    "Integer": "dragoman.generation",
    "Json": "dragoman.generation",
    "ModelError": "dragoman.errors",
    "Observe": "dragoman.roles.observe.settings",
    "ObserveEnv": "dragoman.roles.observe.vector",
    "ObserveVector": "dragoman.roles.observe.vector",
    "Observer": "dragoman.roles.observe.observer",
    "Progress": "dragoman.progress",
    "RemoteModel": "dragoman.models.remote",
    "Reward": "dragoman.roles.reward.settings",
    "Run": "dragoman.run",
    "RunError": "dragoman.errors",
    "Sampling": "dragoman.generation",
    "SpaceError": "dragoman.errors",
    "Teaching": "dragoman.agents.teach.fitting",
    "Tune": "dragoman.roles.act.tune",
    "Watcher": "dragoman.engines.watcher",
    "compare": "dragoman.comparison.runner",
    "describe_env": "dragoman.describe",
    "distill": "dragoman.agents.distill.distill",
    "evaluate": "dragoman.agents.evaluate",
    "evaluate_frozen": "dragoman.agents.frozen",
    "evaluate_random": "dragoman.agents.evaluate",
    "export": "dragoman.agents.export",
    "load_model": "dragoman.models.catalog",
    "load_student": "dragoman.agents.distill.student",
    "observe": "dragoman.roles.observe.vector",
    "read_comparison": "dragoman.comparison.file",
    "score": "dragoman.models.score",
    "seek": "dragoman.agents.seek",
    "teach": "dragoman.agents.teach.teach",
    "train": "dragoman.engines.train",
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
    "Explore",
    "Generation",
    "Guide",
    "Integer",
    "Json",
    "ModelError",
    "Observe",
    "ObserveEnv",
    "ObserveVector",
    "Observer",
    "Progress",
    "RemoteModel",
    "Reward",
    "Run",
    "RunError",
    "Sampling",
    "SpaceError",
    "Teaching",
    "Tune",
    "Watcher",
    "compare",
    "describe_env",
    "distill",
    "evaluate",
    "evaluate_frozen",
    "evaluate_random",
    "export",
    "load_model",
    "load_student",
    "observe",
    "read_comparison",
    "score",
    "seek",
    "teach",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__

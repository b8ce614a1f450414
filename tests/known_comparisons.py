"""Folders of comparisons whose results are known, made without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dragoman.experiment import Algorithm, Experiment
from dragoman.roles.observe.settings import Observe
from dragoman.run import RunWriter

BASE = Experiment(
    env="FrozenLake-v1",
    env_settings={"is_slippery": False},
    steps=4000,
    algorithm=Algorithm("ppo", {"n_steps": 32}),
    observe=Observe(layer=4),
)
ARMS: dict[str, dict[str, Any]] = {
    "smollm2": {
        "kind": "arm",
        "role": None,
        "about": "SmolLM2 reads the state",
        "prior": "a pre-trained language model",
        "overrides": {},
    },
    "layer-8": {
        "kind": "arm",
        "role": None,
        "about": "SmolLM2 reads the state, layer 8",
        "prior": "a pre-trained language model",
        "overrides": {"observe.layer": 8},
    },
    "no-model": {
        "kind": "baseline",
        "role": None,
        "about": "the raw observation",
        "prior": "none",
        "overrides": {"observe": None},
    },
    "random-weights": {
        "kind": "control",
        "role": "observe",
        "about": "the same architecture with random weights",
        "prior": "architecture and tokenizer, no training",
        "overrides": {"algorithm.network": [32, 32]},
    },
    "learned-embedding": {
        "kind": "control",
        "role": "observe",
        "about": "a table learned from the same text",
        "prior": "the tokenizer",
        "overrides": {"algorithm.network": [32]},
    },
}
FINALS = {
    "smollm2": 0.9,
    "layer-8": 0.35,
    "no-model": 0.4,
    "random-weights": 0.45,
    "learned-embedding": 0.5,
}


def write_comparison(
    folder: Path,
    *,
    seeds: Sequence[int] = range(10),
    arms: Sequence[str] = tuple(ARMS),
    finals: dict[str, float] = FINALS,
) -> Path:
    """Write a comparison in which every arm comes near its final return, and return its folder."""
    plan = {
        "name": "frozenlake",
        "base": BASE.to_dict(),
        "arms": {name: ARMS[name] for name in arms},
        "seeds": list(seeds),
        "evaluation": {"episodes": 20, "sampled": False},
        "budget": "steps",
        "threshold": 0.7,
        "reference": {"best_known": 1.0, "source": "value iteration"},
    }
    folder.mkdir(parents=True)
    (folder / "comparison.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    (folder / "random.json").write_text(json.dumps({"episodes": 20, "returns": [0.0] * 19 + [1.0]}))
    for name in arms:
        for seed in seeds:
            write_arm_run(folder, name, seed, finals[name])
    return folder


def write_arm_run(folder: Path, name: str, seed: int, final: float) -> None:
    """Write one run folder and its evaluation."""
    experiment = Experiment.from_dict(_overridden(BASE.to_dict(), ARMS[name]["overrides"]))
    generator = np.random.default_rng([seed, len(name)])
    # What a seed does to every arm alike, so that pairing shows.
    luck = np.random.default_rng(seed).normal(0, 0.05)
    score = float(np.clip(final + luck + generator.normal(0, 0.02), 0, 1))
    run = folder / name / str(seed)
    with RunWriter(run, experiment, seed, {"device": "cpu", "threads": 1}) as writer:
        for step in range(40, 4001, 40):
            mean = score * (1 - np.exp(-step / (1500 if final > 0.6 else 2500)))
            earned = float(generator.normal(mean, 0.05))
            writer.episode({"step": step, "return": earned, "length": 9})
        costs = {"time/seconds": 61.5, "step": 4000}
        if experiment.observe is not None:
            costs |= {
                "model/texts": 4016,
                "model/texts_remembered": 4000,
                "model/texts_from_disk": 32,
                "model/tokens": 240,
                "model/gigaflops": 51.5,
                "time/model_seconds": 2.25,
            }
        writer.metric(costs)
        writer.steps = 4000
    evaluation = {
        "episodes": 20,
        "seed": 0,
        "returns": [score] * 20,
        "lengths": [9] * 20,
        "sampled_returns": [score / 2] * 20,
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))


def _overridden(data: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    for key, value in overrides.items():
        *parents, last = key.split(".")
        inner = data
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return data

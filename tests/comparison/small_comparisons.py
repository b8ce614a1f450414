"""Comparisons for tests: real ones that are small, and folders written without a training."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dragoman.comparison.comparison import Comparison
from dragoman.comparison.file import read_comparison
from dragoman.comparison.folder import ComparisonFolder, keep
from dragoman.comparison.jobs import Job
from dragoman.comparison.workers import Report
from dragoman.run import RunWriter

BASE = """\
base:
  env: FrozenLake-v1
  env_settings: {{is_slippery: false, desc: [SF, HG]}}
  steps: 64
  num_envs: 2
  observe: {{}}
  model: {{name: {model}}}
  algorithm: {{settings: {{n_steps: 16, batch_size: 32, n_epochs: 2}}, network: [8]}}
evaluation: {{episodes: 4}}
"""


def write_file(folder: Path, model: Path | str = "any", more: str = "") -> Path:
    """Write a user's file of a small comparison."""
    file = folder / "small.yaml"
    kept = BASE.rpartition("evaluation:")[0] if "evaluation:" in more else BASE
    file.write_text(kept.format(model=model) + more)
    return file


def make_comparison(
    folder: Path, model: Path | str = "any", more: str = "", seeds: int = 2
) -> Comparison:
    """Return a small comparison."""
    return read_comparison(write_file(folder, model, more), seeds=seeds)


def write_run(folder: ComparisonFolder, arm: str, seed: int, score: float, tokens: int = 0) -> None:
    """Write a finished and evaluated run, as a training would leave it."""
    path = folder.run_folder(arm, seed)
    with RunWriter(path, folder.comparison.experiment(arm), seed, {}) as writer:
        for step in (10, 20, 30, 40):
            writer.episode({"step": step, "return": score * step / 40})
        writer.metric({"step": 32, "model/tokens": tokens - 1})
        writer.metric({"step": 64, "model/tokens": tokens, "time/seconds": 2.0})
        writer.save_weights({"w": np.zeros(1)}, steps=64)
    evaluation = {"episodes": 2, "seed": 0, "returns": [score, score], "lengths": [2, 2]}
    evaluation["sampled_returns"] = [score, score / 2]
    (path / "evaluation.json").write_text(json.dumps(evaluation))


def write_comparison(
    path: Path, comparison: Comparison, scores: Mapping[str, list[float]], random: float = 0.1
) -> ComparisonFolder:
    """Write the folder of a comparison of which these scores are there."""
    folder = keep(path, comparison)
    for arm, own in scores.items():
        for seed, score in enumerate(own):
            write_run(folder, arm, seed, score)
    (path / "random.json").write_text(json.dumps({"episodes": 1, "returns": [random]}))
    return folder


class InProcess:
    """Stands in for `dragoman.comparison.workers.Workers`: jobs are done here, in order."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.jobs: list[Job] = []

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    @property
    def idle(self) -> int:
        return self.count - len(self.jobs)

    def start(self, job: Job) -> None:
        self.jobs.append(job)

    def reports(self) -> Iterator[Report]:
        job = self.jobs[0]
        steps: list[int] = []
        try:
            job.run(steps.append)
        except Exception:
            self.jobs.pop(0)
            yield Report(job, "failed", error=traceback.format_exc())
        else:
            self.jobs.pop(0)
            yield from (Report(job, "steps", taken) for taken in steps)
            yield Report(job, "done")

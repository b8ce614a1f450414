"""Experiments cut to what a test can wait for."""

from __future__ import annotations

from dataclasses import replace

from dragoman.experiment import Experiment


def one_update(experiment: Experiment) -> Experiment:
    """Return an experiment that trains for a single rollout, whose length it must name."""
    rollout = experiment.algorithm.settings["n_steps"] * experiment.num_envs
    return replace(experiment, steps=rollout)

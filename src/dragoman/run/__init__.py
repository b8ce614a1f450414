"""The run folder: what a training leaves behind, readable without pickle and without torch.

config.yaml           the experiment
env.json              format, seed, engine, versions, device, git state; under masks what became
                      of action masks
status.json           running | finished | interrupted | failed and for which reason, the steps
                      taken, and the process, its host and its last sign of life
metrics.jsonl         one row an update; wall-clock columns are named time/...
episodes.jsonl        one row a finished episode, in the environment's own rewards
critiques.jsonl       what a judge in text said of each text, where one judges
rewards.json          what the reward role has measured before the training, where it has one
checkpoints/          of a training that has not finished, what it goes on from
weights.safetensors   trained tensors and running statistics, without the frozen model
events.out.tfevents.* the same metrics for TensorBoard, unless others are told
"""

from __future__ import annotations

from dragoman.run.facts import Status
from dragoman.run.machine import describe_machine
from dragoman.run.reader import FORMAT, Run, Tensors
from dragoman.run.writer import LEAST_BYTES, RunWriter, diverged

__all__ = [
    "FORMAT",
    "LEAST_BYTES",
    "Run",
    "RunWriter",
    "Status",
    "Tensors",
    "describe_machine",
    "diverged",
]

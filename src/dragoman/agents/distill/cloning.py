"""Behaviour cloning: a student that does what its teacher did."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dragoman.agents.distill.dataset import Dataset, StudentSpaces
from dragoman.agents.distill.student import NEVER, Student
from dragoman.maths.moments import Moments
from dragoman.types import FloatArray

SMALLEST = 1e-6
"""Standard deviation below which a number counts as constant, and is not divided by it."""


def fit(
    student_spaces: StudentSpaces,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Student:
    """Return a new student of labelled states.

    Chosen actions are learnt by cross-entropy among the valid ones, continuous ones by
    squared error in units of their spread. Equal seeds give equal students.

    Args:
        student_spaces: What the student sees.
        dataset: The states.
        epochs: Passes over them.
        batch_size: States a step.
        learning_rate: Of Adam.
        seed: Draws the first weights and the order of states.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = Student(student_spaces.shape)
    _standardise(student, student_spaces, dataset)
    observations = torch.as_tensor(dataset.observations)
    labels, masks = torch.as_tensor(dataset.labels), torch.as_tensor(dataset.masks)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels), generator=generator), batch_size):
            optimizer.zero_grad()
            loss(student, observations[rows], labels[rows], masks[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return student.eval()


def loss(student: Student, observations: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Return the mean loss of a batch.

    Args:
        student: The student.
        observations: float32 ``(B, D)``.
        labels: int64 ``(B,)``, or float32 ``(B, A)``.
        masks: bool ``(B, K)``, or ``(B, 0)`` where there are none.
    """
    result = student.outputs(observations)
    if not student.shape.actions:
        return functional.mse_loss(result, (labels - student.centre) / student.spread)
    if student.shape.masked:
        result = result.masked_fill(~masks, NEVER)
    return functional.cross_entropy(result, labels)


def choices(student: Student, dataset: Dataset) -> NDArray[np.generic]:
    """Return what a student would do in visited states, as labels."""
    result = student.act(dataset.observations, dataset.masks)
    if student.shape.actions:
        return np.asarray(result - student.shape.start)
    return result.reshape(len(result), -1)


def spread_of(labels: NDArray[np.generic]) -> FloatArray:
    """Return the standard deviations ``(A,)`` of continuous labels; empty of chosen actions."""
    if labels.ndim == 1:
        return np.empty(0, np.float32)
    return np.asarray(labels.std(axis=0), np.float32)


def _standardise(student: Student, student_spaces: StudentSpaces, dataset: Dataset) -> None:
    """Set what observations are standardised by, and what continuous actions are scaled by."""
    _set(student.mean, student.scale, dataset.observations)
    if student_spaces.shape.actions:
        return
    _set(student.centre, student.spread, dataset.labels)
    low, high = (getattr(student_spaces.actions, name).reshape(-1) for name in ("low", "high"))
    student.low.copy_(torch.as_tensor(low))
    student.high.copy_(torch.as_tensor(high))


def _set(mean: Tensor, scale: Tensor, rows: NDArray[np.floating]) -> None:
    moments = Moments.empty(rows.shape[1]).merge(rows)
    std = np.sqrt(moments.variance)
    mean.copy_(torch.as_tensor(moments.mean))
    scale.copy_(torch.as_tensor(np.where(std > SMALLEST, std, 1.0)))

"""A student as an ONNX file."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dragoman.agents.distill.student import Student
from dragoman.errors import MissingExtraError


def require_onnx() -> None:
    """Refuse where ONNX files cannot be written, before anything is computed for one.

    Raises:
        MissingExtraError: They need the extra ``export``.
    """
    if not _is_installed("onnx"):
        raise MissingExtraError("onnx", extra="export", note="or leave ONNX out: --no-onnx")


def write_onnx(student: Student, file: Path) -> None:
    """Write a student; batches may have any size.

    Inputs are ``observation``, float32 ``(B, D)``, and where it reads masks ``mask``, int8
    ``(B, K)``. Outputs are ``action``, as the environment numbers it, and ``logits`` where actions
    are chosen from.

    Raises:
        MissingExtraError: It needs the extra ``export``.
    """
    require_onnx()
    shape = student.shape
    inputs: dict[str, torch.Tensor] = {"observation": torch.zeros(2, shape.inputs)}
    if shape.masked:
        inputs["mask"] = torch.ones(2, shape.actions, dtype=torch.int8)
    outputs = ["action", "logits"] if shape.actions else ["action"]
    settings: dict[str, Any] = {
        "dynamo": False,
        "dynamic_axes": {name: {0: "batch"} for name in (*inputs, *outputs)},
    }
    if _is_installed("onnxscript"):
        batch = torch.export.Dim("batch")
        settings = {
            "dynamo": True,
            "dynamic_shapes": tuple({0: batch} for _ in inputs),
            "external_data": False,
            "verbose": False,
        }
    with _quiet():
        torch.onnx.export(
            student.eval(),
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=outputs,
            **settings,
        )


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns of its own future and of packages it does without."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)

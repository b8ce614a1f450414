"""ONNX files act as the students they were made of, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from dragoman.agents.distill import onnx_file
from dragoman.agents.distill.onnx_file import write_onnx
from dragoman.errors import MissingExtraError
from tests.agents.distill.test_student import SHAPES, student


def session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("with_script", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_a_thousand_observations_are_acted_on_alike(
    name: str, with_script: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_script:
        installed = onnx_file._is_installed
        monkeypatch.setattr(
            onnx_file, "_is_installed", lambda package: package == "onnx" and installed(package)
        )
    made = student(SHAPES[name])
    write_onnx(made, tmp_path / "student.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["student.onnx"]  # weights are inside
    run = session(tmp_path / "student.onnx")
    generator = np.random.default_rng(0)
    rows = generator.normal(scale=3, size=(1000, 5)).astype(np.float32)
    given = {"observation": rows}
    masks = None
    if made.shape.masked:
        masks = (generator.random((1000, 4)) < 0.5).astype(np.int8)
        masks[np.arange(1000), generator.integers(4, size=1000)] = 1
        given["mask"] = masks
    assert [get_input.name for get_input in run.get_inputs()] == list(given)
    result = dict(
        zip(
            [get_output.name for get_output in run.get_outputs()], run.run(None, given), strict=True
        )
    )
    wanted = made.act(rows, masks)
    if not made.shape.actions:
        assert list(result) == ["action"]
        np.testing.assert_allclose(result["action"], wanted, rtol=0, atol=1e-5)
        return
    np.testing.assert_array_equal(result["action"], wanted)
    indices = result["action"] - made.shape.start
    np.testing.assert_array_equal(result["logits"].argmax(axis=1), indices)
    assert len(np.unique(wanted)) == 4
    if masks is not None:
        assert masks[np.arange(1000), indices].all()
        with torch.no_grad():
            free = made.outputs(torch.as_tensor(rows)).argmax(dim=1).numpy()
        assert (free != wanted).mean() > 0.2  # the masks did decide something


def test_without_onnx_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "_is_installed", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"dragoman\[export\]"):
        write_onnx(student(SHAPES["chosen"]), tmp_path / "student.onnx")

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dragoman.agents.distill.student import Shape, Student, load_student, save_student
from dragoman.errors import RunError


def student(shape: Shape) -> Student:
    """A student whose statistics are not those it starts with."""
    torch.manual_seed(0)
    made = Student(shape).eval()
    made.mean.copy_(torch.linspace(-1, 1, shape.inputs))
    made.scale.copy_(torch.linspace(0.5, 2, shape.inputs))
    if not shape.actions:
        made.centre.fill_(0.1)
        made.spread.fill_(3.0)
        made.low.fill_(-0.5)
        made.high.fill_(torch.inf)
    return made


SHAPES = {
    "chosen": Shape(5, (16, 16), 4, start=2),
    "masked": Shape(5, (16,), 4, masked=True),
    "continuous": Shape(5, (), 0, action_shape=(2, 3)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_saved_student_acts_alike(name: str, tmp_path: Path) -> None:
    made = student(SHAPES[name])
    save_student(made, tmp_path)
    loaded = load_student(tmp_path)
    assert loaded.shape == made.shape
    generator = np.random.default_rng(0)
    rows, masks = generator.normal(size=(100, 5)), generator.random((100, 4)) < 0.5
    np.testing.assert_array_equal(loaded.act(rows, masks), made.act(rows, masks))


def test_observations_are_standardised_and_cut_off() -> None:
    made = student(SHAPES["chosen"])
    rows = torch.randn(7, 5)
    torch.testing.assert_close(made.outputs(rows), made.network((rows - made.mean) / made.scale))
    far = made.mean + 1e6 * made.scale
    torch.testing.assert_close(made.outputs(far), made.network(torch.full((5,), 10.0)))


def test_continuous_actions_stay_within_bounds() -> None:
    made = student(SHAPES["continuous"])
    rows = np.random.default_rng(0).normal(size=(200, 5))
    acted = made.act(rows)
    assert acted.shape == (200, 2, 3)
    assert acted.min() == -0.5 < 1 < acted.max()


def test_what_is_no_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no student"):
        load_student(tmp_path)
    save_student(student(SHAPES["chosen"]), tmp_path)
    (tmp_path / "student.safetensors").write_bytes(b"short")
    with pytest.raises(RunError, match="holds no student"):
        load_student(tmp_path)
    save_student(student(SHAPES["masked"]), tmp_path)
    (tmp_path / "student.json").write_text('{"inputs": 5, "hidden": [8], "actions": 4}')
    with pytest.raises(RunError, match="size mismatch"):
        load_student(tmp_path)

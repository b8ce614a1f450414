from __future__ import annotations

import os
import subprocess
import sys

import pytest

import dragoman
from dragoman import errors


def test_public_names_are_sorted_and_importable() -> None:
    assert dragoman.__all__ == sorted(dragoman.__all__)
    for name in dragoman.__all__:
        assert getattr(dragoman, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = dragoman.nonsense


def test_import_is_light() -> None:
    heavy = "{'torch', 'transformers', 'stable_baselines3', 'gymnasium', 'numpy', 'pydantic'}"
    code = f"import sys, dragoman; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_starts_without_what_it_may_not_need() -> None:
    heavy = "{'torch', 'transformers', 'stable_baselines3', 'scipy', 'matplotlib'}"
    code = f"import sys, dragoman.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_every_error_shows_its_cure() -> None:
    error = errors.MissingExtraError("gguf", extra="gguf")
    assert isinstance(error, errors.DragomanError)
    assert str(error) == (
        "the package 'gguf' is not installed\n  Cure: pip install 'dragoman[gguf]'"
    )


def test_did_you_mean() -> None:
    assert errors.did_you_mean("PPO", ["ppo", "dqn"]) == " (did you mean 'ppo'?)"
    assert errors.did_you_mean("zzz", ["ppo", "dqn"]) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "9"}, "9"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_idle_threads_sleep_unless_told_how_to_wait(given: dict[str, str], expected: str) -> None:
    code = "import os, dragoman; print(os.environ.get('GOMP_SPINCOUNT'))"
    ours = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=ours | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected

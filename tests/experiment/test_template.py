from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Describe, Experiment
from dragoman.experiment.source import read_experiment
from dragoman.experiment.template import comments_of, explain, template
from dragoman.roles.observe.settings import Observe


def test_it_reads_as_the_experiment_of_the_environment_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(template("CartPole-v1"))
    assert Experiment.from_yaml(file) == read_experiment("CartPole-v1")


def test_every_line_that_is_uncommented_reads_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    keys = [field.name for field in fields(Experiment)]
    lines = template("CartPole-v1").splitlines()
    shown = [
        line.removeprefix("# ") for line in lines if line.removeprefix("# ").split(":")[0] in keys
    ]
    assert len(shown) == len(keys)
    for line in shown:
        if not line.endswith(":"):
            file.write_text(f"env: CartPole-v1\n{line}\n" if line[:4] != "env:" else line)
            Experiment.from_yaml(file)


@pytest.mark.parametrize("kind", [Experiment, Algorithm, Describe, Observe])
def test_every_key_has_its_comment(kind: type) -> None:
    comments = comments_of(kind)
    assert set(comments) == {field.name for field in fields(kind)}
    assert all(len(comment) > 10 for comment in comments.values())


def test_a_key_is_explained_with_its_default_and_its_keys() -> None:
    assert explain("observe.layer").endswith("Unless given: null.")
    assert 'Unless given: ["last"' in explain("observe.pooling")
    assert explain("env") == "Registered id, module:Class or file.py:Class."
    observe = explain("observe")
    assert "\n  observe.layer: Hidden state after this many transformer blocks" in observe
    assert max(map(len, observe.splitlines())) <= 96


@pytest.mark.parametrize(
    ("key", "hint"),
    [("observe.leyer", "'layer'"), ("modle", "'model'"), ("steps.more", "no key 'steps.more'")],
)
def test_a_key_that_there_is_not_has_a_near_one(key: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        explain(key)

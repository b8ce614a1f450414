from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from dragoman.agents.promises import kind_of, promises_kept
from dragoman.cli import app
from dragoman.errors import ConfigError, ModelError, SpaceError

SNIPPETS = Path(__file__).parents[2] / "docs" / "snippets"
HERE = str(Path(__file__))


class Drawn(gym.Env[Any, Any]):
    """Draws from generators that the seed does not set, or keeps something over a reset."""

    observation_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)
    keeps = False

    def __init__(self) -> None:
        self.total = 0.0
        self.own = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        self.total += 0.001
        return self._seen(), 0.0, self.np_random.random() < 0.1, False, {}

    def _seen(self) -> Any:
        value = self.total if self.keeps else self.own.uniform(-1, 1)
        return np.array([value], np.float32)


class Keeps(Drawn):
    keeps = True


def test_what_a_name_means(tiny_gpt2_path: Path) -> None:
    kinds = {
        "CartPole-v1": "environment",
        "dragoman/TidyHouse-v0": "environment",
        f"{HERE}:Drawn": "environment",
        f"{SNIPPETS / 'own_role.py'}:Novelty": "role",
        "smollm2-135m": "model",
        "somebody/a-model": "model",
        str(tiny_gpt2_path): "model",
    }
    assert {what: kind_of(what) for what in kinds} == kinds
    with pytest.raises(ConfigError):
        kind_of("CartPoole-v1")


@pytest.mark.parametrize("what", ["CartPole-v1", "FrozenLake-v1", "dragoman/TidyHouse-v0"])
def test_environments_that_keep_their_promises(what: str) -> None:
    begun = [line.partition(" ")[0] for line in promises_kept(what)]
    assert begun == ["one", "copies", "reset(seed)"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Drawn", "two copies that are reset with one seed differ"), ("Keeps", "has been played")],
)
def test_what_a_seed_does_not_decide_is_told(name: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        list(promises_kept(f"{HERE}:{name}"))
    assert "self.np_random" in caught.value.cure


def test_a_role_is_trained_with(tmp_path: Path) -> None:
    kept = list(promises_kept(f"{SNIPPETS / 'own_role.py'}:Novelty"))
    assert "any-state" in kept[1]
    file = tmp_path / "broken.py"
    source = (SNIPPETS / "own_role.py").read_text()
    head = "def wrap(self, env, context):"
    file.write_text(source.replace(head, f"{head}\n        raise KeyError('no such key')"))
    with pytest.raises(KeyError, match="no such key"):
        list(promises_kept(f"{file}:Novelty"))


def test_a_model_is_asked(tiny_gpt2_path: Path) -> None:
    assert next(promises_kept(str(tiny_gpt2_path))).startswith("it encodes: 32 numbers")
    with pytest.raises(ModelError):
        list(promises_kept(str(SNIPPETS)))


def test_the_command_line() -> None:
    good = CliRunner().invoke(app, ["check", "CartPole-v1"])
    assert good.exit_code == 0, good.output
    assert good.output.count("ok: ") == 3
    bad = CliRunner().invoke(app, ["check", f"{HERE}:Drawn"])
    assert isinstance(bad.exception, SpaceError)

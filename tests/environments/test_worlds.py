"""Environments of other suites by their prefix."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from dragoman.environments import environment_spec, make_environment
from dragoman.environments.worlds import WORLDS
from dragoman.errors import ConfigError, MissingExtraError


@pytest.mark.parametrize(
    ("name", "id", "kwargs"),
    [
        ("reasoning-gym:chain_sum", "reasoning-gym:chain_sum", {"dataset": "chain_sum"}),
        ("gem:game:Sudoku-v0-easy", "gem:game:Sudoku-v0-easy", {"game": "game:Sudoku-v0-easy"}),
        ("openenv:http://127.0.0.1:80", "openenv:127.0.0.1:80", {"url": "http://127.0.0.1:80"}),
    ],
)
def test_a_prefix_leads_to_a_class(name: str, id: str, kwargs: dict[str, Any]) -> None:
    spec = environment_spec(name, max_episode_steps=7)
    assert (spec.id, spec.kwargs, spec.max_episode_steps) == (id, kwargs, 7)


@pytest.mark.parametrize("prefix", WORLDS)
def test_a_prefix_alone_is_refused_with_an_example(prefix: str) -> None:
    with pytest.raises(ConfigError, match=f"such as '{prefix}:"):
        environment_spec(f"{prefix}:")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("gem:game:Sudoku-v0-easy", "gem", "gem"),
        ("openenv:http://127.0.0.1:9", "websockets", "openenv"),
        ("reasoning-gym:chain_sum", "reasoning_gym", "reasoning-gym"),
        ("textarena:TicTacToe-v0", "textarena", "textarena"),
        ("textworld-express:coin", "textworld_express", "textworld-express"),
    ],
)
def test_a_package_that_is_missing_is_named(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [key for key in sys.modules if key.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"dragoman\[{extra}\]"):
        make_environment(environment_spec(name))

"""What environments of other suites have to keep, where their packages are installed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks import reasoning_gym, textworld_express
from dragoman.tasks.typed import LONGEST, TypedEnv, readable


def made(name: str, **settings: Any) -> Any:
    return make_environment(environment_spec(name), settings)


def needs(package: str) -> None:
    pytest.importorskip(package, reason=f"needs the extra of {package}")


class Echo(TypedEnv):
    """Says what was typed, with a letter that no alphabet of ours has."""

    def _begin(self, seed: int) -> Any:
        return f"begin {seed}", {}

    def _type(self, action: str) -> Any:
        return f"\U0001f600{action}", 1, action == "end", False, {"success": True}


def test_texts_go_in_and_come_out() -> None:
    env = Echo(max_action=5)
    first, _ = env.reset(seed=4)
    assert first == env.reset(seed=4)[0] != env.reset()[0]
    assert env.step("née") == ("?née", 1.0, False, False, {"text": "?née", "success": True})
    for wrong in ("", "longer", "\U0001f600"):
        with pytest.raises(SpaceError, match="1 to 5 characters"):
            env.step(wrong)
    assert env.step("end")[2]
    with pytest.raises(SpaceError, match="the episode is over"):
        env.step("on")
    assert readable("a" + "b" * LONGEST) == "b" * LONGEST


def test_reasoning_gym_scores_answers() -> None:
    needs("reasoning_gym")
    env = made("reasoning-gym:chain_sum", size=50)
    first, _ = env.reset(seed=1)
    assert "arithmetic" in first
    assert env.step(reasoning_gym.oracle(env))[1:3] == (1.0, True)
    assert env.reset(seed=1)[0] == first
    assert env.step("no idea")[1] < 0.1
    of_test = made("reasoning-gym:chain_sum", size=50, split="test")
    questions = [{one.reset(seed=i)[0] for i in range(40)} for one in (env, of_test)]
    assert not questions[0] & questions[1]
    with pytest.raises(ConfigError, match="did you mean 'chain_sum'"):
        made("reasoning-gym:chain_sums")
    with pytest.raises(ConfigError, match="refuses the settings"):
        made("reasoning-gym:chain_sum", min_terms=9, max_terms=2)


def test_textworld_express_is_won_by_its_own_solution() -> None:
    needs("textworld_express")
    small = {"params": "numLocations=3,includeDoors=0,numDistractorItems=0"}
    env = made("textworld-express:coin", **small)
    first, _ = env.reset(seed=1)
    assert "Commands: " in first
    assert env.reset(seed=1)[0] == first != env.reset(seed=2)[0]
    env.reset(seed=1)
    paid = []
    while not paid or not paid[-1][1]:
        paid.append(env.step(textworld_express.oracle(env))[1:])
    assert sum(reward for reward, *_ in paid) == 1.0
    assert paid[-1][3]["success"]
    assert not paid[-1][2]
    env.close()
    of_test = made("textworld-express:coin", split="test", **small)
    assert of_test.reset(seed=1)[0] != first
    of_test.close()
    with pytest.raises(ConfigError, match="did you mean 'coin'"):
        made("textworld-express:coins")
    for params, problem in (("numLocations=many", "ERROR"), ("rooms=2", "Unrecognized")):
        with pytest.raises(ConfigError, match=f"refuses the settings .*{problem}"):
            made("textworld-express:coin", params=params)


def test_an_answer_of_textworld_express_that_is_late_is_never_read() -> None:
    needs("textworld_express")
    env = made("textworld-express:coin")
    first, _ = env.reset(seed=1)
    world = env.unwrapped
    process, world.timeout = world._process, 0.5
    step, late = process.step, threading.Event()

    def slow(command: str) -> Any:
        late.wait(3)
        return step(command)

    process.step = slow
    with pytest.raises(SpaceError, match=r"not answered within 0.5 s"):
        env.step("look around")
    world.timeout = 60
    late.set()
    with pytest.raises(SpaceError, match="the episode is over"):
        env.step("look around")
    assert env.reset(seed=1)[0] == first
    assert world._process is not process
    assert process._gateway.java_process.poll() is not None
    env.close()


def test_gem_plays_alike_by_seed_whoever_else_draws() -> None:
    needs("gem")
    games = [made("gem:game:GuessTheNumber-v0-easy") for _ in range(2)]
    results = []
    for game in games:
        game.reset(seed=5)
    for guess in range(1, 6):
        results.append([game.step(rf"\boxed{{{guess}}}")[:3] for game in games])
        assert results[-1][0] == results[-1][1]
        if results[-1][0][2]:
            break
    assert len({game.unwrapped.game.game_number for game in games}) == 1
    with pytest.raises(ConfigError, match="gem has no environment"):
        made("gem:game:Nothing")


def last_move(text: str) -> str:
    """Take the last of the moves that are listed."""
    return "[" + text.rpartition("'[")[2].partition("]")[0] + "]"


def test_textarena_is_played_against_an_opponent() -> None:
    needs("textarena")
    name = "textarena:TicTacToe-v0"
    for settings in ({}, {"opponent": "tests.tasks.test_worlds:last_move", "first": True}):
        env = made(name, **settings)
        first, _ = env.reset(seed=2)
        assert env.reset(seed=2)[0] == first  # nothing of the episode before
        rewards, is_over, text = [], False, first
        while not is_over:
            text, reward, is_over, is_cut, _ = env.step(
                "[" + text.rpartition("Available")[2][8:][:1] + "]"
            )
            assert not is_cut
            rewards.append(reward)
        assert rewards[:-1] == [0.0] * (len(rewards) - 1)
        assert rewards[-1] in (-1.0, 0.0, 1.0)
    with pytest.raises(ConfigError, match="textarena has no game"):
        made("textarena:Nothing-v0")

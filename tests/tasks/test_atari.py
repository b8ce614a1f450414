from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import ConfigError, MissingExtraError, SpaceError
from dragoman.tasks.atari import BreakoutRAM, PongRAM, follow
from dragoman.tasks.masks import uniform

RED, GREEN, ORANGE, WHITE = (200, 72, 72), (92, 186, 92), (213, 130, 74), (236, 236, 236)


def make(game: str, **settings) -> gym.Env:
    return gym.make(f"dragoman/{game}-v0", **settings)


def box(screen, colour, top, bottom, left, right):
    """Return the middle and the size (width, height) of what has a colour, or None."""
    ys, xs = np.nonzero((screen[top:bottom, left:right] == colour).all(-1))
    if not len(xs):
        return None
    middle = (xs.min() + xs.max() + 1) / 2 + left, (ys.min() + ys.max() + 1) / 2 + top
    return (*middle, np.ptp(xs) + 1, np.ptp(ys) + 1)


def frames(game: str, count: int, policy):
    env = make(game, render_mode="rgb_array", frame_skip=1, sticky=0.0)
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(count):
        *_, terminated, truncated, _ = env.step(policy(env))
        yield env.unwrapped.seen, env.render()
        if terminated or truncated:
            env.reset()


def test_breakout_in_memory_is_breakout_on_the_screen():
    balls = paddles = 0
    ways = []
    last = None
    for seen, screen in frames("BreakoutRAM", 2500, follow):
        paddle = box(screen, RED, 189, 193, 8, 152)
        # What lies between the bricks and the paddle can only be the ball.
        ball = box(screen, RED, 94, 188, 8, 152)
        if paddle and paddle[2] == 16:
            paddles += 1
            assert paddle[0] == pytest.approx(seen.paddle, abs=1)
        is_whole = ball is not None and ball[2:] == (2, 4)
        if is_whole:
            balls += 1
            assert (seen.ball.x, seen.ball.y) == pytest.approx(ball[:2], abs=1)
            if last is not None and ball[0] != last[0]:
                moved = np.sign([ball[0] - last[0], ball[1] - last[1]])
                ways.append((moved == np.sign([seen.ball.dx, seen.ball.dy])).all())
        last = ball if is_whole else None
    assert balls > 800
    assert paddles > 1500
    # The speed turns at once where the ball bounces, the ball a frame later.
    assert np.mean(ways) > 0.93


def test_pong_in_memory_is_pong_on_the_screen():
    result = dict.fromkeys(("ball", "paddle", "opponent"), 0)
    ways = []
    last = None
    for seen, screen in frames("PongRAM", 2500, follow):
        ball = box(screen, WHITE, 34, 194, 0, 160)
        for name, colour, left, right in (
            ("paddle", GREEN, 136, 148),
            ("opponent", ORANGE, 12, 24),
        ):
            shown = box(screen, colour, 34, 194, left, right)
            if shown and shown[3] == 16:
                result[name] += 1
                assert shown[1] == pytest.approx(getattr(seen, name), abs=2)
        is_whole = ball is not None and ball[2:] == (2, 4)
        if is_whole:
            result["ball"] += 1
            assert (seen.ball.x, seen.ball.y) == pytest.approx(ball[:2], abs=2)
            if last is not None:
                ways.append(np.sign(ball[0] - last[0]) == np.sign(seen.ball.dx))
        last = ball if is_whole else None
    assert min(result.values()) > 800
    assert np.mean(ways) > 0.93


def test_scores_and_lives_are_the_games_own():
    env = make("BreakoutRAM", sticky=0.0)
    env.reset(seed=0)
    total, terminated = 0.0, False
    while not terminated:
        observation, reward, terminated, _, info = env.step(follow(env))
        total += reward
        assert env.unwrapped.seen.score == total
        assert env.unwrapped.seen.lives == env.unwrapped.console.ale.lives()
        assert observation[-1] == pytest.approx(total / 864)
    assert total > 10
    assert f"Lives 0, score {total:.0f}." in info["text"]
    with pytest.raises(SpaceError, match="call reset"):
        env.unwrapped.step(0)


def test_following_the_ball_beats_chance():
    def points(game, policy):
        env = make(game)
        env.action_space.seed(0)
        env.reset(seed=0)
        total = 0.0
        for _ in range(1200):
            _, reward, terminated, _, _ = env.step(policy(env))
            total += reward
            if terminated:
                break
        return total

    assert points("BreakoutRAM", follow) > 20 > 10 > points("BreakoutRAM", uniform)
    assert points("PongRAM", follow) > -8 > -15 > points("PongRAM", uniform)


def test_bad_settings_and_a_missing_package_name_the_cure(monkeypatch):
    with pytest.raises(ConfigError, match="from 1 to 60"):
        BreakoutRAM(frame_skip=0)
    with pytest.raises(ConfigError, match="below 1"):
        PongRAM(sticky=1.0)
    with pytest.raises(ConfigError, match="not CartPoleEnv"):
        follow(gym.make("CartPole-v1"))
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(MissingExtraError, match=r"dragoman\[atari\].*GPL"):
        PongRAM()

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.describe import describe_env
from dragoman.describe.history import HISTORY, Remember
from dragoman.describe.prompt import PromptDescriber
from dragoman.testing import check_describer
from dragoman.vector import split_infos
from tests.counting import Counting
from tests.lamps import Lamps


def test_joined_texts_word_for_word() -> None:
    env = Remember(Lamps(length=9), steps=2)
    prompts = PromptDescriber(describe_env(env), goal="press the right one")
    observation, info = env.reset(seed=0)
    first = describe_env(env).observation(observation, info)
    assert prompts.observation(observation, info) == (
        f"Goal: press the right one\nObservation: {first}"
    )
    seen = [first]
    done = []
    for _ in range(3):
        action = int(np.flatnonzero(info["action_mask"])[0])
        done.append(info["action_texts"][action])
        observation, _, _, _, info = env.step(action)
        seen.append(describe_env(env).observation(observation, info))
    # Two steps are told, of three.
    assert prompts.observation(observation, info) == (
        f"Goal: press the right one\nObservation: {seen[1]}\nAction: {done[1]}\n"
        f"Observation: {seen[2]}\nAction: {done[2]}\nObservation: {seen[3]}"
    )


def test_a_joining_describer_keeps_the_promises() -> None:
    env = gym.make("CartPole-v1")
    check_describer(PromptDescriber(describe_env(env), "balance"), env)
    check_describer(PromptDescriber(describe_env(env)), Remember(env, 3))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_past_ends_with_its_episode_in_every_mode(mode: AutoresetMode) -> None:
    first = (2, 3)
    env = SyncVectorEnv([lambda n=n: Remember(Counting(n), 8) for n in first], autoreset_mode=mode)
    _, infos = env.reset()
    counts = [0, 0]
    over = np.zeros(2, bool)
    ends = 0
    for _ in range(20):
        if mode == AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over})
        _, _, terminated, truncated, infos = env.step(np.zeros(2, int))
        was_over, over = over, terminated | truncated
        rows = split_infos(infos, 2)
        for i in range(2):
            same = mode == AutoresetMode.SAME_STEP
            if was_over[i] and mode == AutoresetMode.NEXT_STEP:
                counts[i] = -1
            elif was_over[i]:
                counts[i] = 0
            counts[i] += 1
            row = rows[i]["final_info"] if over[i] and same else rows[i]
            assert len(row[HISTORY]) == min(counts[i], 8)
            # Each step of an episode is told once, in order, from its first observation.
            assert [text.split()[2] for text, _ in row[HISTORY]] == [
                f"{n}" for n in range(counts[i])
            ][-8:]
            if over[i] and same:
                assert rows[i][HISTORY] == ()
            ends += over[i]
    assert ends > 5

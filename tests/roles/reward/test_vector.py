from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from dragoman.environments.vector import EpisodeRecorder
from dragoman.maths.shaping import Schedule
from dragoman.roles.observe.observer import Observer
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.reward.rewarder import BonusWarning, Rewarder
from dragoman.roles.reward.settings import Reward, Term
from dragoman.roles.reward.vector import RewardVector
from dragoman.roles.role import Models
from dragoman.testing import ScriptedModel
from tests.counting_env import Counting
from tests.environments.test_vector import (
    FIRST,
    CountDescriber,
    described,
    expected_episodes,
    make_envs,
    make_moments,
    two_numbers,
)

GAMMA = 0.9
STEPS = 60


def potential(count: int, episode: int) -> float:
    return count**2 + 10.0 * episode + 1


def phi(texts):
    return [potential(*map(int, map(float, two_numbers(text)))) for text in texts]


def seen_so_far(texts, previous, actions, memory):
    """A bonus that remembers its episode: how many steps it took, times 100 if anything is off."""
    result = []
    for text, before, action, own in zip(texts, previous, actions, memory, strict=True):
        own["steps"] = own.get("steps", 0) + 1
        (count, episode), (count_before, episode_before) = two_numbers(text), two_numbers(before)
        fits = (count, episode) == (own["steps"], episode_before) and count_before == count - 1
        result.append(own["steps"] if fits and action == "action 0" else 100.0)
    return result


def rewarder(reward: Reward, functions: dict[str, Callable[..., Any]], **settings: Any) -> Rewarder:
    with patch(
        "dragoman.roles.reward.settings.make_reward", lambda use, settings, **_: functions[use]
    ):
        return Rewarder(reward, Models(None, 0), num_envs=len(FIRST), gamma=GAMMA, **settings)


def play(env, mode: AutoresetMode, steps: int):
    """Yield observations before, rewards, which acted, ends and infos of every step."""
    env.reset(seed=0)
    ended = np.zeros(len(FIRST), bool)
    for _ in range(steps):
        has_acted = ~ended if mode == AutoresetMode.NEXT_STEP else np.ones(len(FIRST), bool)
        _, rewards, terminations, truncations, infos = env.step(np.zeros(len(FIRST), int))
        ended = terminations | truncations
        yield rewards, has_acted, ended, infos
        if mode == AutoresetMode.DISABLED and ended.any():
            env.reset(options={"reset_mask": ended.copy()})


def moments(env: int):
    """Yield count, episode and how it ends, if here, of every acting step of a sub-environment."""
    episode = 0
    while True:
        length = FIRST[env] + episode
        for count in range(1, length + 1):
            last = count == length
            yield count, episode, last and episode % 2 == 0, last and episode % 2 == 1
        episode += 1


@pytest.mark.parametrize("mode", AutoresetMode)
def test_every_term_belongs_to_its_step(mode: AutoresetMode) -> None:
    reward = Reward({"near": Term("near", weight=2.0)}, env_weight=3.0)
    recorder = EpisodeRecorder(make_envs(mode))
    env = RewardVector(described(recorder), rewarder(reward, {"near": phi}))
    steps = [moments(i) for i in range(len(FIRST))]
    sums = [{"reward/env": 0.0, "reward/near": 0.0} for _ in FIRST]
    finished = []
    for rewards, has_acted, ended, infos in play(env, mode, STEPS):
        np.testing.assert_array_equal(infos["_reward/near"], has_acted)
        for i in range(len(FIRST)):
            if not has_acted[i]:
                assert rewards[i] == infos["reward/near"][i] == infos["reward/env"][i] == 0.0
                continue
            count, episode, terminated, truncated = next(steps[i])
            assert ended[i] == (terminated or truncated)
            # A time limit is no end: the potential of the state it left is counted.
            after = 0.0 if terminated else potential(count, episode)
            near = 2.0 * (GAMMA * after - potential(count - 1, episode))
            assert infos["reward/near"][i] == pytest.approx(near)
            assert infos["reward/env"][i] == count
            assert rewards[i] == pytest.approx(3.0 * count + near)
            sums[i]["reward/env"] += count
            sums[i]["reward/near"] += near
            if ended[i]:
                finished.append(pytest.approx(sums[i]))
                sums[i] = {"reward/env": 0.0, "reward/near": 0.0}
    assert list(env.drain()) == finished
    assert list(env.drain()) == []
    # Beneath, the environment's own returns stay what they are.
    own = [episode.episode_return for episode in recorder.drain()]
    assert own == [terms.expected["reward/env"] for terms in finished]
    assert len(own) > 9
    known = {row[0] for i in range(len(FIRST)) for row in expected_episodes(i, STEPS)}
    assert set(own) <= known


@pytest.mark.parametrize("mode", AutoresetMode)
def test_memory_and_previous_text_belong_to_the_episode(mode: AutoresetMode) -> None:
    reward = Reward({"memory": Term("memory", shaping="bonus")})
    with pytest.warns(BonusWarning, match="'memory' is a plain bonus"):
        made = rewarder(reward, {"memory": seen_so_far})
    env = RewardVector(make_moments(mode), made)
    steps = [moments(i) for i in range(len(FIRST))]
    for _, has_acted, _, infos in play(env, mode, STEPS):
        for i in np.flatnonzero(has_acted):
            assert infos["reward/memory"][i] == next(steps[i])[0]


def test_counts_divide_a_bonus_within_an_episode() -> None:
    reward = Reward({"same": Term("same", shaping="bonus", count_power=2.0)})
    with pytest.warns(BonusWarning):
        made = rewarder(reward, {"same": lambda texts: np.ones(len(texts))})

    class Same(CountDescriber):
        def observation(self, observation, info):
            return "one and the same"

    env = RewardVector(described(make_envs(AutoresetMode.SAME_STEP), Same), made)
    steps = [moments(i) for i in range(len(FIRST))]
    for _, _, _, infos in play(env, AutoresetMode.SAME_STEP, 20):
        for i in range(len(FIRST)):
            # The start counts, so the first step meets the text for the second time.
            assert infos["reward/same"][i] == pytest.approx((next(steps[i])[0] + 1) ** -2.0)


def test_a_moving_weight_keeps_the_sum_telescoping() -> None:
    reward = Reward({"near": Term("near", weight=Schedule(1.0, 0.0, 40))})
    env = RewardVector(make_moments(AutoresetMode.SAME_STEP), rewarder(reward, {"near": phi}))
    rewards = [
        (infos["reward/near"][2], ended[2])
        for _, _, ended, infos in play(env, AutoresetMode.SAME_STEP, 5)
    ]
    # The longest first episode: five steps, terminated, so all but the start cancels out.
    assert [end for _, end in rewards] == [False] * 4 + [True]
    total = sum(GAMMA**t * value for t, (value, _) in enumerate(rewards))
    assert total == pytest.approx(-potential(0, 0))
    assert env.rewarder.terms["near"].weight == pytest.approx(1 - 15 / 40)


def test_texts_are_asked_for_once() -> None:
    asked: list[str] = []

    def listening(texts):
        asked.extend(texts)
        return phi(texts)

    env = RewardVector(
        make_moments(AutoresetMode.SAME_STEP),
        rewarder(Reward({"near": Term("near")}), {"near": listening}),
    )
    for _ in play(env, AutoresetMode.SAME_STEP, 40):
        pass
    assert len(asked) == len(set(asked)) > 20


def test_nothing_is_described_for_a_reward_of_observations() -> None:
    made = rewarder(
        Reward({"raw": Term("raw")}), {"raw": lambda observations: [o[0] for o in observations]}
    )

    def nobody():
        raise AssertionError("a describer is made")

    env = RewardVector(described(make_envs(AutoresetMode.SAME_STEP), nobody), made)
    for rewards, _, _, infos in play(env, AutoresetMode.SAME_STEP, 1):
        np.testing.assert_allclose(infos["reward/raw"], GAMMA)
        np.testing.assert_allclose(rewards, 1 + GAMMA)


def test_observing_stands_above_and_changes_no_reward() -> None:
    def rewarded():
        made = rewarder(Reward({"near": Term("near")}), {"near": phi})
        return RewardVector(make_moments(AutoresetMode.SAME_STEP), made)

    settings = Observe(pooling=("last",), standardise=False)
    model = ScriptedModel(two_numbers, hidden_size=2)
    space = Counting().observation_space
    seen = ObserveVector(rewarded(), Observer(model, settings, space))
    pairs = zip(
        play(rewarded(), AutoresetMode.SAME_STEP, 30),
        play(seen, AutoresetMode.SAME_STEP, 30),
        strict=True,
    )
    for (plain, *_), (observed, *_) in pairs:
        np.testing.assert_array_equal(plain, observed)

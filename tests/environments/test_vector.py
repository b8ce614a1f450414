from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from dragoman.describe.moment import MomentMaker
from dragoman.describe.vector import MomentVector
from dragoman.environments.vector import EpisodeRecorder, autoreset_mode, split_infos
from dragoman.errors import ConfigError
from dragoman.roles.observe.observer import Observer
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.vector import ObserveVector, observe
from dragoman.testing import ScriptedModel
from tests.counting_env import Counting

FIRST = (2, 3, 5)


class CountDescriber:
    def observation(self, observation, info):
        return f"{int(observation[0])} in episode {info['episode']}"

    def action(self, action):
        return f"action {action}"


def two_numbers(text: str) -> list[float]:
    count, _, _, episode = text.split()
    return [float(count), float(episode)]


def make_envs(mode: AutoresetMode) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda first=first: Counting(first) for first in FIRST], autoreset_mode=mode
    )


def described(envs: VectorEnv, describe=CountDescriber) -> MomentVector:
    return MomentVector(envs, MomentMaker(describe, envs.single_action_space))


def make_moments(mode: AutoresetMode) -> MomentVector:
    return described(make_envs(mode))


def make_observer() -> Observer:
    settings = Observe(pooling=("last",), standardise=False)
    space = Counting().observation_space
    return Observer(ScriptedModel(two_numbers, hidden_size=2), settings, space)


def expected_episodes(env: int, steps: int) -> list[tuple[float, int, bool, bool]]:
    """What sub-environment ``env`` must report after ``steps`` steps that acted."""
    rows = []
    episode, left = 0, steps
    while left >= FIRST[env] + episode:
        length = FIRST[env] + episode
        rows.append((length * (length + 1) / 2, length, episode % 2 == 0, episode % 2 == 1))
        left -= length
        episode += 1
    return rows


def play(env, mode: AutoresetMode, steps: int):
    """Step and yield every result, resetting by hand where nobody else does."""
    observations, infos = env.reset(seed=0)
    yield observations, None, infos
    for _ in range(steps):
        observations, _, terminations, truncations, infos = env.step(np.zeros(len(FIRST), int))
        done = terminations | truncations
        yield observations, done, infos
        if mode == AutoresetMode.DISABLED and done.any():
            observations, infos = env.reset(options={"reset_mask": done.copy()})
            yield observations, None, infos


@pytest.mark.parametrize("mode", AutoresetMode)
def test_recorder_knows_every_return(mode: AutoresetMode) -> None:
    steps = 60
    env = EpisodeRecorder(make_envs(mode))
    for _ in play(env, mode, steps):
        pass
    episodes = list(env.drain())
    assert list(env.drain()) == []
    for i in range(len(FIRST)):
        mine = [e for e in episodes if e.env == i]
        # Under NEXT_STEP one step between two episodes is the reset.
        acted = steps
        if mode == AutoresetMode.NEXT_STEP:
            acted = steps - len(mine) + (mine_ended_last(i, steps, len(mine)))
        rows = [(e.episode_return, e.length, e.terminated, e.truncated) for e in mine]
        assert rows == expected_episodes(i, acted)
        assert len(rows) > 3


def mine_ended_last(env: int, steps: int, episodes: int) -> int:
    """One if the last step ended an episode, so that its reset step has not come yet."""
    total = sum(FIRST[env] + e for e in range(episodes)) + episodes - 1
    return int(total == steps)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_observe_reads_observation_and_info_of_the_same_moment(mode: AutoresetMode) -> None:
    raw, features = make_envs(mode), ObserveVector(make_moments(mode), make_observer())
    ended = 0
    for (plain, done, infos), (seen, _, seen_infos) in zip(
        play(raw, mode, 40), play(features, mode, 40), strict=True
    ):
        np.testing.assert_array_equal(seen[:, 0], plain[:, 0])
        if done is None or not done.any():
            continue
        ended += 1
        if mode == AutoresetMode.SAME_STEP:
            rows = split_infos(infos, len(FIRST))
            for i in np.flatnonzero(done):
                expected = [infos["final_obs"][i][0], rows[i]["final_info"]["episode"]]
                np.testing.assert_array_equal(seen_infos["final_obs"][i], expected)
                assert seen[i, 1] == expected[1] + 1
    assert ended > 5


def test_one_forward_a_step_even_when_episodes_end() -> None:
    model = ScriptedModel(two_numbers, hidden_size=2)
    observer = Observer(model, Observe(), Counting().observation_space)
    env = ObserveVector(make_moments(AutoresetMode.SAME_STEP), observer)
    calls = [len(model.calls)]
    for _ in play(env, AutoresetMode.SAME_STEP, 20):
        calls.append(len(model.calls))
    assert set(np.diff(calls)) == {1}


def test_single_environment_equals_a_batch_of_one() -> None:
    model = ScriptedModel(lambda text: [len(text), text.count("-")])
    single = observe(gym.make("CartPole-v1"), model)
    vector = observe(SyncVectorEnv([lambda: gym.make("CartPole-v1")]), model)
    one, _ = single.reset(seed=3)
    many, _ = vector.reset(seed=[3])
    np.testing.assert_array_equal(one, many[0])
    for action in (0, 1, 1, 0, 1):
        one, *rest = single.step(action)
        many, *many_rest = vector.step(np.array([action]))
        np.testing.assert_array_equal(one, many[0])
        assert rest[0] == many_rest[0][0]


# The checker warns of every wrapper; that is what it is given here.
@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version:UserWarning")
def test_env_checker_accepts_the_single_environment() -> None:
    model = ScriptedModel(lambda text: [len(text), text.count("-")])
    env = observe(gym.make("CartPole-v1"), model)
    # While the running statistics learn, one state has no one observation, by their nature.
    env.observer.learning = False
    check_env(env, skip_render_check=True)


def test_observe_works_on_a_vector_environment_made_by_gymnasium() -> None:
    envs = gym.make_vec("CartPole-v1", num_envs=4)
    seen = observe(envs, ScriptedModel(lambda text: [len(text), 1.0, 2.0]))
    features, _ = seen.reset(seed=0)
    assert features.shape == (4, 6)
    assert seen.observation_space.contains(features)
    assert seen.single_observation_space.shape == (6,)


def test_split_infos_keeps_what_each_reported() -> None:
    infos = {
        "mask": np.array([[1, 0], [0, 1]]),
        "_mask": np.array([True, True]),
        "rare": np.array([0.0, 7.0]),
        "_rare": np.array([False, True]),
        "nested": {"a": np.array([1, 2]), "_a": np.array([True, False])},
        "_nested": np.array([True, False]),
    }
    first, second = split_infos(infos, 2)
    assert first["nested"] == {"a": 1}
    assert "rare" not in first
    assert second["rare"] == 7.0
    assert "nested" not in second
    np.testing.assert_array_equal(second["mask"], [0, 1])


def test_unknown_autoreset_mode_is_refused() -> None:
    env = make_envs(AutoresetMode.NEXT_STEP)
    env.metadata = {**env.metadata, "autoreset_mode": "sometimes"}
    with pytest.raises(ConfigError, match="'sometimes'"):
        autoreset_mode(env)

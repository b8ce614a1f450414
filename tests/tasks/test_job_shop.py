from __future__ import annotations

import zlib

import gymnasium as gym
import numpy as np
import pytest

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import SpaceError
from dragoman.tasks import picture as drawing
from dragoman.tasks.instances import INSTANCES, Instance
from dragoman.tasks.job_shop import most_operations_remaining
from dragoman.tasks.masks import uniform
from tests.tasks.episodes import play

OPTIMA = {"ft06": 55, "ft10": 930, "la01": 666}
# Found by simulated annealing; the job of each dispatch.
OPTIMAL = {
    "ft06": "122305120544530131325204301542305414",
    "la01": "74600948153653945769613288350659148127008227149273",
}

TEXT_SEED_7 = (
    "Job shop with 2 jobs and 2 machines. "
    "Goal: finish all jobs as early as possible. "
    "Time so far: 0 hours. "
    "Job 0: next operation needs machine 0 for 7 hours, can start at 0; "
    "16 hours of work left in 2 operations. "
    "Job 1: next operation needs machine 0 for 6 hours, can start at 0; "
    "14 hours of work left in 2 operations. "
    "Machines free at: machine 0 at 0, machine 1 at 0."
)


def make(**settings) -> gym.Env:
    return gym.make("dragoman/JobShop-v0", **settings)


def makespan(env: gym.Env, policy, seed: int = 0) -> int:
    return play(env, policy, seed=seed)[-1][2]["makespan"]


def test_random_policy_leaves_the_instances_alone():
    drawn = []
    for policy in (uniform, most_operations_remaining):
        env = make()
        play(env, policy, seed=3)
        env.reset()
        drawn.append(env.unwrapped.instance.durations)
    np.testing.assert_array_equal(*drawn)


def test_the_reference_on_published_instances():
    # Golden: a change of rule, tie-breaking or timing moves at least one.
    hours = [makespan(make(instance=name), most_operations_remaining) for name in OPTIMA]
    assert hours == [59, 1163, 763]


@pytest.mark.parametrize(
    ("name", "digest"), [("ft06", 2118715355), ("ft10", 824500929), ("la01", 2085700575)]
)
def test_instances_are_the_published_ones(name, digest):
    # Taken when the tables were compared, number by number, with an independent copy.
    table = np.stack([INSTANCES[name].machines, INSTANCES[name].durations])
    assert zlib.crc32(table.astype("<i8").tobytes()) == digest


def test_instances_are_shared_and_therefore_read_only():
    with pytest.raises(ValueError, match="read-only"):
        INSTANCES["ft06"].durations[0, 0] = 2


@pytest.mark.parametrize("name", OPTIMAL)
def test_a_published_optimum_is_reached(name):
    jobs = iter(OPTIMAL[name])
    assert makespan(make(instance=name), lambda env: int(next(jobs))) == OPTIMA[name]


@pytest.mark.parametrize("name", INSTANCES)
def test_the_reference_beats_no_published_optimum(name):
    instance = INSTANCES[name]
    width = instance.machines.shape[1]
    assert (np.sort(instance.machines, axis=1) == np.arange(width)).all()
    result = makespan(make(instance=name), most_operations_remaining)
    assert instance.bound <= OPTIMA[name] <= result


def test_two_jobs_by_hand():
    env = make(jobs=2, machines=2).unwrapped
    env._draw = lambda: Instance(np.array([[0, 1], [0, 1]]), np.array([[3, 2], [1, 4]]))
    _, info = env.reset()
    assert env.bound == 6  # machine 1 needs 2 + 4 hours; job 0 and job 1 need 5 each
    rewards = []
    # Job 1 first: machine 0 to 1, machine 1 from 1 to 5; job 0: machine 0 to 4, machine 1 5 to 7.
    for job, ends in ((1, 1), (0, 4), (1, 5), (0, 7)):
        _, reward, terminated, _, info = env.step(job)
        rewards.append(reward)
        assert info["makespan"] == ends
    assert terminated
    assert rewards == pytest.approx([-1 / 6, -3 / 6, -1 / 6, -2 / 6])
    assert env.starts.tolist() == [[1, 5], [0, 1]]


@pytest.mark.parametrize("reward", ["dense", "final"])
def test_rewards_sum_to_minus_makespan_over_bound(reward):
    env = make(reward=reward)
    steps = play(env, most_operations_remaining, seed=5)
    total = sum(step[1] for step in steps)
    assert total == pytest.approx(-steps[-1][2]["makespan"] / env.unwrapped.bound)
    assert (reward == "final") == all(step[1] == 0 for step in steps[:-1])


def test_schedules_keep_the_rules_of_the_shop():
    env = make(jobs=5, machines=4)
    play(env, uniform, seed=2)
    shop = env.unwrapped
    ends = shop.starts + shop.instance.durations
    assert (shop.starts[:, 1:] >= ends[:, :-1]).all()
    for machine in range(4):
        mine = shop.instance.machines == machine
        order = np.argsort(shop.starts[mine])
        assert (shop.starts[mine][order][1:] >= ends[mine][order][:-1]).all()


def test_averages_over_random_instances_are_those_documented():
    env = make()
    hours = [
        np.mean([makespan(env, policy, seed) for seed in range(40)])
        for policy in (most_operations_remaining, uniform)
    ]
    assert hours == [pytest.approx(60, abs=4), pytest.approx(91, abs=8)]


def test_text_of_ft06():
    env = make(instance="ft06", render_mode="ansi")
    env.reset(seed=0)
    for job in (1, 2, 2, 2, 2, 2, 2):
        env.step(job)
    assert env.render() == (
        "Job shop with 6 jobs and 6 machines. Goal: finish all jobs as early as possible. "
        "Time so far: 34 hours. "
        "Job 0: next operation needs machine 2 for 1 hour, can start at 5; "
        "26 hours of work left in 6 operations. "
        "Job 1: next operation needs machine 2 for 5 hours, can start at 8; "
        "39 hours of work left in 5 operations. "
        "Job 2 is finished. "
        "Job 3: next operation needs machine 1 for 5 hours, can start at 27; "
        "35 hours of work left in 6 operations. "
        "Job 4: next operation needs machine 2 for 9 hours, can start at 5; "
        "25 hours of work left in 6 operations. "
        "Job 5: next operation needs machine 1 for 3 hours, can start at 27; "
        "30 hours of work left in 6 operations. "
        "Machines free at: machine 0 at 26, machine 1 at 27, machine 2 at 5, machine 3 at 9, "
        "machine 4 at 34, machine 5 at 17."
    )


def test_text_under_a_seed():
    env = make(jobs=2, machines=2, render_mode="ansi")
    env.reset(seed=7)
    first = env.render()
    _, info = env.reset(seed=7)
    assert env.render() == first == info["text"] == TEXT_SEED_7
    *_, info = env.step(0)
    assert info["text"] == env.render() != first


def test_observation_holds_the_rest_of_the_instance():
    env = make(instance="ft06")
    env.reset(seed=0)
    observation, *_ = env.step(0)
    jobs, free = observation[:-6].reshape(6, 15), observation[-6:] * 47
    np.testing.assert_allclose(free, [0, 0, 1, 0, 0, 0], rtol=1e-6)
    # Job 0 is free at 1, its next operation can start at 1, and 25 of 26 hours are left.
    np.testing.assert_allclose(jobs[0, :3] * 47, [1, 1, 25], rtol=1e-6)
    np.testing.assert_allclose(jobs[0, 3:9] * 47, [3, 6, 0, 7, 6, 3], rtol=1e-6)
    nearness = [1, 1 / 2, 0, 1 / 3, 1 / 5, 1 / 4]
    np.testing.assert_allclose(jobs[0, 9:], nearness, rtol=1e-6)


def test_picture():
    env = make(instance="ft06", render_mode="rgb_array")
    env.reset(seed=0)
    empty = env.render()
    env.step(1)  # job 1 on machine 1 from 0 to 8
    frame = env.render()
    assert frame.dtype == np.uint8
    assert frame.shape == (256, 256, 3)
    assert (empty == 255).all()
    assert len({drawing.colour(job) for job in range(30)}) == 30
    rows, columns = np.nonzero((frame != 255).any(axis=2))
    assert (rows.min() // (256 / 6), rows.max() // (256 / 6)) == (1, 1)
    assert (columns.min(), columns.max()) == (0, round(8 / 94 * 256) - 1)


def test_finished_jobs_and_finished_episodes():
    env = make(jobs=2, machines=1, when_masked="refuse").unwrapped
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1, 1]
    *_, info = env.step(1)
    assert info["action_mask"].tolist() == [1, 0]
    assert info["action_mask"].dtype == np.int8
    with pytest.raises(SpaceError, match="action 1 is not allowed now"):
        env.step(1)
    *_, terminated, _, _ = env.step(0)
    assert terminated
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)


def test_described_dispatches_say_what_a_job_is_like():
    env = make(jobs=2, machines=2, actions="described")
    _, info = env.reset(seed=7)
    assert info["action_texts"] == [
        "dispatch job 0, 7 hours in 0 hours, 16 hours left",
        "dispatch job 1, 6 hours in 0 hours, 14 hours left",
    ]
    *_, info = env.step(1)  # job 0 waits for machine 0, and job 1 is there until then
    *_, info = env.step(1)  # machine 1 works on job 1 for 8 hours more
    assert info["action_texts"] == ["dispatch job 0, 7 hours in 0 hours, 16 hours left", ""]
    *_, info = env.step(0)
    assert info["action_texts"] == ["dispatch job 0, 9 hours in 0 hours, 9 hours left", ""]


def test_a_dispatch_that_has_to_wait_says_how_long():
    env = make(jobs=2, machines=2, actions="described")
    env.unwrapped._draw = lambda: Instance(np.array([[0, 1], [1, 0]]), np.array([[3, 2], [5, 4]]))
    env.reset(seed=0)
    *_, info = env.step(0)
    assert info["action_texts"] == [
        "dispatch job 0, 2 hours in 3 hours, 2 hours left",
        "dispatch job 1, 5 hours in 0 hours, 9 hours left",
    ]


def test_waits_are_told_from_the_first_unfinished_job():
    env = make(jobs=2, machines=2, actions="described")
    env.unwrapped._draw = lambda: Instance(np.array([[0, 1], [0, 1]]), np.array([[1, 1], [9, 4]]))
    env.reset(seed=0)
    for job in (0, 0, 1):
        *_, info = env.step(job)
    assert info["action_texts"] == ["", "dispatch job 1, 4 hours in 0 hours, 4 hours left"]

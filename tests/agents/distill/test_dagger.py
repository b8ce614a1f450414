"""Students of hand-made teachers, whose rules a small network can learn."""

from __future__ import annotations

import functools
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from dragoman.agents.distill.dagger import Distillation, Distilled, teach
from dragoman.agents.distill.dataset import RunningEnvs, StudentSpaces, visit
from dragoman.agents.distill.student import NEVER, shape_of
from dragoman.environments import environment_spec
from dragoman.errors import ConfigError, SpaceError
from tests.number_tasks import greatest, turned

SMALL = Distillation(steps=6_000, rounds=3, epochs=30, num_envs=8, learning_rate=3e-3)
GREATEST, TURNED = "tests.number_tasks:Greatest", "tests.number_tasks:Turned"


def balance(observations, infos) -> list[int]:
    """Push under the falling pole."""
    return [int(angle + 0.5 * speed + 0.05 * drift > 0) for _, drift, angle, speed in observations]


def allowed(info) -> np.ndarray:
    return info["action_mask"] > 0


def taught(env: str, teacher, settings: Distillation = SMALL, **changes) -> Distilled:
    changes = {"episodes": 5, **changes}
    return teach(teacher, environment_spec(env), changes.pop("given", {}), settings, **changes)


def test_a_student_balances_as_its_teacher_does() -> None:
    told = []
    result = taught("CartPole-v1", balance, on_step=lambda *news: told.append(news))
    kept = result.rounds[result.kept]
    assert kept.agreement > 0.95
    assert result.student_states > 0.95
    assert result.teacher_states > 0.95
    assert result.followed.mean > 450
    assert [item.share for item in result.rounds] == [0.0, 0.5, 0.75]
    assert [item.states for item in result.rounds] == [1750, 3500, 5250]
    assert result.steps == 6000
    assert told[0] == ("round 1 of 3", 8, 6000)
    assert ("round 3 of 3", 6000, 6000) in told
    assert told[-1] == ("evaluate the student", 5, 5)
    report = result.to_dict()
    returns = report["returns"]["student"]
    assert returns["low"] <= returns["mean"] <= returns["high"]
    difference = result.followed.mean - result.teacher.mean
    assert report["returns"]["difference"]["mean"] == pytest.approx(difference)
    assert report["agreement"]["held_out"] == kept.agreement


def test_equal_seeds_give_equal_students() -> None:
    short = replace(SMALL, steps=240, epochs=3)
    torch.manual_seed(1)
    one = taught("CartPole-v1", balance, short, episodes=2)
    torch.manual_seed(2)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    other = taught("CartPole-v1", balance, short, episodes=2)
    # Nothing else that is drawn in this process depends on it.
    assert torch.equal(torch.rand(1), drawn)
    assert one.to_dict() == other.to_dict()
    weights = one.student.state_dict()
    for name, tensor in other.student.state_dict().items():
        assert torch.equal(tensor, weights[name])
    third = taught("CartPole-v1", balance, short, episodes=2, seed=1)
    assert not torch.equal(third.student.network[0].weight, one.student.network[0].weight)


def test_masks_are_obeyed() -> None:
    # The environment raises where an invalid action is taken.
    result = taught(GREATEST, greatest, valid=allowed)
    assert result.student_states > 0.95
    assert result.followed.mean > 9
    student = result.student
    rows = np.random.default_rng(0).uniform(-1, 1, (50, 4)).astype(np.float32)
    for action in range(4):
        mask = np.zeros((50, 4), np.int8)
        mask[:, action] = 1
        assert (student.act(rows, mask) == action).all()
    _, logits = student(torch.as_tensor(rows), torch.as_tensor(mask))
    assert (logits[:, :3] == NEVER).all()
    with pytest.raises(SpaceError, match="there is none"):
        student.act(rows)


def test_actions_are_counted_from_where_the_space_starts() -> None:
    given = {"start": 5, "masked": False}
    teacher = functools.partial(greatest, start=5)
    result = taught(GREATEST, teacher, given=given)
    assert result.student_states > 0.9
    assert set(result.student.act(np.eye(4))) == {5, 6, 7, 8}


@pytest.mark.parametrize("bounded", [True, False])
def test_continuous_actions_are_the_teachers(bounded: bool) -> None:
    result = taught(TURNED, turned, given={"bounded": bounded})
    assert result.student_states > 0.95
    assert result.followed.mean > -0.5
    acted = result.student.act(np.full((3, 4), 1.0))
    assert acted.shape == (3, 2, 1)
    if bounded:
        assert (np.abs(acted) <= 1).all()


def test_one_episode_has_no_interval() -> None:
    short = replace(SMALL, steps=24, epochs=1)
    returns = taught(TURNED, turned, short, episodes=1).to_dict()["returns"]["student"]
    assert (returns["low"], returns["high"]) == (None, None)


class Contrary:
    """A student that always does the other thing, in the place of a trained one."""

    def act(self, observations, masks):
        return 1 - np.array(balance(observations, ()))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_the_mixture_acts_and_the_teacher_labels(share: float, expected: float) -> None:
    spec = environment_spec("CartPole-v1")
    env = gym.make(spec)
    spaces = env.observation_space, env.action_space
    student_spaces = StudentSpaces(shape_of(*spaces, (8,), masked=False), *spaces, None)
    copies = RunningEnvs(spec, {}, 8, seed=0)
    acted: list[np.ndarray] = []
    step = copies.step
    copies.step = lambda actions: (acted.append(np.array(actions)), step(actions))
    dataset = visit(
        copies, student_spaces, balance, Contrary(), steps=50, share=share,
        generator=np.random.default_rng(0),
    )  # fmt: skip
    np.testing.assert_array_equal(dataset.labels, balance(dataset.observations, ()))
    assert (np.concatenate(acted) != dataset.labels).mean() == pytest.approx(expected, abs=0.06)
    np.testing.assert_array_equal(dataset.is_held_out, np.tile(np.arange(8) == 7, 50))
    # Copies are played on, not started anew, and no two of them alike.
    assert len(np.unique(dataset.observations[:, 0])) == 400


@pytest.mark.parametrize(
    ("space", "place"),
    [
        (gym.spaces.Text(9), "the observation is Text"),
        (gym.spaces.Dict(a=gym.spaces.Dict(b=gym.spaces.Text(9))), r"\['a'\]\['b'\] is Text"),
        (gym.spaces.Tuple([gym.spaces.Discrete(2), gym.spaces.Text(9)]), r"\[1\] is Text"),
        (gym.spaces.Sequence(gym.spaces.Discrete(2)), "is Sequence"),
    ],
)
def test_texts_are_refused_with_a_cure(space: gym.Space, place: str) -> None:
    with pytest.raises(SpaceError, match=place) as raised:
        shape_of(space, gym.spaces.Discrete(2), (8,), masked=False)
    assert "dragoman export --merged" in raised.value.cure


def test_what_has_a_fixed_size_is_flattened() -> None:
    space = gym.spaces.Dict(
        place=gym.spaces.Discrete(3), grid=gym.spaces.Box(0, 255, (2, 2), np.uint8)
    )
    actions = gym.spaces.Discrete(2)
    student_spaces = StudentSpaces(
        shape_of(space, actions, (8,), masked=False), space, actions, None
    )
    assert student_spaces.shape.observation == str(space)
    seen = {"place": 2, "grid": np.array([[1, 2], [3, 255]], np.uint8)}
    assert student_spaces.flat([seen]).tolist() == [[0, 0, 1, 1, 2, 3, 255]]


def test_other_actions_are_refused() -> None:
    space = gym.spaces.Discrete(2)
    for actions in (gym.spaces.MultiDiscrete([2, 2]), gym.spaces.Box(0, 3, (1,), np.int32)):
        with pytest.raises(SpaceError, match="cannot act in"):
            shape_of(space, actions, (8,), masked=False)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rounds": 0}, "rounds is 0"),
        ({"num_envs": 1}, "num_envs is 1"),
        ({"steps": 79, "num_envs": 16, "rounds": 5}, "no step for each of 16 copies"),
        ({"decay": 1.5}, "decay is 1.5"),
    ],
)
def test_settings_that_cannot_work(changes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Distillation(**changes)
    with pytest.raises(ConfigError, match="episodes is 0"):
        taught(TURNED, turned, episodes=0)

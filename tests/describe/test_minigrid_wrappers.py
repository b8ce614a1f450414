"""What is said of MiniGrid behind its own wrappers; a wrapper more is a line more."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FilterObservation
from minigrid.envs import EmptyEnv
from minigrid.wrappers import (
    DictObservationSpaceWrapper,
    DirectionObsWrapper,
    FlatObsWrapper,
    FullyObsWrapper,
    ImgObsWrapper,
    NoDeath,
    OneHotPartialObsWrapper,
    ReseedWrapper,
    RGBImgObsWrapper,
    RGBImgPartialObsWrapper,
    SymbolicObsWrapper,
    ViewSizeWrapper,
)

from dragoman.describe import describe_env
from dragoman.describe.families.minigrid import grid_sentences
from dragoman.errors import SpaceError

GOAL = "Goal: use the key to open the door and then get to the goal. "
VIEW = (
    "You see a wall 1 step forward. You see a wall 1 step left. You see a yellow key 1 step right."
)
GRID = (
    "The grid has 5 columns and 5 rows. You are in column 1 and row 3, facing left. A yellow key "
    "is in column 1 and row 2. A locked yellow door is in column 2 and row 1. A green goal is in "
    "column 3 and row 3. Inner walls of column 2: rows 2 to 3."
)

WRAPPED = {
    "plain": (lambda env: env, GOAL + VIEW),
    "view of 5": (lambda env: ViewSizeWrapper(env, 5), GOAL + VIEW),
    "one-hot": (OneHotPartialObsWrapper, GOAL + VIEW),
    "one-hot of 5": (lambda env: OneHotPartialObsWrapper(ViewSizeWrapper(env, 5)), GOAL + VIEW),
    "image": (ImgObsWrapper, VIEW),
    "grid": (FullyObsWrapper, GOAL + GRID),
    "image of the grid": (lambda env: ImgObsWrapper(FullyObsWrapper(env)), GRID),
    "angle": (
        lambda env: DirectionObsWrapper(env, type="angle_atan2"),
        f"{GOAL}{VIEW} Direction to the goal: 0.",
    ),
    "no death": (lambda env: NoDeath(env, ("lava",)), GOAL + VIEW),
    "one seed": (ReseedWrapper, GOAL + VIEW),
    "without the compass": (lambda env: FilterObservation(env, ["image", "mission"]), GOAL + VIEW),
    "symbols": (SymbolicObsWrapper, "5 by 5 by 3 numbers with mean"),
    "picture": (RGBImgObsWrapper, "image of 40 by 40 by 3, brightness"),
    "picture of the view": (RGBImgPartialObsWrapper, "image of 56 by 56 by 3, brightness"),
    # As large as the agent's own view.
    "dots": (lambda env: RGBImgPartialObsWrapper(env, tile_size=1), "image of 7 by 7 by 3, bright"),
    "words by number": (DictObservationSpaceWrapper, "mission: value 0 23, value 1 31"),
    "flat": (FlatObsWrapper, "2835 numbers with mean"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_a_wrapper_shows_is_described(name: str) -> None:
    wrap, expected = WRAPPED[name]
    env = wrap(gym.make("MiniGrid-DoorKey-5x5-v0"))
    # ReseedWrapper has a seed of its own, the same one.
    observation, info = env.reset(seed=None if name == "one seed" else 0)
    text = describe_env(env).observation(observation, info)
    assert text == expected if expected.endswith(".") else expected in text


class Seven(EmptyEnv):
    """A grid as large as the agent's view, so that the two have one space."""

    def __init__(self) -> None:
        super().__init__(size=7)


def test_a_grid_as_large_as_a_view_is_told_from_it() -> None:
    plain, whole = Seven(), FullyObsWrapper(Seven())
    assert plain.observation_space == whole.observation_space
    told = describe_env(whole).observation(*whole.reset(seed=0))
    assert told == (
        "Goal: get to the green goal square. The grid has 7 columns and 7 rows. You are in column "
        "1 and row 1, facing right. A green goal is in column 5 and row 5."
    )
    assert "wall 5 steps forward" in describe_env(plain).observation(*plain.reset(seed=0))


def test_copies_in_other_processes_are_described_alike() -> None:
    env = gym.make_vec(
        "MiniGrid-DoorKey-5x5-v0",
        num_envs=1,
        vectorization_mode="async",
        vector_kwargs={"shared_memory": False},
        wrappers=[FullyObsWrapper],
    )
    observation, _ = env.reset(seed=0)
    one = next(iter(gym.vector.utils.iterate(env.observation_space, observation)))
    here = FullyObsWrapper(gym.make("MiniGrid-DoorKey-5x5-v0"))
    told = describe_env(here).observation(*here.reset(seed=0))
    assert describe_env(env).observation(one, {}) == told
    env.close()


@pytest.mark.parametrize(
    ("slope", "text"), [(np.inf, "straight down"), (-np.inf, "straight up"), (0.5, "0.5")]
)
def test_a_slope_without_bounds_has_words(slope: float, text: str) -> None:
    env = DirectionObsWrapper(gym.make("MiniGrid-Empty-5x5-v0"))
    observation, _ = env.reset(seed=0)
    told = describe_env(env).observation({**observation, "goal_direction": np.array(slope)}, {})
    assert told.endswith(f"Direction to the goal: {text}.")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ones((5, 5, 3), np.uint8), r"shape \(5, 5, 3\) and 0 agents"),
        (np.full((5, 5, 3), 10, np.uint8), "25 agents"),
        (np.ones((5, 5)), r"shape \(5, 5\)"),
    ],
)
def test_what_is_no_grid_is_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        grid_sentences(image)


def test_inner_walls_are_told_by_runs() -> None:
    image = np.ones((4, 8, 3), np.uint8)
    image[1, 1] = (10, 0, 3)
    image[2, [1, 2, 3, 5], 0] = 2
    assert grid_sentences(image) == [
        "The grid has 4 columns and 8 rows",
        "You are in column 1 and row 1, facing up",
        "Inner walls of column 2: rows 1 to 3, 5",
    ]

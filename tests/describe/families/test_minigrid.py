"""What a MiniGrid agent sees, on grids drawn by hand and on MiniGrid's own."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
from minigrid.core.constants import COLOR_NAMES
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Door, Floor, Goal, Key, Lava, Wall
from minigrid.minigrid_env import MiniGridEnv
from minigrid.wrappers import FullyObsWrapper

from dragoman.describe import describe_env
from dragoman.describe.families.minigrid import MiniGridDescriber
from dragoman.errors import SpaceError
from dragoman.tasks.minigrid_view import ACTIONS, sentences
from dragoman.testing import check_describer

COLOURS = {name[0]: name for name in COLOR_NAMES if name != "grey"} | {"e": "grey"}
KINDS = {"k": Key, "b": Ball, "x": Box, "f": Floor}
DOORS = {"O": {"is_open": True}, "C": {}, "L": {"is_locked": True}}
FORWARD, UP = 2, 3


class Scene(MiniGridEnv):
    """A grid drawn in text, two letters a cell, with the agent ``@@`` looking up."""

    def __init__(self, drawing, **settings):
        self.drawing = [line.split() for line in drawing.strip().splitlines()]
        super().__init__(
            MissionSpace(lambda: "get home"),
            width=len(self.drawing[0]),
            height=len(self.drawing),
            **settings,
        )
        self.reset()

    def _gen_grid(self, width, height):
        self.mission = "get home"
        self.grid = Grid(width, height)
        for y, row in enumerate(self.drawing):
            for x, cell in enumerate(row):
                if cell == "@@":
                    self.agent_pos, self.agent_dir = (x, y), UP
                elif cell != "..":
                    self.grid.set(x, y, thing(cell))

    def sentences(self, **settings):
        return sentences(self.gen_obs()["image"], **settings)


def thing(cell):
    if cell == "##":
        return Wall()
    if cell == "GG":
        return Goal()
    if cell == "LL":
        return Lava()
    if cell[1] in DOORS:
        return Door(COLOURS[cell[0]], **DOORS[cell[1]])
    return KINDS[cell[1]](COLOURS[cell[0]])


ROOM = """
## ## ## ## ## ## ##
## .. .. .. .. .. ##
## gk .. .. .. rb ##
## .. .. .. .. .. ##
## .. .. bb .. .. ##
## .. .. .. yx .. ##
## .. .. @@ .. .. ##
"""

HALL = """
## ## ## ## ## ## ##
.. pk .. .. .. .. ..
## rO ## bC ## gL ##
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. .. .. @@ .. .. ..
"""

CORNER = """
ek .. ..
## ## rk
## @@ ..
"""


def test_a_room() -> None:
    observation = Scene(ROOM).gen_obs()
    assert MiniGridDescriber().observation(observation, {}) == (
        "Goal: get home. You see a wall 3 steps left. You see a wall 3 steps right. "
        "You see a green key 2 steps left and 4 steps forward. You see a blue ball 2 steps "
        "forward. You see a yellow box 1 step right and 1 step forward. You see a red ball 2 "
        "steps right and 4 steps forward."
    )


def test_doors_of_three_states_and_what_an_open_one_shows() -> None:
    assert Scene(HALL).sentences() == [
        "You see a purple key 2 steps left and 5 steps forward",
        "You see an open red door 2 steps left and 4 steps forward",
        "You see a closed blue door 4 steps forward",
        "You see a locked green door 2 steps right and 4 steps forward",
    ]


def test_shut_doors_hide_what_is_behind_them() -> None:
    shut = Scene(HALL.replace("rO", "rC"))
    assert not any("purple" in sentence for sentence in shut.sentences())
    glass = Scene(HALL.replace("rO", "rC"), see_through_walls=True)
    assert any("purple" in sentence for sentence in glass.sentences())


def test_a_corner_with_a_load() -> None:
    scene = Scene(CORNER)
    scene.carrying = Key("blue")
    assert scene.sentences() == [
        "You carry a blue key",
        "You see a wall 1 step forward",
        "You see a wall 1 step left",
        # The grid ends there, which MiniGrid shows as a wall.
        "You see a wall 2 steps right",
        # MiniGrid's light passes over the red key and round the corner.
        "You see a grey key 1 step left and 2 steps forward",
        "You see a red key 1 step right and 1 step forward",
    ]


def test_an_object_beside_the_agent_hides_the_wall_behind_it_from_the_text() -> None:
    beside = "## .. gk @@ .. .. ##"
    assert Scene(ROOM.replace("## .. .. @@ .. .. ##", beside)).sentences()[:2] == [
        "You see a wall 3 steps right",
        "You see a green key 2 steps left and 4 steps forward",
    ]


TILES = """
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. .. .. .. .. .. ..
.. LL .. GG .. ef ..
.. .. .. @@ .. .. ..
"""


def test_tiles() -> None:
    assert Scene(TILES).sentences() == [
        "You see lava 2 steps left and 1 step forward",
        "You see a green goal 1 step forward",
        "You see a grey floor 2 steps right and 1 step forward",
    ]


def test_parity_keeps_the_published_slips() -> None:
    assert Scene(HALL).sentences(parity=True)[1] == (
        "You see a open red door 2 steps left and 4 steps forward"
    )
    assert Scene(TILES).sentences(parity=True)[0] == (
        "You see a red lava 2 steps left and 1 step forward"
    )
    bare = re.sub("LL|GG|ef", "..", TILES)
    assert Scene(bare).sentences(parity=True) == []
    assert Scene(bare).sentences() == ["You see nothing"]
    # Nothing else differs.
    assert Scene(ROOM).sentences(parity=True) == Scene(ROOM).sentences()


@pytest.mark.parametrize("drawing", [ROOM, HALL, CORNER, TILES])
def test_turning_the_world_with_the_agent_changes_nothing(drawing) -> None:
    scene = Scene(drawing)
    expected = scene.sentences()
    for _ in range(4):
        x, y = scene.agent_pos
        scene.agent_pos = (y, scene.grid.width - 1 - x)
        scene.agent_dir = (scene.agent_dir - 1) % 4
        scene.grid = scene.grid.rotate_left()
        assert scene.sentences() == expected


def test_turning_the_agent_moves_what_is_ahead_to_its_side() -> None:
    scene = Scene(
        """
        .. .. .. .. ..
        .. .. rk .. ..
        .. .. .. .. ..
        .. .. @@ .. ..
        .. .. .. .. ..
        """
    )
    told = []
    for _ in range(4):
        told.append([s for s in scene.sentences() if "key" in s])
        scene.step(1)
    place = "You see a red key 2 steps"
    assert told == [[f"{place} forward"], [f"{place} left"], [], [f"{place} right"]]


def visible(scene: MiniGridEnv) -> set[tuple[str, int, int]]:
    """Return name, steps right and steps forward of all that is in view, from the world's grid."""
    _, is_visible = scene.gen_obs_grid()
    result = set()
    for x in range(scene.grid.width):
        for y in range(scene.grid.height):
            cell = scene.grid.get(x, y)
            away = np.array((x, y)) - scene.agent_pos
            right, forward = int(away @ scene.right_vec), int(away @ scene.dir_vec)
            if cell is None or cell.type == "wall" or (right, forward) == (0, 0):
                continue
            if not (-3 <= right <= 3 and 0 <= forward <= 6 and is_visible[3 + right, 6 - forward]):
                continue
            state = ""
            if cell.type == "door":
                state = "open " if cell.is_open else "locked " if cell.is_locked else "closed "
            result.add((f"{state}{cell.color} {cell.type}", right, forward))
    return result


SENTENCE = re.compile(
    r"You see an? (?P<name>.*?)(?: (?P<side>\d) steps? (?P<where>left|right))?"
    r"(?: and)?(?: (?P<forward>\d) steps? forward)?"
)


def told(sentences: list[str]) -> set[tuple[str, int, int]]:
    result = set()
    for sentence in sentences:
        if match := SENTENCE.fullmatch(sentence):
            side = int(match["side"] or 0) * (-1 if match["where"] == "left" else 1)
            result.add((match["name"], side, int(match["forward"] or 0)))
    return {item for item in result if item[0] != "wall"}


@pytest.mark.parametrize("env_id", ["BabyAI-BossLevel-v0", "MiniGrid-ObstructedMaze-2Dlhb-v1"])
def test_all_that_is_in_view_is_told_and_nothing_else(env_id, capsys) -> None:
    scene = gym.make(env_id).unwrapped
    generator = np.random.default_rng(0)
    seen = 0
    for seed in range(5):
        scene.reset(seed=seed)
        for _ in range(60):
            observation, *_ = scene.step(int(generator.choice([0, 1, 2, 2, 2, 3, 4, 5])))
            facts = sentences(observation["image"])
            assert told(facts) == visible(scene)
            load = scene.carrying and f"You carry a {scene.carrying.color} {scene.carrying.type}"
            assert (facts[0] == load) == bool(load)
            seen += len(visible(scene))
    assert seen > 300
    capsys.readouterr()


def test_what_is_out_of_view_is_not_told() -> None:
    scene = Scene(HALL.replace("rO", "rC"))
    expected = scene.sentences()
    _, is_visible = scene.gen_obs_grid()
    hidden = np.argwhere(~is_visible)
    assert len(hidden) == 14  # the two rows behind the doors
    for x, y in hidden:
        scene.grid.set(int(x), int(y), Ball("red"))
        assert scene.sentences() == expected


def test_what_is_in_a_box_and_under_the_agent_is_not_told() -> None:
    scene = Scene(ROOM)
    expected = scene.sentences()
    scene.grid.get(4, 5).contains = Key("red")
    scene.grid.set(*scene.agent_pos, Floor("red"))
    assert scene.sentences() == expected


@pytest.mark.parametrize("size", [3, 5, 9])
def test_views_of_other_sizes(size) -> None:
    facts = Scene(ROOM, agent_view_size=size).sentences()
    assert "You see a blue ball 2 steps forward" in facts
    assert ("You see a wall 3 steps left" in facts) == (size >= 7)


def test_a_family_is_known_by_its_base_class() -> None:
    env = gym.make("BabyAI-GoToLocal-v0")
    describer = describe_env(env)
    check_describer(describer, env)
    observation, info = env.reset(seed=3)
    assert describer.observation(observation, info) == MiniGridDescriber().observation(
        observation, info
    )
    assert [describer.action(action) for action in range(7)] == list(ACTIONS)


def test_members_may_have_fewer_actions() -> None:
    env = gym.make("MiniGrid-Dynamic-Obstacles-5x5-v0")
    describer = describe_env(env)
    assert [describer.action(action) for action in range(3)] == list(ACTIONS[:3])
    with pytest.raises(SpaceError):
        describer.action(3)


def test_environments_in_other_processes_are_known_too() -> None:
    envs = gym.make_vec(
        "MiniGrid-Empty-5x5-v0",
        num_envs=1,
        vectorization_mode="async",
        vector_kwargs={"shared_memory": False},
    )
    try:
        describer = describe_env(envs)
        assert describer.action(2) == "go forward"
        observation = gym.make("MiniGrid-Empty-5x5-v0").reset(seed=0)[0]
        assert describer.observation(observation, {}) == (
            "Goal: get to the green goal square. You see a wall 3 steps forward. "
            "You see a wall 1 step left. You see a wall 3 steps right. "
            "You see a green goal 2 steps right and 2 steps forward."
        )
    finally:
        envs.close()


def test_members_with_observations_of_their_own_are_described_by_their_spaces() -> None:
    scene = Scene(ROOM)
    scene.observation_space = gym.spaces.Discrete(3)
    assert describe_env(scene).observation(2, {}) == "2 of 0 to 2"
    assert describe_env(scene).action(5) == "toggle"


def test_a_playground_has_no_goal() -> None:
    env = gym.make("MiniGrid-Playground-v0")
    assert describe_env(env).observation(*env.reset(seed=0)).startswith("You see")


def view(**changes):
    image = np.ones((7, 7, 3), dtype=np.uint8)
    image[..., 1:] = 0
    return {"image": image, "direction": 0, "mission": "get home"} | changes


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (view(image=np.ones((7, 8, 3), dtype=np.uint8)), r"shape \(7, 8, 3\)"),
        (view(image=np.ones((6, 6, 3), dtype=np.uint8)), "odd V"),
        (view(image=np.ones((7, 7, 3))), "of uint8"),
        (view(mission=np.zeros(4)), "not a text"),
        ({"image": view()["image"]}, "instead of the keys"),
        (view()["image"], "instead of the keys"),
    ],
)
def test_what_is_no_view_is_refused(observation, message) -> None:
    with pytest.raises(SpaceError, match=message):
        MiniGridDescriber().observation(observation, {})


@pytest.mark.parametrize("cell", [(11, 0, 0), (5, 6, 0), (4, 0, 3), (10, 0, 0)])
def test_cells_that_minigrid_does_not_know_are_refused(cell) -> None:
    observation = view()
    observation["image"][2, 2] = cell
    with pytest.raises(SpaceError, match="does not know"):
        MiniGridDescriber().observation(observation, {})


class Whole(gym.ObservationWrapper):
    """Shows the whole grid without being known to do so."""

    def observation(self, observation):
        return FullyObsWrapper(self.env).observation(observation)


def test_views_of_the_whole_grid_are_not_taken_for_the_agents_own() -> None:
    # As large as a view, so that the spaces are equal.
    drawing = ROOM.replace(".. .. @@ .. ..", "## ## ## ## ##").replace("yx", "@@")
    env = Whole(Scene(drawing))
    describer = describe_env(env)
    with pytest.raises(SpaceError, match="agent is not where"):
        describer.observation(env.reset()[0], {})


@pytest.mark.parametrize("action", [-1, 7])
def test_unknown_actions_are_refused(action) -> None:
    with pytest.raises(SpaceError, match="0 to 6"):
        MiniGridDescriber().action(action)


def test_exact_texts_and_keys_hold_the_mission_and_the_whole_view() -> None:
    env = gym.make("BabyAI-GoToLocal-v0")
    describer = describe_env(env, exact=True)
    observation, info = env.reset(seed=0)
    told = describer.observation(observation, info)
    assert told.startswith(describe_env(env).observation(observation, info))
    turned = {**observation, "direction": (observation["direction"] + 1) % 4}
    renamed = {**observation, "mission": observation["mission"] + "s"}
    for other in (turned, renamed):
        assert describer.state_key(other) != describer.state_key(observation)
        assert describer.observation(other, info) != told
    assert describer.state_key({**observation}) == describer.state_key(observation)

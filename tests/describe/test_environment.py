from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.toy_text import FrozenLakeEnv

from dragoman.describe import describe_env, rollout
from dragoman.environments.vector import split_infos
from dragoman.errors import ConfigError, SpaceError
from dragoman.testing import check_describer

FAMILIES = ("classic_control", "box2d", "toy_text", "mujoco")
NEWEST = sorted(
    {
        (spec.namespace, spec.name): spec.id
        for spec in sorted(gym.registry.values(), key=lambda spec: spec.version or 0)
        if str(spec.entry_point).startswith(tuple(f"gymnasium.envs.{f}" for f in FAMILIES))
    }.values()
)
NUMBERED = re.compile(r"\bvalue \d|\baction -?\d|\d of 0 to \d")


@pytest.mark.parametrize("env_id", NEWEST)
def test_every_environment_of_gymnasium_has_named_features(env_id: str) -> None:
    env = gym.make(env_id)
    describer = describe_env(env, limits=False)
    check_describer(describer, env, steps=30)
    observation, info = env.reset(seed=0)
    text = describer.observation(observation, info)
    if env_id != "CarRacing-v3":  # an image has no named numbers
        assert not NUMBERED.search(text), text
    assert not NUMBERED.search(describer.action(env.action_space.sample()))
    env.close()


GOLDEN = {
    "CartPole-v1": (
        "cart position 0.0137 (limits ±4.8), cart velocity -0.023, "
        "pole angle 2.63 degrees left (limits ±24), pole angular velocity -0.0483",
        ["push cart to the left", "push cart to the right"],
    ),
    "LunarLander-v3": (
        "horizontal position from the landing pad 0.00571 (limits ±2.5), "
        "height above the landing pad 1.4 (limits ±2.5), "
        "horizontal velocity 0.578 (limits ±10), vertical velocity -0.528 (limits ±10), "
        "angle -0.378 degrees (limits ±360), angular velocity -0.131 (limits ±10), "
        "left leg touches the ground 0 (limits 0 to 1), "
        "right leg touches the ground 0 (limits 0 to 1)",
        [
            "do nothing",
            "fire left orientation engine",
            "fire main engine",
            "fire right orientation engine",
        ],
    ),
}


@pytest.mark.parametrize("env_id", GOLDEN)
def test_golden_texts(env_id: str) -> None:
    if env_id not in gym.registry:
        pytest.skip(f"Gymnasium {gym.__version__} has no {env_id}")
    env = gym.make(env_id)
    describer = describe_env(env)
    text, actions = GOLDEN[env_id]
    assert describer.observation(*env.reset(seed=0)) == text
    if actions is not None:
        assert [describer.action(action) for action in range(env.action_space.n)] == actions


def test_the_parts_of_a_large_robot_are_named() -> None:
    env = gym.make("Humanoid-v5")
    text = describe_env(env, precision=1).observation(*env.reset(seed=0))
    assert text.count(", ") == 347
    assert "angular velocity of the angle between left upper arm and left_lower_arm" in text
    assert "inertia 10 of torso" in text
    assert "actuator force at abdomen_z" in text
    assert "external force 6 on left_lower_arm" in text


def test_an_older_version_borrows_names_only_if_they_fit() -> None:
    with pytest.warns(DeprecationWarning, match="out of date"):
        env = gym.make("Hopper-v4")
    text = describe_env(env).observation(*env.reset(seed=0))
    assert text.startswith("The torso is 1.25 m high and leans ")
    with pytest.warns(DeprecationWarning, match="out of date"):
        env = gym.make("Reacher-v4")
    text = describe_env(env).observation(*env.reset(seed=0))
    assert text.startswith("value 0 ")


def test_vector_environments_have_the_names_of_their_copies() -> None:
    expected = describe_env(gym.make("CartPole-v1"))
    observation = np.array([0.1, 0.2, 0.03, -0.4], np.float32)
    for mode in ("sync", "async"):
        envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode=mode)
        describer = describe_env(envs)
        assert describer.observation(observation, {}) == expected.observation(observation, {})
        assert describer.action(1) == expected.action(1)
        envs.close()


def test_names_behind_a_changed_space_are_not_trusted() -> None:
    space = spaces.Box(-1, 1, (4,), np.float32)
    env = gym.wrappers.TransformObservation(gym.make("CartPole-v1"), lambda o: o * 0, space)
    text = describe_env(env).observation(*env.reset(seed=0))
    assert text.startswith("value 0 0")


def test_templates_take_features_by_name() -> None:
    env = gym.make("CartPole-v1")
    describer = describe_env(
        env,
        precision=2,
        limits=False,
        observation="The pole leans {pole_angle}. All: {observation}",
        actions=["left", "right"],
    )
    text = describer.observation(*env.reset(seed=0))
    assert text.startswith("The pole leans 2.6 degrees left. All: cart position 0.014, ")
    assert [describer.action(0), describer.action(1)] == ["left", "right"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observation": "{pole_angel}"}, r"'pole_angel' \(did you mean 'pole_angle'"),
        ({"observation": "{pole_angle"}, "cannot be read"),
        ({"observation": "{}"}, "names ''"),
        ({"actions": ["left"]}, r"1 different action texts for Discrete\(2\)"),
        ({"actions": ["left", "left"]}, "1 different action texts"),
    ],
)
def test_bad_templates_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        describe_env(gym.make("CartPole-v1"), **arguments)


def test_bad_observations_and_actions_are_named() -> None:
    describer = describe_env(gym.make("CartPole-v1"))
    with pytest.raises(SpaceError, match="pole angle is nan, but must be finite"):
        describer.observation(np.array([0, 0, np.nan, 0], np.float32), {})
    with pytest.raises(SpaceError, match=r"cart position is 5.0, outside its bounds -4.8 to 4.8"):
        describer.observation(np.array([5, 0, 0, 0], np.float32), {})
    with pytest.raises(SpaceError, match=r"2 is not in Discrete\(2\)"):
        describer.action(2)


def test_rollout_shows_episode_ends() -> None:
    env = gym.make("FrozenLake-v1")
    lines = list(rollout(env, describe_env(env), steps=40))
    assert lines[0].startswith("0: You stand on a frozen lake at row 0, column 0 of 4x4. Next to")
    assert lines[1].startswith("   > move ")
    assert any(line.endswith("(terminated)") for line in lines)
    assert lines[0].replace("0:", "   reset:", 1) in lines


class Speaking(gym.Env):
    """Says of itself what it wants said."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), self.info()

    def step(self, action):
        assert action != 1
        return np.zeros(1, np.float32), 0.0, False, False, self.info()

    def info(self):
        return {
            "text": "You are at home.",
            "action_texts": ["stay", "", "leave"],
            "action_mask": np.array([1, 0, 1], np.int8),
        }


def test_an_environment_that_speaks_is_quoted() -> None:
    describer = describe_env(Speaking())
    observation, info = Speaking().reset()
    assert describer.observation(observation, info) == "You are at home."
    assert describer.observation(observation, {}) == "0 (limits ±1)"
    assert describer.actions(info) == ["stay", "", "leave"]
    assert describer.actions({"action_mask": [0, 1, 1]}) == ["", "action 1", "action 2"]
    with pytest.raises(SpaceError, match="must be finite"):
        describer.observation(np.array([np.nan], np.float32), info)
    exact = describe_env(Speaking(), exact=True)
    assert exact.observation(observation, info) == "You are at home. Exactly: 0."


def test_an_environment_in_a_vector_is_quoted() -> None:
    envs = gym.vector.SyncVectorEnv([Speaking, Speaking])
    describer = describe_env(envs)
    observations, infos = envs.reset()
    for observation, info in zip(observations, split_infos(infos, 2), strict=True):
        assert describer.observation(observation, info) == "You are at home."
        assert describer.actions(info) == ["stay", "", "leave"]


def test_own_words_come_before_those_of_the_environment() -> None:
    describer = describe_env(Speaking(), observation="It is {observation}.", actions=list("abc"))
    observation, info = Speaking().reset()
    assert describer.observation(observation, info) == "It is 0 (limits ±1)."
    assert describer.actions(info) == ["a", "", "c"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: gym.wrappers.TransformObservation(env, lambda o: o * 0, env.observation_space),
        lambda env: gym.wrappers.RescaleObservation(env, np.float32(0), np.float32(1)),
        lambda env: gym.wrappers.TimeLimit(gym.wrappers.NormalizeObservation(env), 9),
    ],
)
def test_a_changed_observation_is_not_given_away_by_the_environments_text(wrap) -> None:
    env = wrap(Speaking())
    text = describe_env(env).observation(*env.reset(seed=0))
    assert text[0].isdigit()
    assert describe_env(gym.wrappers.TimeLimit(Speaking(), 9)).heeds


def test_rollout_takes_and_says_admissible_actions() -> None:
    env = Speaking()
    lines = list(rollout(env, describe_env(env), steps=20))
    assert lines[0] == "0: You are at home."
    assert {line for line in lines if ">" in line} == {"   > stay", "   > leave"}


def test_a_subclass_is_described_as_its_parent_where_its_space_is_the_same() -> None:
    class Mine(FrozenLakeEnv):
        pass

    class Other(FrozenLakeEnv):
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = spaces.MultiDiscrete([4, 4])

    assert describe_env(Mine()).observation(5, {}) == describe_env(FrozenLakeEnv()).observation(
        5, {}
    )
    assert describe_env(Other()).observation(np.array([1, 2]), {}) == "value 0 1, value 1 2"


class Robot(gym.Env):
    """A robot.

    ## Observation Space
    | Key       | Num | Observation    | Unit |
    |-----------|-----|----------------|------|
    | `battery` |     | battery charge | %    |
    | arm       | 0   | shoulder angle | rad  |
    | arm       | 1   | elbow angle    | rad  |
    | gear      |     | chosen gear    |      |
    """

    def __init__(self):
        self.observation_space = gym.spaces.Dict(
            battery=gym.spaces.Box(0, 100, (1,)),
            arm=gym.spaces.Box(-3, 3, (2,)),
            gear=gym.spaces.Discrete(5),
            depth=gym.spaces.Box(0, 1, ()),
        )
        self.action_space = gym.spaces.Discrete(2)


class Store(Robot):
    """A table without keys names them where its names are those of the keys.

    | Num | Observation | Unit |
    |-----|-------------|------|
    | 0   | Battery     | %    |
    """


STATE = {
    "battery": np.float32([50]),
    "arm": np.float32([0.1, -0.2]),
    "gear": 2,
    "depth": np.float32(0.5),
}


def test_the_parts_of_a_dictionary_are_named_by_a_table() -> None:
    describer = describe_env(Robot(), limits=False)
    assert describer.observation(STATE, {}) == (
        "battery charge 50 %; shoulder angle 5.73 degrees, elbow angle -11.5 degrees; "
        "chosen gear 2; depth: 0.5"
    )
    store = describe_env(Store(), limits=False).observation(STATE, {})
    assert store == "battery 50 %; arm: value 0 0.1, value 1 -0.2; gear: 2; depth: 0.5"


def test_a_template_takes_the_parts_of_a_dictionary() -> None:
    template = "{battery_charge} at {elbow_angle}, gear {chosen_gear}, depth {depth}"
    describer = describe_env(Robot(), limits=False, observation=template)
    assert describer.observation(STATE, {}) == "50 % at -11.5 degrees, gear 2, depth 0.5"


def test_errors_of_a_dictionary_name_the_key() -> None:
    with pytest.raises(SpaceError, match=r"battery: battery charge is 550.0, outside its bounds"):
        describe_env(Robot()).observation({**STATE, "battery": np.float32([550])}, {})
    with pytest.raises(SpaceError, match=r"depth: value is 7.0, outside its bounds 0 to 1"):
        describe_env(Store()).observation({**STATE, "depth": np.float32(7)}, {})

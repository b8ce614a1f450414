"""BabyAI-Text: its missions and their split, its words, and what its references achieve."""

from __future__ import annotations

import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks.babyai import HELD_OUT, KINDS, LARGEST_ROOM, Mixed
from dragoman.tasks.babyai_bot import bot
from dragoman.tasks.masks import uniform
from dragoman.tasks.minigrid_view import ACTIONS
from dragoman.testing import check_describer

MISSIONS = ("GoToLocal", "PickupLocal", "PutNextLocal", "OpenDoor", "Sequence", "Mixed")
IDS = [f"dragoman/BabyAIText-{mission}-v0" for mission in MISSIONS]
MIXED = "dragoman/BabyAIText-Mixed-v0"

NAMED = re.compile(r"(?:(\w+) )?(key|ball|box|door)")
THE = r"(?:a|the) (?:\w+ )?"
OBJECT = rf"{THE}(?:key|ball|box)"
GRAMMAR = {
    "go to": re.compile(f"go to {OBJECT}"),
    "pick up": re.compile(f"pick up {OBJECT}"),
    "put next to": re.compile(f"put {OBJECT} next to {OBJECT}"),
    "open": re.compile(f"open {THE}door"),
    "sequence": re.compile(
        f"pick up {OBJECT}, then go to {OBJECT}|go to {OBJECT} after you pick up {OBJECT}"
    ),
}


def play(env, policy, *, seed=None):
    """Return the texts, the return, the length and the ending of one episode."""
    _, info = env.reset(seed=seed)
    texts, total, ending = [info["text"]], 0.0, (False, False)
    while not any(ending):
        _, reward, *ending, info = env.step(policy(env))
        texts.append(info["text"])
        total += reward
    assert info["success"] == ending[0]
    return texts, total, len(texts) - 1, tuple(ending)


def missions(env_id, episodes, **settings):
    env = gym.make(env_id, **settings)
    return [env.reset(seed=seed)[0]["mission"] for seed in range(episodes)]


def named(mission):
    """Return what a mission names, as pairs of colour and kind; an article is no colour."""
    return {(colour, kind) for colour, kind in NAMED.findall(mission)}


def test_the_texts_of_a_seed() -> None:
    # The room, with the agent below looking up; A balls, B boxes, K keys:
    #     ..  ..  AR  ..  ..  ..      R red, Y yellow, P purple;
    #     ..  ..  ..  ..  Ke  AB      e grey, g green, B blue.
    #     ..  ..  ..  ..  ..  ..
    #     KB  ..  AY  ..  ..  KY
    #     ..  ..  ..  ..  ..  ..
    #     KY  Bg  ..  ^^  ..  AP
    env = gym.make("dragoman/BabyAIText-PickupLocal-v0")
    texts, total, steps, ending = play(env, bot, seed=7)
    assert texts[0] == (
        "Goal: pick up the green box. You see a wall 6 steps forward. "
        "You see a blue key 3 steps left and 2 steps forward. You see a yellow key 3 steps left. "
        "You see a green box 2 steps left. You see a red ball 1 step left and 5 steps forward. "
        "You see a yellow ball 1 step left and 2 steps forward. "
        "You see a grey key 1 step right and 4 steps forward. "
        "You see a blue ball 2 steps right and 4 steps forward. "
        "You see a yellow key 2 steps right and 2 steps forward. "
        "You see a purple ball 2 steps right."
    )
    # Turned left, gone forward, picked up.
    assert texts[3:] == [
        "Goal: pick up the green box. You carry a green box. You see a wall 1 step left. "
        "You see a yellow key 2 steps forward. You see a blue key 2 steps right and 2 steps "
        "forward. You see a yellow ball 2 steps right."
    ]
    assert (steps, ending) == (3, (True, False))
    assert total == pytest.approx(1 - 0.9 * 3 / 64)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("env_id", "kind"), [*zip(IDS[:5], KINDS, strict=True)])
def test_missions_follow_the_grammar_of_their_kind(env_id, kind, split) -> None:
    for mission in missions(env_id, 50, split=split):
        assert GRAMMAR[kind].fullmatch(mission), mission


@pytest.mark.parametrize("env_id", IDS)
def test_held_out_missions_are_disjoint(env_id) -> None:
    train = missions(env_id, 300)
    test = missions(env_id, 300, split="test")
    assert not set(train) & set(test)
    for mission in train:
        assert not named(mission) & HELD_OUT, mission
    for mission in test:
        assert named(mission) <= HELD_OUT, mission


def test_the_mixed_task_draws_all_kinds_alike_and_names_all_it_may() -> None:
    drawn = missions(MIXED, 1000)
    counts = [sum(bool(GRAMMAR[kind].fullmatch(m)) for m in drawn) for kind in KINDS]
    assert sum(counts) == 1000
    # Five standard deviations of a binomial count around 200.
    assert all(abs(count - 200) < 64 for count in counts)
    objects = {thing for m in drawn for thing in named(m) if thing[1] != "door"}
    assert len(objects) == 15
    doors = {m for m in drawn if "door" in m}
    assert doors == {"open the door"} | {
        f"open the {colour} door" for colour in ("yellow", "green", "blue", "purple")
    }


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("env_id", IDS)
def test_the_bot_accomplishes_all_of_100_missions(env_id, split) -> None:
    env = gym.make(env_id, split=split)
    episodes = [play(env, bot, seed=seed) for seed in range(100)]
    assert all(ending == (True, False) for *_, ending in episodes)
    assert np.mean([total for _, total, *_ in episodes]) > 0.87


def test_the_bot_plays_minigrids_own_levels() -> None:
    env = make_environment(environment_spec("BabyAI-UnlockLocal-v0"))
    for seed in range(5):
        env.reset(seed=seed)
        over = False
        while not over:
            _, reward, over, truncated, _ = env.step(bot(env))
            assert not truncated
        assert reward > 0


def test_the_bot_advises_whoever_does_otherwise() -> None:
    env = gym.make("dragoman/BabyAIText-PutNextLocal-v0", max_steps=10_000)
    generator = np.random.default_rng(0)

    def stubborn(env):
        advice = bot(env)
        assert bot(env) == advice  # asked twice, it does not plan twice
        # Anything but opening a box, which destroys it.
        return int(generator.choice([0, 1, 2])) if generator.random() < 0.5 else advice

    assert all(play(env, stubborn, seed=seed)[3] == (True, False) for seed in range(10))


def test_the_bot_must_be_asked_at_every_step() -> None:
    env = gym.make(MIXED)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ConfigError, match="from the reset on"):
        bot(env)
    with pytest.raises(ConfigError, match="not CartPoleEnv"):
        bot(gym.make("CartPole-v1"))


def test_uniform_play_rarely_succeeds() -> None:
    env = gym.make("dragoman/BabyAIText-PickupLocal-v0")
    env.action_space.seed(0)
    wins = [play(env, uniform, seed=seed)[3][0] for seed in range(100)]
    assert 0.02 < np.mean(wins) < 0.4


@pytest.mark.parametrize(
    ("mission", "limit"), [("GoToLocal", 64), ("PickupLocal", 64), ("PutNextLocal", 128)]
)
def test_time_runs_out_as_a_truncation(mission, limit) -> None:
    env = gym.make(f"dragoman/BabyAIText-{mission}-v0")
    env.reset(seed=0)
    drop = ACTIONS.index("drop")
    ends = [env.step(drop)[1:4] for _ in range(limit)]
    assert ends == [(0.0, False, False)] * (limit - 1) + [(0.0, False, True)]
    with pytest.raises(SpaceError, match="call reset"):
        env.step(drop)


def test_success_at_the_last_moment_is_no_truncation() -> None:
    env = gym.make("dragoman/BabyAIText-PickupLocal-v0")
    *_, steps, _ = play(env, bot, seed=7)
    last = gym.make("dragoman/BabyAIText-PickupLocal-v0", max_steps=steps)
    _, total, _, ending = play(last, bot, seed=7)
    assert ending == (True, False)
    assert total == pytest.approx(0.1)


def test_actions_and_texts_map_to_each_other() -> None:
    env = gym.make(MIXED)
    _, info = env.reset(seed=0)
    texts = ["turn left", "turn right", "go forward", "pick up", "drop", "toggle"]
    assert info["action_texts"] == texts
    assert [env.unwrapped.action_text(action) for action in range(6)] == texts
    assert [env.unwrapped.action_of(text) for text in texts] == list(range(6))
    check_describer(describe_env(env), env)


def test_parity_reaches_the_text() -> None:
    def after_opening(parity):
        env = gym.make("dragoman/BabyAIText-OpenDoor-v0", parity=parity)
        return play(env, bot, seed=0)[0][-1]

    assert " an open " in after_opening(parity=False)
    assert after_opening(parity=True) == after_opening(parity=False).replace(
        " an open ", " a open "
    )


def test_nothing_is_printed(capfd) -> None:
    for split in ("train", "test"):
        missions(MIXED, 200, split=split, num_distractors=11)
    assert capfd.readouterr() == ("", "")


def test_videos_have_one_size() -> None:
    env = gym.make(MIXED, render_mode="rgb_array")
    shapes, rooms = set(), set()
    for seed in range(20):
        env.reset(seed=seed)
        shapes.add(env.render().shape)
        rooms.add(env.unwrapped.num_cols)
    assert rooms == {1, 2}
    assert shapes == {(256, 480, 3)}
    text = gym.make(MIXED, render_mode="ansi")
    text.reset(seed=0)
    assert text.render() == text.unwrapped.text()


@pytest.mark.parametrize(("room_size", "num_distractors"), [(5, 2), (8, 11), (LARGEST_ROOM, 32)])
def test_the_fullest_rooms_can_be_drawn(room_size, num_distractors) -> None:
    env = Mixed(room_size=room_size, num_distractors=num_distractors)
    for seed in range(20):
        env.reset(seed=seed)
        assert env.check_objs_reachable(raise_exc=False)
    with pytest.raises(ConfigError, match=f"from 0 to {num_distractors}"):
        Mixed(room_size=room_size, num_distractors=num_distractors + 1)


RUN = """
import sys
from dragoman.environments import environment_spec, make_environment
{before}
env = make_environment(environment_spec({env_id!r}))
print(env.reset(seed=0)[0]["mission"])
assert not {{"torch", "pydantic", "transformers", "scipy"}} & set(sys.modules)
"""


def fresh(env_id, before=""):
    code = RUN.format(env_id=env_id, before=before)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("env_id", [MIXED, "BabyAI-GoToLocal-v0", "MiniGrid-Empty-5x5-v0"])
def test_a_fresh_process_finds_it_without_loading_torch(env_id) -> None:
    done = fresh(env_id)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(go|get|pick|put|open) .*\n", done.stdout)


@pytest.mark.parametrize("env_id", [MIXED, "BabyAI-GoToLocal-v0"])
def test_without_minigrid_the_error_names_the_extra(env_id) -> None:
    done = fresh(env_id, before="sys.modules['minigrid'] = None")
    assert "the package 'minigrid' is not installed" in done.stderr
    assert "pip install 'dragoman[minigrid]'" in done.stderr


def test_the_other_tasks_need_no_minigrid() -> None:
    code = "import sys; sys.modules['minigrid'] = None; import dragoman.tasks, dragoman.describe"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_minigrids_own_levels_print_nothing_when_found_by_name(capfd) -> None:
    env = make_environment(environment_spec("BabyAI-GoToLocal-v0"))
    for seed in range(50):
        env.reset(seed=seed)
    assert capfd.readouterr() == ("", "")
    for seed in range(50):
        env.unwrapped.reset(seed=seed)
    assert "Sampling rejected" in capfd.readouterr().out

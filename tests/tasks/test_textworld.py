"""TextWorld: its texts, its commands, its rewards and its games on disk."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import pytest
import textworld

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks import masks, textworld_games
from dragoman.tasks.textworld import TextWorldEnv, oracle, without_decoration
from dragoman.tasks.textworld_games import MOST_GAMES, Recipe, is_won_by_its_plan
from tests.tasks.episodes import play, same

ID = "dragoman/TextWorld-v0"
SMALL = {"num_games": 2, "rooms": 2, "objects": 3, "quest_length": 3}

OBJECTIVE = (
    "You are now playing a profound round of TextWorld! First of all, you could, like, ensure that "
    "the Henderson's box inside the cellar is open. After that, retrieve the cane from the "
    "Henderson's box. With the cane, ditch the cane on the floor of the cellar. And once you've "
    "done that, you win!"
)
CELLAR = "-= Cellar =- You arrive in a cellar. An usual kind of place. You make out"
EXIT = "You don't like doors? Why not try going north, that entranceway is unblocked."
KEY = "Henderson's latchkey"
EMPTY = "an opened Henderson's box. The Henderson's box is empty! What a waste of a day!"
TEXTS = [
    f"{OBJECTIVE} {CELLAR} a closed Henderson's box. {EXIT} You are carrying: a {KEY}.",
    f"{OBJECTIVE} {CELLAR} an opened Henderson's box. The Henderson's box contains a cane. "
    "Suddenly, you bump your head on the ceiling, but it's not such a bad bump that it's going to "
    f"prevent you from looking at objects and even things. {EXIT} You are carrying: a {KEY}. "
    "You open the Henderson's box, revealing a cane.",
    f"{OBJECTIVE} {CELLAR} {EMPTY} {EXIT} You are carrying: a cane and a {KEY}. "
    "You take the cane from the Henderson's box.",
    f"{OBJECTIVE} {CELLAR} {EMPTY} {EXIT} There is a cane on the floor. You are carrying: a {KEY}. "
    "You drop the cane on the ground. Your score has just gone up by one point. *** The End ***",
]
COMMANDS = [
    [f"drop {KEY}", "go north", f"lock Henderson's box with {KEY}", "open Henderson's box"],
    [
        "close Henderson's box",
        f"drop {KEY}",
        "go north",
        f"insert {KEY} into Henderson's box",
        "take cane from Henderson's box",
    ],
]


@pytest.fixture(scope="module", autouse=True)
def games(tmp_path_factory):
    """A cache of its own, in which each game is made once; the user's is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRAGOMAN_CACHE", str(tmp_path_factory.mktemp("games")))
        yield


def make(**settings) -> gym.Env:
    return gym.make(ID, **{**SMALL, **settings})


def said(commands, *, plan=1, won=False, lost=False, feedback=""):
    """What TextWorld could say of a step."""
    return SimpleNamespace(
        admissible_commands=commands,
        policy_commands=[f"step {i}" for i in range(plan)],
        won=won,
        lost=lost,
        objective="Eat.",
        description="-= Attic =-\nAn attic.",
        inventory="You are carrying nothing.",
        feedback=feedback,
    )


def scripted(*states, **settings) -> TextWorldEnv:
    """An environment in the first state, whose game goes through the others."""
    env = TextWorldEnv(**settings)
    coming = iter(states[1:])
    env.game = SimpleNamespace(step=lambda command: (next(coming),), close=lambda: None)
    env.state, env.plan_length = states[0], len(states[0].policy_commands)
    env._note_commands()
    return env


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_oracle_wins_in_as_many_steps_as_the_quest_has(seed):
    env = make()
    steps = play(env, oracle, seed=seed)
    assert steps[-1][2]["success"]
    assert len(steps) == 1 + env.unwrapped.plan_length <= 1 + SMALL["quest_length"]
    assert [reward for _, reward, _ in steps[1:]] == pytest.approx(
        [1 / env.unwrapped.plan_length] * (len(steps) - 1)
    )
    assert not any(info["success"] for _, _, info in steps[:-1])


def test_a_seed_repeats_its_episode_and_seeds_draw_every_game():
    one, other = make(when_masked="refuse"), make(when_masked="refuse")
    assert same(play(one, masks.uniform, seed=4), play(other, masks.uniform, seed=4))
    assert len({one.reset(seed=seed)[0] for seed in range(8)}) == SMALL["num_games"]


def test_two_environments_at_once_do_not_disturb_each_other():
    alone = play(make(), oracle, seed=3)
    one, other = make(), make()
    texts = [one.reset(seed=3)[0]]
    other.reset(seed=3)
    while not one.unwrapped.is_over:
        other.step(0)
        texts.append(one.step(oracle(one))[0])
    assert texts == [text for text, _, _ in alone]


def test_the_text_and_the_commands_of_a_game():
    steps = play(make(num_games=1), oracle, seed=0)
    assert [text for text, _, _ in steps] == TEXTS
    assert [[item for item in info["action_texts"] if item] for _, _, info in steps[:2]] == COMMANDS


def test_inspections_are_admitted_on_demand():
    env = make(num_games=1, inspections=True)
    _, info = env.reset(seed=0)
    admitted = [item for item in info["action_texts"] if item]
    assert {"inventory", "look"} < set(admitted)
    assert [
        item for item in admitted if item.split()[0] not in ("examine", "inventory", "look")
    ] == (COMMANDS[0])
    # A command that only shows moves nothing, and what it shows is the news.
    text, reward, terminated, _, _ = env.step(env.unwrapped.action_of("inventory"))
    assert (reward, terminated) == (0, False)
    assert text.startswith(TEXTS[0])


def test_where_there_is_nothing_to_do_but_look_one_may_look():
    assert scripted(said(["examine box", "look"])).commands == ["examine box", "look"]
    assert scripted(said(["go west", "look"])).commands == ["go west"]


def test_a_time_limit_truncates():
    env = make(max_episode_steps=1)
    env.reset(seed=0)
    *_, terminated, truncated, info = env.step(oracle(env))
    assert (terminated, truncated, info["success"]) == (False, True, False)


def test_going_astray_costs_what_the_way_back_earns():
    end = said([], plan=0, won=True)
    env = scripted(said(["go"], plan=2), said(["go"], plan=3), said(["go"]), end)
    steps = [env.step(0) for _ in range(3)]
    assert [step[1] for step in steps] == pytest.approx([-1 / 2, 1, 1 / 2])
    assert [step[2] for step in steps] == [False, False, True]
    assert steps[-1][4]["success"]
    with pytest.raises(SpaceError, match="call reset"):
        env.step(0)


@pytest.mark.parametrize("end", [said(["look"], plan=0), said(["look"], plan=3, lost=True)])
def test_a_game_that_cannot_be_won_any_more_is_lost_and_pays_back(end):
    env = scripted(said(["go"], plan=4), said(["eat apple"], plan=3), end)
    rewards = [env.step(0)[1]]
    _, reward, terminated, truncated, info = env.step(0)
    assert [*rewards, reward] == pytest.approx([1 / 4, -1 / 4])
    assert (terminated, truncated, info["success"]) == (True, False, False)


def test_the_final_reward_is_for_winning_only():
    won = said([], plan=0, won=True)
    env = scripted(said(["go"], plan=2), said(["go"]), won, reward="final")
    assert [env.step(0)[1] for _ in range(2)] == [0.0, 1.0]
    lost = scripted(said(["go"], plan=2), said([], plan=0), reward="final")
    assert lost.step(0)[1:3] == (0.0, True)


def test_more_commands_than_actions_are_refused():
    with pytest.raises(SpaceError, match=r"admits 3 commands, more than num_actions=2"):
        scripted(said(["go east", "go west", "take box"]), num_actions=2)
    assert scripted(said(["go east", "go west"]), num_actions=2).action_masks().tolist() == [1, 1]


def test_a_number_beyond_the_commands():
    env = scripted(said(["go east", "go west"]), num_actions=4)
    assert env.action_masks().tolist() == [1, 1, 0, 0]
    with pytest.raises(SpaceError, match="action 3 is not valid now"):
        env.action_text(3)
    with pytest.raises(SpaceError, match="did you mean 'go east'"):
        env.action_of("go eas")
    typed = []
    env.game.step = lambda command: typed.append(command) or (said(["go east"]),)
    env.step(3)  # the next allowed one, cyclically
    assert typed == ["go east"]
    strict = scripted(said(["go east"]), num_actions=4, when_masked="refuse")
    with pytest.raises(SpaceError, match="when_masked='next'"):
        strict.step(1)


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("\n   __   __ \n  | $$ \\$$ \n  \\$$ \\$$ \n\nHello.", "Hello."),
        ("You open the box.\n\n>          -= Spare Room =-0/4", "You open the box."),
        ("You lose a point.\n\n>     -= Attic =--1/12", "You lose a point."),
        (
            "Not bad.\n\n*** The End ***\n\nYou scored 1 out of a possible 1, in 5 turns.\n\n"
            "Would you like to RESTART, RESTORE a saved game, QUIT?\n>   -= Attic =-0/4",
            "Not bad.\n\n*** The End ***",
        ),
        ("The price is 3 > 2.", "The price is 3 > 2."),
    ],
)
def test_decoration_is_taken_off(printed, kept):
    assert without_decoration(printed).strip() == kept


def test_what_is_said_already_is_not_said_again():
    walked = scripted(said(["go"], feedback="\n-= Attic =-\nAn attic.\n\n>   -= Attic =-0/2"))
    assert walked.text() == "Eat. -= Attic =- An attic. You are carrying nothing."
    opened = scripted(said(["go"], feedback="It squeaks.\n\n>   -= Attic =-0/2"))
    assert opened.text() == f"{walked.text()} It squeaks."


def test_no_two_splits_share_a_seed():
    ranges = []
    for split in ("train", "validation", "test"):
        recipe = Recipe(2, 3, 3, split)
        ranges.append(range(recipe.seed(0), recipe.seed(MOST_GAMES - 1) + 1))
    assert [len(item) for item in ranges] == [MOST_GAMES] * 3
    assert ranges[0].stop <= ranges[1].start
    assert ranges[1].stop <= ranges[2].start


def test_a_game_is_made_once(monkeypatch):
    path = Recipe(2, 3, 3, "train").file(0)
    assert path.is_file()
    assert [item.name for item in path.parent.parent.iterdir() if "tmp" in item.name] == []
    monkeypatch.setattr(textworld, "make", None)
    assert Recipe(2, 3, 3, "train").file(0) == path


def test_a_second_process_with_the_same_game_is_no_harm(tmp_path):
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "game.z8").write_text(name)
    textworld_games._publish(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "game.z8").read_text() == "theirs"
    with pytest.raises(FileNotFoundError):
        textworld_games._publish(tmp_path / "nowhere", tmp_path / "new")


def test_a_game_that_its_plan_does_not_win_is_made_anew(tmp_path, monkeypatch):
    # Here "locker" is what the interpreter asks about, since there is a "type 0 locker" too.
    options = textworld.GameOptions()
    options.nb_rooms, options.nb_objects, options.quest_length, options.seeds = 5, 10, 5, 0
    options.path = str(tmp_path / "ambiguous.z8")
    ambiguous, _ = textworld.make(options)
    assert not is_won_by_its_plan(ambiguous)
    tried = []
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    monkeypatch.setattr(
        textworld_games,
        "is_won_by_its_plan",
        lambda path: tried.append(path.read_bytes()) or tried[1:],
    )
    assert Recipe(1, 1, 1, "test").file(7).read_bytes() == tried[1] != tried[0]


def test_a_quest_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    def fails(options):
        raise textworld_games.QuestGenerationError("no")

    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    monkeypatch.setattr(textworld, "make", fails)
    with pytest.raises(ConfigError, match="choose a shorter quest"):
        Recipe(1, 1, 20, "train").file(0)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == []

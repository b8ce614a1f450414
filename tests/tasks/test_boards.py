from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from itertools import product

import gymnasium as gym
import numpy as np
import pytest

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import SpaceError
from dragoman.tasks import masks

GAMES = ("TicTacToe", "ConnectFour", "Chess", "2048", "LeducPoker")
TWO_PLAYERS = tuple(game for game in GAMES if game != "2048")


def make(game: str, **settings) -> gym.Env:
    return gym.make(f"dragoman/{game}-v0", **settings)


def moves(info) -> list[str]:
    return [text for text in info["action_texts"] if text]


def test_tic_tac_toe_in_words():
    env = make("TicTacToe", opponent=lambda observation, info: 0, side="first", render_mode="ansi")
    _, info = env.reset(seed=0)
    assert moves(info)[4] == "mark the centre"
    observation, reward, *_, info = env.step(4)
    head = "Tic-tac-toe: three in a row win. You play x against o, x moves first. "
    assert env.render() == info["text"]
    assert info["text"] == (
        f"{head}Rows from the top, . is empty: o.. / .x. / .... You are to move."
    )
    assert reward == 0
    assert np.argwhere(observation[0]).tolist() == [[1, 1]]
    assert np.argwhere(observation[1]).tolist() == [[0, 0]]
    assert observation[2].sum() == 7
    env.step(2)
    _, reward, terminated, _, info = env.step(6)
    assert (reward, terminated, info["success"]) == (1, True, True)
    assert info["text"].endswith("oox / .x. / x... You have won.")
    with pytest.raises(SpaceError, match="call reset"):
        env.unwrapped.step(3)


def test_connect_four_in_words():
    env = make("ConnectFour", opponent=lambda observation, info: 6, side="second")
    observation, info = env.reset(seed=0)
    assert info["text"] == (
        "Connect four: four in a row win, across, up or diagonally. You play o against x, x moves "
        "first. Columns 0 to 6, rows from the top, . is empty: ....... / ....... / ....... / "
        "....... / ....... / ......x. You are to move."
    )
    assert moves(info) == [f"drop in column {column}" for column in range(7)]
    assert np.argwhere(observation[1]).tolist() == [[5, 6]]
    for column in (0, 1):
        env.step(column)
    _, reward, _, _, info = env.step(2)
    assert reward == -1
    assert info["text"].endswith("You have lost.")


def test_chess_in_words():
    env = make("Chess", side="first")
    env.reset(seed=0)
    fen = "6k1/P7/8/8/n7/8/8/R3K2R w KQ - 0 1"
    env.unwrapped.state = env.unwrapped.game.new_initial_state(fen)
    env.unwrapped._play_on()
    assert env.unwrapped.text() == (
        f"Chess. You play White. FEN: {fen}. "
        "White: king e1; rooks a1, h1; pawn a7. Black: king g8; knight a4. You are to move."
    )
    texts = list(env.unwrapped._texts.values())
    assert {"O-O", "O-O-O", "a8=Q+", "a8=N", "Ke2"} <= set(texts)
    assert env.unwrapped.action_text(env.unwrapped.action_of("Rf1")) == "Rf1"


def test_a_repeated_position_is_told():
    back_and_forth = iter(["Nf6", "Ng8", "Nf6", "Ng8"])
    env = make(
        "Chess",
        side="first",
        opponent=lambda observation, info: info["action_texts"].index(next(back_and_forth)),
    )
    env.reset(seed=0)
    for move in ("Nf3", "Ng1"):
        *_, info = env.step(env.unwrapped.action_of(move))
    assert "This position has occurred 2 times." in info["text"]
    for move in ("Nf3", "Ng1"):
        _, reward, terminated, _, info = env.step(env.unwrapped.action_of(move))
    assert (reward, terminated) == (0, True)
    assert info["text"].endswith("It is a draw.")


def test_2048_in_words_and_numbers():
    env = make("2048")
    observation, info = env.reset(seed=0)
    total = 0.0
    for _ in range(30):
        observation, reward, *_, info = env.step(masks.uniform(env))
        total += reward
        rows = info["text"].split("empty: ")[1].removesuffix(".").split(" / ")
        tiles = np.array([row.split() for row in rows], dtype=int)
        np.testing.assert_array_equal(np.where(tiles, 2**observation, 0), tiles)
        assert f"Score {total:.0f}." in info["text"]
    assert total > 0
    assert set(moves(info)) <= {"slide up", "slide right", "slide down", "slide left"}


def every_leduc_state(state, seen):
    """Walk over every state of the game and collect both players' texts."""
    if state.is_chance_node() or not state.is_terminal():
        for action in state.legal_actions():
            every_leduc_state(state.child(action), seen)
    if not state.is_chance_node():
        seen.append(state.clone())


def test_no_text_or_number_of_leduc_poker_tells_the_hidden_card():
    env = make("LeducPoker").unwrapped
    states: list = []
    every_leduc_state(env.game.new_initial_state(), states)
    texts, tensors, hidden = defaultdict(set), defaultdict(set), defaultdict(set)
    for state, player in product(states, (0, 1)):
        history = state.history()
        others = tuple(card for i, card in enumerate(history) if i != 1 - player)
        # The result of a showdown depends on the hidden card, as it must.
        key = (player, others, state.returns()[player])
        texts[key].add(env.words(state, player))
        tensors[key].add(env.tensor(state, player).tobytes())
        hidden[key].add(history[1 - player])
    assert len(states) > 3000
    assert max(map(len, hidden.values())) == 5
    assert all(len(result) == 1 for result in texts.values())
    assert all(len(result) == 1 for result in tensors.values())


def test_leduc_poker_in_words():
    env = make("LeducPoker").unwrapped
    state = env.game.new_initial_state()
    for action in (5, 0, 1, 2, 1, 2, 1, 2):  # cards; check, raise, call; a queen; check, raise
        state.apply_action(action)
    assert env.words(state, 0) == (
        "Leduc poker with two jacks, two queens and two kings: a pair with the public card wins, "
        "else the higher card. You hold a king. The public card is a queen. Round 2 of 2, raises "
        "of 4 chips. Round 1: you check, the opponent raises, you call. Round 2: you check, the "
        "opponent raises. You have put in 3 chips, the opponent 7. You are to move."
    )
    assert [env.move_words(state, action) for action in state.legal_actions()] == [
        "fold",
        "call",
        "raise",
    ]
    state.apply_action(1)
    assert env.words(state, 0).endswith("the opponent raises, you call. You win 7 chips.")
    assert env.words(state, 1).endswith("You lose 7 chips.")


@pytest.mark.parametrize(("side", "players"), [("first", {0}), ("second", {1}), ("random", {0, 1})])
def test_the_side_is_as_asked(side, players):
    env = make("TicTacToe", side=side)
    result = set()
    for seed in range(20):
        env.reset(seed=seed)
        result.add(env.unwrapped.player)
        assert env.unwrapped.state.move_number() == env.unwrapped.player
    assert result == players


@pytest.mark.parametrize("game", TWO_PLAYERS)
def test_a_function_sees_the_game_from_its_own_side(game):
    asked = []

    def past_self(observation, info):
        asked.append((observation, info))
        return int(np.flatnonzero(info["action_mask"])[-1])

    env = make(game, opponent=past_self, side="first")
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(20):
        *_, terminated, truncated, _ = env.step(masks.uniform(env))
        if terminated or truncated:
            env.reset()
    assert asked
    for observation, info in asked:
        assert env.observation_space.contains(observation)
        assert moves(info)
    if game != "LeducPoker":
        words = "You play Black" if game == "Chess" else "You play o"
        assert all(words in info["text"] for _, info in asked)


def test_illegal_actions():
    env = make("TicTacToe", when_masked="refuse", side="first")
    env.reset(seed=0)
    env.step(4)
    with pytest.raises(SpaceError, match="action 4 is not allowed now"):
        env.step(4)
    with pytest.raises(SpaceError, match="not valid now"):
        env.unwrapped.action_text(4)
    with pytest.raises(SpaceError, match="mark the"):
        env.unwrapped.action_of("mark the center")
    env = make("TicTacToe", side="first")
    env.reset(seed=0)
    *_, info = env.step(4)
    taken = int(np.flatnonzero(info["action_mask"])[0])
    env.step(taken)
    *_, info = env.step(taken)
    assert not info["action_mask"][taken]


@pytest.mark.parametrize("game", GAMES)
def test_pictures_change_with_the_game(game):
    env = make(game, render_mode="rgb_array")
    env.reset(seed=0)
    env.action_space.seed(0)
    before = env.render()
    assert (before.shape, before.dtype) == ((256, 256, 3), np.uint8)
    env.step(masks.uniform(env))
    assert (env.render() != before).any()


def test_the_picture_of_leduc_poker_hides_the_card_too():
    env = make("LeducPoker").unwrapped
    pictures = []
    for card in (0, 4):
        state = env.game.new_initial_state()
        state.apply_action(3)
        state.apply_action(card)
        pictures.append((env.picture(state, 0), env.picture(state, 1)))
    np.testing.assert_array_equal(pictures[0][0], pictures[1][0])
    assert (pictures[0][1] != pictures[1][1]).any()


def test_registering_loads_no_game_library():
    code = (
        "import dragoman.tasks, sys; import dragoman.tasks.boards, dragoman.tasks.atari; "
        "assert not {'pyspiel', 'ale_py', 'torch', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)

from __future__ import annotations

from functools import partial

import gymnasium as gym
import numpy as np
import pytest

import dragoman.tasks  # noqa: F401  (registers the environments)
from dragoman.errors import ConfigError
from dragoman.tasks.opponents import load_game, mcts, playouts, search, uniform
from tests.tasks.episodes import play


def average(game: str, policy, count: int, **settings) -> float:
    env = gym.make(f"dragoman/{game}-v0", **settings)
    return float(
        np.mean([sum(step[1] for step in play(env, policy, seed=seed)) for seed in range(count)])
    )


def test_search_beats_chance_and_itself_never_by_far():
    assert average("TicTacToe", mcts, 60) > 0.75
    assert average("TicTacToe", uniform, 60, opponent="mcts") < -0.7
    assert abs(average("TicTacToe", mcts, 60, opponent="mcts")) < 0.3
    assert average("ConnectFour", mcts, 20) > 0.8


def test_more_simulations_play_better():
    few = average("ConnectFour", partial(mcts, simulations=5), 40, opponent="mcts")
    many = average("ConnectFour", partial(mcts, simulations=400), 40, opponent="mcts")
    assert few < -0.3 < 0.3 < many


def test_search_wins_chips_without_seeing_the_cards():
    assert average("LeducPoker", mcts, 300) > 0.8


def test_search_never_looks_at_the_hidden_card():
    game = load_game("leduc_poker")
    answers = set()
    for card in (0, 1, 4, 5):
        state = game.new_initial_state()
        state.apply_action(2)
        state.apply_action(card)
        answers.add(tuple(search(game, 200, seed).step(state.clone()) for seed in range(20)))
    assert len(answers) == 1


def test_playouts_triple_the_score_of_2048():
    env = gym.make("dragoman/2048-v0")
    scores = {}
    for name, policy in (("playouts", partial(playouts, count=1)), ("uniform", uniform)):
        scores[name] = sum(step[1] for step in play(env, policy, seed=0))
    assert scores["playouts"] > 1.5 * scores["uniform"]


def test_search_refuses_a_game_that_pays_on_the_way():
    with pytest.raises(ConfigError, match="playouts"):
        search(load_game("2048"), 10, 0)

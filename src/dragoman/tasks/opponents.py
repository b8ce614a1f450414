"""Who plays on the other side of a game, and reference policies of the same strength.

Tree search is OpenSpiel's own, with one random playout for each simulation: UCT (Kocsis and
Szepesvári 2006) where all is seen, information-set search (Cowling, Powley and Whitehouse 2012)
where cards are hidden, which samples what it cannot know and so never looks at them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError, MissingExtraError
from dragoman.tasks.masks import uniform
from dragoman.types import FloatArray

Opponent: TypeAlias = Callable[[FloatArray, dict[str, Any]], int]
"""Answers an observation and its info, both seen from its own side, with an action."""

State: TypeAlias = Any
"""A ``pyspiel.State``; OpenSpiel ships no types that a checker could follow."""

KINDS = ("random", "mcts")
EXPLORATION = 2.0
"""UCT's constant for returns from -1 to 1; it is scaled with a game's highest return."""
MEGABYTES = 256
"""Memory of one search tree, at most."""

__all__ = ["Opponent", "State", "check", "load_game", "mcts", "playouts", "search", "uniform"]


def load_game(name: str) -> Any:
    """Return a ``pyspiel.Game``.

    Raises:
        MissingExtraError: The package ``open_spiel`` is not installed.
    """
    return _pyspiel().load_game(name)


def search(game: Any, simulations: int, seed: int) -> Any:
    """Return a ``pyspiel.Bot`` that searches before each move.

    Args:
        game: What `load_game` returned.
        simulations: Simulations for each move, each with one random playout.
        seed: Of the playouts and of ties; equal seeds answer equal games alike.

    Raises:
        ConfigError: The game pays before its end, which the search cannot weigh.
    """
    spiel = _pyspiel()
    kind = game.get_type()
    if kind.reward_model != spiel.GameType.RewardModel.TERMINAL:
        raise ConfigError(
            f"tree search cannot play {kind.long_name}, which pays before its end",
            cure="use dragoman.tasks.opponents.playouts",
        )
    exploration = EXPLORATION * game.max_utility()
    if kind.information == spiel.GameType.Information.PERFECT_INFORMATION:
        playout = spiel.RandomRolloutEvaluator(1, seed)
        return spiel.MCTSBot(game, playout, exploration, simulations, MEGABYTES, True, seed, False)
    from open_spiel.python.algorithms import ismcts, mcts

    # The one in Python: that in C++ draws its worlds from a source that no seed reaches.
    draws = np.random.RandomState(seed)
    playout = mcts.RandomRolloutEvaluator(1, draws)
    bot = ismcts.ISMCTSBot(game, playout, exploration, simulations, random_state=draws)
    bot.set_resampler(lambda state, player: state.resample_from_infostate(player, draws.uniform))
    return bot


def mcts(env: gym.Env[Any, Any], simulations: int = 100) -> int:
    """Return the agent's action by tree search, with a new tree for each move.

    The seed comes from the action space's own generator, as that of `masks.uniform` does.
    """
    plain: Any = env.unwrapped
    seed = int(env.action_space.np_random.integers(2**31))
    return int(search(plain.game, simulations, seed).step(plain.state))


def playouts(env: gym.Env[Any, Any], count: int = 10) -> int:
    """Return the action whose random playouts earn most on average.

    Flat Monte Carlo, for games for one player that pay on the way, such as 2048.

    Args:
        env: The environment, for one player.
        count: Playouts of each legal action, to the end of the game.
    """
    plain: Any = env.unwrapped
    draws = random.Random(int(env.action_space.np_random.integers(2**31)))

    def earned(action: int) -> float:
        state = plain.state.child(action)
        while not state.is_terminal():
            if state.is_chance_node():
                actions, chances = zip(*state.chance_outcomes(), strict=True)
                state.apply_action(draws.choices(actions, chances)[0])
            else:
                state.apply_action(draws.choice(state.legal_actions()))
        return float(state.returns()[plain.player])

    actions = plain.state.legal_actions()
    return int(max(actions, key=lambda action: sum(earned(action) for _ in range(count))))


def check(opponent: Any) -> None:
    """Raise a `ConfigError` unless an opponent is a known kind or a function."""
    if not callable(opponent) and opponent not in KINDS:
        raise ConfigError(
            f"opponent is {opponent!r}",
            cure="choose 'random', 'mcts' or a function (observation, info) -> action",
        )


def _pyspiel() -> Any:
    try:
        import pyspiel
    except ModuleNotFoundError as error:
        raise MissingExtraError("open_spiel", extra="boards") from error
    return pyspiel

"""Games of the OpenSpiel library as environments for one player.

`SpielEnv` plays the agent's side of a game: it draws chance, lets an opponent answer, and returns
when the agent is to move again or the game is over. The games lie in `dragoman.tasks.boards`.

OpenSpiel: Lanctot et al., OpenSpiel: a framework for reinforcement learning in games,
arXiv:1908.09453; the package ``open_spiel`` comes with the extra ``boards``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import gymnasium as gym
import numpy as np

from dragoman.tasks import opponents
from dragoman.tasks import picture as drawing
from dragoman.tasks.arguments import one_of, whole_number
from dragoman.tasks.base import SpeakingEnv
from dragoman.tasks.masks import WhenMasked
from dragoman.types import FloatArray

if TYPE_CHECKING:
    from dragoman.tasks.opponents import Opponent, State

Side: TypeAlias = Literal["first", "second", "random"]


class SpielEnv(SpeakingEnv):
    """One side of a game; subclasses name the game and put it into words and pictures.

    The reward of a step is what the agent's return has grown by, so rewards sum to the game's own
    return. ``info`` holds:

    * ``text``: what the agent may know, in words;
    * ``action_mask``: int8 ``(A,)``, 1 for the legal actions, none after the end;
    * ``action_texts``: ``A`` texts, empty where an action is not legal;
    * ``success``: whether the game is over and won (with a positive return).

    Args:
        opponent: ``"random"`` for a uniformly random legal action, ``"mcts"`` for tree search, or a
            function ``(observation, info) -> action``, such as a past self, which gets what the
            agent would get on the other side. A game for one player has none.
        side: Whether the agent moves ``"first"``, ``"second"``, or either by a coin (``"random"``).
        simulations: Simulations of the tree search for each move.
        when_masked: What an illegal action becomes, see `dragoman.tasks.masks`.
        render_mode: ``"ansi"`` for the text, ``"rgb_array"`` for a picture.

    Raises:
        ConfigError: An argument is outside its range.
        MissingExtraError: The package ``open_spiel`` is not installed.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        **SpeakingEnv.metadata,
        "render_fps": 1,
    }

    game_name: ClassVar[str]
    """The game and its parameters, as OpenSpiel writes them."""
    num_players: ClassVar[int] = 2

    def __init__(
        self,
        opponent: Literal["random", "mcts"] | Opponent = "random",
        *,
        side: Side = "random",
        simulations: int = 100,
        when_masked: WhenMasked = "next",
        render_mode: Literal["ansi", "rgb_array"] | None = None,
    ) -> None:
        opponents.check(opponent)
        one_of("side", side, Side)
        one_of("when_masked", when_masked, WhenMasked)
        super().__init__(render_mode)
        self.opponent = opponent
        self.side: Side = side
        self.simulations = whole_number("simulations", simulations, 1, 1_000_000)
        self.when_masked: WhenMasked = when_masked
        self.game = opponents.load_game(self.game_name)
        self.action_space = gym.spaces.Discrete(self.game.num_distinct_actions())
        self.state: State = self.game.new_initial_state()
        self.player = self.first = self._first_player()
        tensor = self.tensor(self.state, self.player)
        self.observation_space = gym.spaces.Box(0, self.highest, tensor.shape, np.float32)
        self._texts: dict[int, str] = {}
        self._bot: Any = None

    highest: ClassVar[float] = 1.0
    """Upper bound of the numbers of an observation; the lower is 0."""

    def _begin(self) -> None:
        self.state = self.game.new_initial_state()
        coin = self.np_random.integers(2) if self.side == "random" else self.side == "second"
        self.player = (self.first + int(coin)) % self.num_players
        if self.opponent == "mcts":
            seed = int(self.np_random.integers(2**31))
            self._bot = opponents.search(self.game, self.simulations, seed)
        self._play_on()

    def _take(self, move: int) -> float:
        """Make a move, and let chance and the opponent answer."""
        before = self.state.returns()[self.player]
        self.state.apply_action(move)
        self._play_on()
        return float(self.state.returns()[self.player] - before)

    @property
    def is_over(self) -> bool:
        """Whether the game is over."""
        return bool(self.state.is_terminal())

    def _observation(self) -> FloatArray:
        return self.tensor(self.state, self.player)

    def text(self) -> str:
        """Return the game in words, as far as the agent may know it."""
        return self.words(self.state, self.player)

    def words(self, state: State, player: int) -> str:
        """Return what a player may know, in words."""
        raise NotImplementedError

    def move_words(self, state: State, action: int) -> str:
        """Return a legal action of the player to move, in words."""
        return str(state.action_to_string(action))

    def tensor(self, state: State, player: int) -> FloatArray:
        """Return what a player may know, as float32 numbers."""
        shape = self.game.observation_tensor_shape()
        return np.asarray(state.observation_tensor(player), dtype=np.float32).reshape(shape)

    def picture(self, state: State, player: int) -> drawing.Image:
        """Return what a player may know, as an image."""
        raise NotImplementedError

    def _first_player(self) -> int:
        state = self.game.new_initial_state()
        while state.is_chance_node():
            state.apply_action(state.legal_actions()[0])
        return int(state.current_player())

    def _play_on(self) -> None:
        """Draw chance and let the opponent move until the agent is to move or the game ends."""
        while not self.state.is_terminal():
            if self.state.is_chance_node():
                actions, chances = zip(*self.state.chance_outcomes(), strict=True)
                action = actions[self.np_random.choice(len(actions), p=chances)]
            elif self.state.current_player() == self.player:
                break
            else:
                action = self._answer()
            self.state.apply_action(action)
        self._texts = self._legal_texts()

    def _answer(self) -> int:
        """Return the opponent's action."""
        if self._bot is not None:
            return int(self._bot.step(self.state))
        if callable(self.opponent):
            player = self.state.current_player()
            self._texts = self._legal_texts()
            action = self.opponent(self.tensor(self.state, player), self._info(player))
            return int(self._chosen(action))
        actions = self.state.legal_actions()
        return int(actions[self.np_random.integers(len(actions))])

    def _legal_texts(self) -> dict[int, str]:
        """Return the legal actions of whoever is to move, with their words."""
        if self.state.is_terminal():
            return {}
        return {
            action: self.move_words(self.state, action) for action in self.state.legal_actions()
        }

    def _action_texts(self) -> list[str]:
        return [self._texts.get(action, "") for action in range(int(self.action_space.n))]  # type: ignore[attr-defined]

    def _picture(self) -> drawing.Image:
        return self.picture(self.state, self.player)

    def _info(self, player: int | None = None) -> dict[str, Any]:
        """Return what a player gets, the agent's side unless given."""
        info = super()._info()
        if player is not None:
            info["text"] = self.words(self.state, player)
        returns = self.state.returns()[self.player if player is None else player]
        return {**info, "success": bool(self.state.is_terminal() and returns > 0)}


def outcome(state: State, player: int) -> str:
    """Return who has won a finished game, from one player's side, else whose turn it is."""
    if not state.is_terminal():
        return "You are to move." if state.current_player() == player else "They are to move."
    result = state.returns()[player]
    return "You have won." if result > 0 else "You have lost." if result < 0 else "It is a draw."

"""What a policy over named actions sees of a step: the state, and every action it may take.

Environments say in their infos which actions are admissible (``action_mask``, int8 ``(K,)``) and
what they are called now (``action_texts``, ``K`` texts, empty where not admissible). Where they
say nothing, every action is admissible and is called what the describer calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.spaces.utils import flatdim, flatten

from dragoman.errors import ConfigError, SpaceError
from dragoman.maths.moments import Moments
from dragoman.models.scoring import score
from dragoman.roles.act import Act
from dragoman.roles.embedding import (
    PAD,
    OptionTokenSpace,
    TokenObserver,
    TokenRows,
    TokenSpace,
)
from dragoman.roles.observe import CLIP, Observe, Observer
from dragoman.types import BoolArray, Describer, FloatArray, Info, LanguageModel, Tokenizer

Seen: TypeAlias = dict[str, np.ndarray]


class RawState:
    """The flattened raw observation as the state: what is seen without the observe role.

    Args:
        space: The (unbatched) observation space.

    Raises:
        ConfigError: The space has no fixed number of values.
    """

    model: None = None

    def __init__(self, space: gym.Space[Any]) -> None:
        if not space.is_np_flattenable:
            raise ConfigError(
                f"without the observe role the policy reads raw observations, but {space} has no "
                "fixed number of values",
                cure="turn the observe role on, as in 'observe: {}'",
            )
        self.space = space
        self.feature_space = gym.spaces.Box(-np.inf, np.inf, (flatdim(space),), np.float32)
        self.learning = True

    def texts(self, observations: Sequence[Any], infos: Sequence[Info]) -> list[str]:
        """Return empty texts: nothing is read."""
        return ["" for _ in observations]

    def __call__(self, observations: Sequence[Any], infos: Sequence[Info]) -> FloatArray:
        """Return ``B`` observations as float32 ``(B, D)``."""
        return np.stack([np.asarray(flatten(self.space, one), np.float32) for one in observations])

    def state(self) -> dict[str, np.ndarray]:
        """Return nothing: there is nothing to save."""
        return {}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore nothing."""


StateReader: TypeAlias = Observer | TokenObserver | RawState


class OptionsObserver:
    """Observations and infos in, a dictionary out: the state and what is known of each action.

    ==========  =======================  =================================================
    state       float32 ``(B, D)``       what the observe role makes of the observation
    mask        int8 ``(B, K)``          1 where an action is admissible
    actions     float32 ``(B, K, D_a)``  features or token rows of action texts, see `Act`
    scores      float32 ``(B, K)``       scores of action texts after the observation's
    ==========  =======================  =================================================

    The last three are there where the policy needs them; entries of inadmissible actions are
    constant. Features of action texts are standardised as the state's are, by the moments of the
    distinct texts met in training.

    Args:
        settings: The act role.
        observe: The observe role, for depth and standardisation of features.
        state: Makes the state.
        describer: Puts observations and actions into words.
        space: The (unbatched) action space.
        model: The language model, where the settings use it.
        tokenizer: Its tokenizer, where action texts are read through a learned table.
        seed: Draws what shuffled texts are.

    Raises:
        ConfigError: The policy cannot act in this space.
    """

    def __init__(
        self,
        settings: Act,
        observe: Observe,
        state: StateReader,
        describer: Describer,
        space: gym.Space[Any],
        *,
        model: LanguageModel | None = None,
        tokenizer: Tokenizer | None = None,
        seed: int = 0,
    ) -> None:
        check_actions(settings, space)
        self.settings = settings
        self.observe = observe
        self.describer = describer
        self.space = space
        self.model = model
        self._state = state
        self._learning = True
        self._count = int(space.n) if isinstance(space, gym.spaces.Discrete) else 0
        self._order = np.random.default_rng(seed).permutation(self._count)
        self._names: tuple[str, ...] | None = None
        self._rows: TokenRows | None = None
        if settings.reads_texts and settings.encoder == "embedding":
            assert tokenizer is not None
            self._rows = state.rows if isinstance(state, TokenObserver) else TokenRows(tokenizer)
        width = 0 if model is None else len(settings.pooling) * model.hidden_size
        self._met: set[str] = set()
        self._moments = Moments.empty(width)
        self.feature_space = self._make_space(width)

    @property
    def learning(self) -> bool:
        """Whether statistics and tables take in what is met."""
        return self._learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self._learning = self._state.learning = on
        if self._rows is not None:
            self._rows.learning = on

    def texts(self, observations: Sequence[Any], infos: Sequence[Info]) -> list[str]:
        """Return what the model or the table reads of each observation, if anything."""
        if not self.settings.uses_model:
            return self._state.texts(observations, infos)
        pairs = zip(observations, infos, strict=True)
        return [self.describer.observation(observation, info) for observation, info in pairs]

    def __call__(self, observations: Sequence[Any], infos: Sequence[Info]) -> Seen:
        """Return what the policy sees of ``B`` observations.

        Raises:
            SpaceError: A mask or the action texts do not fit the action space.
        """
        seen: Seen = {"state": self._state(observations, infos)}
        if not self._count:
            return seen
        mask = np.stack([self.admissible(info) for info in infos])
        seen["mask"] = mask.astype(np.int8)
        if self.settings.policy == "head":
            return seen
        options = [self.options(info, one) for info, one in zip(infos, mask, strict=True)]
        if self.settings.reads_texts:
            seen["actions"] = self._features(options)
        if self.settings.reads_scores:
            seen["scores"] = self._scores(observations, infos, options)
        return seen

    def admissible(self, info: Info) -> BoolArray:
        """Return which actions may be taken now, bool ``(K,)``."""
        mask, texts = info.get("action_mask"), info.get("action_texts")
        if mask is None:
            mask = np.ones(self._count) if texts is None else [bool(text) for text in texts]
        found = np.asarray(mask).astype(np.bool_)
        if found.shape != (self._count,):
            raise SpaceError(
                f"info['action_mask'] has shape {found.shape}, but there are {self._count} actions",
                cure="give one entry for each action of the space",
            )
        return found

    def options(self, info: Info, mask: BoolArray) -> dict[int, str]:
        """Return the admissible actions with the texts they are read under."""
        texts = info.get("action_texts")
        if texts is None:
            texts = self._described()
        if len(texts) != self._count:
            raise SpaceError(
                f"info['action_texts'] has {len(texts)} texts for {self._count} actions",
                cure="give one text for each action, empty where it is not admissible",
            )
        found = {int(i): str(texts[i]) for i in np.flatnonzero(mask)}
        for action, text in found.items():
            if not text:
                raise SpaceError(
                    f"action {action} is admissible, but its text is empty",
                    cure="name it in info['action_texts'], or clear its bit in the mask",
                )
        return self._shuffled(found) if self.settings.texts == "shuffled" else found

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same again."""
        saved = dict(self._state.state())
        if "actions" in self.feature_space.spaces and self._rows is None:
            saved["actions.count"] = np.array(self._moments.count)
            saved["actions.mean"] = self._moments.mean
            saved["actions.squares"] = self._moments.squares
        elif self._rows is not None and not isinstance(self._state, TokenObserver):
            saved |= self._rows.state()
        return saved

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: The saved statistics belong to features of another size.
        """
        self._state.load_state(state)
        if "actions.mean" in state:
            if state["actions.mean"].shape != self._moments.mean.shape:
                raise SpaceError(
                    f"the saved statistics of actions have shape {state['actions.mean'].shape}, "
                    f"these features have {self._moments.mean.shape}",
                    cure="use the model, layer and pooling that the run was trained with",
                )
            names = ("actions.count", "actions.mean", "actions.squares")
            count, mean, squares = (state[name] for name in names)
            self._moments = Moments(int(count), mean, squares)
        elif self._rows is not None and not isinstance(self._state, TokenObserver):
            self._rows.load_state(state)

    def _make_space(self, width: int) -> gym.spaces.Dict:
        spaces: dict[str, gym.Space[Any]] = {"state": self._state.feature_space}
        if self._count:
            spaces["mask"] = gym.spaces.Box(0, 1, (self._count,), np.int8)
        if self._rows is not None:
            of_state = self._state.feature_space
            wide = of_state.width if isinstance(of_state, TokenSpace) else self._rows.width
            each = TokenSpace(self.settings.max_tokens, wide, self.settings.pooling)
            spaces["actions"] = OptionTokenSpace(self._count, each)
        elif self.settings.reads_texts:
            bound = CLIP if self.observe.standardise else np.inf
            spaces["actions"] = gym.spaces.Box(-bound, bound, (self._count, width), np.float32)
        if self.settings.reads_scores:
            spaces["scores"] = gym.spaces.Box(-np.inf, np.inf, (self._count,), np.float32)
        return gym.spaces.Dict(spaces)

    def _described(self) -> tuple[str, ...]:
        """Return what the describer calls the actions, asked for once."""
        if self._names is None:
            first = int(getattr(self.space, "start", 0))
            self._names = tuple(self.describer.action(first + i) for i in range(self._count))
        return self._names

    def _shuffled(self, options: dict[int, str]) -> dict[int, str]:
        """Hand every action the text of the one after it, in an order drawn by seed."""
        drawn = [int(action) for action in self._order if int(action) in options]
        following = [*drawn[1:], *drawn[:1]]
        return {action: options[other] for action, other in zip(drawn, following, strict=True)}

    def _features(self, options: Sequence[Mapping[int, str]]) -> FloatArray:
        """Return features or token rows of action texts, float32 ``(B, K, D_a)``."""
        shape = self.feature_space["actions"].shape
        assert shape is not None
        filler = 0.0 if self._rows is None else PAD
        found = np.full((len(options), *shape), filler, np.float32)
        texts = list(dict.fromkeys(text for own in options for text in own.values()))
        if not texts:
            return found
        rows = self._encoded(texts)
        where = {text: i for i, text in enumerate(texts)}
        for row, own in zip(found, options, strict=True):
            if own:
                row[list(own)] = rows[[where[text] for text in own.values()]]
        return found

    def _encoded(self, texts: list[str]) -> FloatArray:
        if self._rows is not None:
            return self._rows.padded(texts, self.settings.max_tokens, "act.max_tokens")
        assert self.model is not None
        features = self.model.encode(
            [self.settings.template.replace("{action}", text) for text in texts],
            layer=self.observe.layer,
            pooling=self.settings.pooling,
        )
        if not self.observe.standardise:
            return features
        # Each text counts once, whenever it comes: how often an action is offered says nothing
        # of how texts differ.
        new = [i for i, text in enumerate(texts) if text not in self._met]
        if self._learning and new:
            self._met.update(texts)
            self._moments = self._moments.merge(features[new])
        return self._moments.standardise(features, clip=CLIP)

    def _scores(
        self,
        observations: Sequence[Any],
        infos: Sequence[Info],
        options: Sequence[Mapping[int, str]],
    ) -> FloatArray:
        """Return scores of action texts, float32 ``(B, K)``; zero where not admissible."""
        found = np.zeros((len(options), self._count), np.float32)
        asked = [i for i, own in enumerate(options) if own]
        if self.settings.scores == "uniform" or not asked:
            return found
        texts = self.texts([observations[i] for i in asked], [infos[i] for i in asked])
        model: Any = self.model
        scores = score(
            model,
            [f"{text}\n{self.settings.question}" for text in texts],
            # Tokenizers of our time cut a word together with the space before it.
            [[f" {text}" for text in options[i].values()] for i in asked],
            normalisation=self.settings.normalisation,
            domain=self.settings.domain,
        )
        for i, own in zip(asked, scores, strict=True):
            found[i, list(options[i])] = own
        return found


def check_actions(settings: Act, space: gym.Space[Any]) -> None:
    """Refuse an action space that a policy cannot choose in."""
    able = (gym.spaces.Discrete,) if settings.policy != "head" else HEAD_SPACES
    if not isinstance(space, able):
        raise ConfigError(
            f"the policy {settings.policy!r} cannot choose in {space}: it needs "
            f"{' or '.join(kind.__name__ for kind in able)} actions",
            cure="use policy 'head' or leave 'act' out"
            if isinstance(space, HEAD_SPACES)
            else "leave 'act' out",
        )


HEAD_SPACES = (gym.spaces.Discrete, gym.spaces.Box)

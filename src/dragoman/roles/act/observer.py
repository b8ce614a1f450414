"""What a policy over named actions sees of a step: the state, and every action it may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from dragoman.describe.moment import Moment
from dragoman.roles.act.action_set import ActionSet
from dragoman.roles.act.features import ModelFeatures
from dragoman.roles.act.levels import Levels
from dragoman.roles.act.scores import scores_of
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tokens import OptionTokens
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.observe.settings import Observe
from dragoman.types import FloatArray, LanguageModel

Seen: TypeAlias = dict[str, np.ndarray]


class OptionsObserver:
    """Moments in, a dictionary out: the state and what is known of each action.

    ==========  =======================  =================================================
    state       float32 ``(B, D)``       what the observe role makes of the observation
    mask        int8 ``(B, K)``          1 where an action is valid
    actions     float32 ``(B, K, D_a)``  features of action texts, see `Act`
    scores      float32 ``(B, K)``       scores of action texts after the observation's
    ==========  =======================  =================================================

    and where the model is trained, instead of what is trained with it:

    ==========  =======================  =================================================
    prompt      int32 ``(B, T)``         token ids of the prompt, -1 behind them
    candidates  int32 ``(B, K, L)``      token ids of action texts, -1 behind them
    divisor     float32 ``(B, K)``       what the sum of a candidate's log-probs is over
    domain      float32 ``(B, K)``       the untrained model's score after the domain's prompt
    ==========  =======================  =================================================

    All but mask are there where the policy needs them; entries of invalid actions are
    constant.

    Args:
        settings: The act role.
        observe: The observe role, for depth and standardisation of features.
        state: Makes the state.
        space: The (unbatched) action space.
        model: The language model that scores or is trained, where the settings use it.
        reader: The one that reads action texts, where that is another.
        seed: Draws what shuffled texts are.

    Raises:
        ConfigError: The policy cannot act in this space.
    """

    resumes = ("_tokens",)

    def __init__(
        self,
        settings: Act,
        observe: Observe,
        state: AnyObserver,
        space: gym.Space[Any],
        *,
        model: LanguageModel | None = None,
        reader: LanguageModel | None = None,
        seed: int = 0,
    ) -> None:
        self.settings = settings
        self.model = model
        self.actions = ActionSet(settings, space, seed)
        count = self.actions.count
        self._state = state
        self._features: ModelFeatures | None = None
        if settings.reads_texts and settings.tune is None:
            reader = model if reader is None else reader
            assert reader is not None
            self._features = ModelFeatures(settings, observe, reader, count)
        self._tokens: OptionTokens | None = None
        if settings.tune is not None:
            self._tokens = OptionTokens(settings, settings.tune, count, model)
        self._levels = Levels(count) if settings.calibrate else None
        self.feature_space = self._make_space()

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        """The language models that read observations and actions."""
        own = (self.model, None if self._features is None else self._features.model)
        return (*self._state.models, *(model for model in own if model is not None))

    @property
    def learning(self) -> bool:
        """Whether statistics take in what is met."""
        of_states = self._state.learning and "state" in self.feature_space.spaces
        return of_states or any(part.learning for part in self._parts())

    @learning.setter
    def learning(self, on: bool) -> None:
        self._state.learning = on
        for part in self._parts():
            part.learning = on

    def learn(self, moments: Sequence[Moment]) -> None:
        """Take in moments; scores only where something is learnt from them."""
        if "state" in self.feature_space.spaces:
            self._state(moments)
        options = [self.actions.texts(moment) for moment in moments] if self._parts() else []
        if self._features is not None:
            self._features(options)
        if self._levels is not None:
            self._scores(moments, options)

    def __call__(self, moments: Sequence[Moment]) -> Seen:
        """Return what the policy sees of ``B`` moments.

        Raises:
            SpaceError: A mask or the action texts do not fit the action space.
        """
        seen: Seen = {}
        if "state" in self.feature_space.spaces:
            seen["state"] = self._state(moments)
        options: list[dict[int, str]] = [{} for _ in moments]
        if self.actions.count:
            seen["mask"] = np.stack([moment.valid for moment in moments]).astype(np.int8)
            if self.settings.policy != "head":
                options = [self.actions.texts(moment) for moment in moments]
        if self._features is not None:
            seen["actions"] = self._features(options)
        if "scores" in self.feature_space.spaces:
            seen["scores"] = self._scores(moments, options)
        if self._tokens is not None:
            seen |= self._tokens(moments, options)
        return seen

    @property
    def shortened(self) -> int | None:
        """Number of prompts that were shortened to fit, where that may be."""
        return None if self._tokens is None else self._tokens.shortened

    def state(self) -> dict[str, np.ndarray]:
        """Return what must be saved to see the same again."""
        result = self._state.state()
        for part in self._parts():
            result = {**result, **part.state()}
        return result

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            SpaceError: The saved statistics belong to features of another size.
        """
        self._state.load_state(state)
        for part in self._parts():
            part.load_state(state)

    def _parts(self) -> list[ModelFeatures | Levels]:
        """Return what learns from actions."""
        return [part for part in (self._features, self._levels) if part is not None]

    def _scores(self, moments: Sequence[Moment], options: Sequence[dict[int, str]]) -> FloatArray:
        scores = scores_of(self.settings, self.model, self.actions.count, moments, options)
        return scores if self._levels is None else self._levels(scores, options)

    def _make_space(self) -> gym.spaces.Dict:
        spaces: dict[str, gym.Space[Any]] = {}
        tune = self.settings.tune
        if tune is None or tune.value == "frozen":
            spaces["state"] = self._state.feature_space
        if self._tokens is not None:
            spaces |= self._tokens.spaces
        count = self.actions.count
        if count:
            spaces["mask"] = gym.spaces.Box(0, 1, (count,), np.int8)
        if self._features is not None:
            spaces["actions"] = self._features.space
        # The policy of a model that is trained has scores of its own; these are its reference.
        is_reference = tune is not None and tune.reference_kl > 0
        if self.settings.policy == "hybrid" or (
            self.settings.policy == "score" and (tune is None or is_reference)
        ):
            spaces["scores"] = gym.spaces.Box(-np.inf, np.inf, (count,), np.float32)
        return gym.spaces.Dict(spaces)

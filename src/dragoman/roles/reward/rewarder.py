"""The reward role at work: transitions of ``N`` running episodes in, one number a term out."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError, RunError
from dragoman.maths.seeds import derive_seed
from dragoman.maths.shaping import weight_at
from dragoman.roles.reward.call import Caller
from dragoman.roles.reward.protocols import Fits, Preparation, Prepares
from dragoman.roles.reward.settings import Reward, Term
from dragoman.roles.reward.term import RunningTerm, Steps
from dragoman.roles.role import Models, remembering
from dragoman.types import RewardFunction

SAMPLED_STEPS = 512
"""Steps of random play over whose texts a reward is rescaled."""


class BonusWarning(UserWarning):
    """A reward that may change which policy is best."""


class Rewarder:
    """All terms of a reward role, for ``N`` running episodes.

    Args:
        settings: The role.
        models: The language models, for the terms that ask one.
        num_envs: ``N``.
        gamma: The learner's own discount.
        env: What rewards are fitted to that must know the environment.
        made: Rewards that need not be made from their settings, by name of the term.

    Raises:
        ConfigError: The role names another discount, or a term cannot work.

    Attributes:
        terms: The terms by name.
        found: What the terms have found out before the training, by name.
    """

    resumes = ("terms", "_step")

    def __init__(
        self,
        settings: Reward,
        models: Models,
        *,
        num_envs: int,
        gamma: float,
        env: Any = None,
        made: Mapping[str, RewardFunction] = MappingProxyType({}),
    ) -> None:
        settings.check_gamma(gamma)
        self.settings = settings
        self.models = models
        self.env = env
        self.made = made
        self.found: dict[str, Mapping[str, Any]] = {}
        self.terms = {
            name: self._term(name, term, num_envs, gamma) for name, term in settings.terms.items()
        }
        self._step = 0
        # The moments in which the next actions are taken; there are some after `begin`.
        self._now: list[Any] = [None] * num_envs

    @property
    def env_weight(self) -> float:
        """Weight of the environment's own reward at the moment."""
        return weight_at(self.settings.env_weight, self._step)

    def prepare(self, sample: Callable[[int], list[str]], folder: Path) -> None:
        """Let the terms measure, ask and learn what they want to before the training.

        Args:
            sample: Plays so many steps at random and returns the texts of the states.
            folder: The run folder.
        """
        if self.settings.placebo is not None:
            return
        for name, term in self.terms.items():
            reward = term.caller.function
            if isinstance(reward, Prepares):
                asked = Preparation(name, term.model, sample, self.models.seed, folder)
                prepared, self.found[name] = reward.prepared(asked)
                term.caller = Caller.of(name, prepared)
                term.term.check_potential(term.caller)
            if term.term.rescale:
                term.measure_range(list(dict.fromkeys(sample(SAMPLED_STEPS))))
                measured = {"low": term.low, "high": term.low + term.span}
                self.found[name] = {**self.found.get(name, {}), **measured}

    def begin(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Begin an episode in each of some environments."""
        nothing = Steps(np.zeros(0, np.int64), [], [], np.zeros(0, np.bool_))
        self.advance(nothing, envs, moments)

    def advance(
        self, steps: Steps, begun: NDArray[np.int64], fresh: Sequence[Moment]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the weighted reward of each term and step ``(n,)``, and begin new episodes.

        Args:
            steps: What was done.
            begun: Numbers of the environments in which an episode begins now.
            fresh: The moments in which they begin.
        """
        self._step += len(steps.envs)
        steps.step = self._step
        left = [self._now[i] for i in steps.envs]
        action_texts = functools.cache(
            lambda: [
                moment.action_text(action)
                for action, moment in zip(steps.actions, left, strict=True)
            ]
        )
        result = {
            name: term.advance(steps, begun, fresh, action_texts)
            for name, term in self.terms.items()
        }
        for envs, moments in ((steps.envs, steps.reached), (begun, fresh)):
            for i, moment in zip(envs, moments, strict=True):
                self._now[i] = moment
        return result

    def close(self) -> None:
        """Give back what the terms run in, as the sandbox of a written program."""
        for term in self.terms.values():
            if hasattr(term.caller.function, "close"):
                term.caller.function.close()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what terms have learnt before the training, by name."""
        return {
            f"{name}.{key}": value
            for name, term in self.terms.items()
            for key, value in {
                **(term.caller.function.state() if hasattr(term.caller.function, "state") else {}),
                "range": np.array([term.low, term.span]),
            }.items()
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned, instead of preparing.

        Raises:
            RunError: What a term has learnt is not there.
        """
        if self.settings.placebo is not None:
            return
        for name, term in self.terms.items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in state.items()
                if key.startswith(f"{name}.")
            }
            if not own:
                raise RunError(
                    f"what the reward {name!r} has learnt was not saved with the run",
                    cure="train again",
                )
            term.low, term.span = own.pop("range").tolist()
            if hasattr(term.caller.function, "restored"):
                term.caller = Caller.of(name, term.caller.function.restored(own))

    def keep_critiques(self, keep: Callable[[dict[str, Any]], None]) -> None:
        """Have every new critique handed over as plain data."""
        for term in self.terms.values():
            term.on_said = keep

    def recall(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take over critiques that were kept, so that no model is asked for them again."""
        for row in rows:
            if row["reward"] in self.terms:
                self.terms[row["reward"]].recall(row["text"], row["value"], row["critique"])

    def critiques(self, text: str) -> tuple[str, ...]:
        """Return what the terms have said of a text, where they have said anything."""
        said = [(name, term.said.get(text)) for name, term in self.terms.items()]
        return tuple(f"{name}: {one}" for name, one in said if one)

    def _term(self, name: str, term: Term, num_envs: int, gamma: float) -> RunningTerm:
        placebo = self.settings.placebo
        caller = self._caller(name, term) if placebo is None else self._placebo(name, placebo)
        if term.shaping == "bonus":
            warnings.warn(
                f"the reward {name!r} is a plain bonus: the best policy for it may not be the "
                "best for the environment (shaping: potential leaves it as it is)",
                BonusWarning,
                stacklevel=4,
            )
        asked = None
        if "model" in caller.takes:
            asked = remembering(self.models.of(term.model))
            if asked is None:
                raise ConfigError(
                    f"the reward {name!r} asks a language model, but there is none",
                    cure="name one in 'model' of the experiment or of the reward",
                )
        return RunningTerm(name, term, caller, asked, num_envs, gamma)

    def _caller(self, name: str, term: Term) -> Caller:
        caller = Caller.of(name, self.made[name]) if name in self.made else term.caller(name)
        if isinstance(caller.function, Fits):
            caller = Caller.of(name, caller.function.fitted(self.env))
        term.check_potential(caller)
        return caller

    def _placebo(self, name: str, placebo: str) -> Caller:
        seed = self.models.seed

        def constant(texts: Sequence[str]) -> NDArray[np.float64]:
            return np.full(len(texts), 0.5)

        def noise(texts: Sequence[str]) -> NDArray[np.float64]:
            drawn = [derive_seed("noise reward", seed, name, text) for text in texts]
            return np.array(drawn) / 2.0**32

        return Caller.of(name, constant if placebo == "constant" else noise)

"""A trained agent, restored from its run folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from gymnasium.envs.registration import EnvSpec

from dragoman.describe.moment import moments_in
from dragoman.engines.assembly import fingerprint_of, moments_of, observer_of, reader_of, spec_of
from dragoman.engines.masks import obeying
from dragoman.engines.policies.features import stack
from dragoman.engines.policies.make import make_policy
from dragoman.engines.policies.policy import Policy
from dragoman.engines.weights import restore, weights_of
from dragoman.environments.indices import Indices
from dragoman.environments.vector import make_vector
from dragoman.errors import ConfigError
from dragoman.experiment.shift import shifted
from dragoman.maths.seeds import derive_seed
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.role import Models
from dragoman.run import Run
from dragoman.types import Describer, LanguageModel


class ModelChangedWarning(UserWarning):
    """The language model has other weights than in the training."""


class Agent:
    """Raw observations in, actions out, by the weights that a training has saved.

    Args:
        run: The run.
        sampled: Draw actions from the policy instead of taking the likeliest.
        seed: Of the drawn actions.
        model: Language model to use instead of loading the experiment's.
        describer: What puts observations into words, where the training was given one from Python.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.run.trust`.
        shift: What it reads otherwise than in the training, see `dragoman.experiment.shift`.

    Raises:
        ConfigError: The config names code that is not trusted, or the shift does not fit.

    Warns:
        ModelChangedWarning: The language model has other weights than in the training.

    Attributes:
        model: The language model, where one was given or the policy asks it.
        spec: The environment.
        policy: The policy, which reads what `read` returns and chooses by indices.
        indices: What these indices stand for.
        moments: Makes the moments that the policy reads.
        reads_texts: Whether it reads their texts.
        observer: The observe role, or nothing where the policy reads raw observations.
    """

    def __init__(
        self,
        run: Run,
        *,
        sampled: bool = False,
        seed: int = 0,
        model: LanguageModel | None = None,
        describer: Describer | None = None,
        trust_code: bool = False,
        shift: Mapping[str, Any] | None = None,
    ) -> None:
        run.require_trust(trust_code)
        weights = weights_of(run)
        _check_describer(run, describer)
        played = obeying(shifted(run.experiment, shift or {}), run.environment)
        # These are matters of the training: playing needs no model for them.
        experiment = replace(played, reward=None, explore=None, guide=None)
        model = model if model is not None else reader_of(experiment, run.seed)
        _warn_of_change(run, model)
        self.model = model
        self.sampled = sampled
        self.spec: EnvSpec = spec_of(experiment, describer)
        env = make_vector(self.spec, 1, experiment.env_settings)
        models = Models(model, run.seed)
        self.observer: AnyObserver | None = observer_of(experiment, env, models)
        self.moments = moments_of(experiment, env, describer)
        observe, act = experiment.observe, experiment.act
        self.reads_texts = (observe is not None and observe.reads_texts) or (
            act is not None and act.uses_model
        )
        self._raw_space = env.single_observation_space
        space = self._raw_space if self.observer is None else self.observer.feature_space
        self.indices = Indices(env.single_action_space)
        self.policy: Policy = make_policy(experiment, space, self.indices.space, model)
        env.close()
        restore(self.policy, self.observer, weights)
        torch.manual_seed(derive_seed("sampled actions", seed))
        if self.observer is not None:
            self.observer.learning = False

    def read(self, observations: Sequence[Any], infos: Sequence[Mapping[str, Any]]) -> Any:
        """Return raw observations as the batch that the policy takes."""
        if self.observer is not None:
            return self.observer(moments_in(observations, infos, self.moments))
        return stack(self._raw_space, observations)

    def begin(self) -> None:
        """Forget what was seen: all that is acted on next begins an episode."""
        self.policy.begin()

    def act(self, observations: Sequence[Any], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return one action for each observation; a policy that remembers has seen it then."""
        batch = self.read(observations, infos)
        return list(self.indices.actions(self.policy.act(batch, self.sampled)))


def _warn_of_change(run: Run, model: LanguageModel | None) -> None:
    known = run.environment.get("model_fingerprint")
    if model is None or known is None:
        return
    now = fingerprint_of(model)
    if now not in (None, known):
        warnings.warn(
            f"the weights of {model.name} are not those that {run.path} was trained with: their "
            f"fingerprint was {known} and is {now}; it reads texts otherwise than in the training",
            ModelChangedWarning,
            stacklevel=4,
        )


def _check_describer(run: Run, describer: Describer | None) -> None:
    """Refuse to play by other texts than those of the training."""
    given = run.environment.get("describer")
    if (given is None) != (describer is None):
        known = "names its own" if given is None else f"was trained with {given}, from Python"
        raise ConfigError(
            f"{run.path} {known}, but got the describer {describer!r}",
            cure="leave describer out"
            if given is None
            else "give it again, as in dragoman.evaluate(run, describer=...), or train with its "
            "path under describe.use, which the run then names",
        )

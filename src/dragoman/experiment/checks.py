"""What roles ask of each other, of the algorithm and of the models in one experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.errors import ConfigError
from dragoman.roles.observe.settings import Observe

if TYPE_CHECKING:
    from dragoman.experiment import Experiment

POLICY_GRADIENT = ("ppo", "a2c", "appo")
"""Algorithms that take a policy of the act role."""

RECURRENT = "recurrent-ppo"
"""The algorithm whose policy remembers what it has seen in an episode."""

ON_POLICY = (*POLICY_GRADIENT, RECURRENT)
"""Algorithms that learn from rollouts, and forget them."""

GUIDED_POLICY = ("ppo", "a2c", "appo")
CREDITED = ("ppo", "a2c")
GUIDED_VALUES = ("dqn",)


def check_roles(experiment: Experiment) -> None:
    """Refuse roles that do not go together.

    Raises:
        ConfigError: They do not.
    """
    _check_act(experiment)
    _check_guide(experiment)
    _check_credit(experiment)
    _check_models(experiment)


def _check_act(experiment: Experiment) -> None:
    act, name = experiment.act, experiment.algorithm.name
    if act is None:
        return
    if name not in POLICY_GRADIENT:
        raise ConfigError(
            f"act is set, but {name!r} trains no policy over given actions",
            cure=f"use {' or '.join(POLICY_GRADIENT)}, or leave 'act' out",
        )
    tune, observe = act.tune, experiment.observe or Observe()
    reads_otherwise = observe.layer is not None or observe.raw or not observe.uses_model
    if tune is not None and tune.value == "shared" and reads_otherwise:
        raise ConfigError(
            "act.tune reads the last layer of the model that is trained, and nothing else, but "
            "observe asks for another layer, raw values or another model",
            cure="leave these settings of observe out, or set act.tune.value to 'frozen', so "
            "that the critic reads what observe says",
        )


def _check_guide(experiment: Experiment) -> None:
    guide, name = experiment.guide, experiment.algorithm.name
    if guide is None:
        return
    able = GUIDED_POLICY if guide.in_policy else GUIDED_VALUES
    if name not in able:
        raise ConfigError(
            f"guide.use is {guide.use!r}, which {name!r} has no place for",
            cure=f"use {' or '.join(able)}, or another guide.use: kl and mixture guide policies, "
            "values guides dqn",
        )
    if experiment.act is not None and experiment.act.tune is not None:
        raise ConfigError(
            "guide is the prior of a frozen model, but act.tune trains it",
            cure="leave guide out, or act.tune, which has a reference_kl of its own",
        )


def _check_credit(experiment: Experiment) -> None:
    credit, name = experiment.credit, experiment.algorithm.name
    if not credit.plays_whole_episodes:
        return
    rule = f"credit.use is {credit.use!r}"
    if name == "appo":
        raise ConfigError(
            f"{rule}, which compares whole episodes, but appo cuts them: it learns while they are "
            "played",
            cure=f"use {' or '.join(CREDITED)}, or leave credit out",
        )
    if name not in CREDITED:
        raise ConfigError(
            f"{rule}, which {name!r} has no place for",
            cure=f"use {' or '.join(CREDITED)}, or leave credit out",
        )
    if experiment.guide is not None:
        raise ConfigError(
            f"{rule}, but guide changes what is played or learnt by a rule of its own",
            cure="leave guide out, or credit",
        )
    tune = None if experiment.act is None else experiment.act.tune
    if tune is not None and tune.warm_up:
        raise ConfigError(
            f"{rule}, which has no critic, but act.tune.warm_up is {tune.warm_up}: updates that "
            "train nothing but the critic",
            cure="leave act.tune.warm_up out",
        )
    credit.check(experiment.num_envs)


def _check_models(experiment: Experiment) -> None:
    """Refuse what a role asks of a model that cannot give it, such as one behind a server."""
    act, observe, model = experiment.act, experiment.observe, experiment.model
    if act is not None and act.tune is not None:
        model.check_training()
    writer = None if act is None else act.writer
    if writer is not None and model.weights == "random":
        raise ConfigError(
            f"model.weights is 'random', but those behind {writer.server} are not these",
            cure="leave act.writer out",
        )
    if any(one.adapters is not None and one is not writer for one in experiment.models):
        raise ConfigError(
            "adapters is set of a model that writes no rollouts",
            cure="set it in act.writer, or leave it out",
        )
    if act is not None and act.asks_scores:
        model.check_scoring()
    guide = experiment.guide
    if guide is not None and guide.scores == "model":
        (guide.model or model).check_scoring("guide")
    if observe is not None and observe.reads_texts:
        (observe.model or model).check_encoding("observe", observe.layer, observe.pooling)
    explore = experiment.explore
    if explore is not None and explore.reads_features:
        (explore.model or model).check_encoding("explore", explore.layer, explore.pooling)
    if act is not None and act.reads_texts:
        layer = None if observe is None else observe.layer
        (act.model or model).check_encoding("act", layer, act.pooling)

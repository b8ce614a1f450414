"""Training: an experiment meets an engine, and becomes a run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gymnasium.vector import VectorEnv

from dragoman.describe.rollout import sample_texts
from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import (
    compute_of,
    moments_of,
    observer_of,
    reader_of,
    remembering,
    rewarder_of,
    spec_of,
)
from dragoman.engines.bookkeeper import Bookkeeper
from dragoman.engines.budget import BudgetWatch
from dragoman.engines.check import check_spaces
from dragoman.engines.collapse import CollapseWatch
from dragoman.engines.engine import Engine, Learner, default_engine, whole_steps
from dragoman.engines.masks import masks_of, obeying, warn_of
from dragoman.engines.watcher import Training, Watcher, Watchers
from dragoman.environments import make_environment, refuse_endless
from dragoman.errors import ModelError
from dragoman.experiment import POLICY_GRADIENT, Experiment
from dragoman.experiment.budget import MOST_TIMES, Budget
from dragoman.maths.seeds import derive_seed
from dragoman.roles.control import Context, roles_of
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.reward.rewarder import Rewarder
from dragoman.roles.reward.vector import RewardVector
from dragoman.run import Run, RunWriter, diverged
from dragoman.types import LanguageModel
from dragoman.vector import EpisodeRecorder, make_vector


def train(
    experiment: Experiment,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    model: LanguageModel | None = None,
    budget: Budget | None = None,
    engine: Engine | None = None,
    watchers: Sequence[Watcher] = (),
) -> Run:
    """Train an agent and return its run folder.

    Ctrl-C saves the weights before it goes on, so the folder stays loadable.

    Args:
        experiment: What to train.
        seed: Seed of environments, weights and exploration. Equal seeds give equal metrics.
        out: Run folder to make; ``runs/<environment>-<algorithm>-<seed>`` unless given.
        model: Language model to use instead of loading the experiment's.
        budget: Train until this is used up, instead of for the experiment's steps.
        engine: What trains; Stable-Baselines3 unless given.
        watchers: What sees the training, and may stop it.

    Raises:
        ConfigError: The experiment cannot work.
        RunError: The run folder is taken.
    """
    engine = default_engine() if engine is None else engine
    spec = spec_of(experiment)
    refuse_endless(spec)
    masks = masks_of(experiment, spec)
    warn_of(masks, experiment)
    record = {"engine": engine.name, **({} if masks is None else {"masks": masks})}
    acting = obeying(experiment, record)
    # A namespace would make a folder of its own.
    name = f"{spec.id.replace('/', '-')}-{experiment.algorithm.name}-{seed}"
    folder = Path(out) if out else Path("runs", name)
    copies, settings = experiment.num_envs, experiment.env_settings
    recorder = EpisodeRecorder(make_vector(spec, copies, settings, autoreset=engine.autoreset))
    rewards: RewardVector | None = None
    try:
        moments = moments_of(experiment, recorder)
        check_spaces(experiment, recorder, moments, engine)
        model = model if model is not None else reader_of(experiment, seed)
        model = remembering(model)
        observer = observer_of(acting, recorder, model, seed)
        env: VectorEnv[Any, Any, Any] = recorder
        if observer is not None or roles_of(experiment):
            env = MomentVector(env, moments)
        gamma = engine.gamma(experiment)
        rewarder = rewarder_of(experiment, recorder, model, seed=seed, gamma=gamma)
        if rewarder is not None:
            env = rewards = RewardVector(env, rewarder)
        own: dict[str, VectorEnv[Any, Any, Any]] = {}
        models: list[LanguageModel] = []
        for role_name, role in experiment.own_roles.items():
            asked = model if role.uses_model else None
            if asked is not None:
                models.append(asked)
            env = own[role_name] = role.wrap(env, Context(asked, moments, gamma, seed))
        if observer is not None:
            env = ObserveVector(env, observer)
        training = engine.build(acting, env, derive_seed("train", seed), model)
        with RunWriter(folder, experiment, seed, {**compute_of(model), **record}) as writer:
            if rewards is not None:
                make = partial(make_environment, spec, settings)
                _prepare(rewards.rewarder, writer, lambda n: sample_texts(make(), moments, seed, n))
            bookkeeper = Bookkeeper(writer, observer, rewards, own, models)
            seeing = _watchers(experiment, bookkeeper, watchers, budget)
            steps = whole_steps(experiment) * (1 if budget is None else MOST_TIMES)
            _learn(experiment, training, Watchers(seeing, recorder, rewards), steps, writer)
    finally:
        (recorder if rewards is None else rewards).close()
    return Run(folder)


def _prepare(rewarder: Rewarder, writer: RunWriter, sampled: Callable[[int], list[str]]) -> None:
    """Let the reward role find out what it must know, and keep that with the run.

    Args:
        rewarder: The role.
        writer: The run folder.
        sampled: Plays so many steps at random and returns the texts of the states.
    """
    rewarder.prepare(sampled, writer.path)
    writer.rewards(rewarder.found)
    rewarder.keep_critiques(writer.critique)


def _learn(
    experiment: Experiment, training: Learner, watchers: Watchers, steps: int, writer: RunWriter
) -> None:
    """Train, and let every watcher end, whatever happens."""
    with _explained(experiment, training):
        try:
            training.learn(watchers, steps, writer)
        finally:
            watchers.end(training)


def _watchers(
    experiment: Experiment,
    bookkeeper: Bookkeeper,
    others: Sequence[Watcher],
    budget: Budget | None,
) -> list[Watcher]:
    """Return all that see a training, in the order in which they are called."""
    found: list[Watcher] = [bookkeeper]
    if experiment.algorithm.name in POLICY_GRADIENT:
        found.append(CollapseWatch(experiment.collapse))
    found += others
    if budget is not None:
        found.append(BudgetWatch(budget, bookkeeper.models))
    return found


@contextmanager
def _explained(experiment: Experiment, training: Training) -> Iterator[None]:
    """Say where in a training an error came, and what PyTorch's own means."""
    try:
        yield
    except ModelError as error:
        error.add_note(f"at step {training.steps} of a training on {experiment.env}")
        raise
    except ValueError as error:
        # So PyTorch's distributions refuse to draw by NaN, which finite weights too can lead to.
        if "found invalid values" in str(error):
            raise diverged("outputs", training.steps) from error
        raise

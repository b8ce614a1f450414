"""Training: an experiment meets an engine, and becomes a run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from dragoman.describe.moment import MomentMaker
from dragoman.describe.rollout import sample_texts
from dragoman.engines.assembly import compute_of, moments_of, reader_of, spec_of
from dragoman.engines.bookkeeper import Bookkeeper
from dragoman.engines.budget import BudgetWatch, total_cost
from dragoman.engines.calibrate import Calibration, calibrate, steps_before
from dragoman.engines.check import check_spaces
from dragoman.engines.checkpoints import Checkpoints
from dragoman.engines.collapse import CollapseWatch
from dragoman.engines.engine import Engine, Learner, engine_named, whole_steps
from dragoman.engines.faults import CountFaults
from dragoman.engines.folder import New, Resumed
from dragoman.engines.masks import masks_of, obeying, warn_of
from dragoman.engines.progress import TellProgress
from dragoman.engines.served import ServerWatch
from dragoman.engines.stack import RoleStack
from dragoman.engines.trial import try_episode
from dragoman.engines.watcher import Training, Watcher, Watchers
from dragoman.environments import make_environment, refuse_endless
from dragoman.environments.guard import Faults
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError, ModelError
from dragoman.experiment import Experiment
from dragoman.experiment.budget import MOST_TIMES, Budget
from dragoman.experiment.checks import ON_POLICY
from dragoman.experiment.source import Source, read_experiment
from dragoman.files import require_room
from dragoman.maths.seeds import derive_seed
from dragoman.models.cache import CachedModel
from dragoman.models.hardware import check_device
from dragoman.progress import Wanted, shown
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.role import Context, Models, remembering
from dragoman.run import LEAST_BYTES, Run, RunWriter, diverged
from dragoman.run.trackers import require_trackers
from dragoman.settings import check_number
from dragoman.stopping import stoppable, unbroken
from dragoman.types import Describer, LanguageModel


def train(
    experiment: Source | None = None,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    model: str | LanguageModel | None = None,
    describer: str | Describer | None = None,
    budget: Budget | None = None,
    engine: str | Engine | None = None,
    watchers: Sequence[Watcher] = (),
    progress: Wanted = None,
    resume: Run | str | Path | None = None,
    trust_code: bool = False,
) -> Run:
    """Train an agent and return its run folder.

    Ctrl-C and SIGTERM save the weights before they go on, so the folder stays loadable; and what
    was stopped or killed can be resumed.

    Args:
        experiment: What to train: a file, ``recipe:NAME``, an environment, plain data or an object.
            Of a run to resume it is known.
        seed: Seed of environments, weights and exploration. Equal seeds give equal metrics.
        out: Run folder to make; ``runs/<environment>-<algorithm>-<seed>`` unless given, with a
            number behind it where that is taken. It is gone again where no first step was taken.
        model: Language model to use instead of loading the experiment's, or the name of one.
        describer: What puts observations and actions into words instead of the experiment's: its
            path, which the run then names, or an object, which ``evaluate`` has to be given too.
        budget: Train until this is used up, instead of for the experiment's steps.
        engine: What trains, or its name: ``sb3`` unless given, or ``rllib``.
        watchers: What sees the training, and may stop it.
        progress: Whether to show how far it has come, or a function that is told, see
            `dragoman.progress`. Unless given, it is shown in terminals and notebooks.
        resume: A run that has not finished, or its folder. It goes on from its last checkpoint,
            or where there is none from the start, to what it would have been to the last digit.
        trust_code: Resume a run of another user or machine, whatever code its config names.

    Raises:
        ConfigError: The experiment cannot work.
        RunError: The run folder is taken or cannot be written, or its disk is too full; or the run
            cannot be resumed.
    """
    _check_watchers(watchers)
    resumed = None
    if resume is not None:
        given = {"experiment": experiment, "seed": seed, "out": out, "budget": budget}
        names = {"model": model, "describer": describer}
        given |= {name: value for name, value in names.items() if isinstance(value, str)}
        resumed = Resumed.of(resume, engine, trust_code, given)
        experiment, seed = resumed.run.experiment, resumed.run.seed
        engine, budget = resumed.engine, resumed.budget
    experiment, engine = read_experiment(_required(experiment)), engine_named(engine)
    check_number("seed", seed)
    require_trackers(experiment.track)
    experiment, own_model = _with_name(experiment, "model.name", model)
    experiment, own_describer = _with_name(experiment, "describe.use", describer)
    spec = spec_of(experiment, own_describer)
    refuse_endless(spec)
    record = _record(engine, own_describer, budget)
    folder = resumed or New.of(out, f"{spec.id}-{experiment.algorithm.name}-{seed}")
    asked = _Asked(experiment, seed, own_model, own_describer, budget, engine, folder)
    require_room(folder.path, LEAST_BYTES)
    with ExitStack() as closing:
        closing.enter_context(stoppable())
        show = closing.enter_context(shown(progress))
        watchers = [*watchers, *([] if show is None else [TellProgress(show, experiment.steps)])]
        return _trained(asked, record, watchers, closing)


@dataclass(frozen=True)
class _Asked:
    """What is to be trained, before anything is made for it.

    Attributes:
        experiment: With the names of a model and a describer that were given.
        seed: Of everything.
        model: A model that was given as an object.
        describer: A describer that was given as an object.
        budget: What ends the training instead of the experiment's steps.
        engine: What trains.
        folder: Where.
    """

    experiment: Experiment
    seed: int
    model: LanguageModel | None
    describer: Describer | None
    budget: Budget | None
    engine: Engine
    folder: New | Resumed


def _trained(
    asked: _Asked, record: dict[str, Any], watchers: Sequence[Watcher], closing: ExitStack
) -> Run:
    """Put environment, roles and algorithm together, and train.

    Args:
        asked: What is to be trained.
        record: What the run's record says already.
        watchers: The user's, and what shows progress.
        closing: Closes what is made here.
    """
    experiment, seed, engine, folder = asked.experiment, asked.seed, asked.engine, asked.folder
    spec, settings = spec_of(experiment, asked.describer), experiment.env_settings
    faults = Faults(experiment.guard, partial(derive_seed, "environment made anew", seed))
    recorder = EpisodeRecorder(
        make_vector(
            spec,
            experiment.num_envs,
            settings,
            autoreset=engine.autoreset,
            faults=faults,
            can_rest=experiment.credit.plays_whole_episodes,
        )
    )
    stack = RoleStack(recorder)
    closing.enter_context(faults.limiting())
    closing.callback(stack.close)
    moments = moments_of(experiment, recorder, asked.describer)
    make = partial(make_environment, spec, settings)
    faults.has_warned = _check(asked, recorder, moments, make, watchers)
    masks = masks_of(experiment, spec)
    warn_of(masks, experiment)
    record |= {} if masks is None else {"masks": masks}
    acting = obeying(experiment, record)
    reader = _loaded(asked, watchers)
    models = Models(reader, seed)
    stack.add(acting, Context(models, moments, engine.gamma(experiment)))
    tokens = total_cost(models.asked).tokens
    if folder.found is None:
        play = partial(calibrate, make=make, moments=moments, seed=seed)
        record |= _calibrated(acting, stack, watchers, play)
    else:
        # Before the engine sends it to other processes.
        stack.see_on(folder.found.state["learnt"])
    _stage(watchers, f"building the agent with {engine.name}")
    training = engine.build(acting, stack.env, derive_seed("train", seed), reader, stack)
    closing.callback(training.close)
    with folder.writer(experiment, seed, {**compute_of(reader), **record}) as writer:
        _stage(watchers if stack.roles else (), f"preparing {', '.join(stack.roles)}")
        if folder.found is None:
            stack.prepare(lambda count: sample_texts(make(), moments, seed, count), writer)
        else:
            stack.restore(folder.found.state["learnt"], writer)
        bookkeeper = Bookkeeper(writer, stack, models)
        seeing = _watchers(experiment, bookkeeper, watchers, asked.budget, tokens)
        seeing.append(CountFaults(faults))
        if engine.can_resume and experiment.checkpoint is not None:
            seeing.append(
                Checkpoints(experiment.checkpoint, writer, stack, models, seeing, folder.found)
            )
        steps = whole_steps(experiment) * (1 if asked.budget is None else MOST_TIMES)
        try:
            _learn(experiment, training, Watchers(seeing, recorder, stack), steps, writer)
        except Exception:
            writer.discarded = training.steps == 0 and isinstance(folder, New)
            raise
    return Run(writer.path)


def _check(
    asked: _Asked,
    env: EpisodeRecorder,
    moments: MomentMaker,
    make: Callable[[], gym.Env[Any, Any]],
    watchers: Sequence[Watcher],
) -> bool:
    """Refuse what cannot be trained, before a model is loaded for it; say whether it warned."""
    experiment = asked.experiment
    readers = check_spaces(experiment, env, moments, asked.engine)
    if asked.model is None and experiment.uses_model:
        check_device(experiment.model.device)
    _stage(watchers, "checking one random episode")
    return try_episode(make, moments, readers)


def _stage(watchers: Sequence[Watcher], what: str) -> None:
    for watcher in watchers:
        watcher.stage(what)


def _loaded(asked: _Asked, watchers: Sequence[Watcher]) -> CachedModel | None:
    """Return the language model that roles ask, if any does."""
    experiment, model = asked.experiment, asked.model
    if model is None and experiment.uses_model:
        _stage(watchers, f"loading {experiment.model.name}")
    return remembering(model if model is not None else reader_of(experiment, asked.seed))


def _required(experiment: Source | None) -> Source:
    if experiment is None:
        raise ConfigError(
            "nothing is named to train",
            cure="name an experiment, an environment or a run to resume",
        )
    return experiment


def _with_name(experiment: Experiment, key: str, given: Any) -> tuple[Experiment, Any]:
    """Return an experiment that names what is given, where that is a name; and what is no name."""
    return (
        (experiment.replaced({key: given}), None) if isinstance(given, str) else (experiment, given)
    )


def _record(engine: Engine, describer: Describer | None, budget: Budget | None) -> dict[str, Any]:
    """Return what the run's record says beside how the model computes."""
    record: dict[str, Any] = {"engine": engine.name, **engine.record}
    if describer is not None:
        _check_given(describer, engine)
        record["describer"] = getattr(describer, "__qualname__", type(describer).__qualname__)
    if budget is not None:
        record["budget"] = asdict(budget)
    return record


def _calibrated(
    experiment: Experiment,
    stack: RoleStack,
    watchers: Sequence[Watcher],
    play: Callable[[AnyObserver, int], Calibration],
) -> dict[str, Any]:
    """Let what the policy sees with learn from random play, and return what the record says."""
    if stack.observer is None:
        return {}
    before = steps_before(experiment, stack.observer)
    _stage(watchers if before else (), f"calibrating by {before:,} random steps")
    return {"calibration": asdict(play(stack.observer, before))}


def _check_watchers(watchers: Sequence[Watcher]) -> None:
    if not all(isinstance(watcher, Watcher) for watcher in watchers):
        raise ConfigError(
            f"watchers is {watchers!r}, and not all are dragoman.Watcher",
            cure="give objects of subclasses of dragoman.Watcher",
        )


def _check_given(describer: Describer, engine: Engine) -> None:
    if "env_runners" in engine.record:
        raise ConfigError(
            f"the describer {describer!r} is an object, which other processes cannot make",
            cure="name it by its path, as in describer='my_describer.py:MyDescriber'",
        )


def _learn(
    experiment: Experiment, training: Learner, watchers: Watchers, steps: int, writer: RunWriter
) -> None:
    """Train, and let every watcher end, whatever happens."""
    with _explained(experiment, training):
        try:
            training.learn(watchers, steps, writer)
        finally:
            with unbroken():
                watchers.end(training)


def _watchers(
    experiment: Experiment,
    bookkeeper: Bookkeeper,
    others: Sequence[Watcher],
    budget: Budget | None,
    tokens: int,
) -> list[Watcher]:
    """Return all that see a training, in the order in which they are called."""
    result: list[Watcher] = [bookkeeper]
    if experiment.algorithm.name in ON_POLICY:
        result.append(CollapseWatch(experiment.collapse))
    if experiment.act is not None and experiment.act.writer is not None:
        result.append(ServerWatch())
    result += others
    if budget is not None:
        result.append(BudgetWatch(budget, bookkeeper.models.asked, tokens))
    return result


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

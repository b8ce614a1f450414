"""Training: an experiment meets an engine, and becomes a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from dragoman.describe.rollout import sample_texts
from dragoman.engines.assembly import compute_of, moments_of, reader_of, spec_of
from dragoman.engines.bookkeeper import Bookkeeper
from dragoman.engines.budget import BudgetWatch, total_cost
from dragoman.engines.calibrate import calibrate, steps_before
from dragoman.engines.check import check_spaces
from dragoman.engines.collapse import CollapseWatch
from dragoman.engines.engine import Engine, Learner, engine_named, whole_steps
from dragoman.engines.masks import masks_of, obeying, warn_of
from dragoman.engines.progress import TellProgress
from dragoman.engines.stack import RoleStack
from dragoman.engines.trial import try_episode
from dragoman.engines.watcher import Training, Watcher, Watchers
from dragoman.environments import make_environment, refuse_endless
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError, ModelError, RunError
from dragoman.experiment import Experiment
from dragoman.experiment.budget import MOST_TIMES, Budget
from dragoman.experiment.checks import POLICY_GRADIENT
from dragoman.experiment.source import Source, read_experiment
from dragoman.files import free_name, refuse_taken, require_room
from dragoman.maths.seeds import derive_seed
from dragoman.models.cache import CachedModel
from dragoman.models.hardware import check_device
from dragoman.progress import Wanted, shown
from dragoman.roles.role import Context, Models, remembering
from dragoman.run import LEAST_BYTES, Run, RunWriter, diverged
from dragoman.run.trackers import require_trackers
from dragoman.settings import check_number
from dragoman.stopping import stoppable, unbroken
from dragoman.types import Describer, LanguageModel


def train(
    experiment: Source,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    model: str | LanguageModel | None = None,
    describer: str | Describer | None = None,
    budget: Budget | None = None,
    engine: str | Engine | None = None,
    watchers: Sequence[Watcher] = (),
    progress: Wanted = None,
) -> Run:
    """Train an agent and return its run folder.

    Ctrl-C and SIGTERM save the weights before they go on, so the folder stays loadable.

    Args:
        experiment: What to train: a file, ``recipe:NAME``, an environment, plain data or an object.
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

    Raises:
        ConfigError: The experiment cannot work.
        RunError: The run folder is taken or cannot be written, or its disk is too full.
    """
    experiment, engine = read_experiment(experiment), engine_named(engine)
    check_number("seed", seed)
    require_trackers(experiment.track)
    _check_watchers(watchers)
    if isinstance(model, str):
        experiment, model = experiment.replaced({"model.name": model}), None
    if isinstance(describer, str):
        experiment, describer = experiment.replaced({"describe.use": describer}), None
    spec = spec_of(experiment, describer)
    refuse_endless(spec)
    record: dict[str, Any] = {"engine": engine.name, **engine.record}
    if describer is not None:
        _check_given(describer, engine)
        record["describer"] = getattr(describer, "__qualname__", type(describer).__qualname__)
    # A namespace would make a folder of its own.
    name = f"{spec.id.replace('/', '-')}-{experiment.algorithm.name}-{seed}"
    wanted = Path(out) if out else Path("runs", name)
    if out:
        refuse_taken(wanted)
    require_room(wanted, LEAST_BYTES)
    copies, settings = experiment.num_envs, experiment.env_settings
    recorder = EpisodeRecorder(make_vector(spec, copies, settings, autoreset=engine.autoreset))
    stack = RoleStack(recorder)
    with ExitStack() as closing:
        closing.enter_context(stoppable())
        show = closing.enter_context(shown(progress))
        closing.callback(stack.close)
        watchers = [*watchers, *([] if show is None else [TellProgress(show, experiment.steps)])]
        moments = moments_of(experiment, recorder, describer)
        make = partial(make_environment, spec, settings)
        readers = check_spaces(experiment, recorder, moments, engine)
        check_device(experiment.model.device if model is None and experiment.uses_model else "cpu")
        _stage(watchers, "checking one random episode")
        try_episode(make, moments, readers)
        masks = masks_of(experiment, spec)
        warn_of(masks, experiment)
        record |= {} if masks is None else {"masks": masks}
        acting = obeying(experiment, record)
        model = _loaded(experiment, seed, model, watchers)
        models = Models(model, seed)
        stack.add(acting, Context(models, moments, engine.gamma(experiment)))
        tokens = total_cost(models.asked).tokens
        if stack.observer is not None:
            before = steps_before(acting, stack.observer)
            _stage(watchers if before else (), f"calibrating by {before:,} random steps")
            record["calibration"] = asdict(calibrate(stack.observer, before, make, moments, seed))
        _stage(watchers, f"building the agent with {engine.name}")
        training = engine.build(acting, stack.env, derive_seed("train", seed), model, stack)
        closing.callback(training.close)
        compute = {**compute_of(model), **record}
        with _taken(wanted, not out, experiment, seed, compute) as writer:
            _stage(watchers if stack.roles else (), f"preparing {', '.join(stack.roles)}")
            stack.prepare(lambda count: sample_texts(make(), moments, seed, count), writer)
            bookkeeper = Bookkeeper(writer, stack, models)
            seeing = _watchers(experiment, bookkeeper, watchers, budget, tokens)
            steps = whole_steps(experiment) * (1 if budget is None else MOST_TIMES)
            try:
                _learn(experiment, training, Watchers(seeing, recorder, stack), steps, writer)
            except Exception:
                writer.discarded = training.steps == 0
                raise
    return Run(writer.path)


def _stage(watchers: Sequence[Watcher], what: str) -> None:
    for watcher in watchers:
        watcher.stage(what)


def _loaded(
    experiment: Experiment, seed: int, model: LanguageModel | None, watchers: Sequence[Watcher]
) -> CachedModel | None:
    """Return the language model that roles ask, if any does."""
    if model is None and experiment.uses_model:
        _stage(watchers, f"loading {experiment.model.name}")
    return remembering(model if model is not None else reader_of(experiment, seed))


def _taken(
    wanted: Path, counts: bool, experiment: Experiment, seed: int, compute: Mapping[str, Any]
) -> RunWriter:
    """Take a run folder; where names count up, the first that no other training has taken."""
    while True:
        folder = free_name(wanted) if counts else wanted
        try:
            return RunWriter(folder, experiment, seed, compute)
        except RunError:
            if not counts or free_name(wanted) == folder:
                raise


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
    if experiment.algorithm.name in POLICY_GRADIENT:
        result.append(CollapseWatch(experiment.collapse))
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

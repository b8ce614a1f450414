"""``dragoman train``: an experiment file becomes a run folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.cli.options import Track, TrustCode, leaving, tracked
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.experiment.source import read_experiment
from dragoman.report.live import learning_curve
from dragoman.run import Run
from dragoman.yaml12 import load, refuse_yes_no

if TYPE_CHECKING:
    from dragoman.engines.engine import Engine

EXPERIMENT = "YAML file, recipe:NAME or environment."


class EngineName(StrEnum):
    """The training libraries."""

    SB3 = "sb3"
    RLLIB = "rllib"


def train(
    source: Annotated[str | None, typer.Argument(metavar="EXPERIMENT", help=EXPERIMENT)] = None,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder to make.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: --set steps=1000"),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Begin from a model of teach.")] = None,
    track: Track = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with a stopped run.")] = None,
    trust_code: TrustCode = False,
    engine: Annotated[EngineName, typer.Option(help="Training library.")] = EngineName.SB3,
    address: Annotated[str | None, typer.Option(help="rllib: a running cluster, or auto.")] = None,
    env_runners: Annotated[int | None, typer.Option(help="rllib: processes that play.")] = None,
    learners: Annotated[int | None, typer.Option(help="rllib: processes that learn.")] = None,
    gpus_per_learner: Annotated[float | None, typer.Option(help="rllib: GPUs of each.")] = None,
    model_replicas: Annotated[int | None, typer.Option(help="rllib: shared models.")] = None,
) -> None:
    """Train an agent."""
    given = parse_overrides(overrides or []) | ({} if init is None else {"act.init": str(init)})
    experiment = _experiment(source, given | tracked(track), resume)
    chosen = _engine(
        engine,
        resume,
        address=address,
        env_runners=env_runners,
        learners=learners,
        gpus_per_learner=gpus_per_learner,
        model_replicas=model_replicas,
    )
    # Only now, so that --help and a bad file answer at once.
    from dragoman.engines import train as training

    with leaving("what was learnt so far is saved; --resume RUN goes on"):
        run = training.train(
            experiment if resume is None else source,
            seed,
            out=out,
            engine=chosen,
            progress=True,
            resume=resume,
            trust_code=trust_code,
        )
    # Colours are left out where the output is no terminal.
    typer.echo(learning_curve(run) or "no episode has ended yet, so there is no learning curve")
    typer.echo(f"run folder: {run.path}")
    typer.echo(f"next: dragoman eval {run.path}, or dragoman replay {run.path}")


def _experiment(source: str | None, given: dict[str, Any], resume: Path | None) -> Experiment:
    """Return what is to be trained, or what the run to resume has trained.

    Raises:
        BadParameter: Nothing is named.
        ConfigError: Keys are given for a run that has them already.
    """
    if resume is None:
        if source is None:
            raise typer.BadParameter("name an EXPERIMENT, or a run with --resume")
        return read_experiment(source, given)
    if given:
        raise ConfigError(
            f"{resume} says itself what it goes on with, and cannot be given {', '.join(given)}",
            cure="leave --set, --init and --track out, or train anew",
        )
    return Run(resume).experiment


def _engine(name: EngineName, resume: Path | None, **settings: Any) -> str | Engine | None:
    """Return what is to train: of a run that goes on what it says, but for what is given."""
    if resume is None:
        return engine_of(name, **settings)
    given = {key: value for key, value in settings.items() if value is not None}
    if not given:
        return None if name == EngineName.SB3 else name.value
    from dragoman.engines.folder import recorded

    before = recorded(Run(resume))
    if name == EngineName.SB3:
        name = EngineName(before.name)
    return engine_of(name, **{**before.record, **given})


def engine_of(name: EngineName, **settings: Any) -> Engine:
    """Return an engine by its name, with the settings that were given.

    Raises:
        ConfigError: It has no such setting.
    """
    from dragoman.engines.engine import engine_named

    given = {key: value for key, value in settings.items() if value is not None}
    if name == EngineName.RLLIB:
        from dragoman.engines.rllib import RLlib

        return RLlib(**given)
    if given:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in given)
        raise ConfigError(
            f"the engine {name.value} trains in this process, so {options} has no meaning there",
            cure="add --engine rllib",
        )
    return engine_named(name.value)


def parse_env_settings(pairs: list[str] | None) -> dict[str, Any]:
    """Turn what ``--env`` was given into settings of an environment.

    Raises:
        ConfigError: One has no value, or a bare yes or no, which YAML 1.2 reads as a text.
    """
    settings = parse_overrides(pairs or [], option="--env")
    refuse_yes_no(settings, "--env")
    return settings


def parse_overrides(pairs: list[str], option: str = "--set") -> dict[str, Any]:
    """Turn ``["steps=1000", "algorithm.name=dqn"]`` into keys and YAML values."""
    parsed = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ConfigError(f"{option} {pair!r} has no '='", cure=f"write {option} key=value")
        parsed[key] = load(value, f"{option} {pair!r}")
    return parsed

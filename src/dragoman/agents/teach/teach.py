"""From play to a language model that acts so, in a folder that a training can begin from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dragoman.agents.teach.fitting import Fit, Lessons, Teaching
from dragoman.agents.teach.plays import Play, play_of
from dragoman.engines.assembly import moments_of, observer_of, spec_of
from dragoman.engines.policies.make import make_action_policy
from dragoman.engines.state import given, taken
from dragoman.environments import make_environment, refuse_endless
from dragoman.environments.indices import Indices
from dragoman.environments.vector import make_vector
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.experiment.source import RECIPE, Source, read_experiment
from dragoman.files import take_folder, whole_folder, write_json, write_text
from dragoman.maths.seeds import derive_seed
from dragoman.models.taught import ADAPTER, NAME, WHOLE, Taught
from dragoman.models.tuned import Text
from dragoman.roles.act.observer import OptionsObserver
from dragoman.roles.act.policy import ActionPolicy
from dragoman.roles.act.readers import TunedReader
from dragoman.roles.act.settings import TAUGHT_RANDOM, Act
from dragoman.roles.act.written import LINE
from dragoman.roles.role import Models
from dragoman.run import Run
from dragoman.run.checkpoint import read_checkpoint, remove_checkpoints, write_checkpoint
from dragoman.stats.aggregates import mean
from dragoman.stats.bootstrap import bootstrap_interval
from dragoman.stopping import stoppable, unbroken

HELD_OUT = 8
"""Every so many episodes, one is held out, and the last is."""
BEGUN = "teaching.json"
"""What is taught, and how: written first, so that what was stopped goes on to nothing else."""
STARTER = {"policy": "score", "tune": {"how": "lora"}}
"""How a model acts that is given by its name alone."""

OnStep = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much it is in all."""


def teach(
    learner: Source,
    source: Run | str | Path,
    out: str | Path,
    settings: Teaching = Teaching(),
    *,
    seed: int = 0,
    control: bool = False,
    trust_code: bool = False,
    on_step: OnStep = lambda what, done, total: None,
) -> Taught:
    """Train a language model to act as somebody has played, by supervised fine-tuning.

    It reads the prompts that the act role builds; the tokens of the actions alone carry loss. What
    was stopped goes on after its last pass when it is called again with the same arguments.

    Args:
        learner: The name of a model, which then scores actions and learns through adapters; or an
            experiment, whose describe, model and act are taken.
        source: The play: a run or its folder, a folder of `dragoman.seek`, ``TASK:reference`` for a
            task's reference policy, or ``minari:ID``.
        out: Folder to make, for ``act.init`` of an experiment and ``dragoman train --init``.
        settings: How it is taught.
        seed: Of environments, adapters and the order of states.
        control: Teach the same architecture with random weights too: did pre-training matter?
        trust_code: Run the code that a run's config names, even if this user has not trained it
            here, see `dragoman.run.trust`.
        on_step: Called with how far it is.

    Raises:
        ConfigError: The play is of another environment, there is too little of it, or the
            learner's act trains no model that scores or writes actions.
        RunError: There is no such play, or the folder is taken.
    """
    out = Path(out)
    play = play_of(source, trust_code)
    experiment = learner_of(learner, play)
    record = {
        "from": play.name,
        "seed": seed,
        "settings": vars(settings),
        "control": control,
        "experiment": experiment.to_dict(),
    }
    _take(out, record)
    with stoppable():
        # The control first: a folder with a record is finished in all its parts.
        for place in (out / TAUGHT_RANDOM, out) if control else (out,):
            if (place / NAME).is_file():
                continue
            drawn = {"model.weights": "random", "model.seed": seed} if place != out else {}
            _taught(experiment.replaced(drawn), play, place, settings, seed, on_step, record)
    return Taught.read(out)


def learner_of(learner: Source, play: Play) -> Experiment:
    """Return the experiment of a learner on the environment of the play.

    Raises:
        ConfigError: It is on another environment, or trains no model that scores or writes.
    """
    if _names_model(learner):
        data = {**play.experiment, "model": str(learner), "observe": None, "act": STARTER}
        experiment = Experiment.from_dict(data)
    else:
        experiment = read_experiment(learner)
    # What is played says nothing of what it does not know.
    wanted = Experiment.from_dict({"env": experiment.env, **play.experiment})
    for key in {"env", "env_settings"} & set(play.experiment):
        ours, theirs = getattr(experiment, key), getattr(wanted, key)
        if ours != theirs:
            raise ConfigError(
                f"the play {play.name} has {key} {theirs!r}, but the learner {ours!r}",
                cure=f"set {key} to {theirs!r}, or name other play",
            )
    act = experiment.act
    learns = act is not None and (act.sums_candidates or _writes_freely(act))
    if act is None or act.tune is None or not learns or act.init is not None:
        keys = ("policy", "constrain", "think", "tune", "init")
        given = "off" if act is None else {key: getattr(act, key) for key in keys}
        raise ConfigError(
            "what is taught is a model that is trained to score or write the texts of actions, but "
            f"the learner's act is {given}",
            cure="set act: {policy: score, tune: {how: lora}}, or policy write with constrain "
            "texts, or none without think, and leave act.init out",
        )
    return experiment


def _writes_freely(act: Act) -> bool:
    return act.policy == "write" and act.constrain == "none" and not act.think


def _names_model(learner: Source) -> bool:
    if not isinstance(learner, str | Path):
        return False
    is_run = (Path(learner) / "config.yaml").is_file()
    is_file = Path(learner).suffix in (".yaml", ".yml")
    return not (is_run or is_file or str(learner).startswith(RECIPE))


def _take(out: Path, record: Mapping[str, Any]) -> None:
    """Take a new folder, or one in which the same was stopped.

    Raises:
        RunError: It is taken.
    """
    begun = out / BEGUN
    if not begun.is_file() or (out / NAME).is_file():
        take_folder(out, BEGUN, json.dumps(record, indent=2) + "\n")
        return
    if json.loads(begun.read_text("utf-8")) != json.loads(json.dumps(record)):
        raise RunError(
            f"{out} holds a teaching that was stopped, of other play or with other settings",
            cure=f"repeat the settings of {begun}, name another folder, or remove this one",
        )


def _taught(
    experiment: Experiment,
    play: Play,
    out: Path,
    settings: Teaching,
    seed: int,
    on_step: OnStep,
    record: Mapping[str, Any],
) -> None:
    """Teach one model, and write its folder."""
    policy, observer = _parts(experiment, seed)
    assert experiment.act is not None
    end: tuple[int, ...] = ()
    if _writes_freely(experiment.act):
        assert isinstance(policy.reader, TunedReader)
        end = policy.reader.model.inner.bare_ids(LINE)
    lessons = _lessons(experiment, play, observer, end, settings, seed, on_step)
    fit = Fit(policy, lessons, settings, derive_seed("lessons", seed))
    out.mkdir(exist_ok=True)
    found = read_checkpoint(out)
    if found is not None:
        given(fit, found.state)
    else:
        fit.judge()
    on_step("teach", fit.epoch, settings.epochs)
    while not fit.is_over:
        fit.learn()
        fit.judge()
        with unbroken():
            write_checkpoint(out, fit.epoch, taken(fit), keep=1)
        on_step("teach", fit.epoch, settings.epochs)
    fit.take_best()
    with unbroken():
        _write(experiment, fit, lessons, out, record)


def _parts(experiment: Experiment, seed: int) -> tuple[ActionPolicy, OptionsObserver]:
    """Return the act role's policy and what it sees with, of the model alone."""
    act = experiment.act
    assert act is not None
    assert act.tune is not None
    # What a critic or a reference reads beside the model is a matter of rewards.
    tune = replace(act.tune, value="shared", reference_kl=0.0)
    bare = replace(
        experiment,
        observe=None,
        # Who writes freely is judged among the texts of valid actions.
        act=replace(act, tune=tune, constrain="texts" if _writes_freely(act) else act.constrain),
        reward=None,
        explore=None,
        guide=None,
        roles={},
    )
    model = bare.model.load(seed)
    env = make_vector(spec_of(bare), 1, bare.env_settings)
    observer = observer_of(bare, env, Models(model, seed))
    actions = Indices(env.single_action_space).space
    env.close()
    assert isinstance(observer, OptionsObserver)
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed("adapters", seed))
        policy = make_action_policy(bare, observer.feature_space, actions, model)
    assert isinstance(policy, ActionPolicy)
    return policy.to(getattr(model, "device", "cpu")), observer


def _lessons(
    experiment: Experiment,
    play: Play,
    observer: OptionsObserver,
    end: tuple[int, ...],
    settings: Teaching,
    seed: int,
    on_step: OnStep,
) -> Lessons:
    """Return the first states of the play; every eighth episode and the last are held out.

    Behind each action stand the tokens of its end, where the policy has to write one.

    Raises:
        ConfigError: There is one episode only, or no state in which the teacher's action is valid.
    """
    spec = spec_of(experiment)
    refuse_endless(spec)
    env = make_environment(spec, experiment.env_settings)
    make = moments_of(experiment, env)
    # Of no episode more than half, so that one is left to be held out.
    most = max(settings.steps // 2, 1)
    episodes: list[list[tuple[Text, dict[str, Any], int]]] = []
    returns, left_out, states = [], 0, 0
    for episode in play.show(experiment, env, make, seed, most):
        steps = episode.steps[: settings.steps - states]
        batch = observer([moment for moment, _ in steps])
        own = []
        for i, (_, action) in enumerate(steps):
            seen = {key: rows[i] for key, rows in batch.items()}
            if seen["mask"][action]:
                own.append((_text(seen, action, end), seen, action))
        states, left_out = states + len(steps), left_out + len(steps) - len(own)
        returns += [episode.episode_return] if episode.is_whole else []
        episodes += [own] if own else []
        on_step("play", states, settings.steps)
        if states >= settings.steps:
            break
    env.close()
    if len(episodes) < 2:
        raise ConfigError(
            f"{play.name} has {len(episodes)} episodes with valid actions in {states} states, but "
            "one is held out",
            cure="play more episodes, or raise steps",
        )
    held = [
        number % HELD_OUT == 0 or number == len(episodes) for number in range(1, len(episodes) + 1)
    ]
    known = [item for own, out in zip(episodes, held, strict=True) if not out for item in own]
    others = [item for own, out in zip(episodes, held, strict=True) if out for item in own]
    return Lessons(
        tuple(text for text, _, _ in known),
        tuple(text for text, _, _ in others),
        tuple(seen for _, seen, _ in others),
        tuple(action for _, _, action in others),
        left_out,
        tuple(returns),
    )


def _text(seen: Mapping[str, Any], action: int, end: tuple[int, ...]) -> Text:
    """Return the tokens of a prompt and of the action that was taken after it, with its end."""
    prompt, candidate = seen["prompt"], seen["candidates"][action]
    written = (*candidate[candidate >= 0].tolist(), *end)
    return Text(tuple(prompt[prompt >= 0].tolist()), (written,))


def _write(
    experiment: Experiment, fit: Fit, lessons: Lessons, out: Path, record: Mapping[str, Any]
) -> None:
    """Write weights, an experiment that begins from them, and last of all the record."""
    from dragoman.models.adapters import known_as, save_adapter, save_model

    act, model = experiment.act, experiment.model
    assert act is not None
    assert act.tune is not None
    part = WHOLE if act.tune.how == "full" else ADAPTER
    if not (out / part).is_dir():
        with whole_folder(out / part) as folder:
            if part == WHOLE:
                save_model(fit.model.inner, folder)
            else:
                folder.rmdir()
                save_adapter(fit.model, folder, known_as(model.name))
    begins = experiment.replaced({"act.init": str(out), "model.weights": "pretrained"})
    write_text(out / "experiment.yaml", begins.to_yaml())
    drawn = record["seed"] if model.seed is None else model.seed
    about = {
        "model": {"name": model.name, "weights": model.weights, "seed": drawn},
        "teacher": _returns(lessons.returns),
        **fit.to_dict(),
    }
    write_json(out / NAME, {**record, **about, "experiment": experiment.to_dict()})
    remove_checkpoints(out)


def _returns(returns: tuple[float, ...]) -> dict[str, Any]:
    """Return the mean of returns with its 95 % interval, where there are enough for one."""
    if not returns:
        return {"mean": None, "low": None, "high": None, "episodes": 0}
    generator = np.random.default_rng(0)
    interval = bootstrap_interval(
        np.array(returns), statistic=mean, generator=generator, method="percentile"
    )
    limits = {
        key: value if np.isfinite(value) else None
        for key, value in (("low", interval.low), ("high", interval.high))
    }
    return {"mean": interval.estimate, **limits, "episodes": len(returns)}

"""Seek rewards with an archive, and keep the ways to them as demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.agents.distill.dataset import Dataset
from dragoman.describe.moment import MomentMaker
from dragoman.engines.assembly import load_of, moments_of, spec_of
from dragoman.environments import make_environment
from dragoman.experiment import Experiment
from dragoman.experiment.source import Source, read_experiment
from dragoman.files import refuse_taken, whole_folder
from dragoman.maths.seeds import derive_seed
from dragoman.roles.explore.archive import Archive, Restore
from dragoman.roles.explore.choices import ModelChoices
from dragoman.roles.explore.demonstrations import Demonstration, Demonstrations, shown
from dragoman.roles.explore.guide import Guide
from dragoman.roles.role import Models, remembering
from dragoman.settings import check_number
from dragoman.types import LanguageModel

DATASET = "dataset.npz"
HELD_OUT = 8
"""Every so many demonstrations, one is held out."""


def seek(
    experiment: Source,
    seed: int = 0,
    *,
    out: str | Path | None = None,
    starts: int = 1,
    visits: int = 26,
    tries: int = 10,
    keep: int = 10,
    restore: Restore = "replay",
    model: LanguageModel | None = None,
    on_step: Callable[[int, int], None] = lambda states, steps: None,
) -> Demonstrations:
    """Explore an environment from an archive of its states, and return the ways to rewards.

    A language model chooses the states to return to and the actions to try, by scores of their
    texts, as the experiment's guide says (its defaults where there is none). Nothing is trained.

    Args:
        experiment: What names environment, describer and model: as `dragoman.train` takes it.
        seed: Names the starts and the choices.
        out: Folder to write: ``demonstrations.json``, with seeds and actions, and ``dataset.npz``
            with observations, actions and masks as distillation has them.
        starts: Number of starts, each with an archive of its own.
        visits: How often a start's archive is returned to.
        tries: Most actions after each return.
        keep: Most demonstrations of a start.
        restore: ``replay`` returns by the actions from the start, and checks that they lead where
            they led; ``copy`` keeps a copy of the environment in each state.
        model: Language model to use instead of loading the experiment's.
        on_step: Called after every step with how many states and steps there are.

    Raises:
        ConfigError: A count is below one, or the actions have no texts.
        SpaceError: The environment cannot be restored.
        RunError: The folder is taken.
    """
    for name, count in (("starts", starts), ("visits", visits), ("tries", tries), ("keep", keep)):
        check_number(name, count, 1)
    experiment = read_experiment(experiment)
    if out is not None:
        refuse_taken(Path(out))
    env = make_environment(spec_of(experiment), experiment.env_settings)
    make = moments_of(experiment, env)
    guide = experiment.guide or Guide()
    guide.check_actions(env.action_space)
    chooser = _chooser(experiment, guide, env, model, seed)
    episodes: list[Demonstration] = []
    states = steps = 0
    for start in range(starts):
        archive = Archive(env, make, derive_seed("seek", seed, start), restore)
        for _ in archive.explore(chooser, visits, tries):
            on_step(states + len(archive.cells), steps + archive.steps)
        states, steps = states + len(archive.cells), steps + archive.steps
        episodes += [
            Demonstration(archive.seed, actions, total) for total, actions in archive.best(keep)
        ]
    settings = dict(experiment.env_settings)
    found = Demonstrations(experiment.env, settings, tuple(episodes), steps, states)
    if out is not None:
        with whole_folder(Path(out)) as folder:
            found.write(folder)
            dataset = dataset_of(env, make, episodes)
            np.savez(folder / DATASET, **vars(dataset))
        found = Demonstrations.read(out)
    env.close()
    return found


def dataset_of(env: gym.Env[Any, Any], make: MomentMaker, episodes: list[Demonstration]) -> Dataset:
    """Return the states of demonstrations with the actions that were taken there.

    Args:
        env: The environment, in which they are played again.
        make: Makes its moments.
        episodes: The demonstrations, of which one in eight is held out.
    """
    space = env.observation_space
    observations, labels, masks, held = [], [], [], []
    for number, episode in enumerate(episodes, start=1):
        for step in shown(env, make, [episode]):
            row = gym.spaces.flatten(space, step.before.observation)
            observations.append(np.asarray(row, np.float32))
            labels.append(step.action)
            masks.append(step.before.valid)
            held.append(number % HELD_OUT == 0)
    count = len(labels)
    width = int(gym.spaces.flatdim(space))
    return Dataset(
        np.stack(observations) if count else np.zeros((0, width), np.float32),
        np.array(labels, np.int64),
        np.stack(masks) if count else np.zeros((0, make.count), np.bool_),
        np.array(held, np.bool_),
    )


def load_dataset(folder: str | Path) -> Dataset:
    """Return the dataset that `seek` has written beside its demonstrations."""
    with np.load(Path(folder) / DATASET, allow_pickle=False) as arrays:
        return Dataset(**{name: arrays[name] for name in arrays.files})


def _chooser(
    experiment: Experiment,
    guide: Guide,
    env: gym.Env[Any, Any],
    model: LanguageModel | None,
    seed: int,
) -> ModelChoices:
    if guide.scores == "model" and model is None and guide.model is None:
        experiment.model.check_scoring("seek")
        model = load_of(experiment, seed)
    models = Models(remembering(model), seed)
    scoring = models.of(guide.model) if guide.scores == "model" else None
    generator = np.random.default_rng(derive_seed("seek choices", seed))
    prior = guide.action_prior(env.action_space, models)
    return ModelChoices(guide, prior, scoring, experiment.describe.goal, generator)

"""Plays evaluation episodes and records every step for the replay."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import episode_seeds
from dragoman.agents.inspection import parts_of, weighed_of
from dragoman.agents.observations import rows_of
from dragoman.agents.recording import (
    Ending,
    Frame,
    RecordedEpisode,
    Recording,
    Rows,
    Step,
    critiques_of,
    reward_terms,
)
from dragoman.agents.stage import Stage, rendered
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.engines.assembly import moments_of, reader_of, spec_of
from dragoman.engines.engine import default_engine
from dragoman.engines.weights import below
from dragoman.environments.vector import make_vector
from dragoman.errors import ConfigError, DragomanError
from dragoman.experiment import Experiment
from dragoman.roles.reward.rewarder import BonusWarning, Rewarder
from dragoman.roles.reward.term import Steps
from dragoman.roles.role import Models
from dragoman.run import Run
from dragoman.types import Describer, LanguageModel

T = TypeVar("T")


def record(
    run: Run,
    episodes: int = 1,
    *,
    seed: int = 0,
    sampled: bool = False,
    most_steps: int = 1000,
    name: str | None = None,
    model: LanguageModel | None = None,
    describer: Describer | None = None,
    trust_code: bool = False,
    on_step: Callable[[int], None] = lambda steps: None,
) -> Recording:
    """Play a trained agent and record what it saw, weighed, did and earned.

    The episodes are the first of those that `dragoman.evaluate` plays with the same
    seed. Greedy agents play them exactly so; sampled actions are drawn again, because there the
    episodes are drawn for side by side.

    Args:
        run: The run.
        episodes: How many episodes to play.
        seed: Names the set of episode seeds.
        sampled: Draw actions from the policy instead of taking the likeliest.
        most_steps: Stop recording an episode after this many steps.
        name: What the page calls the run; its folder unless given.
        model: Language model to use instead of loading the experiment's.
        describer: What puts observations into words, where the training was given one from Python.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.run.trust`.
        on_step: Called with the number of steps recorded so far.

    Raises:
        ConfigError: A count is below one, or the run's config names code that is not trusted.
        RunError: The run folder is missing, half-written or damaged.
    """
    for key, count in (("episodes", episodes), ("most_steps", most_steps)):
        if count < 1:
            raise ConfigError(f"{key} is {count}, but must be at least 1", cure="raise it")
    agent = Agent(
        run, sampled=sampled, seed=seed, model=model, describer=describer, trust_code=trust_code
    )
    # The reward may ask a model where the policy does not.
    if run.experiment.reward is not None and agent.model is None:
        model = reader_of(run.experiment, run.seed)
    else:
        model = agent.model
    with rendered(agent.spec, run.experiment) as stage:
        moments = moments_of(run.experiment, stage.env, describer)
        played, taken = [], 0
        terms = _Terms(_rewarder_of(run, model))
        with closing(terms):
            for number in episode_seeds(episodes, seed):
                played.append(_play(agent, stage, moments, terms, number, most_steps))
                taken += played[-1].length
                on_step(taken)
        return Recording(
            name=name if name is not None else str(run.path),
            env=agent.spec.id,
            about=_about(run, sampled),
            parts=parts_of(stage.env.action_space, moments.describer.action),
            weighing=agent.policy.weighing,
            episodes=tuple(played),
            note=" ".join(filter(None, (stage.note, terms.note))),
        )


@dataclass
class _Terms:
    """The reward role, if any; one that fails is left alone from then on."""

    rewarder: Rewarder | None
    note: str = ""

    def begin(self, moment: Moment) -> None:
        self._tried(lambda rewarder: rewarder.begin(np.zeros(1, np.int64), [moment]))

    def step(
        self, moment: Moment, action: Any, *, is_terminal: bool
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """Return the terms of a step, and what was said of the state it led to."""

        def advanced(rewarder: Rewarder) -> tuple[dict[str, float], tuple[str, ...]]:
            steps = Steps(np.zeros(1, np.int64), [moment], [action], np.array([is_terminal]))
            result = rewarder.advance(steps, np.zeros(0, np.int64), [])
            terms = {name: float(values[0]) for name, values in result.items()}
            return terms, rewarder.critiques(moment.state)

        return self._tried(advanced) or ({}, ())

    def close(self) -> None:
        """Give back what the terms run in."""
        if self.rewarder is not None:
            self.rewarder.close()
        self.rewarder = None

    def _tried(self, work: Callable[[Rewarder], T]) -> T | None:
        if self.rewarder is None:
            return None
        try:
            return work(self.rewarder)
        # Such as a server that is off: the replay is worth reading without these numbers.
        except DragomanError as error:
            self.close()
            self.note = f"No terms of the reward from here on: {error.problem}"
            return None


def _rewarder_of(run: Run, model: LanguageModel | None) -> Rewarder | None:
    """Return the run's reward role with what it had learnt and said in the training."""
    reward = run.experiment.reward
    if reward is None:
        return None
    env = make_vector(spec_of(run.experiment), 1, run.experiment.env_settings)
    gamma = default_engine().gamma(run.experiment)
    with warnings.catch_warnings():
        # The training has warned the user.
        warnings.simplefilter("ignore", BonusWarning)
        models = Models(model, run.seed)
        rewarder = Rewarder(reward, models, num_envs=1, gamma=gamma, env=env)
    env.close()
    rewarder.load_state(below("reward.", run.weights()))
    rewarder.recall(run.critiques())
    return rewarder


def _play(
    agent: Agent, stage: Stage, moments: MomentMaker, terms: _Terms, seed: int, most_steps: int
) -> RecordedEpisode:
    moment = moment_of(*stage.env.reset(seed=seed), moments)
    terms.begin(moment)
    steps: list[Step] = []
    ending: Ending = "cut"
    while len(steps) < most_steps and ending == "cut":
        seen = _seen(agent, stage, moment)
        batch = agent.read([moment.observation], [moment.info])
        indices = agent.policy.act(batch, agent.sampled)
        action = agent.indices.actions(indices)[0]
        command = moment.action_text(action)
        view = agent.policy.view(batch, indices[0])
        observation, reward, terminated, truncated, info = stage.env.step(action)
        moment = moment_of(observation, info, moments)
        added, critiques = terms.step(moment, action, is_terminal=bool(terminated))
        steps.append(
            Step(
                *seen,
                action=command,
                weighed=weighed_of(view, indices[0]),
                value=view.value,
                reward=float(reward),
                terms={**reward_terms(float(reward), info), **added},
                critiques=(*critiques_of(info), *critiques),
            )
        )
        if terminated or truncated:
            ending = "terminated" if terminated else "truncated"
    steps.append(Step(*_seen(agent, stage, moment)))
    return RecordedEpisode(seed, tuple(steps), ending)


def _seen(agent: Agent, stage: Stage, moment: Moment) -> tuple[Frame, Rows, str | None]:
    """Return the frame, the numbers and the text of a state."""
    text = moment.text if agent.reads_texts else None
    return stage.frame(), rows_of(moment.observation, stage.names), text


def _about(run: Run, sampled: bool) -> dict[str, str]:
    experiment = run.experiment
    return {
        "algorithm": experiment.algorithm.name.upper(),
        "observation": _reader(experiment),
        "trained": f"{run.steps:,} steps, seed {run.seed}",
        "actions": "sampled actions" if sampled else "likeliest actions",
    }


def _reader(experiment: Experiment) -> str:
    """Return in a few words who reads the observation."""
    if experiment.observe is None:
        return "raw numbers, no model"
    model = experiment.observe.model or experiment.model
    if model.knows_nothing:
        return "a learned embedding of the text"
    return model.name + (" with random weights" if model.weights == "random" else "")

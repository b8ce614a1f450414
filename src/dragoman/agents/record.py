"""Plays evaluation episodes and records every step for the replay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

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
from dragoman.agents.terms import Terms
from dragoman.describe.moment import Moment, MomentMaker, moment_of
from dragoman.engines.assembly import moments_of, reader_of
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.run import Run
from dragoman.types import Describer, LanguageModel


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
    # Rewards and bonuses may ask a model where the policy does not.
    model = reader_of(run.experiment, run.seed) if agent.model is None else agent.model
    with rendered(agent.spec, run.experiment) as stage:
        moments = moments_of(run.experiment, stage.env, describer)
        played, taken = [], 0
        terms = Terms.of(run, model)
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


def _play(
    agent: Agent, stage: Stage, moments: MomentMaker, terms: Terms, seed: int, most_steps: int
) -> RecordedEpisode:
    moment = moment_of(*stage.env.reset(seed=seed), moments)
    terms.begin(moment)
    agent.begin()
    steps: list[Step] = []
    ending: Ending = "cut"
    while len(steps) < most_steps and ending == "cut":
        seen = _seen(agent, stage, moment)
        batch = agent.read([moment.observation], [moment.info])
        indices = agent.policy.act(batch, agent.sampled)
        said: str = next(iter(getattr(agent.policy, "said", ())), "")
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
                said=said,
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

"""Play whole episodes with a policy, in the environment's own rewards."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.envs.registration import EnvSpec

from dragoman.agents.agent import Agent
from dragoman.describe.rollout import random_actions
from dragoman.engines.assembly import moments_of, spec_of
from dragoman.environments import make_environment
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.experiment.shift import shifted
from dragoman.experiment.source import Source, read_experiment
from dragoman.maths.seeds import derive_seed
from dragoman.phrases import counted
from dragoman.progress import Progress, Show, Wanted, shown
from dragoman.run import Run
from dragoman.settings import check_number
from dragoman.stats.aggregates import mean
from dragoman.stats.bootstrap import Interval, bootstrap_interval
from dragoman.types import Describer, LanguageModel

ActFunction = Callable[[Sequence[Any], Sequence[Mapping[str, Any]]], Sequence[Any]]
"""Observations and infos of the episodes still running in, one action for each out."""

MOST_STEPS = 10_000
"""Most steps of a played episode of an environment that has no time limit."""


class CutWarning(UserWarning):
    """Played episodes that had not ended after the most steps and were stopped there."""


@dataclass(frozen=True)
class PlayedEpisode:
    """One evaluated episode.

    Attributes:
        seed: Seed of the environment's reset.
        episode_return: Undiscounted sum of the environment's own rewards.
        length: Steps taken.
        terminated: The environment reached a terminal state, rather than being cut off.
        stopped: It had not ended after the most steps, so its return is of these steps alone.
    """

    seed: int
    episode_return: float
    length: int
    terminated: bool
    stopped: bool = False


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The episodes of one evaluation; prints as its mean with the interval of it."""

    episodes: tuple[PlayedEpisode, ...]

    def __repr__(self) -> str:
        stopped = f", {self.stopped} of them stopped" if self.stopped else ""
        return f"Evaluation({self.interval} over {counted(len(self.episodes), 'episode')}{stopped})"

    @property
    def returns(self) -> list[float]:
        """Return of each episode."""
        return [episode.episode_return for episode in self.episodes]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def interval(self) -> Interval:
        """Mean return with its 95 % bootstrap interval (BCa) over episodes."""
        generator = np.random.default_rng(derive_seed("evaluation"))
        return bootstrap_interval(self.returns, statistic=mean, generator=generator)

    @property
    def std(self) -> float:
        """Standard deviation of the returns over episodes."""
        return float(np.std(self.returns, ddof=1)) if len(self.episodes) > 1 else 0.0

    @property
    def stopped(self) -> int:
        """Number of episodes that had not ended after the most steps."""
        return sum(episode.stopped for episode in self.episodes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"mean": self.mean, "episodes": [asdict(episode) for episode in self.episodes]}


def play(
    spec: EnvSpec,
    settings: Mapping[str, Any],
    act: ActFunction,
    *,
    episodes: int,
    seed: int = 0,
    max_steps: int | None = None,
    on_step: Callable[[int], None] = lambda running: None,
    follow: Callable[[Sequence[int]], None] = lambda running: None,
) -> Evaluation:
    """Play ``episodes`` episodes side by side and return what each of them earned.

    Every episode has an environment and a seed of its own, and none is started again, so that
    short episodes are not counted more often than long ones.

    Args:
        spec: The environment.
        settings: Keyword arguments of its constructor.
        act: Chooses the actions.
        episodes: How many.
        seed: Names the set of episode seeds; it shares none with training.
        max_steps: Most steps of an episode; unless given, 10,000 where the environment has no time
            limit of its own.
        on_step: Called after every step with the number of episodes still running.
        follow: Called before every choice with the numbers of the episodes that it is for, for
            policies that remember.

    Warns:
        CutWarning: Episodes had not ended after the most steps.
    """
    most = _most_steps(spec, max_steps)
    seeds = episode_seeds(episodes, seed)
    envs = [make_environment(spec, settings, index=i) for i in range(episodes)]
    returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
    terminated = np.zeros(episodes, dtype=np.bool_)
    starts = [env.reset(seed=number) for env, number in zip(envs, seeds, strict=True)]
    now = dict(enumerate(starts))
    # All began together, so those that go on have all taken as many steps.
    while now and lengths.max() < most:
        running = list(now)
        follow(running)
        actions = act([now[i][0] for i in running], [now[i][1] for i in running])
        for i, action in zip(running, actions, strict=True):
            observation, reward, ended, cut, info = envs[i].step(action)
            now[i] = (observation, info)
            returns[i] += float(reward)
            lengths[i] += 1
            terminated[i] = ended
            if ended or cut:
                del now[i]
        on_step(len(now))
    for env in envs:
        env.close()
    if now:
        warnings.warn(
            f"{len(now)} of {episodes} episodes of {spec.id!r} had not ended after {most:,} steps "
            "and were stopped; max_steps sets how many are played",
            CutWarning,
            stacklevel=3,
        )
        on_step(0)
    return Evaluation(
        tuple(
            PlayedEpisode(
                seeds[i], float(returns[i]), int(lengths[i]), bool(terminated[i]), i in now
            )
            for i in range(episodes)
        )
    )


def _most_steps(spec: EnvSpec, max_steps: int | None) -> float:
    if max_steps is not None:
        if max_steps < 1:
            raise ConfigError(f"max_steps is {max_steps}, but must be at least 1", cure="raise it")
        return max_steps
    return MOST_STEPS if spec.max_episode_steps is None else math.inf


def episode_seeds(episodes: int, seed: int) -> list[int]:
    """Return the seeds of a named set of episodes, none of which is used in training."""
    return [derive_seed("evaluate", seed, index) for index in range(episodes)]


def evaluate(
    run: Run | str | Path,
    episodes: int = 20,
    *,
    seed: int = 0,
    sampled: bool = False,
    env_settings: Mapping[str, Any] | None = None,
    shift: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    model: LanguageModel | None = None,
    describer: Describer | None = None,
    trust_code: bool = False,
    progress: Wanted = None,
    on_step: Callable[[int], None] = lambda running: None,
) -> Evaluation:
    """Play a trained agent on episodes that its training never saw.

    Args:
        run: The run, or its folder.
        episodes: How many episodes to play.
        seed: Names the set of episode seeds, so that agents can be compared on the same ones.
        sampled: Draw actions from the policy instead of taking the likeliest.
        env_settings: What of the environment's settings differs from the training's, such as
            objects that were held out from it.
        shift: What else differs, such as ``{"describe.synonyms": {"take": "grab"}}``, see
            `dragoman.experiment.shift`.
        max_steps: Most steps of an episode, which counts as stopped if it has not ended by then.
            Unless given, 10,000 where the environment has no time limit of its own.
        model: Language model to use instead of loading the experiment's.
        describer: What puts observations into words, where the training was given one from Python.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.run.trust`.
        progress: Whether to show how many episodes have ended, or a function that is told, see
            `dragoman.progress`. Unless given, it is shown in terminals and notebooks.
        on_step: Called after every step with the number of episodes still running.

    Raises:
        ConfigError: A count is below one, or the run's config names code that is not trusted.
        RunError: The run folder is missing, half-written or damaged.
    """
    run = run if isinstance(run, Run) else Run(run)
    check_number("episodes", episodes, 1)
    check_number("seed", seed)
    check_playable(
        run, env_settings, max_steps, shift=shift, describer=describer, trust_code=trust_code
    )
    agent = Agent(
        run,
        sampled=sampled,
        seed=seed,
        model=model,
        describer=describer,
        trust_code=trust_code,
        shift=shift,
    )
    with shown(progress) as show:
        return play(
            agent.spec,
            {**shifted(run.experiment, shift or {}).env_settings, **(env_settings or {})},
            agent.act,
            episodes=episodes,
            seed=seed,
            max_steps=max_steps,
            on_step=_telling(show, episodes, on_step),
            follow=agent.policy.follow,
        )


def _telling(
    show: Show | None, episodes: int, on_step: Callable[[int], None]
) -> Callable[[int], None]:
    """Return what is called after every step, and tells how many episodes have ended."""
    if show is None:
        return on_step
    began = time.monotonic()

    def tell(running: int) -> None:
        on_step(running)
        seconds = time.monotonic() - began
        show(Progress("evaluating", episodes - running, episodes, seconds, running == 0))

    return tell


def check_playable(
    run: Run,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    *,
    shift: Mapping[str, Any] | None = None,
    describer: Describer | None = None,
    trust_code: bool = False,
) -> None:
    """Refuse to play a run where that cannot work, before a model is loaded for it.

    The arguments are those of `evaluate`.

    Raises:
        ConfigError: The config names code that is not trusted, the environment or the shift
            refuses its settings, or ``max_steps`` is below one.
    """
    run.require_trust(trust_code)
    _most_steps(spec_of(run.experiment, describer), max_steps)
    own = {f"env_settings.{key}": value for key, value in (env_settings or {}).items()}
    check_shift(run.experiment, {**(shift or {}), **own}, describer)


def check_shift(
    experiment: Experiment, shift: Mapping[str, Any], describer: Describer | None = None
) -> None:
    """Refuse a shift under which what is trained could not be played.

    Raises:
        ConfigError: The environment refuses its settings, has other spaces than in the training,
            or cannot be put into words as the shift says.
    """
    if not shift:
        return
    now = shifted(experiment, shift)
    spec = spec_of(now, describer)
    env = make_environment(spec, now.env_settings)
    try:
        if now.env_settings != experiment.env_settings:
            _check_spaces(experiment, spec, env, now.env_settings)
        moments_of(now, env, describer).describer  # noqa: B018  made here
    finally:
        env.close()


def _check_spaces(
    experiment: Experiment, spec: EnvSpec, env: Env[Any, Any], settings: Mapping[str, Any]
) -> None:
    """Refuse an environment, made with other settings, whose spaces are not the training's."""
    trained = make_environment(spec, experiment.env_settings)
    trained.close()
    pairs = {"action": (trained.action_space, env.action_space)}
    if experiment.observe is None:
        pairs["observation"] = (trained.observation_space, env.observation_space)
    for kind, (was, is_now) in pairs.items():
        if was != is_now:
            raise ConfigError(
                f"the {kind} space was {was} in the training, and {is_now} with {dict(settings)}",
                cure="play with settings that leave the spaces as they are",
            )


def evaluate_random(
    experiment: Source,
    episodes: int = 20,
    *,
    seed: int = 0,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
) -> Evaluation:
    """Play the uniformly random policy on the same episodes that `evaluate` plays.

    Where the environment masks actions, it draws from those that are allowed. The experiment may be
    a file, ``recipe:NAME``, an environment, plain data or an object.
    """
    experiment = read_experiment(experiment)
    spec = spec_of(experiment)
    settings = {**experiment.env_settings, **(env_settings or {})}
    env = make_environment(spec, settings)
    act = random_actions(env.action_space, seed=seed)
    env.close()
    return play(spec, settings, act, episodes=episodes, seed=seed, max_steps=max_steps)

"""Programs that a language model wrote meet an engine: the trainings of a search."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from dragoman.agents.evaluate import play
from dragoman.describe.environment import describe_env
from dragoman.describe.moment import MomentMaker, moments_in
from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import spec_of
from dragoman.engines.engine import Engine, Learner, default_engine, whole_steps
from dragoman.engines.policies.features import stack
from dragoman.engines.policies.make import make_policy
from dragoman.engines.stack import RoleStack
from dragoman.engines.watcher import Stop, Training, Watcher, Watchers
from dragoman.environments.indices import Indices
from dragoman.environments.vector import EpisodeRecorder, make_vector
from dragoman.errors import ConfigError, ProgramError, RewardError
from dragoman.experiment import Experiment
from dragoman.maths.seeds import derive_seed
from dragoman.programs.program import Program, Row
from dragoman.programs.results import ProgramResult
from dragoman.programs.search import Train
from dragoman.roles.observe.observer import Observer
from dragoman.roles.observe.settings import Observe
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.observe.written import WrittenFeatures
from dragoman.roles.reward.program import WrittenFunction
from dragoman.roles.reward.rewarder import BonusWarning, Rewarder
from dragoman.roles.reward.settings import Reward, Term
from dragoman.roles.reward.vector import RewardVector
from dragoman.roles.role import Models

See: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], Any]
"""Raw observations and infos in, what the policy takes out."""


class WrittenTerms:
    """Reward and potential of a program as terms of the reward role, for a search.

    Each named number of the reward is a term of its own, so that the next prompt can say how each
    has moved; the program runs once a step all the same.

    Args:
        program: The program.

    Attributes:
        made: The terms' functions, by a name that the reward role allows.
        shown: What the program calls each of them.
        error: What was wrong with the program, if it failed.
    """

    def __init__(self, program: Program) -> None:
        self.made: dict[str, _Part] = {}
        self.shown: dict[str, str] = {}
        self.error: ProgramError | None = None
        if "reward" in program.functions:
            whole = _Remembered(WrittenFunction(program, "reward"), self)
            for column, name in enumerate(_names(program)):
                self.made[f"reward-{column}"] = _Part(whole, slice(column, column + 1))
                self.shown[f"reward-{column}"] = name
        if "potential" in program.functions:
            whole = _Remembered(WrittenFunction(program, "potential"), self)
            self.made["potential"] = _Part(whole, slice(None))
            self.shown["potential"] = "potential"

    def added(self, env: VectorEnv[Any, Any, Any], weight: float, gamma: float) -> RewardVector:
        """Return a vector environment whose rewards hold the terms; there must be some."""
        terms = {
            name: Term("written", {"program": "in memory"}, weight, _shaping(name))
            for name in self.made
        }
        with warnings.catch_warnings():
            # A search judges by the environment's own return, so a bonus cannot flatter itself.
            warnings.simplefilter("ignore", BonusWarning)
            rewarder = Rewarder(
                Reward(terms),
                Models(None, 0),
                num_envs=env.num_envs,
                gamma=gamma,
                made=self.made,
            )
        return RewardVector(MomentVector(env, _moments_of(env)), rewarder)


class _Remembered:
    """A function of a program that keeps its last batch, since each of its terms asks for it."""

    def __init__(self, function: WrittenFunction, terms: WrittenTerms) -> None:
        self.function = function
        self.terms = terms
        self._rows: list[Row] = []
        self._values = np.zeros((0, 0))

    def __call__(
        self,
        observations: Sequence[Any],
        raw_actions: Sequence[Any] = (),
        previous_observations: Sequence[Any] = (),
    ) -> NDArray[np.float64]:
        rows = self.function.rows(observations, raw_actions, previous_observations)
        if rows != self._rows or not rows:
            try:
                self._values = self.function.program.values(self.function.function, rows)
            except ProgramError as error:
                # The first names the first state of the batch that it fails in.
                self.terms.error = self.terms.error or error
                raise
            self._rows = rows
        return self._values


@dataclass(frozen=True)
class _Part:
    """Some columns of what a function of a program returns, as a reward."""

    whole: _Remembered
    columns: slice

    @property
    def takes(self) -> frozenset[str]:
        return self.whole.function.takes

    def __call__(self, **given: Any) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = self.whole(**given)[:, self.columns].sum(axis=1)
        return summed


def _moments_of(env: VectorEnv[Any, Any, Any]) -> MomentMaker:
    return MomentMaker(partial(describe_env, env), env.single_action_space)


def with_features(
    env: VectorEnv[Any, Any, Any], program: Program
) -> tuple[VectorEnv[Any, Any, Any], See]:
    """Return a vector environment that shows the features of a program too, if it has any.

    Returns:
        The environment, and what makes of raw observations and infos what an agent sees in it.
    """
    space = env.single_observation_space
    if "features" not in program.functions:
        return env, lambda observations, infos: stack(space, observations)
    beside = Observe(pooling=(), raw=True, standardise=False)
    observer = Observer(None, beside, space, WrittenFeatures(program))
    moments = _moments_of(env)
    seen = ObserveVector(MomentVector(env, moments), observer)
    return seen, lambda observations, infos: observer(moments_in(observations, infos, moments))


def _shaping(term: str) -> Literal["potential", "bonus"]:
    return "potential" if term == "potential" else "bonus"


def _names(program: Program) -> tuple[str, ...]:
    schema = program.schema
    if not program.terms("reward"):
        # They are known after a first call.
        state = [0.0] * len(schema.state)
        action = [0.0] * len(schema.action) if schema.action else float(schema.first)
        program.values("reward", [(state, action, state)])
    return program.terms("reward")


class _Episodes(Watcher):
    """Keeps the episodes of a training."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []

    def episode(self, training: Training, episode: Mapping[str, Any]) -> Stop:
        self.rows.append(episode)
        return None


def program_trainer(
    experiment: Experiment,
    *,
    episodes: int = 10,
    weight: float = 1.0,
    engine: Engine | None = None,
) -> Train:
    """Return what trains an experiment's algorithm with a program, and evaluates it without.

    The agent sees the environment's own numbers, and the program's features beside them. The
    reward role adds reward and potential. The score is the environment's own mean return in
    episodes that no training has seen.

    Args:
        experiment: Environment, algorithm, settings and steps. Its roles are left out.
        episodes: How many episodes a score is the mean of.
        weight: What the program's reward and potential are multiplied by.
        engine: What trains; Stable-Baselines3 unless given.

    Raises:
        ConfigError: The weight is 0.
    """
    if not weight:
        raise ConfigError("weight is 0, so no program would change a training", cure="raise it")
    engine = default_engine() if engine is None else engine
    spec, plain = spec_of(experiment), replace(experiment, observe=None, reward=None)
    gamma, settings = engine.gamma(experiment), experiment.env_settings

    def train(program: Program, seed: int) -> ProgramResult:
        copies = make_vector(spec, experiment.num_envs, settings, autoreset=engine.autoreset)
        recorder, terms, ended = EpisodeRecorder(copies), WrittenTerms(program), _Episodes()
        roles = RoleStack(recorder)
        if terms.made:
            roles.put("reward", terms.added(recorder, weight, gamma))
        env, see = with_features(roles.env, program)
        training: Learner | None = None
        try:
            training = engine.build(plain, env, derive_seed("train", seed))
            training.learn(Watchers([ended], recorder, roles), whole_steps(experiment))
            space, actions = env.single_observation_space, Indices(env.single_action_space)
            policy = make_policy(plain, space, actions.space)
            policy.load_state_dict(training.weights())

            def act(observations: Sequence[Any], infos: Sequence[Any]) -> Sequence[Any]:
                return list(actions.actions(policy.act(see(observations, infos), sampled=False)))

            result = play(spec, settings, act, episodes=episodes, seed=seed, follow=policy.follow)
        except RewardError:
            if terms.error is None:
                raise
            raise terms.error from None
        finally:
            if training is not None:
                training.close()
            env.close()
        curves: dict[str, tuple[float, ...]] = {}
        if ended.rows:
            columns = {"environment return": "return", "episode length": "length"}
            columns |= {shown: f"reward/{name}" for name, shown in terms.shown.items()}
            for shown, column in columns.items():
                scale = weight if "/" in column else 1.0
                curves[shown] = tuple(float(row[column]) / scale for row in ended.rows)
        return ProgramResult(result.mean, curves)

    return train

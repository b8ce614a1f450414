"""Programs that a language model wrote meet Stable-Baselines3: the trainings of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from dragoman.engines import sb3
from dragoman.engines.assembly import spec_of
from dragoman.engines.playing import play
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.maths.seeding import derive_seed
from dragoman.vector import Step, autoreset_mode, make_vector
from dragoman.written.program import Program
from dragoman.written.results import ProgramResult
from dragoman.written.search import Train

GAMMA = 0.99
"""The discount of Stable-Baselines3's algorithms, unless their settings say otherwise."""


class WrittenVector(VectorWrapper):
    """A vector environment with what a program adds to rewards and observations.

    ``reward`` is added to the environment's own; ``potential`` as F = gamma * Phi(s') - Phi(s)
    with Phi = 0 in terminal states and not where an episode is cut off (Ng et al., 1999);
    ``features`` stand behind the numbers of the observation.

    Args:
        env: The vector environment, resetting in the step that ends an episode.
        program: What to add.
        weight: What reward and potential are multiplied by.
        gamma: The learner's discount.

    Attributes:
        curves: By name, one value for each episode in the order in which they ended: sums of
            terms, the environment's own return, the length.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], program: Program, *, weight: float, gamma: float
    ) -> None:
        super().__init__(env)
        if autoreset_mode(env) != AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"the vector environment resets in mode {autoreset_mode(env).name}",
                cure="make it with autoreset_mode=AutoresetMode.SAME_STEP",
            )
        self.program = program
        self.weight = weight
        self.gamma = gamma
        self.curves: dict[str, list[float]] = {}
        self._states: list[list[float]] = []
        self._sums: list[dict[str, float]] = [{} for _ in range(self.num_envs)]
        if "features" in program.functions:
            self.single_observation_space = self._wider(env.single_observation_space)
            self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all sub-environments."""
        observations, infos = self.env.reset(seed=seed, options=options)
        self._states = self._read(observations)
        self._sums = [{} for _ in range(self.num_envs)]
        return self.seen(observations), infos

    def step(self, actions: Any) -> Step:
        """Step all sub-environments and add the program's terms to their rewards."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        following = self._read(observations)
        next_states, ended = list(following), np.flatnonzero(terminations | truncations)
        for i in ended:
            next_states[i] = self.program.schema.read_state(infos["final_obs"][i])
        added = self._added(actions, next_states, terminations)
        for env in range(self.num_envs):
            own = {"environment return": float(rewards[env]), "episode length": 1.0}
            for name, value in (own | added[env]).items():
                self._sums[env][name] = self._sums[env].get(name, 0.0) + value
        for i in ended:
            for name, value in self._sums[i].items():
                self.curves.setdefault(name, []).append(value)
            self._sums[i] = {}
        self._states = following
        if len(ended) and "features" in self.program.functions:
            final = infos["final_obs"].copy()
            for i in ended:
                final[i] = self.seen([final[i]])[0]
            infos = {**infos, "final_obs": final}
        totals = rewards + self.weight * np.array([sum(terms.values()) for terms in added])
        return self.seen(observations), totals, terminations, truncations, infos

    def seen(self, observations: Any) -> Any:
        """Return observations as the agent sees them, with the features of the program."""
        if "features" not in self.program.functions:
            return observations
        rows = [(self.program.schema.read_state(row),) for row in observations]
        features = self.program.values("features", rows)
        return np.concatenate([observations, features], axis=1).astype(np.float32)

    def _read(self, observations: Any) -> list[list[float]]:
        read = self.program.schema.read_state
        return [read(row) for row in iterate(self.env.observation_space, observations)]

    def _added(
        self, actions: Any, next_states: list[list[float]], is_terminal: NDArray[np.bool_]
    ) -> list[dict[str, float]]:
        """Return what each sub-environment's reward gets, term by term."""
        added: list[dict[str, float]] = [{} for _ in next_states]
        if "reward" in self.program.functions:
            schema = self.program.schema
            acted: list[Any] = [schema.read_action(action) for action in actions]
            if not schema.action:
                acted = [numbers[0] for numbers in acted]
            rows = list(zip(self._states, acted, next_states, strict=True))
            values = self.program.values("reward", rows)
            for terms, row in zip(added, values.tolist(), strict=True):
                terms.update(zip(self.program.terms("reward"), row, strict=True))
        if "potential" in self.program.functions:
            both = [(state,) for state in [*self._states, *next_states]]
            phi = self.program.values("potential", both).sum(axis=1)
            before, after = np.split(phi, 2)
            shaped = self.gamma * np.where(is_terminal, 0.0, after) - before
            for terms, value in zip(added, shaped.tolist(), strict=True):
                terms["potential"] = value
        return added

    def _wider(self, space: gym.Space[Any]) -> gym.spaces.Box:
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
            raise ConfigError(
                f"features cannot stand behind observations in {space}",
                cure="flatten the observations in a wrapper, or do not ask for features",
            )
        # In the sandbox the names are known after a first call.
        zeros = [0.0] * len(self.program.schema.state)
        more = self.program.values("features", [(zeros,)]).shape[1]
        infinite = np.full(more, np.inf)
        low, high = np.append(space.low, -infinite), np.append(space.high, infinite)
        return gym.spaces.Box(low.astype(np.float32), high.astype(np.float32))


def sb3_trainer(experiment: Experiment, *, episodes: int = 10, weight: float = 1.0) -> Train:
    """Return what trains an experiment's algorithm with a program, and evaluates it without.

    The agent sees the environment's own numbers, and the program's features beside them. The score
    is the environment's own mean return in episodes that no training has seen.

    Args:
        experiment: Environment, algorithm, settings and steps. Its roles are left out.
        episodes: How many episodes a score is the mean of.
        weight: What the program's reward and potential are multiplied by.
    """
    spec, plain = spec_of(experiment), replace(experiment, observe=None)
    gamma = float(experiment.algorithm.settings.get("gamma", GAMMA))

    def train(program: Program, seed: int) -> ProgramResult:
        inner = make_vector(spec, experiment.num_envs, experiment.env_settings)
        env = WrittenVector(inner, program, weight=weight, gamma=gamma)
        try:
            algorithm = sb3.build(plain, env, derive_seed("train", seed))
            algorithm.learn(experiment.steps)

            def act(observations: Sequence[Any], infos: Sequence[Any]) -> Sequence[Any]:
                batch = sb3.stack(inner.single_observation_space, observations)
                chosen, _ = algorithm.predict(env.seen(batch), deterministic=True)
                return list(chosen)

            found = play(spec, experiment.env_settings, act, episodes=episodes, seed=seed)
        finally:
            env.close()
        curves = {name: tuple(curve) for name, curve in env.curves.items()}
        return ProgramResult(found.mean, curves)

    return train

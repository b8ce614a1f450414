"""The Stable-Baselines3 engine: its algorithms on our vector environments."""

from __future__ import annotations

import functools
import inspect
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from dragoman.budget import MOST_TIMES, Budget
from dragoman.engines.acting import ActPolicy
from dragoman.engines.budget import BudgetStop, total_cost
from dragoman.engines.collapse import CollapseWatch
from dragoman.engines.tuning import TUNED, Tuning
from dragoman.errors import ConfigError, RunError
from dragoman.experiment import Experiment
from dragoman.policies.acting import ActionPolicy, make_policy
from dragoman.policies.embedding import TokenEmbedding
from dragoman.roles.embedding import TokenSpace
from dragoman.roles.observe import Observe
from dragoman.roles.rewarding import Rewarder
from dragoman.runs import RunWriter, Tensors
from dragoman.types import LanguageModel
from dragoman.vector import AnyObserver, EpisodeRecorder, autoreset_mode, split_infos
from dragoman.vector_reward import RewardVector

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "a2c": A2C,
    "dqn": DQN,
    "ppo": PPO,
    "sac": SAC,
    "td3": TD3,
}
ACTION_SPACES: dict[str, tuple[type[gym.Space[Any]], ...]] = {
    "a2c": (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary),
    "dqn": (gym.spaces.Discrete,),
    "ppo": (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary),
    "sac": (gym.spaces.Box,),
    "td3": (gym.spaces.Box,),
}
OBSERVATION_SPACES = (
    gym.spaces.Box,
    gym.spaces.Discrete,
    gym.spaces.MultiDiscrete,
    gym.spaces.MultiBinary,
    gym.spaces.Dict,
)
RETURN_WINDOW = 100
BUFFER_SIZE = 100_000
"""Default of off-policy algorithms: their own million rows of 1,152 features are 9 GB."""
CHECKPOINT_SECONDS = 30.0


class VecAdapter(VecEnv):
    """A Gymnasium vector environment in the words of Stable-Baselines3.

    Stable-Baselines3 expects resets in the step that ends an episode, the last observation of
    the old episode in ``info["terminal_observation"]`` and a cut-off marked by
    ``info["TimeLimit.truncated"]``, which is where it bootstraps.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        if autoreset_mode(env) != AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"the vector environment resets in mode {autoreset_mode(env).name}",
                cure="make it with autoreset_mode=AutoresetMode.SAME_STEP",
            )
        # Gymnasium's own classes take a list of seeds, though their base class does not say so.
        self.env: Any = env
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Reset every sub-environment, with the seeds given to `seed` if any."""
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.env.reset(seed=seeds)
        self.reset_infos = split_infos(infos, self.num_envs)
        self._reset_seeds()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Step and return observations, rewards, dones and one info a sub-environment."""
        observations, rewards, terminations, truncations, batch = self.env.step(self._actions)
        dones = terminations | truncations
        infos = split_infos(batch, self.num_envs)
        for info in infos:
            # Stable-Baselines3 takes this key for its own record of returns; ours stands beneath.
            info.pop("episode", None)
        for i in np.flatnonzero(dones):
            infos[i]["terminal_observation"] = infos[i].pop("final_obs")
            infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
        return observations, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Close the sub-environments."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the vector environment, once for each index."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: sub-environments may live in other processes."""
        raise NotImplementedError("attributes of sub-environments cannot be set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuse: sub-environments may live in other processes."""
        raise NotImplementedError("methods of sub-environments cannot be called")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Say that no sub-environment wears one of Stable-Baselines3's own wrappers."""
        return [False for _ in self._get_indices(indices)]


def build(
    experiment: Experiment, env: VectorEnv[Any, Any, Any], seed: int, model: Any = None
) -> BaseAlgorithm:
    """Return the experiment's algorithm on a vector environment.

    Args:
        experiment: What to train.
        env: What to train on.
        seed: Seed of weights and exploration.
        model: The language model, where the act role trains it.

    Raises:
        ConfigError: The algorithm cannot serve the spaces or refuses its settings.
    """
    name = experiment.algorithm.name
    observations = env.single_observation_space
    _check_spaces(name, observations, env.single_action_space)
    # The features arrive as NumPy arrays and the network on them is small: the processor wins.
    settings: dict[str, Any] = {"device": _device(experiment, model)}
    settings |= experiment.algorithm.settings
    tune = None if experiment.act is None else experiment.act.tune
    kind = ALGORITHMS[name] if tune is None else TUNED[name]
    if issubclass(ALGORITHMS[name], OffPolicyAlgorithm):
        settings.setdefault("buffer_size", BUFFER_SIZE)
    rate = settings.get("learning_rate")
    try:
        if isinstance(rate, Mapping):
            settings["learning_rate"] = LinearSchedule(**{"end_fraction": 1.0, **rate})
        algorithm: BaseAlgorithm = kind(
            _policy_kind(experiment, observations),
            VecAdapter(env),
            seed=seed,
            **{**settings, "policy_kwargs": _policy_settings(experiment, observations, model)},
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(
            f"{name} refuses the settings {dict(experiment.algorithm.settings)}: {error}",
            cure=f"see the constructor of stable_baselines3.{ALGORITHMS[name].__name__}",
        ) from error
    if isinstance(algorithm, Tuning) and tune is not None:
        algorithm.tune = tune
    return algorithm


def gamma_of(experiment: Experiment) -> float:
    """Return the discount that the experiment's algorithm learns with."""
    default = inspect.signature(ALGORITHMS[experiment.algorithm.name]).parameters["gamma"].default
    return float(experiment.algorithm.settings.get("gamma", default))


def build_policy(
    experiment: Experiment,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
    model: Any = None,
) -> BasePolicy:
    """Return the untrained policy of the experiment's algorithm, without the algorithm.

    Args:
        experiment: What was trained.
        observations: What the policy reads.
        actions: What it chooses from.
        model: The language model, where the act role trains it.
    """
    kind = _policy_kind(experiment, observations)
    settings = _policy_settings(experiment, observations, model)
    if "use_sde" in experiment.algorithm.settings:
        settings["use_sde"] = experiment.algorithm.settings["use_sde"]
    policy: BasePolicy = kind(observations, actions, lambda progress: 1.0, **settings)
    return policy.to(_device(experiment, model))


def learn(
    algorithm: BaseAlgorithm,
    experiment: Experiment,
    writer: RunWriter,
    recorder: EpisodeRecorder,
    observer: AnyObserver | None,
    callbacks: Sequence[BaseCallback] = (),
    budget: Budget | None = None,
    rewards: RewardVector | None = None,
) -> None:
    """Train, writing metrics, episodes and weights as it goes; saves on Ctrl-C too.

    Args:
        algorithm: What `build` returned.
        experiment: What is trained, for the number of steps.
        writer: Where everything goes.
        recorder: The recorder of episodes beneath the algorithm.
        observer: The observe role, if any.
        callbacks: More callbacks of Stable-Baselines3.
        budget: What ends the training instead of the number of steps.
        rewards: The reward role beneath the algorithm, if any.
    """
    algorithm.set_logger(
        Logger(
            str(writer.path), [_MetricsWriter(writer), TensorBoardOutputFormat(str(writer.path))]
        )
    )
    bookkeeper = _Bookkeeper(writer, recorder, observer, rewards)
    # The first reset comes before the library does this, and may fail already.
    bookkeeper.init_callback(algorithm)
    steps = experiment.steps
    if isinstance(algorithm, OnPolicyAlgorithm):
        callbacks = [CollapseWatch(experiment.collapse), *callbacks]
    if budget is not None:
        callbacks = [*callbacks, BudgetStop(budget, models_of(observer, rewards))]
        steps *= MOST_TIMES
    try:
        algorithm.learn(steps, callback=[bookkeeper, *callbacks], log_interval=1)
        if budget is not None:
            # It may end within a rollout, whose cost no row has told yet.
            bookkeeper.record()
            algorithm.logger.dump(algorithm.num_timesteps)
    finally:
        # Also after Ctrl-C or an error in the environment: what was learnt so far stays usable.
        bookkeeper.save()


def models_of(observer: AnyObserver | None, rewards: RewardVector | None) -> list[LanguageModel]:
    """Return the different language models that the roles ask."""
    found = [] if observer is None or observer.model is None else [observer.model]
    found += [] if rewards is None else rewards.rewarder.models
    return list({id(model): model for model in found}.values())


def tensors_of(
    policy: BasePolicy, observer: AnyObserver | None, rewarder: Rewarder | None = None
) -> Tensors:
    """Return everything trained, by name, without the frozen language model."""
    tensors = {
        f"policy.{name}": _exact(tensor).detach().cpu().numpy()
        for name, tensor in policy.state_dict().items()
    }
    if observer is not None:
        tensors |= {f"observer.{name}": value for name, value in observer.state().items()}
    if rewarder is not None:
        tensors |= {f"reward.{name}": value for name, value in rewarder.state().items()}
    return tensors


def _exact(tensor: torch.Tensor) -> torch.Tensor:
    # NumPy has no bfloat16; every one of its numbers is one of float32 too.
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def restore(policy: BasePolicy, observer: AnyObserver | None, tensors: Tensors) -> None:
    """Load what `tensors_of` returned.

    Raises:
        RunError: The tensors belong to another network.
    """
    state = {key: torch.as_tensor(value) for key, value in below("policy.", tensors).items()}
    try:
        policy.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(
            f"the saved weights do not fit the run's own experiment: {error}",
            cure="keep config.yaml as the training wrote it",
        ) from error
    if observer is not None:
        observer.load_state(below("observer.", tensors))


def stack(space: gym.Space[Any], observations: Sequence[Any]) -> Any:
    """Return raw observations as the batch that a policy's ``predict`` takes."""
    if isinstance(space, gym.spaces.Dict):
        return {key: np.stack([row[key] for row in observations]) for key in space}
    return np.stack(observations)


def below(prefix: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return the tensors whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _policy_kind(experiment: Experiment, observations: gym.Space[Any]) -> type[BasePolicy]:
    if experiment.act is not None:
        return ActPolicy
    name = "MultiInputPolicy" if isinstance(observations, gym.spaces.Dict) else "MlpPolicy"
    return ALGORITHMS[experiment.algorithm.name].policy_aliases[name]


def _device(experiment: Experiment, model: Any) -> Any:
    """Return where policies compute: on the processor, unless the model is part of them."""
    is_part = experiment.act is not None and experiment.act.tune is not None
    return getattr(getattr(model, "model", model), "device", "cpu") if is_part else "cpu"


def _policy_settings(
    experiment: Experiment, observations: gym.Space[Any], model: Any
) -> dict[str, Any]:
    own = experiment.algorithm.settings.get("policy_kwargs", {})
    if experiment.act is not None:
        make = functools.partial(_make_policy, experiment, model)
        return {**own, "act": experiment.act, "make": make}
    settings = {"net_arch": list(experiment.algorithm.network), **own}
    if isinstance(observations, TokenSpace):
        settings["features_extractor_class"] = TokenEmbedding
    return settings


def _make_policy(
    experiment: Experiment,
    model: Any,
    observations: gym.Space[Any],
    actions: gym.Space[Any],
) -> ActionPolicy:
    assert experiment.act is not None
    assert isinstance(observations, gym.spaces.Dict)
    return make_policy(
        experiment.act,
        observations,
        actions,
        experiment.algorithm.network,
        model=getattr(model, "model", model),
        pooling=(experiment.observe or Observe()).pooling,
    )


def _check_spaces(name: str, observations: gym.Space[Any], actions: gym.Space[Any]) -> None:
    if not isinstance(actions, ACTION_SPACES[name]):
        able = [other for other in ALGORITHMS if isinstance(actions, ACTION_SPACES[other])]
        raise ConfigError(
            f"{name} cannot act in {actions}: it needs "
            f"{' or '.join(space.__name__ for space in ACTION_SPACES[name])} actions",
            cure=f"use {' or '.join(able)}" if able else "wrap the action space",
        )
    if not isinstance(observations, OBSERVATION_SPACES):
        raise ConfigError(
            f"without the observe role {name} reads the raw observations, "
            f"but cannot read {observations}",
            cure="turn the observe role on, or flatten the observations in a wrapper",
        )


class _MetricsWriter(KVWriter):
    """Sends the logger's rows to the run folder."""

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        self.writer.metric({"step": step, **key_values})

    def close(self) -> None:
        """Leave closing to the run folder's owner."""


class _Bookkeeper(BaseCallback):
    """Writes episodes and checkpoints, and adds our own columns to the metrics."""

    def __init__(
        self,
        writer: RunWriter,
        recorder: EpisodeRecorder,
        observer: AnyObserver | None,
        rewards: RewardVector | None,
    ) -> None:
        super().__init__()
        self.writer = writer
        self.recorder = recorder
        self.observer = observer
        self.rewards = rewards
        self.models = models_of(observer, rewards)
        self.terms: deque[dict[str, float]] = deque(maxlen=RETURN_WINDOW)
        self.returns: deque[float] = deque(maxlen=RETURN_WINDOW)
        self.episodes = 0
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    def save(self) -> None:
        """Write the weights as they are now."""
        rewarder = None if self.rewards is None else self.rewards.rewarder
        self.writer.save_weights(
            tensors_of(self.model.policy, self.observer, rewarder), steps=self.model.num_timesteps
        )
        self._saved_at = time.monotonic()

    def _on_step(self) -> bool:
        finished = list(self.recorder.drain())
        # Both count the same episodes, in the same order.
        terms = [{}] * len(finished) if self.rewards is None else list(self.rewards.drain())
        for episode, own in zip(finished, terms, strict=True):
            self.episodes += 1
            self.terms.append(own)
            self.returns.append(episode.episode_return)
            self.writer.episode(
                {
                    "step": self.num_timesteps,
                    "env": episode.env,
                    "return": episode.episode_return,
                    "length": episode.length,
                    "terminated": episode.terminated,
                    "truncated": episode.truncated,
                    **{f"reward/{name}": value for name, value in own.items()},
                }
            )
            self.record()
        return True

    def _on_rollout_end(self) -> None:
        self.record()
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self.save()

    def record(self) -> None:
        """Put our own columns into the next row of the metrics."""
        if self.returns:
            self.logger.record("rollout/return_mean", float(np.mean(self.returns)))
        self.logger.record("rollout/episodes", self.episodes)
        seconds = time.monotonic() - self._started_at
        self.logger.record("time/seconds", seconds)
        shortened = getattr(self.observer, "shortened", None)
        if shortened is not None:
            self.logger.record("prompt/shortened", shortened)
        if self.rewards is not None:
            self._record_rewards(self.rewards.rewarder)
        if self.models:
            cost = total_cost(self.models)
            for name in ("texts", "texts_remembered", "tokens", "tokens_shared"):
                self.logger.record(f"model/{name}", getattr(cost, name))
            self.logger.record("model/gigaflops", cost.flops / 1e9)
            self.logger.record("time/model_seconds", cost.seconds)
            self.logger.record("time/tokens_per_second", cost.tokens / max(seconds, 1e-9))

    def _record_rewards(self, rewarder: Rewarder) -> None:
        """Record means of the terms over the last episodes, their weights and their failures."""
        for name in self.terms[-1] if self.terms else ():
            mean = float(np.mean([terms[name] for terms in self.terms]))
            self.logger.record(f"reward/{name}", mean)
        self.logger.record("reward_weight/env", rewarder.env_weight)
        for name, term in rewarder.terms.items():
            self.logger.record(f"reward_weight/{name}", term.weight)
            self.logger.record(f"reward_skipped/{name}", term.skipped)

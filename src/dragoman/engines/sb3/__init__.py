"""The Stable-Baselines3 engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from dragoman.experiment import Experiment

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

    from dragoman.engines.sb3.training import SB3Training
    from dragoman.engines.stack import RoleStack


@dataclass(frozen=True)
class SB3:
    """Stable-Baselines3, in this process.

    Attributes:
        callbacks: Its own callbacks, called after all watchers.
    """

    callbacks: Sequence[BaseCallback] = ()

    name: ClassVar[str] = "sb3"
    algorithms: ClassVar[tuple[str, ...]] = (
        "a2c",
        "dqn",
        "ppo",
        "recurrent-ppo",
        "sac",
        "td3",
    )
    autoreset: ClassVar[AutoresetMode] = AutoresetMode.SAME_STEP
    record: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    processes: ClassVar[int] = 1
    can_resume: ClassVar[bool] = True

    # The library is imported where it is used, so that naming the engine costs nothing.

    def check(
        self, experiment: Experiment, observations: gym.Space[Any], actions: gym.Space[Any]
    ) -> None:
        """Refuse settings that the algorithm's constructor would refuse, and spaces too."""
        from dragoman.engines.sb3 import settings

        settings.check(experiment, observations, actions)

    def gamma(self, experiment: Experiment) -> float:
        """Return the discount, by default that of the algorithm's constructor."""
        from dragoman.engines.sb3.settings import gamma_of

        return gamma_of(experiment)

    def build(
        self,
        experiment: Experiment,
        env: VectorEnv[Any, Any, Any],
        seed: int,
        model: Any = None,
        stack: RoleStack | None = None,
    ) -> SB3Training:
        """Prepare a training."""
        from dragoman.engines.sb3.algorithms import build
        from dragoman.engines.sb3.training import SB3Training

        algorithm: Any = build(experiment, env, seed, model)
        training = SB3Training(algorithm, self.callbacks)
        if experiment.guide is not None and stack is not None:
            from dragoman.engines.initial_values import begin_with_prior, guide_of
            from dragoman.engines.sb3.algorithms import seen

            guide_of(stack).steps = lambda: training.steps
            if not experiment.guide.in_policy:
                begin_with_prior(algorithm.q_net, partial(seen, algorithm), experiment, stack)
                algorithm.q_net_target.load_state_dict(algorithm.q_net.state_dict())
        if experiment.algorithm.demonstrations is not None and stack is not None:
            from dragoman.engines.sb3.demonstrations import remember

            remember(algorithm, experiment, stack)
        if experiment.act is not None and experiment.act.writer is not None:
            from dragoman.engines.sb3.written import begin_to_serve

            assert stack is not None
            assert stack.context is not None
            begin_to_serve(algorithm, experiment, stack.context.models)
        return training

"""The processes of a training together, as a checkpoint keeps them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

from dragoman.engines.folder import ResumeWarning
from dragoman.engines.rllib import kept
from dragoman.engines.rllib.task import seed_process
from dragoman.engines.stack import RoleStack
from dragoman.maths.seeds import derive_seed


class Processes:
    """What plays and what learns.

    Args:
        algorithm: RLlib's.
        env_runners: Processes that play; with none, this one does.
        stack: The roles of this process.
        seconds: How long a runner may take to answer.
    """

    resumes = ("counters", "learner", "replay", "runners")

    def __init__(
        self, algorithm: Any, env_runners: int, stack: RoleStack | None, seconds: float
    ) -> None:
        self._algorithm = algorithm
        self._is_remote = env_runners > 0
        self._stack = stack
        self._seconds = seconds
        self._found: Sequence[Mapping[str, Any]] | None = None
        buffer = self._buffer
        if buffer is not None and hasattr(buffer, "rng"):
            # RLlib's is drawn from the clock.
            seed = derive_seed("replay", algorithm.config.seed)
            buffer.rng = np.random.default_rng(seed)

    @property
    def counters(self) -> dict[str, Any]:
        """What RLlib counts over the whole training."""
        return kept.counted(self._algorithm.metrics)

    @counters.setter
    def counters(self, state: Mapping[str, Any]) -> None:
        kept.count_on(self._algorithm.metrics, state)

    @property
    def learner(self) -> dict[str, Any]:
        """Weights, optimisers and counters: those that learn have the same."""
        result: dict[str, Any] = self._learners(kept.learnt)[0]
        return result

    @learner.setter
    def learner(self, state: Mapping[str, Any]) -> None:
        self._learners(partial(kept.learn_on, state=state))
        group = self._algorithm.learner_group
        self._algorithm.env_runner_group.sync_weights(
            from_worker_or_learner_group=group, inference_only=True
        )

    @property
    def replay(self) -> dict[str, Any] | None:
        """The replay buffer, where there is one of the kind that is kept."""
        return kept.played(self._buffer)

    @replay.setter
    def replay(self, state: Mapping[str, Any] | None) -> None:
        if state is not None:
            module = self._algorithm.get_module(DEFAULT_MODULE_ID)
            kept.play_on(self._buffer, state, module.observation_space, module.action_space)
        elif self._buffer is not None:
            warnings.warn(
                f"a {type(self._buffer).__name__} is in no checkpoint, so this training goes on "
                "with an empty one",
                ResumeWarning,
                stacklevel=2,
            )

    @property
    def runners(self) -> list[dict[str, Any]]:
        """What roles know in each runner of a process of its own."""
        return self._runners(_remembered) if self._is_remote else []

    @runners.setter
    def runners(self, states: Sequence[Mapping[str, Any]]) -> None:
        self._found = states

    def restart(self, seed: int) -> None:
        """Begin a new episode in every environment, and forget what is remembered of texts."""
        if self._found is not None:
            self._hand_over(self._found)
            self._found = None
        steps = self._algorithm.metrics.peek(
            (ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0
        )
        self._runners(partial(_restart, seed=seed, steps=int(steps)))
        is_remote = self._algorithm.learner_group.is_remote
        self._learners(partial(_learn_anew, seed=seed if is_remote else None))

    def _hand_over(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Give each process what one has known: one more begins with what the first has known."""
        assert self._stack is not None
        if self._is_remote:
            # Before, this process may have played itself; it has its own again by now.
            known = states or [kept.remembered(self._stack)]
            self._runners(partial(_remember_on, states=known))
        elif states:
            kept.remember_on(self._stack, states[0])

    @property
    def _buffer(self) -> Any:
        return getattr(self._algorithm, "local_replay_buffer", None)

    def _runners(self, func: Callable[..., Any]) -> list[Any]:
        group = self._algorithm.env_runner_group
        seconds = self._seconds if self._is_remote else None
        result: list[Any] = group.foreach_env_runner(
            func, local_env_runner=not self._is_remote, timeout_seconds=seconds
        )
        return result

    def _learners(self, func: Callable[..., Any]) -> list[Any]:
        return [result.get() for result in self._algorithm.learner_group.foreach_learner(func)]


def _remembered(runner: Any) -> Any:
    return runner.remembered()


def _remember_on(runner: Any, states: Sequence[Mapping[str, Any]]) -> None:
    runner.remember_on(states[(runner.worker_index - 1) % len(states)])


def _restart(runner: Any, seed: int, steps: int) -> None:
    runner.restart(seed, steps)


def _learn_anew(learner: Any, seed: int | None) -> None:
    learner.module[DEFAULT_MODULE_ID].unwrapped().forget()
    if seed is not None:
        seed_process(derive_seed("learner", seed))

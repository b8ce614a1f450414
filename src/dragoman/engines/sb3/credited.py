"""Algorithms of Stable-Baselines3 that learn from whole episodes, compared with one another."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from dragoman.describe.moment import MOMENT, Moment
from dragoman.engines.episodes import Numbers, earned, rest, spread, start_seeds
from dragoman.engines.sb3.rollouts import Boundaries, WholeA2C, WholePPO
from dragoman.engines.sb3.tuned import Tuning
from dragoman.engines.sb3.vec_env import VecAdapter
from dragoman.engines.starts import check_starts
from dragoman.environments.vector import rows_of
from dragoman.experiment.credit import Credit
from dragoman.maths import credit as rules
from dragoman.types import BoolArray


class Tape:
    """Steps of one episode of each copy, in the order in which they were taken.

    Attributes:
        numbers: Of states and actions.
        reached: Number of the state in which the episode of a copy was cut off, or -1; of those
            that have ended.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self.numbers = Numbers()
        self.reached: dict[int, int] = {}

    def add(self, **columns: Any) -> None:
        """Add a step of some copies; every column has a row for each of them."""
        for name, rows in columns.items():
            self._columns.setdefault(name, []).append(rows)

    def column(self, name: str) -> Any:
        """Return a column, copy by copy: an array ``(M, ...)`` or a dictionary of them."""
        order = np.argsort(np.concatenate(self._columns["copy"]), kind="stable")
        parts = self._columns[name]
        if isinstance(parts[0], dict):
            return {key: np.concatenate([part[key] for part in parts])[order] for key in parts[0]}
        return np.concatenate(parts)[order]

    def play(self, group_size: int) -> rules.Play:
        """Return what was played."""
        copies, lengths = np.unique(self.column("copy"), return_counts=True)
        return rules.Play(
            rewards=self.column("reward").astype(np.float64),
            lengths=lengths,
            groups=copies // group_size,
            states=self.column("state"),
            actions=self.column("action_number"),
            reached=np.array([self.reached.get(copy, -1) for copy in copies.tolist()]),
        )

    def whole(self, group_size: int, num_envs: int) -> BoolArray:
        """Return which steps belong to a group all of whose episodes have ended ``(M,)``."""
        has_ended = np.array([copy in self.reached for copy in range(num_envs)])
        groups: BoolArray = np.logical_and.reduce(has_ended.reshape(-1, group_size), axis=1)
        result: BoolArray = groups[self.column("copy") // group_size]
        return result


class Episodes(Boundaries, OnPolicyAlgorithm):
    """Plays one episode in each copy; those of a group begin alike.

    Mix it in before an on-policy algorithm. A copy that has ended waits, and asks nobody anything.

    Attributes:
        credit: By which rule steps get their credit.
        rounds: How many rollouts have begun, which decides the seeds of the next.
    """

    credit: Credit
    rounds: int = 0

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play until every episode has ended, or no step is left."""
        self.at_boundary()
        self.policy.set_training_mode(False)
        moments, adapter = self._begin(env), cast(VecAdapter, env)
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()
        tape, awake = Tape(), np.ones(env.num_envs, dtype=np.bool_)
        while awake.any() and self.num_timesteps < self._total_timesteps:
            rows = np.flatnonzero(awake)
            observed = rows_of(self._last_obs, rows)
            with torch.no_grad():
                seen = obs_as_tensor(observed, self.device)
                actions, values, log_probs = (part.cpu().numpy() for part in self.policy(seen))
            new_obs, rewards, dones, every = env.step(self._sent(actions, rows, env.num_envs))
            infos, before = [every[i] for i in rows], [moments[i] for i in rows]
            self.num_timesteps += len(rows)
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones[rows])
            tape.add(
                copy=rows,
                seen=observed,
                action=actions.reshape(len(rows), -1),
                reward=rewards[rows],
                value=values.reshape(-1),
                log_prob=log_probs,
                state=tape.numbers.states(before),
                action_number=tape.numbers.actions(actions, before, self.action_space),
                **self._stamps(),
            )
            for i in np.flatnonzero(dones & awake).tolist():
                was_cut = every[i]["TimeLimit.truncated"]
                reached = every[i]["final_info"][MOMENT]
                tape.reached[i] = tape.numbers.state(reached) if was_cut else -1
            if (dones & awake).any():
                awake = awake & ~dones
                rest(adapter.env, ~awake)
            self._last_obs = new_obs  # type: ignore[assignment] # as the library does
            moments = [info[MOMENT] for info in every]
        self._learn_from(tape, rollout_buffer, callback, env.num_envs)
        return True

    def _begin(self, env: VecEnv) -> list[Moment]:
        """Begin an episode in every copy, alike in those of a group."""
        size, adapter = self.credit.group_size, cast(VecAdapter, env)
        seeds = start_seeds(size, self.seed or 0, self.rounds, range(env.num_envs))
        self.rounds += 1
        rest(adapter.env, np.zeros(env.num_envs, dtype=np.bool_))
        env._seeds = list(seeds)
        self._last_obs = env.reset()  # type: ignore[assignment] # as the library does
        self._last_episode_starts = np.ones(env.num_envs, dtype=np.bool_)
        moments: list[Moment] = [info[MOMENT] for info in env.reset_infos]
        check_starts(adapter.env, moments, size, seeds)
        return moments

    def _sent(self, actions: NDArray[Any], rows: NDArray[np.int64], count: int) -> NDArray[Any]:
        """Return an action for every copy; those that wait do nothing with theirs."""
        if isinstance(self.action_space, Box):
            actions = (
                self.policy.unscale_action(actions)
                if self.policy.squash_output
                else np.clip(actions, self.action_space.low, self.action_space.high)
            )
        return spread(actions, rows, count)

    def _stamps(self) -> dict[str, NDArray[Any]]:
        """Return which version has written the rows of the last step, where a server writes."""
        stamps = getattr(self.policy, "stamps", None)
        return {} if stamps is None else {"version": stamps.versions, "gap": stamps.gaps}

    def _learn_from(
        self, tape: Tape, buffer: RolloutBuffer, callback: BaseCallback, num_envs: int
    ) -> None:
        """Fill the buffer with what the update is to learn, and show the callback all of it."""
        size = self.credit.group_size
        everything = tape.play(size)
        whole = tape.whole(size, num_envs)
        play = everything.select(whole[everything.starts])
        result = earned(play, self.credit, gamma=self.gamma, lam=self.gae_lambda)
        names = ("seen", "action", "value", "log_prob", *self._stamps())
        columns = {name: tape.column(name) for name in names}
        columns["reward"] = everything.rewards
        _fill(buffer, columns)
        callback.update_locals(locals())
        callback.on_rollout_end()
        columns["advantage"], columns["return"] = np.zeros((2, len(whole)))
        columns["advantage"][whole], columns["return"][whole] = result.advantages, result.returns
        learnt = whole.copy()
        learnt[whole] = result.says
        _fill(buffer, {name: rows_of(rows, learnt) for name, rows in columns.items()})
        for name, value in result.columns.items():
            self.logger.record(name, value)
        self.logger.record("credit/learnt", float(learnt.mean()))


class Lessons(OnPolicyAlgorithm):
    """Updates where there is something to learn. Mix it in before everything else."""

    def train(self) -> None:
        """Update, unless no group says anything."""
        if not self.rollout_buffer.buffer_size:
            return
        super().train()
        # Of a critic that nobody trains.
        for name in ("train/explained_variance", "train/value_loss"):
            self.logger.name_to_value.pop(name, None)


class CreditedPPO(Lessons, Episodes, WholePPO):
    """PPO."""


class CreditedA2C(Lessons, Episodes, WholeA2C):
    """A2C."""


class TunedCreditedPPO(Lessons, Tuning, Episodes, WholePPO):
    """PPO that trains the model too."""


class TunedCreditedA2C(Lessons, Tuning, Episodes, WholeA2C):
    """A2C that trains the model too."""


CREDITED: dict[str, type[Episodes]] = {"ppo": CreditedPPO, "a2c": CreditedA2C}
TUNED_CREDITED: dict[str, type[Episodes]] = {"ppo": TunedCreditedPPO, "a2c": TunedCreditedA2C}


def _fill(buffer: Any, columns: dict[str, Any]) -> None:
    """Write steps into a rollout buffer, as those of a single copy."""
    buffer.buffer_size, buffer.n_envs = len(columns["action"]), 1
    buffer.reset()
    seen = columns["seen"]
    if isinstance(buffer.observations, dict):
        for key, rows in buffer.observations.items():
            rows[:] = seen[key].reshape(rows.shape)
    else:
        buffer.observations[:] = seen.reshape(buffer.observations.shape)
    buffer.actions[:, 0] = columns["action"]
    names = {"rewards": "reward", "values": "value", "log_probs": "log_prob"}
    names |= {"advantages": "advantage", "returns": "return"}
    names |= {"versions": "version", "gaps": "gap"}
    for name, column in names.items():
        if column in columns:
            getattr(buffer, name)[:, 0] = columns[column]
    buffer.pos, buffer.full = buffer.buffer_size, True

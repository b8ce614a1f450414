"""RLlib's runner where whole episodes are compared: it plays one in each copy, to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import (
    ENV_TO_MODULE_CONNECTOR,
    MODULE_TO_ENV_CONNECTOR,
    RLMODULE_INFERENCE_TIMER,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.spaces.space_utils import unbatch

from dragoman.describe.moment import MOMENT, Moment
from dragoman.engines.episodes import Numbers, rest, spread, start_seeds
from dragoman.engines.rllib.runner import Runner
from dragoman.engines.rllib.task import Task
from dragoman.engines.starts import check_starts
from dragoman.maths import credit as rules
from dragoman.maths.credit import Ids

PLAYED = "played"
"""Column of an episode, ``(T, 4)``: numbers of group, state and action of each step, and of the
state that it reached where that cut the episode off, else -1."""


class EpisodeRunner(Runner):
    """Plays one episode in each copy; those of a group begin alike.

    A copy that has ended waits, and asks nobody anything. A group lies within one runner.
    """

    def _sample(self, *, explore: bool, **asked: Any) -> list[SingleAgentEpisode]:
        """Play until every episode has ended, however many steps were asked for."""
        moments, numbers, steps = self._begin(explore), Numbers(), 0
        done: list[SingleAgentEpisode] = []
        rows = np.arange(self.num_envs)
        while len(rows):
            chosen = self._chosen(rows, explore, steps)
            actions = chosen.pop(Columns.ACTIONS)
            sent = chosen.pop(Columns.ACTIONS_FOR_ENV, actions)
            result = self._try_env_step(spread(sent, rows, self.num_envs))
            before, moments = [moments[i] for i in rows], self.stepped.infos[MOMENT]
            was_cut = result[3] & ~result[2]
            chosen[PLAYED] = np.stack(
                [
                    self._groups[rows],
                    numbers.states(before),
                    numbers.actions(actions, before, self.env.single_action_space),
                    [numbers.state(moments[i]) if was_cut[i] else -1 for i in rows],
                ],
                axis=1,
            )
            chosen[Columns.ACTIONS] = unbatch(actions)
            self._note_step(rows, chosen, result)
            steps += len(rows)
            ended = [i for i in rows if self._ongoing_episodes[i].is_done]
            done += [self._ended(i) for i in ended]
            rows = np.array([i for i in rows if i not in ended], dtype=np.int64)
            if ended:
                rest(self.env, ~np.isin(np.arange(self.num_envs), rows))
            self._see(rows, explore)
        self._done_episodes_for_metrics.extend(done)
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        self._increase_sampled_metrics(steps, len(done))
        return done

    def _begin(self, explore: bool) -> Sequence[Moment]:
        """Begin an episode in every copy, alike in those of a group."""
        task: Task = self.config.env_config["task"]
        size = task.what.credit.group_size
        # Runners count from one; the process that learns has the number zero.
        copies = np.arange(self.num_envs) + max(self.worker_index - 1, 0) * self.num_envs
        self._groups: Ids = copies // size
        # All runners know how many steps were taken, also one that has taken the place of another.
        at = int(self.num_env_steps_sampled_lifetime)
        self._seed = start_seeds(size, task.env_seed, at, copies.tolist())
        self._needs_initial_reset = True
        rest(self.env, np.zeros(self.num_envs, dtype=np.bool_))
        self._reset_envs_and_episodes(explore)
        moments: Sequence[Moment] = self.stepped.infos[MOMENT]
        check_starts(self.env, moments, size, self._seed)
        return moments

    def _chosen(self, rows: Ids, explore: bool, steps: int) -> dict[str, Any]:
        """Return what the policy says of the copies that play, row by row."""
        forward = self.module.forward_exploration if explore else self.module.forward_inference
        named = {"t": int(self.num_env_steps_sampled_lifetime) + steps} if explore else {}
        with self.metrics.log_time(RLMODULE_INFERENCE_TIMER):
            said = forward(self._cached_to_module, **named)
        result: dict[str, Any] = self._module_to_env(
            rl_module=self.module,
            batch=said,
            episodes=[self._ongoing_episodes[i] for i in rows],
            explore=explore,
            shared_data=self._shared_data,
            metrics=self.metrics,
            metrics_prefix_key=(MODULE_TO_ENV_CONNECTOR,),
        )
        return result

    def _note_step(self, rows: Ids, chosen: Mapping[str, Any], result: Any) -> None:
        """Write a step into the episodes of the copies that play."""
        observations, rewards, terminated, truncated, infos = result
        observations = unbatch(observations)
        for row, i in enumerate(rows.tolist()):
            said = {name: own[row] for name, own in chosen.items()}
            self._ongoing_episodes[i].add_env_step(
                observation=observations[i],
                action=said.pop(Columns.ACTIONS),
                reward=rewards[i],
                infos=infos[i],
                terminated=terminated[i],
                truncated=truncated[i],
                extra_model_outputs={**said, WEIGHTS_SEQ_NO: self._weights_seq_no},
            )
            self._make_on_episode_callback("on_episode_step", i, self._ongoing_episodes)

    def _ended(self, i: int) -> SingleAgentEpisode:
        """Return the episode of a copy that has ended."""
        self._make_on_episode_callback("on_episode_end", i, self._ongoing_episodes)
        episode: SingleAgentEpisode = self._ongoing_episodes[i]
        return episode.to_numpy() if self.episodes_to_numpy else episode

    def _see(self, rows: Ids, explore: bool) -> None:
        """Prepare what the policy reads next."""
        if len(rows):
            self._cached_to_module = self._env_to_module(
                episodes=[self._ongoing_episodes[i] for i in rows],
                batch={},
                explore=explore,
                rl_module=self.module,
                shared_data=self._shared_data,
                metrics=self.metrics,
                metrics_prefix_key=(ENV_TO_MODULE_CONNECTOR,),
            )


def play_of(episodes: Sequence[SingleAgentEpisode]) -> rules.Play:
    """Return what episodes of an `EpisodeRunner` have played, in their order."""
    lengths = np.array([len(episode) for episode in episodes])
    played = np.concatenate([episode.get_extra_model_outputs(PLAYED) for episode in episodes])
    groups, states, actions, reached = played.reshape(-1, 4).T
    last = np.cumsum(lengths) - 1
    rewards = np.concatenate([episode.get_rewards() for episode in episodes])
    return rules.Play(
        # As the other engine, whose library keeps them so.
        rewards.astype(np.float32).astype(np.float64),
        lengths,
        groups[last],
        states,
        actions,
        reached[last],
    )

"""What RLlib's own objects know of a training, as plain data with arrays, and back into new ones.

RLlib's checkpoints are pickled, which could run code, and hold neither the replay buffer nor what
our learners count. What is a setting, or is worked out anew from one, is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import tree
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.replay_buffers.episode_replay_buffer import EpisodeReplayBuffer

from dragoman.engines.stack import RoleStack
from dragoman.engines.state import given, taken
from dragoman.roles.role import Notes

COUNTS = (
    "updates",
    "gradient_steps",
    "last_update_ts_by_mid",
    "_last_update_ts_by_mid",
    "curr_kl_coeffs_per_module",
)
"""What learners count, and adapt; each has some of it."""
SIZES = ("_num_episodes_evicted", "_num_timesteps", "_num_timesteps_added", "sampled_timesteps")
PARTS = ("observations", "actions", "rewards")


def counted(logger: Any) -> dict[str, Any]:
    """Return what RLlib counts over the whole training: schedules and delays follow it."""
    stats = logger.get_state()["stats"]
    result: dict[str, Any] = taken(
        {name: own for name, own in stats.items() if "lifetime_sum" in own}
    )
    return result


def count_on(logger: Any, state: Mapping[str, Any]) -> None:
    """Go on counting from what `counted` returned."""
    logger.set_state({"stats": {**logger.get_state()["stats"], **state}})


def learnt(learner: Any) -> dict[str, Any]:
    """Return weights, optimisers and counters of a learner, between two of its updates."""
    with getattr(learner, "turn", nullcontext()):
        own = {name: getattr(learner, name) for name in COUNTS if hasattr(learner, name)}
        parts = {"network": _network(learner), "optimizers": learner._named_optimizers}
        result: dict[str, Any] = taken({**parts, "counts": own})
    return result


def learn_on(learner: Any, state: Mapping[str, Any]) -> None:
    """Go on learning from what `learnt` returned."""
    given(_network(learner), state["network"])
    given(learner._named_optimizers, state["optimizers"])
    for name, own in state["counts"].items():
        like = getattr(learner, name)
        if isinstance(like, defaultdict):
            for key in own:
                like[key]  # is made where it is missing
        setattr(learner, name, given(like, own))


def _network(learner: Any) -> Any:
    return learner.module[DEFAULT_MODULE_ID].unwrapped()


def remembered(stack: RoleStack) -> dict[str, Any]:
    """Return what the roles on the environments of one process know."""
    return {"learnt": stack.state(), "roles": taken(stack.parts())}


def remember_on(stack: RoleStack, state: Mapping[str, Any], notes: Notes | None = None) -> None:
    """Go on from what `remembered` returned, perhaps of another process.

    Args:
        stack: The roles.
        state: What was returned.
        notes: Where they write to; nothing where they have been restored already.
    """
    if notes is not None:
        stack.restore(state["learnt"], notes)
    given(stack.parts(), state["roles"])


def is_kept(buffer: Any) -> bool:
    """Return whether a replay buffer is of the kind that is kept: the one that samples evenly."""
    return type(buffer) is EpisodeReplayBuffer


def played(buffer: Any) -> dict[str, Any] | None:
    """Return the steps of a replay buffer, and where it stands; nothing where it is not kept."""
    if not is_kept(buffer):
        return None
    episodes = list(buffer.episodes)
    ends = [(one.t_started, one.t, one.is_terminated, one.is_truncated) for one in episodes]
    return {
        "ends": np.array(ends, np.int64).reshape(-1, 4),
        "indices": np.array(buffer._indices, np.int64).reshape(-1, 2),
        "sizes": {name: getattr(buffer, name) for name in SIZES},
        "rng": taken(buffer.rng),
        **{name: _joined([getattr(one, name) for one in episodes]) for name in PARTS},
    }


def play_on(buffer: Any, state: Mapping[str, Any], observations: Any, actions: Any) -> None:
    """Put back what `played` returned.

    Args:
        buffer: An empty replay buffer.
        state: What was returned.
        observations: The (unbatched) space of observations.
        actions: That of actions.
    """
    given(buffer.rng, state["rng"])
    for name, size in state["sizes"].items():
        setattr(buffer, name, size)
    buffer._indices = [tuple(pair) for pair in state["indices"].tolist()]
    parts = [_parted(state[name]) for name in PARTS]
    for number, (end, *rows) in enumerate(zip(state["ends"].tolist(), *parts, strict=True)):
        started, time, terminated, truncated = end
        size = rows[0].len_incl_lookback()
        episode = SingleAgentEpisode(
            observation_space=observations,
            action_space=actions,
            observations=rows[0],
            actions=rows[1],
            rewards=rows[2],
            # The runner has kept the infos.
            infos=InfiniteLookbackBuffer([{} for _ in range(size)], rows[0].lookback),
            terminated=bool(terminated),
            truncated=bool(truncated),
            t_started=started,
        )
        episode.t = time
        buffer.episodes.append(episode)
        buffer.episode_id_to_index[episode.id_] = number + buffer._num_episodes_evicted


def _joined(buffers: Sequence[InfiniteLookbackBuffer]) -> dict[str, Any] | None:
    """Return rows of all episodes, one after the other, and where each ends."""
    if not buffers:
        return None
    rows = tree.map_structure(lambda *one: np.concatenate(one), *[one.data for one in buffers])
    lengths = [len(tree.flatten(one.data)[0]) for one in buffers]
    return {
        "rows": rows,
        "lengths": np.array(lengths, np.int64),
        "lookbacks": np.array([one.lookback for one in buffers], np.int64),
    }


def _parted(state: Mapping[str, Any] | None) -> list[InfiniteLookbackBuffer]:
    if state is None:
        return []
    ends = np.cumsum(state["lengths"]).tolist()
    return [
        InfiniteLookbackBuffer(
            tree.map_structure(lambda rows, own=own: rows[own].copy(), state["rows"]), lookback
        )
        for own, lookback in zip(
            [slice(*pair) for pair in zip([0, *ends], ends, strict=False)],
            state["lookbacks"].tolist(),
            strict=True,
        )
    ]

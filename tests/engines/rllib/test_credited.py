"""Whole episodes compared with one another: RLlib's runner and learner, without Ray's processes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.evaluation.postprocessing import Postprocessing

from dragoman.engines.check import check
from dragoman.engines.episodes import earned
from dragoman.engines.rllib import RLlib
from dragoman.engines.rllib.config import config_of
from dragoman.engines.rllib.credited import CreditedLearner
from dragoman.engines.rllib.episodes import PLAYED, EpisodeRunner, play_of
from dragoman.engines.rllib.settings import settings_of
from dragoman.engines.rllib.task import Task
from dragoman.engines.sb3.credited import Episodes, Lessons, Tape
from dragoman.engines.sb3.names import our_names
from dragoman.engines.train import train
from dragoman.errors import ConfigError, SpaceError
from dragoman.experiment import Experiment
from dragoman.maths.credit import Play
from tests.engines.sb3.test_credited import RULES, corridor
from tests.maths.test_credit import unequal

SEED = 7


def config(experiment: Experiment, runners: int = 0) -> Any:
    """Return RLlib's configuration of an experiment."""
    task = Task(uuid.uuid4().hex, json.dumps(experiment.to_dict()), 0, SEED, {})
    return config_of(RLlib(env_runners=runners), task, settings_of(experiment))


class ByNumber(EpisodeRunner):
    """Acts by the number of the copy over all runners, and that of the step."""

    def _chosen(self, rows: Any, explore: bool, steps: int) -> dict[str, Any]:
        result = super()._chosen(rows, explore, steps)
        first = max(self.worker_index - 1, 0) * self.num_envs
        numbers = [(first + i, len(self._ongoing_episodes[i])) for i in rows.tolist()]
        drawn = map(np.random.default_rng, numbers)
        result[Columns.ACTIONS] = np.array([one.integers(2) for one in drawn])
        result[Columns.ACTIONS_FOR_ENV] = result[Columns.ACTIONS]
        return result


def sampled(experiment: Experiment, runners: int = 0, rounds: int = 1) -> list[list[Any]]:
    """Return what was played in some rounds, runner by runner in each."""
    result: list[list[Any]] = [[] for _ in range(rounds)]
    made = config(experiment, runners)
    for worker in range(1, runners + 1) if runners else [0]:
        runner = ByNumber(config=made, worker_index=worker)
        for number, found in enumerate(result):
            # As RLlib tells all of them after each round.
            runner.num_env_steps_sampled_lifetime = 100 * number
            found.append(runner.sample())
        runner.stop()
    return result


def played(experiment: Experiment) -> list[Any]:
    """Return one round of one process."""
    ((episodes,),) = sampled(experiment)
    return episodes  # type: ignore[no-any-return]


@pytest.fixture
def learner() -> CreditedLearner:
    return learner_of(corridor("gigpo"))


def learner_of(experiment: Experiment) -> CreditedLearner:
    made = config(experiment, 1)
    runner = EpisodeRunner(config=made, worker_index=1)
    result: CreditedLearner = made.build_learner(env=None, spaces=runner.get_spaces())
    runner.stop()
    return result


def as_episodes(play: Play, seen: Any, actions: Any, log_probs: Any) -> list[SingleAgentEpisode]:
    """Return episodes as a runner makes them."""
    result = []
    for at, length, group, reached in zip(
        play.starts, play.lengths, play.groups, play.reached, strict=True
    ):
        own = slice(at, at + length)
        ends = np.append(np.full(length - 1, -1), reached)
        played = [np.full(length, group), play.states[own], play.actions[own], ends]
        result.append(
            SingleAgentEpisode(
                observations=[*seen[own], seen[own][-1]],
                actions=list(actions[own]),
                rewards=play.rewards[own].tolist(),
                terminated=reached < 0,
                truncated=reached >= 0,
                extra_model_outputs={
                    Columns.ACTION_LOGP: list(log_probs[own]),
                    PLAYED: list(np.stack(played, axis=1)),
                },
                len_lookback_buffer=0,
            ).to_numpy()
        )
    return result


# Worked by hand: episodes of 3, 2, 1 and 2 steps in two groups, the last one cut off in a state
# that the group had been in; two steps are alone in their state.
BY_HAND = {
    "grpo": [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5, -0.5, -0.5],
    "gigpo": [-0.875, -1.25, -0.5, 0.875, 1.25, 1.0, -1.0, -0.5],
    "grouped-gae": [-0.1875, -0.75, 0, 0.1875, 0.75, 0.5, -0.4375, 0.25],
}


@pytest.mark.parametrize("rule", BY_HAND)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_advantages_are_those_worked_by_hand(rule: str, order: Sequence[int]) -> None:
    settings = {"gamma": 0.5, "gae_lambda": 0.5}
    experiment = corridor({"use": rule, "scale": "mean"}, algorithm={**PPO, "settings": settings})
    learner = learner_of(experiment)
    play = unequal()
    # Rows are told apart by what was seen.
    episodes = as_episodes(play, np.arange(8), play.actions, np.zeros(8))
    # One of the advantages of grouped-gae is zero, but none of the groups says nothing.
    batch = learner._make_batch_if_necessary(
        training_data=TrainingData(episodes=[episodes[i] for i in order])
    ).policy_batches[DEFAULT_MODULE_ID]
    rows = batch[Columns.OBS].long()
    assert sorted(rows.tolist()) == list(range(8))
    expected = torch.tensor(BY_HAND[rule], dtype=torch.float32)[rows]
    torch.testing.assert_close(batch[Postprocessing.ADVANTAGES], expected, atol=1e-6, rtol=0)
    returns = torch.tensor([0.25, 0.5, 1, 1, 2, 1, 0, 0])[rows]
    torch.testing.assert_close(batch[Postprocessing.VALUE_TARGETS], returns)
    columns = learner.advantages.columns
    assert columns["credit/groups"] == 2
    assert columns["credit/learnt"] == 1
    assert columns.get("credit/singletons", 2 / 8) == 2 / 8


PPO: dict[str, Any] = {"name": "ppo", "network": [16]}


class Seen:
    """The first update of a training of Stable-Baselines3: what was played, and the weights."""

    tape: Tape
    before: dict[str, Any]
    after: dict[str, Any]


def first_update(experiment: Experiment, folder: Path, patch: pytest.MonkeyPatch) -> Seen:
    seen, learn_from, learn = Seen(), Episodes._learn_from, Lessons.train

    def noting(algorithm: Any, tape: Tape, *rest: Any) -> None:
        seen.tape = tape
        learn_from(algorithm, tape, *rest)

    def learning(algorithm: Any) -> None:
        seen.before = weights_of(algorithm)
        learn(algorithm)
        seen.after = weights_of(algorithm)
        raise KeyboardInterrupt

    patch.setattr(Episodes, "_learn_from", noting)
    patch.setattr(Lessons, "train", learning)
    with pytest.raises(KeyboardInterrupt):
        train(experiment, out=folder / "run")
    return seen


def weights_of(algorithm: Any) -> dict[str, Any]:
    named = our_names(algorithm.policy.state_dict())
    return {name: tensor.clone() for name, tensor in named.items()}


@pytest.mark.parametrize(
    ("credit", "settings"),
    [
        *((rule, {}) for rule in RULES),
        ({"use": "gigpo", "keep": 0.5, "copies": 2}, {}),
        ("gigpo", {"vf_coef": 0.5, "clip_range_vf": 0.1, "normalize_advantage": True}),
    ],
)
def test_one_batch_leaves_the_weights_of_stable_baselines3(
    credit: Any, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = {"batch_size": 512, "n_epochs": 4, "learning_rate": 0.01, "gamma": 0.9}
    experiment = corridor(
        credit,
        max_episode_steps=4,
        env_settings={"cost": 0.1},
        algorithm={**PPO, "settings": {**common, **settings}},
    )
    theirs = first_update(experiment, tmp_path, monkeypatch)
    play = theirs.tape.play(experiment.credit.group_size)
    # Some episodes were cut off in a state, and some were not.
    assert (play.reached >= 0).any() > (play.reached >= 0).all()
    columns = [theirs.tape.column(name) for name in ("seen", "action", "log_prob")]
    episodes = as_episodes(play, columns[0], columns[1][:, 0], columns[2])
    learner = learner_of(experiment)
    network = learner.module[DEFAULT_MODULE_ID].unwrapped().policy
    network.load_state_dict(theirs.before)
    learner.update(episodes=episodes, num_epochs=4)
    ours = network.state_dict()
    for name, tensor in theirs.after.items():
        torch.testing.assert_close(ours[name], tensor, atol=1e-6, rtol=1e-5)
        # Nobody trains the critic unless that is asked for.
        is_critic = name.startswith(("critic", "value"))
        is_asked = not is_critic or bool(settings)
        assert torch.equal(tensor, theirs.before[name]) != is_asked, name


def test_one_worker_has_the_groups_of_two() -> None:
    experiment = corridor("gigpo", max_episode_steps=4)
    rounds = sampled(experiment, rounds=2), sampled(experiment, runners=2, rounds=2)
    for (one,), (first, second) in zip(*rounds, strict=True):
        assert set(play_of(first).groups.tolist()) == {0, 1}
        assert set(play_of(second).groups.tolist()) == {2, 3}
        plays = play_of(one), play_of([*first, *second])
        found = [summed(play) for play in plays]
        assert found[0] == found[1]
        told = [earned(play, experiment.credit, gamma=0.9, lam=0.95).columns for play in plays]
        assert told[0] == told[1]
        assert told[0]["credit/groups"] == 4
        assert starts(one) == {**starts(first), **starts(second)}


def summed(play: Play) -> list[Any]:
    """Return what each group has played, whatever the order."""
    ends = zip(play.groups, play.lengths, play.totals, play.reached >= 0, strict=True)
    return sorted(tuple(one) for one in np.array(list(ends)).tolist())


def starts(episodes: list[Any]) -> dict[int, set[Any]]:
    """Return what the copies of each group have seen first."""
    result: dict[int, set[Any]] = {}
    for group, episode in zip(play_of(episodes).groups.tolist(), episodes, strict=True):
        result.setdefault(group, set()).add(tuple(episode.get_observations(0).ravel().tolist()))
    return result


def test_a_round_is_one_episode_of_each_copy_and_groups_begin_alike() -> None:
    experiment = corridor("gigpo", max_episode_steps=4)
    rounds = [episodes for (episodes,) in sampled(experiment, rounds=3)]
    for episodes in rounds:
        assert len(episodes) == 16
        assert all(episode.is_done for episode in episodes)
        assert np.bincount(play_of(episodes).groups).tolist() == [4] * 4
        assert all(len(seen) == 1 for seen in starts(episodes).values())
    lengths = [len(episode) for episode in rounds[0]]
    assert len(set(lengths)) > 1
    assert max(lengths) <= 4
    # Groups differ, and so do the rounds.
    assert len({first for seen in starts(rounds[0]).values() for first in seen}) > 1
    assert len({str(starts(episodes)) for episodes in rounds}) > 1


def test_episodes_are_those_of_the_environment() -> None:
    experiment = corridor("grpo", max_episode_steps=4, env_settings={"cost": 0.1})
    episodes = played(experiment)
    play = play_of(episodes)
    for episode, reached in zip(episodes, play.reached.tolist(), strict=True):
        places = episode.get_observations().tolist()
        for place, action, after in zip(places, episode.get_actions(), places[1:], strict=False):
            assert after == place + (1 if action else -1)
        won = places[-1] == 4
        assert episode.get_return() == pytest.approx(won - 0.1 * len(episode))
        assert episode.is_terminated == (places[-1] in (0, 4))
        # A cut has the number of the state, which is that of the steps in it.
        assert (reached >= 0) == (not episode.is_terminated)
        if reached >= 0:
            seen = np.concatenate([one.get_observations()[:-1] for one in episodes])
            same = {
                int(s) for s, o in zip(play.states, seen, strict=True) if o.argmax() == places[-1]
            }
            assert same <= {reached}


@pytest.mark.parametrize(
    ("name", "says"),
    [("Anywhere", "begin with"), ("OwnDice", "random generators in two states")],
)
def test_copies_that_begin_apart_are_refused_by_name(name: str, says: str) -> None:
    with pytest.raises(SpaceError, match=f"environment {name}: copies .*{says}"):
        played(corridor("gigpo", name))
    assert len(played(corridor("returns", name))) == 16


def test_an_update_of_which_nothing_is_left_is_none(learner: CreditedLearner) -> None:
    episodes = played(corridor("gigpo", "Unpaid", max_episode_steps=3))
    network = learner.module[DEFAULT_MODULE_ID].unwrapped().policy
    before = {name: one.clone() for name, one in network.state_dict().items()}
    told = learner.update(episodes=episodes, num_epochs=4)[DEFAULT_MODULE_ID]
    assert told["credit/learnt"].peek() == 0
    assert told["credit/dropped"].peek() == 4
    assert not {"loss", "n_updates"} & set(told)
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    # The next one is one again.
    episodes = played(corridor("gigpo"))
    assert (
        learner.update(episodes=episodes, num_epochs=4)[DEFAULT_MODULE_ID]["n_updates"].peek() == 4
    )


def test_minibatches_are_those_of_stable_baselines3() -> None:
    learner = learner_of(corridor("gigpo", algorithm={**PPO, "settings": {"batch_size": 30}}))
    episodes = played(corridor("gigpo"))
    training_data = TrainingData(episodes=episodes)
    batches = [
        one.policy_batches[DEFAULT_MODULE_ID]
        for one in learner._create_iterator_if_necessary(training_data=training_data, num_epochs=2)
    ]
    count = round(learner.advantages.columns["credit/learnt"] * sum(map(len, episodes)))
    sizes = [min(30, count - at) for at in range(0, count, 30)]
    assert len(sizes) > 1
    assert sizes[-1] < 30
    assert [len(one[Columns.ACTIONS]) for one in batches] == sizes * 2
    epochs = batches[: len(sizes)], batches[len(sizes) :]
    rows = [torch.cat([one[Columns.ACTION_LOGP] for one in epoch]) for epoch in epochs]
    assert not torch.equal(*rows)
    assert torch.equal(rows[0].sort().values, rows[1].sort().values)


ROUND = {"rllib": {"train_batch_size_per_learner": 64}}


@pytest.mark.parametrize(
    ("changes", "engine", "says", "cure"),
    [
        (
            {"num_envs": 12},
            {"env_runners": 2},
            "num_envs is 12, of which each of 2 runners has 6, but a group of 4 copies plays in",
            "multiple of 8",
        ),
        ({}, {"learners": 2}, "learners is 2, but credit.use 'grpo' compares", "one learner"),
        (
            {"algorithm": {"name": "ppo", "settings": ROUND}},
            {},
            "rllib.train_batch_size_per_learner is 64, but with credit.use 'grpo' a rollout is one",
            "leave train_batch_size_per_learner out",
        ),
        ({"guard": {"on_fault": "restart"}}, {}, "guard.on_fault is 'restart'", "engine sb3"),
    ],
)
def test_what_cannot_be_is_refused(
    changes: dict[str, Any], engine: dict[str, Any], says: str, cure: str
) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        check(corridor("grpo", **changes), RLlib(**engine))
    assert cure in error.value.cure


def test_runners_that_can_hold_whole_groups_are_taken() -> None:
    check(corridor("grpo", num_envs=16), RLlib(env_runners=4, learners=1))
    # Without groups there is nothing that must be together.
    check(corridor("returns", num_envs=12), RLlib(env_runners=6))


def test_appo_cuts_episodes() -> None:
    with pytest.raises(ConfigError, match="whole episodes, but appo cuts them"):
        corridor("grpo", algorithm="appo")

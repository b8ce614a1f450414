from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dragoman.agents.evaluate import evaluate
from dragoman.describe.moment import MomentMaker
from dragoman.describe.vector import MomentVector
from dragoman.engines.train import train
from dragoman.environments.vector import EpisodeRecorder
from dragoman.errors import RunError
from dragoman.experiment import Experiment
from dragoman.maths.shaping import Schedule
from dragoman.roles.explore.e3b import RIDGE
from dragoman.roles.explore.settings import Explore
from dragoman.roles.explore.vector import BONUS, ExploreVector
from dragoman.roles.role import Context, Models
from dragoman.testing import ScriptedModel
from tests.environments.test_vector import FIRST, CountDescriber, described, make_envs
from tests.exploring import Chain, reading_model
from tests.roles.reward.test_vector import moments, play


def explored(mode: AutoresetMode, explore: Explore, model: Any = None) -> Any:
    recorder = EpisodeRecorder(make_envs(mode))
    env = described(recorder)
    return recorder, explore.wrap(env, Context(Models(model, 0), env.make, 0.9))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_bonus_belongs_to_its_step_and_to_nothing_below(mode: AutoresetMode) -> None:
    recorder, env = explored(mode, Explore("counts", weight=2.0, normalise=False))
    steps = [moments(i) for i in range(len(FIRST))]
    visits: dict[str, int] = {}
    sums, finished = np.zeros(len(FIRST)), []
    for rewards, has_acted, ended, infos in play(env, mode, 60):
        np.testing.assert_array_equal(infos[f"_{BONUS}"], has_acted)
        reached = [next(steps[i])[:2] if has_acted[i] else None for i in range(len(FIRST))]
        for state in filter(None, reached):
            visits[str(state)] = visits.get(str(state), 0) + 1
        for i, state in enumerate(reached):
            if state is None:
                # The reset of an episode, which nobody has played to.
                assert rewards[i] == infos[BONUS][i] == 0.0
                continue
            expected = 2.0 * visits[str(state)] ** -0.5
            assert infos[BONUS][i] == pytest.approx(expected)
            assert rewards[i] == pytest.approx(state[0] + expected)
            sums[i] += expected
            if ended[i]:
                finished.append(pytest.approx(sums[i]))
                sums[i] = 0.0
    assert [row[BONUS] for row in env.drain()] == finished
    assert list(env.drain()) == []
    # Beneath, the environment's own returns stay what they are.
    assert all(e.episode_return == e.length * (e.length + 1) / 2 for e in recorder.drain())
    assert len(finished) > 9


@pytest.mark.parametrize("mode", AutoresetMode)
def test_an_episodes_memory_ends_with_it(
    mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel(lambda text: [1.0], hidden_size=1)
    settings = Explore(weight=3.0, normalise=False, pooling=("last",))
    _, env = explored(mode, settings, model)
    # All states have one feature, of length 1: the bonus says how long the episode has been.
    monkeypatch.setattr(env.explorer, "_features", lambda texts: np.ones((len(texts), 1)))
    steps = [moments(i) for i in range(len(FIRST))]
    for _, has_acted, _, infos in play(env, mode, 40):
        for i in np.flatnonzero(has_acted):
            # The start counts as visited.
            assert infos[BONUS][i] == pytest.approx(3.0 / (RIDGE + next(steps[i])[0]))


def test_the_weight_moves_and_states_are_counted() -> None:
    schedule = Schedule(1.0, 0.0, 30)
    _, env = explored(AutoresetMode.SAME_STEP, Explore("counts", schedule, normalise=False))
    bonuses = [infos[BONUS] for *_, infos in play(env, AutoresetMode.SAME_STEP, 20)]
    assert bonuses[0].min() > 0.5
    assert bonuses[9].max() > 0
    assert np.abs(bonuses[10:]).max() == 0.0
    metrics = env.metrics()
    assert metrics["explore/weight"] == 0.0
    assert metrics["explore/states"] == len(env.explorer.method.visits)


def test_noise_has_the_size_of_the_bonus_and_knows_no_state() -> None:
    def chain(**settings: Any) -> ExploreVector:
        env = MomentVector(
            SyncVectorEnv([Chain] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
            MomentMaker(lambda: Chain.told, Chain.action_space),
        )
        explore = Explore(normalise=False, **settings)
        return explore.wrap(env, Context(Models(reading_model(), 0), env.make, 0.9))

    random = np.random.default_rng(0)
    actions = random.integers(2, size=(1500, 2))
    result = []
    for placebo in (None, "noise"):
        env = chain(placebo=placebo)
        env.reset(seed=0)
        result.append(np.array([env.step(action)[4][BONUS] for action in actions]).ravel())
    own, noise = result
    assert set(noise) <= set(own)
    assert noise.mean() == pytest.approx(own.mean(), rel=0.1)
    assert noise.std() == pytest.approx(own.std(), rel=0.15)
    assert abs(np.corrcoef(own[500:], noise[500:])[0, 1]) < 0.1


EXPERIMENT = {
    "env": "FrozenLake-v1",
    "observe": None,
    "steps": 600,
    "num_envs": 4,
    "algorithm": {"name": "ppo", "settings": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}},
}


@pytest.mark.parametrize("method", ["e3b", "noveld", "rnd", "neighbours", "counts"])
def test_a_training_is_paid_and_its_record_is_not(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(*_: object, **__: object):
        raise AssertionError("playing needs no model for the bonus")

    experiment = Experiment.from_dict({**EXPERIMENT, "explore": {"method": method, "weight": 9}})
    model = ScriptedModel(lambda text: [len(text), text.count("1"), text.count("2")])
    run = train(experiment, out=tmp_path / "run", model=model)
    episodes = run.episodes()
    assert {row["return"] for row in episodes} <= {0.0, 1.0}
    assert np.mean([row[BONUS] for row in episodes]) > 1
    last = run.last_metrics()
    assert last[BONUS] == pytest.approx(np.mean([e[BONUS] for e in episodes[-100:]]), rel=1e-5)
    assert last["explore/weight"] == 9
    assert 4 < last["explore/states"] <= 16
    assert last["explore/scale"] > 0
    saved = run.weights()
    assert saved["explore.scale.count"] > 500
    assert ("explore.features.mean" in saved) == (method != "counts")
    monkeypatch.setattr("dragoman.models.spec.load_model", no_model)
    assert set(evaluate(run, 3).returns) <= {0.0, 1.0}
    # Nothing was learnt from these episodes.
    np.testing.assert_array_equal(run.weights()["explore.scale.mean"], saved["explore.scale.mean"])


def test_texts_of_a_describer_of_ones_own_have_exact_counts_too() -> None:
    # Such describers make no keys; the space does.
    _, env = explored(AutoresetMode.SAME_STEP, Explore("counts", states="exact"))
    assert isinstance(env.env.make.describer, CountDescriber)
    env.reset(seed=0)
    env.step(np.zeros(len(FIRST), int))
    # Observations hold the number of steps and no episode: all copies are in one state.
    assert len(env.explorer.method.visits) == 2


def chain_explorer(method: str, seed: int = 0) -> Any:
    env = MomentVector(
        SyncVectorEnv([Chain] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
        MomentMaker(lambda: Chain.told, Chain.action_space),
    )
    return Explore(method).wrap(env, Context(Models(reading_model(), seed), env.make, 0.9))


def played(env: Any, steps: int) -> np.ndarray:
    random = np.random.default_rng(1)
    env.reset(seed=0)
    actions = random.integers(2, size=(steps, 2))
    return np.array([env.step(action)[4][BONUS] for action in actions])


@pytest.mark.parametrize("method", ["e3b", "noveld", "rnd", "neighbours", "counts"])
def test_what_was_learnt_comes_back_and_stays_where_nothing_is_to_be_learnt(method: str) -> None:
    env = chain_explorer(method)
    # Standardised, scaled and known by what is met before.
    env.prepare(lambda count: [f"room {i % Chain.length}" for i in range(count)], None)
    played(env, 200)
    saved = {key: value.copy() for key, value in env.state().items()}
    restored, fresh = chain_explorer(method), chain_explorer(method)
    restored.restore(saved, None)
    assert restored.metrics() == env.metrics()
    env.explorer.learning = restored.explorer.learning = False
    bonuses = played(env, 40)
    np.testing.assert_array_equal(played(restored, 40), bonuses)
    assert bonuses.max() > 0
    assert np.abs(played(fresh, 40) - bonuses).max() > 1e-3
    for key, value in restored.state().items():
        if key != "steps":
            np.testing.assert_array_equal(value, saved[key])


def test_a_run_that_lacks_what_was_learnt_is_refused() -> None:
    env = chain_explorer("rnd")
    saved = {key: value for key, value in env.state().items() if "predictor" not in key}
    with pytest.raises(RunError, match=r"predictor.0.weight' was not saved"):
        env.restore(saved, None)

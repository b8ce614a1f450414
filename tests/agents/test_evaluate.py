from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from dragoman.agents.agent import ModelChangedWarning
from dragoman.agents.evaluate import Evaluation, PlayedEpisode, evaluate
from dragoman.engines.train import train
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.catalog import load_model
from dragoman.models.spec import ModelSpec


def evaluation(*returns: float, stopped: int = 0) -> Evaluation:
    return Evaluation(
        tuple(
            PlayedEpisode(seed, value, 5, seed >= stopped, seed < stopped)
            for seed, value in enumerate(returns)
        )
    )


def test_an_evaluation_prints_its_mean_and_its_interval() -> None:
    played = evaluation(1.0, 2.0, 3.0, 4.0, stopped=1)
    interval = played.interval
    assert interval.estimate == played.mean == 2.5
    assert 1.0 < interval.low < 2.5 < interval.high < 4.0
    assert repr(played) == f"Evaluation({interval} over 4 episodes, 1 of them stopped)"
    assert repr(played) == repr(evaluation(1.0, 2.0, 3.0, 4.0, stopped=1))


def test_one_episode_has_no_interval() -> None:
    assert repr(evaluation(3.0)) == "Evaluation(3 over 1 episode)"


def test_a_model_that_has_changed_since_is_said_to_have(
    tiny_gpt2_path: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_gpt2_path, tmp_path / "gpt2")
    experiment = Experiment(
        env="CartPole-v1",
        steps=16,
        num_envs=2,
        algorithm=Algorithm("ppo", {"n_steps": 8, "batch_size": 16, "n_epochs": 1}, (8,)),
        model=ModelSpec(str(model), dtype="float32", threads=1),
    )
    run = train(experiment, out=tmp_path / "run")
    evaluate(run, 1)
    # The same weights on a machine that computes in another precision.
    evaluate(run, 1, model=load_model(str(model), dtype="bfloat16"))
    changed = load_file(model / "model.safetensors")
    next(iter(changed.values())).flat[0] += 1.0
    save_file(changed, model / "model.safetensors", {"format": "pt"})
    with pytest.warns(ModelChangedWarning, match="are not those that .*run was trained with"):
        evaluate(run, 1)

from __future__ import annotations

from dragoman.agents.evaluate import Evaluation, PlayedEpisode


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

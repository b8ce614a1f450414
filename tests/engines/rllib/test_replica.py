from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs the extra 'rllib'")

from dragoman.engines.rllib.replica import Batcher, Question, check
from dragoman.errors import ConfigError, ModelError
from dragoman.experiment import Experiment
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tune import Tune
from dragoman.testing import ScriptedModel


class Slow(ScriptedModel):
    """Is busy until it is let go."""

    def __init__(self) -> None:
        super().__init__(lambda text: [float(len(text))])
        self.lock = threading.Event()

    def encode(self, texts: Any, **settings: Any) -> Any:
        self.lock.wait(10)
        if "bad" in texts:
            raise ModelError("a bad text", cure="write another one")
        return super().encode(texts, **settings)


def encode(*texts: str, **settings: Any) -> Question:
    return Question("encode", (texts,), settings)


def answered(model: Slow, *later: Question) -> tuple[list[Any], Batcher]:
    """Ask one question, and others while the model is busy with it."""

    async def play() -> tuple[list[Any], Batcher]:
        batcher = Batcher(model)
        first = asyncio.create_task(batcher.ask(encode("a")))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.ask(question)) for question in later]
        await asyncio.sleep(0.05)
        model.lock.set()
        return await asyncio.gather(first, *others, return_exceptions=True), batcher

    return asyncio.run(play())


def test_what_arrives_meanwhile_goes_together() -> None:
    model = Slow()
    found, batcher = answered(
        model,
        encode("bb"),
        encode("ccc", "dddd"),
        encode("eeeee", pooling=("mean",)),
        encode("ffffff"),
    )
    assert batcher.sizes == [1, 3, 1]
    values = [np.asarray(rows).ravel().tolist() for rows, _ in found]
    assert values == [[1.0], [2.0], [3.0, 4.0], [5.0], [6.0]]
    assert sum(cost.texts for _, cost in found) == model.cost.texts


def test_nobody_waits_for_the_answers_of_those_who_asked_later() -> None:
    class Second(ScriptedModel):
        """Is busy with every question but the first until it is let go."""

        def __init__(self) -> None:
            super().__init__(lambda text: [float(len(text))])
            self.lock = threading.Event()

        def encode(self, texts: Any, **settings: Any) -> Any:
            if "first" in texts:
                time.sleep(0.1)
            else:
                self.lock.wait(10)
            return super().encode(texts, **settings)

    model = Second()

    async def play() -> bool:
        batcher = Batcher(model)
        first = asyncio.create_task(batcher.ask(encode("first")))
        await asyncio.sleep(0.02)
        later = asyncio.create_task(batcher.ask(encode("later")))
        try:
            await asyncio.wait_for(first, 5)
            return later.done()
        finally:
            model.lock.set()
            await asyncio.wait([later], timeout=5)

    assert not asyncio.run(play())


def test_an_error_reaches_all_who_have_asked_and_no_one_else() -> None:
    found, _ = answered(Slow(), encode("bad"), encode("bb"), encode("ccc", pooling=("mean",)))
    assert [isinstance(answer, ModelError) for answer in found] == [False, True, True, False]


def test_replicas_that_no_role_can_ask_are_refused() -> None:
    experiment = Experiment(env="CartPole-v1")
    check(experiment, replicas=1, runners=1)
    check(experiment, replicas=0, runners=0)
    tuned = replace(experiment, act=Act("score", tune=Tune()))
    with pytest.raises(ConfigError, match=r"act\.tune trains the model"):
        check(tuned, replicas=1, runners=1)
    with pytest.raises(ConfigError, match="there are 0 runners"):
        check(experiment, replicas=1, runners=0)
    with pytest.raises(ConfigError, match="no role with a model"):
        check(replace(experiment, observe=None), replicas=1, runners=1)

"""One language model for many runners: what arrives while it is busy is answered together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from dragoman.engines.assembly import load_of
from dragoman.errors import ConfigError
from dragoman.experiment import Experiment
from dragoman.generation import Constraint, Generation, Sampling
from dragoman.models.cache import CachedModel
from dragoman.types import Cost, FloatArray, LanguageModel, Pooling

MOST_CALLS = 1000
"""Calls that may wait for a replica: each runner has one at a time."""


@dataclass(frozen=True)
class About:
    """What a runner must know of a model that is elsewhere."""

    name: str
    fingerprint: str
    hidden_size: int
    num_layers: int


@dataclass(frozen=True)
class Question:
    """One call of a method of a language model.

    Attributes:
        method: Its name.
        columns: Positional arguments: sequences with one entry a row each.
        settings: Keyword arguments.
    """

    method: str
    columns: tuple[Sequence[Any], ...]
    settings: dict[str, Any]

    @property
    def kind(self) -> Hashable:
        """Questions of one kind are answered by one call."""
        return self.method, repr(sorted(self.settings.items()))


class Batcher:
    """Answers questions: those that arrive while a model is busy go to it together.

    There is no clock: a question that comes alone never waits for company.

    Args:
        model: The model.

    Attributes:
        sizes: Questions in each call of the model.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.sizes: list[int] = []
        self._waiting: list[tuple[Question, asyncio.Future[Any]]] = []
        self._work: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> tuple[Any, Cost]:
        """Return the answers to a question, row by row, and its share of what they cost."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._work is None or self._work.done():
            # Apart from whoever asks first: they go as soon as they have their answer.
            self._work = asyncio.create_task(self._answer_all())
        result: tuple[Any, Cost] = await answer
        return result

    async def _answer_all(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting, []
            for kind in dict.fromkeys(question.kind for question, _ in calls):
                await self._answer([call for call in calls if call[0].kind == kind])

    async def _answer(self, calls: list[tuple[Question, asyncio.Future[Any]]]) -> None:
        self.sizes.append(len(calls))
        questions = [question for question, _ in calls]
        first, before = questions[0], replace(self.model.cost)
        columns = [
            [row for question in questions for row in question.columns[i]]
            for i in range(len(first.columns))
        ]
        method = getattr(self.model, first.method)
        try:
            # Elsewhere, so that more questions can arrive.
            rows = await asyncio.to_thread(method, *columns, **first.settings)
        except Exception as error:
            for _, answer in calls:
                answer.set_exception(error)
            return
        spent, start = self.model.cost - before, 0
        for question, answer in calls:
            count = len(question.columns[0])
            share = _scaled(spent, count / max(len(columns[0]), 1))
            answer.set_result((rows[start : start + count], share))
            start += count


class Replica:
    """The process of a model. Made a Ray actor by `start`.

    Args:
        experiment: Names the model, as plain data.
        seed: Draws random weights, unless the experiment does.
    """

    def __init__(self, experiment: str, seed: int) -> None:
        model = load_of(Experiment.from_dict(json.loads(experiment)), seed)
        self._batcher = Batcher(model)
        self._about = About(model.name, model.fingerprint, model.hidden_size, model.num_layers)

    async def about(self) -> About:
        """Return what runners must know of it."""
        return self._about

    async def ask(self, question: Question) -> tuple[Any, Cost]:
        """Return the answers to a question, and their cost."""
        return await self._batcher.ask(question)

    async def sizes(self) -> list[int]:
        """Return how many questions each call of the model has answered."""
        return self._batcher.sizes


class ReplicaModel:
    """A language model of another process, asked like any other.

    Args:
        replica: The actor.
        about: What it says of itself.
    """

    def __init__(self, replica: Any, about: About) -> None:
        self._replica = replica
        self.name = about.name
        self.fingerprint = about.fingerprint
        self.hidden_size = about.hidden_size
        self.num_layers = about.num_layers
        self.cost = Cost()

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one feature vector a text."""
        result: FloatArray = self._ask("encode", texts, layer=layer, pooling=tuple(pooling))
        return result

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return the log-prob of every token of every candidate, after its prompt."""
        return list(self._ask("token_log_probs", prompts, candidates))

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt."""
        return list(self._ask("generate", prompts, sampling=sampling, constraint=constraint))

    def _ask(self, method: str, *columns: Sequence[Any], **settings: Any) -> Any:
        # A replica that was lost comes back, and Ray asks it once more.
        asked = self._replica.ask.remote(Question(method, columns, settings))
        answers, cost = ray.get(asked)
        self.cost += cost
        return answers


def start(experiment: Experiment, seed: int, training: str, count: int) -> list[Any]:
    """Start replicas of an experiment's model, and return them before they have loaded it.

    Args:
        experiment: Names the model.
        seed: Of the training.
        training: Its name, among all that run on the cluster.
        count: How many.
    """
    make = ray.remote(Replica).options
    return [
        make(
            name=_name(training, i),
            max_concurrency=MOST_CALLS,
            max_restarts=-1,
            max_task_retries=-1,
            num_gpus=int(experiment.model.device.startswith("cuda")),
        ).remote(json.dumps(experiment.to_dict()), seed)
        for i in range(count)
    ]


def wait(replicas: Sequence[Any]) -> None:
    """Wait until replicas have loaded their models, or raise what keeps one from it."""
    ray.get([replica.about.remote() for replica in replicas])


def connected(training: str, count: int, worker: int) -> CachedModel:
    """Return the replica of a runner with a memory in front of it."""
    replica = ray.get_actor(_name(training, worker % count))
    return CachedModel(ReplicaModel(replica, ray.get(replica.about.remote())))


def check(experiment: Experiment, replicas: int, runners: int) -> None:
    """Refuse replicas that no role could ask.

    Raises:
        ConfigError: The model is trained, there are no runners, or no role asks it.
    """
    if not replicas:
        return
    if experiment.act is not None and experiment.act.tune is not None:
        raise ConfigError(
            "model_replicas is set, but act.tune trains the model, whose weights then change in "
            "every runner",
            cure="leave model_replicas out, or act.tune",
        )
    if not runners or not experiment.uses_model:
        raise ConfigError(
            f"model_replicas is {replicas}, but nobody would ask them: there are {runners} runners "
            f"and {'a' if experiment.uses_model else 'no'} role with a model",
            cure="leave model_replicas out, or raise env_runners",
        )


def _name(training: str, number: int) -> str:
    return f"dragoman-model-{training}-{number}"


def _scaled(cost: Cost, share: float) -> Cost:
    counts = ("texts", "texts_remembered", "texts_from_disk", "tokens", "tokens_shared")
    return replace(
        cost,
        **{name: round(getattr(cost, name) * share) for name in counts},
        seconds=cost.seconds * share,
        flops=cost.flops * share,
    )

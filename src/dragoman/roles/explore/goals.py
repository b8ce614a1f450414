"""Suggested goals: what a language model would try to reach, paid when a step has reached it.

Du and others, "Guiding Pretraining in Reinforcement Learning with Large Language Models" (2023):

    b(s, a, s') = max over goals g of cos(e(caption of (s, a, s')), e(g))    where that is above T

for goals that were not reached before in the episode, and steps that have changed something. The
model is asked once a context, which is the task with the actions that there are; what it proposes
is kept with the run.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman.describe.moment import Moment
from dragoman.errors import ModelError
from dragoman.generation import Sampling
from dragoman.models.free_text import without_thinking
from dragoman.roles.explore.goal_settings import Goals
from dragoman.roles.explore.states import States
from dragoman.roles.reward.similarity import cosines, threshold_for
from dragoman.types import GeneratingModel, LanguageModel

CALIBRATED_ON = 256
"""Changes at the beginning of the training that a threshold is measured on."""

CLAUSES = re.compile(r"[.;,\n]\s+|[.;,\n]$")
LEADING = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):])\s*")

ASKED = """{task}Possible actions: {actions}.{start}
{count} different things to achieve on the way, each in a few words, one a line:
1."""


@dataclass
class Suggested:
    """What was proposed in one context.

    Attributes:
        goals: In words.
        threshold: Least cosine that counts; nothing while it is not known.
        reached: How often each was reached.
    """

    goals: list[str]
    threshold: float | None = None
    reached: Counter[int] = field(default_factory=Counter)


class GoalBonus:
    """The bonus of suggested goals.

    Args:
        num_envs: ``N``.
        settings: What is proposed, and when it counts as reached.
        embedder: The model whose embeddings are compared; nothing where goals are patterns.
        proposer: The model that proposes; nothing where goals are given.
        layer: As in `dragoman.types.LanguageModel.encode`.

    Attributes:
        contexts: What was proposed, by context.
        captions: The changes that thresholds are measured on.
        learning: Whether thresholds are measured and reached goals counted.
    """

    learning = True
    # Goals and their counts are restored by `load_state`; the rest belongs to an episode.
    resumes = ()

    def __init__(
        self,
        num_envs: int,
        settings: Goals,
        embedder: LanguageModel | None,
        proposer: LanguageModel | None,
        layer: int | None = None,
    ) -> None:
        self.settings = settings
        self.contexts: dict[str, Suggested] = {}
        self.captions: list[str] = []
        self._embedder, self._proposer, self._layer = embedder, proposer, layer
        self._left: list[Moment | None] = [None] * num_envs
        self._now: list[str] = [""] * num_envs
        self._done: list[set[int]] = [set() for _ in range(num_envs)]

    def begin(self, envs: NDArray[np.int64], states: States) -> None:
        """Ask for goals where the context is new; none is reached yet."""
        for i, moment in zip(envs.tolist(), states.moments, strict=True):
            self._left[i], self._done[i] = moment, set()
            self._now[i] = context_of(self.settings, moment)
            if self._now[i] not in self.contexts:
                self.contexts[self._now[i]] = Suggested(self._proposed(self._now[i]))

    def bonus(self, envs: NDArray[np.int64], states: States) -> NDArray[np.float64]:
        """Return the cosine with the nearest goal that each step was the first to reach, or 0."""
        result, pairs = np.zeros(len(envs)), enumerate(envs.tolist())
        said = {row: text for row, text in self._captions(pairs, states) if text is not None}
        if self.learning:
            self._calibrate(list(said.values()))
        for row, caption in said.items():
            result[row] = self._paid(int(envs[row]), caption)
        return result

    def metrics(self) -> dict[str, float]:
        """Return how many goals were proposed, how many ever reached, and how often in all."""
        reached = [own.reached for own in self.contexts.values()]
        return {
            "explore/goals_proposed": sum(len(own.goals) for own in self.contexts.values()),
            "explore/goals_feasible": sum(len(counts) for counts in reached),
            "explore/goals_reached": sum(counts.total() for counts in reached),
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the goals, the thresholds and how often each goal was reached."""
        kept = {
            context: [own.goals, own.threshold, sorted(own.reached.items())]
            for context, own in self.contexts.items()
        }
        text = json.dumps({"contexts": kept, "captions": self.captions})
        return {"json": np.frombuffer(text.encode(), np.uint8).copy()}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned: nothing is asked again."""
        kept = json.loads(state["json"].astype(np.uint8).tobytes())
        self.captions = list(kept["captions"])
        self.contexts = {
            context: Suggested(goals, threshold, Counter(dict(reached)))
            for context, (goals, threshold, reached) in kept["contexts"].items()
        }

    def _captions(
        self, pairs: Iterator[tuple[int, int]], states: States
    ) -> Iterator[tuple[int, str | None]]:
        for row, i in pairs:
            before, after = self._left[i], states.moments[row]
            assert before is not None
            yield row, caption_of(before, states.actions[row], after)
            self._left[i] = after

    def _paid(self, env: int, caption: str) -> float:
        own, done = self.contexts[self._now[env]], self._done[env]
        if own.threshold is None or not own.goals:
            return 0.0
        near = self._near(caption, own.goals)
        new = [j for j in np.flatnonzero(near > own.threshold).tolist() if j not in done]
        done.update(new)
        if self.learning:
            own.reached.update(new)
        return max((float(near[j]) for j in new), default=0.0)

    def _near(self, caption: str, goals: Sequence[str]) -> NDArray[np.float64]:
        """Return how near a step is to each goal, ``(K,)``."""
        if self._embedder is None:
            return np.array([float(re.search(goal, caption) is not None) for goal in goals])
        (near,) = cosines(self._embedder, [caption], goals, self._layer)
        return np.asarray(near)

    def _calibrate(self, captions: Sequence[str]) -> None:
        """Collect changes until there are enough, and measure thresholds on them."""
        fixed = 0.5 if self._embedder is None else self.settings.threshold
        needed = CALIBRATED_ON
        if fixed is None and len(self.captions) < needed:
            self.captions += captions[: needed - len(self.captions)]
        for own in self.contexts.values():
            if own.threshold is None and own.goals:
                if fixed is not None:
                    own.threshold = fixed
                elif len(self.captions) >= needed and self._embedder is not None:
                    own.threshold = threshold_for(
                        self._embedder,
                        list(dict.fromkeys(self.captions)),
                        own.goals,
                        share=self.settings.share,
                        layer=self._layer,
                    )

    def _proposed(self, context: str) -> list[str]:
        if self.settings.given:
            return list(self.settings.given)
        if not isinstance(self._proposer, GeneratingModel):
            raise ModelError(
                f"the model {getattr(self._proposer, 'name', None)!r} cannot write, so it proposes "
                "no goals",
                cure="name one that can in explore.goals.proposer, or write explore.goals.given",
            )
        sampling = Sampling(max_tokens=self.settings.max_tokens)
        (written,) = self._proposer.generate([context], sampling=sampling)
        return goals_of(written.text, self.settings.count)


def context_of(settings: Goals, moment: Moment) -> str:
    """Return what the model is asked where an episode begins."""
    maker = moment.maker
    task = settings.task or maker.goal
    return ASKED.format(
        task="" if task is None else f"Task: {task}\n",
        actions="; ".join(dict.fromkeys(moment.choices)) if maker.count else "continuous",
        start=f"\nNow: {moment.state}" if settings.context == "start" else "",
        count=settings.count,
    )


def goals_of(text: str, most: int) -> list[str]:
    r"""Return the goals that an answer lists, one a line.

    >>> goals_of(" pick up the key\n2. open the door.\n- open the door\n\nGood luck!", 2)
    ['pick up the key', 'open the door']
    """
    lines = (
        LEADING.sub("", line).strip().rstrip(".") for line in without_thinking(text).split("\n")
    )
    return list(dict.fromkeys(line for line in lines if line))[:most]


def caption_of(before: Moment, action: Any, after: Moment) -> str | None:
    """Return a step in words: what was done and what is new; nothing where nothing changed."""
    known = set(CLAUSES.split(before.state))
    new = [clause for clause in CLAUSES.split(after.state) if clause and clause not in known]
    return f"{before.action_text(action)}: {', '.join(new)}" if new else None

"""Supervised fine-tuning of a model on what a teacher did: action tokens alone carry loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dragoman.engines.optimizer import Masters
from dragoman.errors import ConfigError
from dragoman.models.tuned import Text, TunedModel
from dragoman.roles.act.policy import ActionPolicy
from dragoman.roles.act.readers import TunedReader
from dragoman.settings import check_fields, check_least


@dataclass(frozen=True)
class Teaching:
    """How a model is taught.

    Attributes:
        steps: States of the play that is learnt from, those held out among them.
        epochs: Most passes over the states.
        patience: Passes without a lower loss on held-out states, after which it stops.
        batch_size: States a step of the optimiser.
        learning_rate: Of AdamW.
    """

    steps: int = 2000
    epochs: int = 10
    patience: int = 2
    batch_size: int = 32
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        check_fields(self)
        check_least(self, steps=1, epochs=1, patience=1, batch_size=1)
        if not self.learning_rate > 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}", cure="choose a number above 0"
            )


@dataclass(frozen=True)
class Lessons:
    """States, and what the teacher did in them, as the act role's policy sees both.

    Attributes:
        texts: Prompts to learn from, each with the tokens of its action.
        held_out: Others to judge by.
        seen: What the policy sees of each of these, without a batch axis.
        actions: Indices of their actions ``(S,)``.
        left_out: States in which the teacher did what is not valid.
        returns: Of the episodes that went to their end.
    """

    texts: tuple[Text, ...]
    held_out: tuple[Text, ...]
    seen: tuple[dict[str, Any], ...]
    actions: tuple[int, ...]
    left_out: int
    returns: tuple[float, ...]


def loss_of(model: TunedModel, texts: Sequence[Text]) -> Tensor:
    """Return the mean cross-entropy of the tokens of the actions, and of no others."""
    _, log_probs = model(texts)
    count = sum(len(action) for text in texts for action in text.candidates)
    return -torch.cat(log_probs).sum() / count


class Fit:
    """A model on its way, which can be left after any pass and taken up again.

    Args:
        policy: The act role's, whose model is taught.
        lessons: What it learns.
        settings: How.
        seed: Orders the states.

    Attributes:
        rows: Loss and accuracy on held-out states, before the first pass and after each.
    """

    resumes = ("epoch", "rows", "best", "trained", "optimizer")

    def __init__(
        self, policy: ActionPolicy, lessons: Lessons, settings: Teaching, seed: int
    ) -> None:
        assert isinstance(policy.reader, TunedReader)
        self.model = policy.reader.model
        self.trained = self.model.trained
        self.epoch = 0
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Any] = {}
        self._policy, self._lessons, self._settings, self._seed = policy, lessons, settings, seed
        weights = list(self.model.parameters())
        self.optimizer = Masters(
            [{"params": weights}], torch.optim.AdamW, lr=settings.learning_rate, weight_decay=0.0
        )

    @property
    def kept(self) -> dict[str, float]:
        """The row of the pass whose weights are kept: that with the lowest loss."""
        return min(self.rows, key=lambda row: row["loss"])

    @property
    def is_over(self) -> bool:
        """Whether all passes are done, or the last ones have not lowered the loss."""
        since = self.epoch - self.kept["epoch"]
        return self.epoch >= self._settings.epochs or since >= self._settings.patience

    def judge(self) -> None:
        """Add a row, and keep the weights if none were better."""
        accuracy, losses = [], []
        sizes = [len(text.candidates[0]) for text in self._lessons.held_out]
        for rows in _batches(np.arange(len(sizes)), self._settings.batch_size):
            accuracy += self._right(rows)
            with torch.no_grad():
                loss = loss_of(self.model, [self._lessons.held_out[i] for i in rows])
            losses.append(float(loss) * sum(sizes[i] for i in rows))
        row = {
            "epoch": self.epoch,
            "loss": sum(losses) / sum(sizes),
            "accuracy": float(np.mean(accuracy)),
        }
        self.rows.append(row)
        if row is self.kept:
            self.best = {
                name: weight.detach().float().cpu().numpy().copy()
                for name, weight in self.trained.items()
            }

    def learn(self) -> None:
        """Pass over the states once, in an order of its own."""
        texts = self._lessons.texts
        order = np.random.default_rng([self._seed, self.epoch]).permutation(len(texts))
        for rows in _batches(order, self._settings.batch_size):
            self.optimizer.zero_grad()
            loss_of(self.model, [texts[i] for i in rows]).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self.epoch += 1

    def take_best(self) -> None:
        """Give the model the weights that were kept."""
        with torch.no_grad():
            for name, weight in self.trained.items():
                weight.copy_(torch.as_tensor(self.best[name]))

    def _right(self, rows: Any) -> list[bool]:
        """Return in which held-out states the policy finds likeliest what the teacher did."""
        seen = [self._lessons.seen[i] for i in rows]
        batch = {
            key: torch.as_tensor(np.stack([one[key] for one in seen])).to(self.model.device)
            for key in seen[0]
        }
        with torch.no_grad():
            distribution: Any = self._policy.distribution(self._policy(batch)[0])
        found = distribution.probs.argmax(dim=-1).tolist()
        return [action == self._lessons.actions[i] for action, i in zip(found, rows, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Return what came of it."""
        lessons = self._lessons
        known = {text.prompt for text in lessons.texts}
        return {
            "accuracy": self.kept["accuracy"],
            "epochs": self.rows,
            "kept": self.kept["epoch"],
            "states": len(lessons.texts),
            "held_out": len(lessons.held_out),
            "held_out_new": sum(text.prompt not in known for text in lessons.held_out),
            "left_out": lessons.left_out,
            "settings": asdict(self._settings),
        }


def _batches(order: Any, size: int) -> list[Any]:
    return [order[start : start + size] for start in range(0, len(order), size)]

"""Takes checkpoints of a training, and begins one where another was cut.

Checkpoints lie at boundaries: the first places between an update and the next step by which
``checkpoint.every`` steps have been taken since the last, and `EPISODES` episodes a copy have
ended. There the straight training does what a resumed one cannot do otherwise: environments are
reset with seeds derived from the run's seed and the step, and models forget their memories, since
what else is asked at once moves the last digits of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from dragoman.engines.stack import RoleStack
from dragoman.engines.state import Random, given, taken
from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.experiment.checkpoint import Checkpoint as Settings
from dragoman.maths.seeds import derive_seed
from dragoman.models.cache import CachedModel
from dragoman.roles.role import Models
from dragoman.run import RunWriter
from dragoman.run.checkpoint import Checkpoint
from dragoman.types import Cost

EPISODES = 4
"""Each checkpoint cuts the episodes at work, so it waits for some whole ones a copy."""


class Resumable(Training, Protocol):
    """A training that can be cut and resumed; its engine tells `Watchers` of boundaries.

    Attributes:
        resumes: As in `dragoman.roles.role.RoleVector`.
    """

    @property
    def resumes(self) -> tuple[str, ...]:
        """Names of its attributes that a resumed training has again."""
        ...

    def restart(self, seed: int) -> None:
        """Begin a new episode in every environment, and forget what is remembered of texts."""
        ...


class Checkpoints(Watcher):
    """Takes checkpoints, and gives back the one that a training begins from.

    Call it after all others that see the training, of which it keeps the state.

    Args:
        settings: How often.
        writer: The run folder.
        stack: The roles at work.
        models: The language models that they ask.
        watchers: The others that see the training.
        found: What to begin from, if that is not the start.
    """

    def __init__(
        self,
        settings: Settings,
        writer: RunWriter,
        stack: RoleStack,
        models: Models,
        watchers: Sequence[Watcher],
        found: Checkpoint | None = None,
    ) -> None:
        self.settings = settings
        self.writer = writer
        self.stack = stack
        self.models = models
        self.found = found
        # Each is known by its class, since others may watch a resumed training.
        self._watchers = {type(one).__qualname__: one for one in watchers if one.resumes}
        self._at = 0
        self._ended = 0

    def begin(self, training: Training) -> Stop:
        """Begin where the checkpoint was taken."""
        if self.found is not None:
            state = self.found.state
            spend_on(self.models, state.get("spends", ()))
            _cost_on(self.models.asked, [Cost(**cost) for cost in state["costs"]])
            for name, part in self._parts(training).items():
                if name in state:
                    given(part, state[name])
            self._restart(training)
        return None

    def episode(self, training: Training, episode: Mapping[str, Any]) -> Stop:
        """Count it."""
        self._ended += 1
        return None

    def boundary(self, training: Training) -> None:
        """Take a checkpoint, where one is due."""
        is_due = training.steps - self._at >= self.settings.every
        if not is_due or self._ended < EPISODES * self.stack.env.num_envs:
            return
        state: dict[str, Any] = {name: taken(part) for name, part in self._parts(training).items()}
        state["costs"] = [asdict(model.cost) for model in self.models.asked]
        state["spends"] = spent(self.models)
        state["learnt"] = self.stack.state()
        self.writer.checkpoint(training.steps, state, self.settings.keep)
        self._restart(training)

    def _parts(self, training: Training) -> dict[str, Any]:
        """Return what has a state; random numbers last, as some of the others may draw some."""
        watchers = {f"watcher {name}": one for name, one in self._watchers.items()}
        return {"training": training, **self.stack.parts(), **watchers, "random": Random()}

    def _restart(self, training: Any) -> None:
        self._at, self._ended = training.steps, 0
        forget(self.stack, self.models)
        seed = derive_seed("restart", self.models.seed, training.steps)
        # Each copy has the number after that of the copy before it.
        training.restart(seed // 2)


def forget(stack: RoleStack, models: Models) -> None:
    """Let roles and models of a process forget what they remember only to save time."""
    for model in models.asked:
        # To ask a server again costs.
        if isinstance(model, CachedModel) and not hasattr(model.model, "spend"):
            model.forget()
    for role in stack.roles.values():
        role.forget()
    observer: Any = stack.observer
    if hasattr(observer, "forget"):
        observer.forget()


def spent(models: Models) -> list[Any]:
    """Return what was spent by each of the models whose asking costs money."""
    return [taken(server.spend) for server in _servers(models)]


def spend_on(models: Models, before: Sequence[Any]) -> None:
    """Let the models that `spent` speaks of go on spending."""
    for server, spend in zip(_servers(models), before, strict=False):
        server.spend += given(server.spend, spend)


def _servers(models: Models) -> list[Any]:
    inner = [getattr(model, "model", None) for model in models.asked]
    return [model for model in inner if hasattr(model, "spend")]


def _cost_on(asked: Sequence[Any], before: Sequence[Cost]) -> None:
    """Let models go on counting; those of other processes together are one more, or one less."""
    last = len(asked) - 1
    costs = [*before[:last], sum(before[last:], Cost())]
    for model, cost in zip(asked, costs, strict=False):
        # What this process has spent on the way here was spent before, too.
        more = cost - model.cost
        if hasattr(model, "earlier"):
            model.earlier += more
        else:  # as counts of words, which need no memory
            vars(model.cost).update(vars(model.cost + more))

"""The roles of an experiment around its vector environment, one above the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from dragoman.describe.vector import MomentVector
from dragoman.engines.assembly import observer_of
from dragoman.engines.weights import below
from dragoman.experiment import Experiment
from dragoman.roles.act.vector import WriteVector
from dragoman.roles.observe.observer import AnyObserver
from dragoman.roles.observe.vector import ObserveVector
from dragoman.roles.role import Context, Notes, RoleVector, roles_of


class RoleStack:
    """What roles put on a vector environment; each is asked in turn, and none is known by name.

    Args:
        env: The vector environment below all roles, which keeps its own returns.

    Attributes:
        env: The vector environment with the roles around it.
        roles: What stands on it, by name of the role.
        observer: What the policy sees with, or nothing where it sees what is there.
        context: What the roles know of the training, once they are on.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        self.env = env
        self.roles: dict[str, RoleVector] = {}
        self.observer: AnyObserver | None = None
        self.context: Context | None = None

    def add(self, experiment: Experiment, context: Context) -> None:
        """Put on all roles of an experiment: moments first, and last what the policy sees."""
        self.context = context
        self.observer = observer_of(experiment, self.env, context.models)
        roles = roles_of(experiment)
        if self.observer is not None or roles or experiment.credit.plays_whole_episodes:
            self.env = MomentVector(self.env, context.moments)
        for name, role in roles.items():
            if hasattr(role, "wrap"):
                self.put(name, role.wrap(self.env, context))
        if self.observer is not None:
            self.env = ObserveVector(self.env, self.observer)
        act = experiment.act
        if act is not None and act.writes_tokens:
            self.env = WriteVector(self.env, act, context.models.of())

    def put(self, name: str, env: VectorEnv[Any, Any, Any]) -> None:
        """Put on one role, by its name."""
        self.env = self.roles[name] = env if isinstance(env, RoleVector) else RoleVector(env)

    def prepare(self, sample: Callable[[int], list[str]], notes: Notes) -> None:
        """Let the roles find out before the training what they must know in it."""
        for role in self.roles.values():
            role.prepare(sample, notes)

    def metrics(self) -> dict[str, float]:
        """Return the roles' columns of the next row of the metrics."""
        result: dict[str, float] = {}
        for name, role in self.roles.items():
            result |= _named(name, role.metrics())
        return result

    def drain(self, count: int) -> list[dict[str, float]]:
        """Return the roles' columns of the ``count`` episodes that have finished since."""
        rows: list[dict[str, float]] = [{} for _ in range(count)]
        for name, role in self.roles.items():
            finished: Iterable[Mapping[str, float]] | None = role.drain()
            if finished is not None:
                for row, own in zip(rows, finished, strict=True):
                    row |= _named(name, own)
        return rows

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what roles save with the weights, by name of the role."""
        result = {} if self.observer is None else {"observer": self.observer.state()}
        result |= {name: dict(role.state()) for name, role in self.roles.items()}
        return {
            f"{name}.{key}": value for name, own in result.items() for key, value in own.items()
        }

    def parts(self) -> dict[str, Any]:
        """Return what a resumed training has again, by name: roles, and what the policy sees by."""
        result: dict[str, Any] = {f"role {name}": role for name, role in self.roles.items()}
        if hasattr(self.observer, "resumes"):
            result["observer"] = self.observer
        return result

    def restore(self, state: Mapping[str, NDArray[Any]], notes: Notes) -> None:
        """Take back what `state` returned, instead of calibrating and preparing."""
        self.see_on(state)
        for name, role in self.roles.items():
            role.restore(below(f"{name}.", state), notes)

    def see_on(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what the policy sees with, instead of calibrating."""
        if self.observer is not None:
            self.observer.load_state(below("observer.", state))
            self.observer.learning = False

    def close(self) -> None:
        """Close the environment, and what roles run in."""
        self.env.close()


def _named(role: str, columns: Mapping[str, float]) -> dict[str, float]:
    """Return columns by full name: those of a user's own role bear its name in front."""
    own = role.removeprefix("roles.")
    return (
        dict(columns) if own == role else {f"{own}/{key}": value for key, value in columns.items()}
    )

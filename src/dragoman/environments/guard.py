"""A guard around each copy of an environment: a fault ends the training, or is counted.

`dragoman.environments.checks` finds what is wrong. Here steps that never return are ended too, and
where that is wanted a copy that has failed is made anew and the training goes on.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import gymnasium as gym

from dragoman.environments.unlisted import Unlisted
from dragoman.errors import ConfigError, DragomanError, SpaceError
from dragoman.settings import check_fields

log = logging.getLogger(__name__)

TICKS = 10
"""So often within the time limit it is looked whether a step has returned."""
RESTARTED = "environment_restarted"
"""Key of the info of a step in which a copy was made anew."""


@dataclass(frozen=True)
class Guard:
    """What becomes of an environment that fails, or hangs.

    Attributes:
        on_fault: ``fail`` ends the training with an error that names copy, episode, step and
            action. ``restart`` makes the copy anew: its episode counts as cut off, with the
            rewards so far, and ``guard/restarts`` in the metrics counts it.
        most: Restarts of a training after which it fails all the same.
        seconds: Most that a step or a reset may take; ``None`` lets it take any time. Needs
            POSIX, and a training in the main thread.
    """

    on_fault: Literal["fail", "restart"] = "fail"
    most: int = 100
    seconds: float | None = 300.0

    def __post_init__(self) -> None:
        check_fields(self, "guard")
        for name, least in (("most", 0), ("seconds", 0.1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ConfigError(
                    f"guard.{name} is {value}, but must be at least {least}",
                    cure=f"raise guard.{name}",
                )


class Hung(BaseException):
    """A step takes too long. An environment that handles any Exception does not handle this."""


class Faults:
    """Counts what goes wrong in all copies, and ends steps that take too long.

    Args:
        settings: What is to become of it.
        seed_of: The seed of a copy that is made anew, by its number and that of the restart.

    Attributes:
        restarts: How many copies were made anew.
        calls: How often a copy was stepped or reset.
        is_busy: Whether one is at work.
    """

    resumes = ("restarts",)

    def __init__(
        self, settings: Guard = Guard(), seed_of: Callable[[int, int], int] = lambda i, n: n
    ) -> None:
        self.settings = settings
        self.seed_of = seed_of
        self.restarts = 0
        self.calls = 0
        self.is_busy = False
        self._seen = 0
        self._ticks = 0

    @contextmanager
    def limiting(self) -> Iterator[None]:
        """Limit the time of each step within.

        The clock of a process ticks, and each tick looks whether the step is the one of the tick
        before; so a step itself costs nothing. A timer that somebody has set stays theirs.
        """
        seconds = self.settings.seconds
        is_main = threading.current_thread() is threading.main_thread()
        free = hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
        if seconds is None or not (is_main and free):
            yield
            return
        signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, seconds / TICKS, seconds / TICKS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        is_same = self.is_busy and self.calls == self._seen
        self._seen, self._ticks = self.calls, self._ticks + 1 if is_same else 0
        if self._ticks > TICKS:
            self._ticks = 0
            raise Hung


class Guarded(Unlisted):
    """One copy of an environment, which is made anew where it fails and that is wanted.

    Args:
        make: Makes a copy, in which every value is checked.
        index: Its place among those that are stepped together.
        faults: What all of them share.
    """

    def __init__(self, make: Callable[[], gym.Env[Any, Any]], index: int, faults: Faults) -> None:
        super().__init__(make())
        self._spaces = (self.env.observation_space, self.env.action_space)
        self._make = make
        self._index = index
        self._faults = faults
        self._keeps = faults.settings.on_fault == "restart"
        self._last: Any = None
        self._seed: int | None = None
        self._episode = self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; a copy that was made anew has a seed of its own.

        Raises:
            SpaceError: It fails or hangs, and is not to be made anew.
        """
        self._episode, self._steps = self._episode + 1, 0
        while True:
            seed = self._seed if seed is None else seed
            self._seed = None
            try:
                observation, info = self._reset(seed, options)
            except BaseException as error:
                seed = None
                self._restart(error, "reset()")
                continue
            if self._keeps:
                self._last = copy.deepcopy(observation)
            return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the one in which a copy was made anew is cut off where the last one had led.

        Raises:
            SpaceError: It fails or hangs, and is not to be made anew.
        """
        faults = self._faults
        self._steps += 1
        faults.calls += 1
        faults.is_busy = True
        try:
            result = self.env.step(action)
        except BaseException as error:
            self._restart(error, f"step({action!r:.80})")
            return self._last, 0.0, False, True, {RESTARTED: True}
        finally:
            faults.is_busy = False
        if self._keeps:
            # Some environments write into the array that they have given.
            self._last = copy.deepcopy(result[0])
        return result

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> Any:
        self._faults.calls += 1
        self._faults.is_busy = True
        try:
            result = self.env.reset(seed=seed, options=options)
        finally:
            self._faults.is_busy = False
        for name, space in zip(("observation_space", "action_space"), self._spaces, strict=True):
            now = getattr(self.env, name)
            if now is not space and now != space:
                raise SpaceError(
                    f"environment {type(self.env.unwrapped).__name__}: its {name} has become {now}"
                    f", and was {space}",
                    cure="keep the spaces that the constructor makes",
                )
        return result

    def _restart(self, error: BaseException, call: str) -> None:
        """Make the copy anew, or raise what is to be said.

        Raises:
            SpaceError: The policy is to fail, or it has failed too often.
        """
        fault = self._fault(error, call)
        settings = self._faults.settings
        if settings.on_fault == "fail":
            raise fault from error
        if self._faults.restarts >= settings.most:
            raise SpaceError(
                f"{fault.problem}; {self._faults.restarts} copies were made anew before",
                cure=f"{fault.cure}; guard.most allows more restarts",
            ) from error
        self._faults.restarts += 1
        log.warning("restart %d of an environment: %s", self._faults.restarts, fault.problem)
        # It is broken already, in whatever way.
        with contextlib.suppress(Exception):
            self.env.close()
        self.env = self._make()
        self._seed = self._faults.seed_of(self._index, self._faults.restarts)

    def _fault(self, error: BaseException, call: str) -> SpaceError:
        """Return what an environment did wrong, and where; raise what is not its doing."""
        place = f"sub-environment {self._index}"
        if isinstance(error, SpaceError) and place in error.problem:
            return SpaceError(f"{error.problem}; it was {call}", cure=error.cure)
        place += f", episode {self._episode}, step {self._steps}"
        if isinstance(error, SpaceError):
            place += "" if call in error.problem else f", {call}"
            return SpaceError(f"{error.problem} ({place})", cure=error.cure)
        is_order = isinstance(error, KeyboardInterrupt | GeneratorExit | DragomanError)
        if is_order or not isinstance(error, Exception | Hung | SystemExit):
            raise error
        what = f"raised {type(error).__name__}: {error}"
        if isinstance(error, Hung):
            what = f"has not returned for {self._faults.settings.seconds:g} seconds"
        return SpaceError(
            f"environment {type(self.env.unwrapped).__name__}: {call} {what} ({place})",
            cure="mend the environment; guard.on_fault: restart makes it anew, and guard.seconds "
            "is how long a step may take",
        )

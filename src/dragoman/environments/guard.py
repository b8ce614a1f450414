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
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import gymnasium as gym

from dragoman.environments.checks import Checked
from dragoman.environments.unlisted import Unlisted
from dragoman.errors import DragomanError, SpaceError
from dragoman.settings import check_fields, check_least

log = logging.getLogger(__name__)

TICKS = 10
"""So often within the time limit it is looked whether a step has returned."""
RESTARTED = "environment_restarted"
"""Key of the info of a step in which a copy was made anew."""
RESET = "reset()"


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
        outside: What an observation beyond the bounds of its space is, which every step looks
            for: ``warn`` tells of the first one and counts all in ``guard/outside`` of the
            metrics, since many environments overshoot and agents learn all the same; ``fault``
            makes it a fault as any other.
    """

    on_fault: Literal["fail", "restart"] = "fail"
    most: int = 100
    seconds: float | None = 300.0
    outside: Literal["warn", "fault"] = "warn"

    def __post_init__(self) -> None:
        check_fields(self, "guard")
        check_least(self, "guard", most=0, seconds=0.1)


class BoundsWarning(UserWarning):
    """An environment whose observations leave the bounds that it declares."""


class Hung(BaseException):
    """A step takes too long. An environment that handles any Exception does not handle this."""


class Faults:
    """Counts what goes wrong in all copies, and ends steps that take too long.

    Args:
        settings: What is to become of it.
        seed_of: The seed of a copy that is made anew, by its number and that of the restart.

    Attributes:
        restarts: How many copies were made anew.
        outside: How many observations left the bounds of their space.
        has_warned: Whether that was told.
    """

    resumes = ("restarts", "outside")

    def __init__(
        self, settings: Guard = Guard(), seed_of: Callable[[int, int], int] = lambda i, n: n
    ) -> None:
        self.settings = settings
        self.seed_of = seed_of
        self.restarts = self.outside = 0
        self.has_warned = False
        self._seen: FrameType | None = None
        self._ticks = 0

    def leaves_bounds(self, what: str) -> bool:
        """Count an observation outside its bounds, warn of the first, and say if it is a fault."""
        self.outside += 1
        is_fault = self.settings.outside == "fault"
        if not is_fault and not self.has_warned:
            self.has_warned = True
            warnings.warn(
                f"{what}; the training goes on with it: widen the space, or clip the value; "
                "guard.outside: fault would end it",
                BoundsWarning,
                stacklevel=2,
            )
        return is_fault

    @contextmanager
    def limiting(self) -> Iterator[None]:
        """Limit the time of each step within.

        The clock of a process ticks, and each tick looks whether the call that is at work is the
        one of the tick before; so a step itself costs nothing. A timer that somebody has set stays
        theirs.
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
            self._seen = None

    def _tick(self, number: int, frame: FrameType | None) -> None:
        # Frames are told apart by identity, which the one that is kept here cannot lose.
        while frame is not None and frame.f_code not in _AT_WORK:
            frame = frame.f_back
        is_same = frame is not None and frame is self._seen
        self._seen, self._ticks = frame, self._ticks + 1 if is_same else 0
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
        self._make = make
        self._index = index
        self._faults = faults
        self._keeps = faults.settings.on_fault == "restart"
        self._last: Any = None
        self._seed: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; a copy that was made anew has a seed of its own.

        Raises:
            SpaceError: It fails or hangs, and is not to be made anew.
        """
        given = seed
        while True:
            seed = self._seed if seed is None else seed
            self._seed = None
            try:
                observation, info = self.env.reset(seed=seed, options=options)
            except BaseException as error:
                # Copies of a group begin by one seed; what fails with it twice, by another.
                seed, given = given, None
                self._restart(error, RESET)
                continue
            if self._keeps:
                self._last = copy.deepcopy(observation)
            return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the one in which a copy was made anew is cut off where the last one had led.

        Raises:
            SpaceError: It fails or hangs, and is not to be made anew.
        """
        try:
            result = self.env.step(action)
        except BaseException as error:
            self._restart(error, f"step({action!r:.80})")
            return self._last, 0.0, False, True, {RESTARTED: True}
        if self._keeps:
            # Some environments write into the array that they have given.
            self._last = copy.deepcopy(result[0])
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
        before, self.env = checked_in(self.env), self._make()
        if before is not None and (now := checked_in(self.env)) is not None:
            # What is reset again is the same episode.
            now.episode = before.episode - (call == RESET)
        self._seed = self._faults.seed_of(self._index, self._faults.restarts)

    def _fault(self, error: BaseException, call: str) -> SpaceError:
        """Return what an environment did wrong, and where; raise what is not its doing."""
        place = f"sub-environment {self._index}"
        if isinstance(error, SpaceError) and place in error.problem:
            return SpaceError(f"{error.problem}; it was {call}", cure=error.cure)
        if (below := checked_in(self.env)) is not None:
            place += f", episode {below.episode}, step {below.steps}"
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


_AT_WORK = (Guarded.step.__code__, Guarded.reset.__code__)
"""Of functions that wait for an environment."""


def checked_in(env: gym.Env[Any, Any]) -> Checked | None:
    """Return which of an environment's wrappers checks it, if one does."""
    while isinstance(env, gym.Wrapper) and not isinstance(env, Checked):
        env = env.env
    return env if isinstance(env, Checked) else None

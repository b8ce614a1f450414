"""TextWorldExpress: small text adventures at speed (Jansen & Côté, arXiv 2208.01174).

Needs the extra ``textworld-express`` and Java. Every copy is a Java process of its own. Actions are
commands, which the observation lists; `oracle` types those of the library's own solution.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import gymnasium as gym

from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks.arguments import one_of
from dragoman.tasks.base import played
from dragoman.tasks.typed import TypedEnv, needed, require_known

Split: TypeAlias = Literal["train", "validation", "test"]
FOLDS = {"train": "train", "validation": "dev", "test": "test"}
"""The library's names of the splits."""
FOREVER = 10**9
"""Steps that the library itself allows: a time limit is ``max_episode_steps``."""


class TextWorldExpress(TypedEnv):
    """Read what is asked for, and do it command by command.

    A step pays what it adds to the score, of which a won game has 1.

    Args:
        game: A game of the library, such as ``coin`` or ``cookingworld``.
        params: Its settings, in the library's words: ``numLocations=5,includeDoors=0``.
        split: ``train``, ``validation`` or ``test``: games of different seeds.
        timeout: Seconds to wait for an answer. Then the process is ended, so that what it would
            still answer is never read, and the next reset starts another.
        max_action: Most characters of a command.

    Raises:
        ConfigError: There is no such game, or it refuses its settings.
        MissingExtraError: The library is not installed.
    """

    def __init__(
        self,
        game: str,
        *,
        params: str = "",
        split: Split = "train",
        timeout: float = 60.0,
        max_action: int = 200,
    ) -> None:
        super().__init__(max_action)
        one_of("split", split, Split)
        self.library = needed("textworld_express", "textworld-express")
        self.game, self.params, self.timeout = game, params, float(timeout)
        self._fold = FOLDS[split]
        self._process: Any = None
        self._solution: list[str] = []
        self._launch()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _launch(self) -> None:
        """Start a process with the game.

        Raises:
            ConfigError: There is no such game, or it refuses its settings.
        """
        self._process = self._asked(lambda: self.library.TextWorldExpressEnv(envStepLimit=FOREVER))
        known = list(self._asked(self._process.getGameNames))
        try:
            require_known("textworld-express", "game", self.game, known, "coin")
        except ConfigError:
            self.close()
            raise
        problem = self._asked(self._load)
        if problem:
            self.close()
            raise ConfigError(
                f"textworld-express refuses the settings {self.params!r} of {self.game!r}: "
                f"{problem}",
                cure="mend env_settings.params, such as 'numLocations=5,includeDoors=0'",
            )
        fold = self._fold.capitalize()
        self._seeds = list(self._asked(getattr(self._process, f"getValidSeeds{fold}")))

    def _load(self) -> str:
        """Load the game, and return what the process says against it."""
        try:
            self._process.load(self.game, self.params)
        except ValueError as error:
            return str(error)
        # What it cannot read is found out by a game alone.
        text: str = self._process.reset(seed=0, gameFold=self._fold)[0]
        return text if text.startswith("ERROR") else ""

    def _begin(self, seed: int) -> tuple[str, dict[str, Any]]:
        if self._process is None:
            self._launch()
        number = self._seeds[seed % len(self._seeds)]
        _, seen = self._asked(
            lambda: self._process.reset(seed=number, gameFold=self._fold, generateGoldPath=True)
        )
        self._solution = self._asked(self._process.getGoldActionSequence)
        return _text(seen), {"success": False}

    def _type(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        _, reward, is_over, seen = self._asked(lambda: self._process.step(action))
        if self._solution[:1] == [action]:
            self._solution = self._solution[1:]
        return _text(seen), reward, is_over, False, {"success": bool(seen["tasksuccess"])}

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Return what the process answers in time.

        Raises:
            SpaceError: It does not.
        """
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put((True, ask()))
            except BaseException as error:  # handed on to the thread that waits
                answers.put((False, error))

        threading.Thread(target=run, daemon=True).start()
        try:
            is_good, answer = answers.get(timeout=self.timeout)
        except queue.Empty:
            self._kill()
            raise SpaceError(
                f"textworld-express has not answered within {self.timeout:g} s; its process is "
                "ended",
                cure="raise env_settings.timeout, or see what else the machine does",
            ) from None
        if not is_good:
            raise answer
        return answer

    def _kill(self) -> None:
        process, self._process = self._process, None
        self._is_over = True
        if process is not None:
            process._gateway.java_process.kill()
            _end(process)


def _end(process: Any) -> None:
    """End a process, and close what led to it."""
    process.close()
    java = process._gateway.java_process
    java.kill()
    java.wait()
    for pipe in (java.stdin, java.stdout, java.stderr):
        if pipe is not None:
            pipe.close()


def _text(seen: dict[str, Any]) -> str:
    """Return all that a player knows."""
    commands = ", ".join(sorted(seen["validActions"]))
    return "\n".join(
        [seen["taskDescription"], seen["observation"], seen["inventory"], f"Commands: {commands}"]
    )


def oracle(env: gym.Env[Any, Any]) -> str:
    """Return the next command of the library's own solution, which is one from the start on."""
    world = played(env, TextWorldExpress, "textworld-express:coin")
    return world._solution[0] if world._solution else "look around"

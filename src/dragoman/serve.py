"""Offers any Gymnasium environment, in words, as an OpenEnv server.

Needs the extra ``serve``. A session has an environment of its own. Observations have the fields
``text``, ``actions`` (what may be said now, one for each action, empty where it is not valid),
``terminated`` and ``truncated``; an action has the field ``action``, a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from dragoman.describe.moment import Moment, MomentMaker
from dragoman.describe.own import describer_for
from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, DragomanError, MissingExtraError, SpaceError

Result = TypeVar("Result")

HOST = "127.0.0.1"
NUMBERS = (gym.spaces.Box, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)
READABLE = (gym.spaces.Discrete, gym.spaces.Text, *NUMBERS)


class Session:
    """One environment, played in words, on a thread of its own.

    Args:
        spec: The environment.
        settings: Keyword arguments of its constructor.
        timeout: Most seconds of a reset or a step. One that takes longer is left alone with its
            environment; the next reset makes another.
    """

    def __init__(self, spec: EnvSpec, settings: Mapping[str, Any], timeout: float) -> None:
        self._spec, self._settings, self._timeout = spec, settings, timeout
        self._thread: ThreadPoolExecutor | None = None
        self._env: Any = None
        self._make: Any = None
        self._moment: Moment | None = None
        self.steps = 0

    def reset(self, seed: int | None) -> dict[str, Any]:
        """Begin an episode."""
        self._moment, self.steps = None, 0
        if self._env is None:
            self._thread = self._thread or ThreadPoolExecutor(1)
            self._env = self._within(lambda: make_environment(self._spec, self._settings), "reset")
            describer = describer_for(self._env)
            self._make = MomentMaker(lambda: describer, self._env.action_space)
        observation, info = self._within(lambda: self._env.reset(seed=seed), "reset")
        self._moment = self._make(observation, info)
        return self._told(self._moment, None, False, False)

    def step(self, text: str) -> dict[str, Any]:
        """Do what a text says.

        Raises:
            SpaceError: It says nothing that can be done, no episode is on, or it takes too long.
        """
        if self._moment is None:
            raise SpaceError(f"no episode is on, so {text[:80]!r} does nothing", cure="reset first")
        action = read_action(self._env.action_space, text, self._moment)
        # Whatever goes wrong from here on ends the episode.
        self._moment = None
        observation, reward, terminated, truncated, info = self._within(
            lambda: self._env.step(action), "step"
        )
        self.steps += 1
        now = self._make(observation, info)
        if not (terminated or truncated):
            self._moment = now
        return self._told(now, float(reward), bool(terminated), bool(truncated))

    def close(self) -> None:
        """Close the environment."""
        if self._thread is not None and self._env is not None:
            self._thread.submit(self._env.close)
            self._thread.shutdown(wait=False)
        self._thread = self._env = self._moment = None

    def _told(
        self, moment: Moment, reward: float | None, terminated: bool, truncated: bool
    ) -> dict[str, Any]:
        names: list[str] = []
        if moment.maker.count:
            pairs = zip(moment.action_texts, moment.valid, strict=True)
            names = [text if is_valid else "" for text, is_valid in pairs]
        return {
            "text": moment.state,
            "actions": names,
            "reward": reward,
            "done": terminated or truncated,
            "terminated": terminated,
            "truncated": truncated,
        }

    def _within(self, call: Callable[[], Result], kind: str) -> Result:
        """Return what a call returns, or give its thread and environment up."""
        assert self._thread is not None
        future: Future[Result] = self._thread.submit(call)
        try:
            return future.result(self._timeout)
        except TooLate as error:
            if future.done():  # the environment's own
                raise
            self._thread.shutdown(wait=False)
            self._thread = self._env = None
            raise SpaceError(
                f"the {kind} of {self._spec.id!r} takes longer than {self._timeout:g} s",
                cure="reset, which makes another environment, or serve with a longer --timeout",
            ) from error


def read_action(space: gym.Space[Any], text: str, moment: Moment) -> Any:
    """Return the action that a text says.

    Args:
        space: A named action of a Discrete space by its name, a text of a Text space as it is, and
            numbers as JSON.
        text: What was said.
        moment: In which.

    Raises:
        SpaceError: It says none.
    """
    if isinstance(space, gym.spaces.Discrete):
        valid = [i for i in np.flatnonzero(moment.valid).tolist() if moment.action_texts[i]]
        plain = text.strip().casefold()
        for i in valid:
            if moment.action_texts[i].strip().casefold() == plain:
                return int(space.start) + i
        names = [moment.action_texts[i] for i in valid]
        raise SpaceError(
            f"the action {text[:80]!r} is none of those that are valid now",
            cure=f"say one of {names[:20]}{' and more' if len(names) > 20 else ''}",
        )
    action: Any = text
    rule = f"a text in {space}"
    if not isinstance(space, gym.spaces.Text):
        rule = f"numbers in JSON, in the shape {space.shape} and the bounds of {space}"
        try:
            action = np.asarray(json.loads(text), dtype=space.dtype).reshape(space.shape or ())
        except (ValueError, TypeError, OverflowError):
            action = None
    if action is None or not space.contains(action):
        raise SpaceError(f"the action {text[:80]!r} is not {rule}", cure="say what it asks for")
    return action


def make_app(
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    sessions: int = 16,
    timeout: float = 60.0,
    idle: float = 3600.0,
) -> Any:
    """Return the server as an application of FastAPI.

    Args:
        name: The environment.
        settings: Keyword arguments of its constructor.
        sessions: Most sessions at once.
        timeout: Most seconds of a step.
        idle: Seconds after which a session that does nothing ends.

    Raises:
        ConfigError: The environment cannot be made, or its actions cannot be said in words.
        MissingExtraError: The package ``openenv`` is not installed.
    """
    try:
        from openenv.core.env_server import ConcurrencyConfig, create_fastapi_app
    except ImportError as error:
        raise MissingExtraError(str(error.name).partition(".")[0], extra="serve") from error
    spec, given = environment_spec(name), dict(settings or {})
    env = make_environment(spec, given)
    space = env.action_space
    env.close()
    if not isinstance(space, READABLE):
        raise ConfigError(
            f"the actions of {name!r} lie in {space}, which no text says",
            cure="wrap the environment in one whose actions are a choice, a text or numbers",
        )
    count = int(space.n) if isinstance(space, gym.spaces.Discrete) else None
    app = create_fastapi_app(
        *_classes(lambda: Session(spec, given, timeout), spec.id, count),
        concurrency_config=ConcurrencyConfig(max_concurrent_envs=sessions, session_timeout=idle),
    )

    @app.exception_handler(DragomanError)  # type: ignore[untyped-decorator,unused-ignore]
    async def refuse(request: Any, error: DragomanError) -> Any:
        from fastapi.responses import JSONResponse

        return JSONResponse({"detail": str(error)}, status_code=422)

    return app


def _classes(begin: Callable[[], Session], name: str, count: int | None) -> tuple[Any, Any, Any]:
    """Return what OpenEnv serves: the classes of environments, actions and observations.

    Args:
        begin: Makes what a session plays.
        name: Of the environment.
        count: How many actions it names; the schema of actions says it.
    """
    from openenv.core.env_server import Action, Environment, Observation, State
    from openenv.core.env_server.types import EnvironmentMetadata
    from pydantic import ConfigDict, Field

    class Said(Action):  # type: ignore[misc,unused-ignore]
        model_config = ConfigDict(json_schema_extra={} if count is None else {"num_actions": count})
        action: str = Field(description="What to do, in words: one of the observation's actions")

    class Told(Observation):  # type: ignore[misc,unused-ignore]
        text: str = Field(description="What is seen, in words")
        actions: list[str] = Field(description="What each action is called now; empty: not valid")
        terminated: bool = Field(description="Whether the episode came to its own end")
        truncated: bool = Field(description="Whether a time limit cut it off")

    class Words(Environment):  # type: ignore[type-arg,misc,unused-ignore]
        SUPPORTS_CONCURRENT_SESSIONS = True

        def __init__(self) -> None:
            super().__init__()
            self._session, self._episode = begin(), None

        def reset(self, seed: int | None = None, episode_id: Any = None, **more: Any) -> Told:
            self._episode = episode_id
            return Told(**self._session.reset(seed))

        def step(self, action: Said, timeout_s: float | None = None, **more: Any) -> Told:
            return Told(**self._session.step(action.action))

        @property
        def state(self) -> State:
            return State(episode_id=self._episode, step_count=self._session.steps)

        def get_metadata(self) -> Any:
            return EnvironmentMetadata(name=name, description=f"{name}, in words, by Dragoman")

        def close(self) -> None:
            self._session.close()

    return Words, Said, Told

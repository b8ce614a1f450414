"""An environment behind an OpenEnv server, such as ``dragoman serve`` offers.

Needs the extra ``openenv``. The session is a WebSocket, one for each copy. Actions are the texts
of the server's own field; where it lists named actions, as ours does, they are numbers.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.errors import ConfigError, SpaceError
from dragoman.tasks.typed import CHARSET, LONGEST, needed, readable

NUMBER = "num_actions"
"""Key of an action's schema that says how many actions are named."""
CUT = ("truncated", "TimeLimit.truncated")
"""Keys under which an answer may say that a time limit has ended the episode."""


class OpenEnv(gym.Env[str, Any]):
    """Play over a WebSocket.

    Args:
        url: Address of the server, such as ``http://127.0.0.1:8000``.
        field: Field of an action that takes the text; found in the server's schema unless given.
        timeout: Seconds to wait for an answer. What comes later is never read: the connection
            is closed, and the next reset opens a new session.
        max_action: Most characters of an action.

    Raises:
        ConfigError: No OpenEnv server answers there, or none of its actions is a text.
        MissingExtraError: The package ``websockets`` is not installed.
    """

    def __init__(
        self, url: str, *, field: str | None = None, timeout: float = 60.0, max_action: int = 1000
    ) -> None:
        self._client = needed("websockets.sync.client", "openenv")
        failure = needed("websockets.exceptions", "openenv").WebSocketException
        self._failures: tuple[type[Exception], ...] = (failure, OSError, ValueError)
        self.url, self.timeout = url.rstrip("/"), float(timeout)
        schema = self._schema()
        self.field = _text_field(schema, self.url) if field is None else field
        count = schema.get(NUMBER)
        self.observation_space = gym.spaces.Text(LONGEST, min_length=0, charset=CHARSET)
        self.action_space: gym.Space[Any] = (
            gym.spaces.Text(max_action, charset=CHARSET)
            if count is None
            else gym.spaces.Discrete(int(count))
        )
        self._names: list[str] = []
        self._socket: Any = None
        self._session = ExitStack()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin an episode that the seed decides, as far as the server takes one."""
        super().reset(seed=seed)
        if self._socket is None:
            self._connect()
        data = self._asked("reset", {"seed": int(self.np_random.integers(2**31))})
        return self._seen(data)

    def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Send an action.

        Raises:
            SpaceError: The server refuses it, does not answer in time, or there is no session.
        """
        if self._socket is None:
            raise SpaceError(
                f"there is no session with {self.url}", cure="call reset() before the next step"
            )
        said = (
            self._names[int(action)]
            if isinstance(self.action_space, gym.spaces.Discrete)
            else (str(action))
        )
        data = self._asked("step", {self.field: said})
        text, info = self._seen(data)
        is_over = bool(data.get("done"))
        places = (data.get("observation") or {}, data.get("metadata") or {})
        is_cut = is_over and any(bool(place.get(key)) for place in places for key in CUT)
        ended = is_over and (not is_cut or bool(places[0].get("terminated")))
        return text, float(data.get("reward") or 0.0), ended, is_cut, info

    def close(self) -> None:
        """End the session."""
        self._socket = None
        self._session.close()

    def _schema(self) -> dict[str, Any]:
        """Return the schema of the server's actions."""
        try:
            with urllib.request.urlopen(f"{self.url}/schema", timeout=self.timeout) as answer:
                schema: dict[str, Any] = json.load(answer)["action"]
                return schema
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"no OpenEnv server answers at {self.url!r}: {type(error).__name__}: {error}",
                cure="start one, such as 'dragoman serve CartPole-v1', and name its address",
            ) from error

    def _connect(self) -> None:
        address = "ws" + self.url.removeprefix("http") + "/ws"
        try:
            # A server that does not answer is not waited for at the end either.
            connection = self._client.connect(
                address, open_timeout=self.timeout, close_timeout=1, max_size=None, proxy=None
            )
            self._socket = self._session.enter_context(connection)
        except self._failures as error:
            raise SpaceError(
                f"{self.url} opens no session: {type(error).__name__}: {error}",
                cure="see whether it runs, and how many sessions it has (--sessions)",
            ) from error

    def _asked(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the server answers, or end the session."""
        try:
            self._socket.send(json.dumps({"type": kind, "data": data}))
            answer = json.loads(self._socket.recv(timeout=self.timeout))
        except TimeoutError as error:
            self.close()
            raise SpaceError(
                f"{self.url} has not answered a {kind} within {self.timeout:g} s; the session is "
                "closed, so that a late answer is not taken for the next one",
                cure="raise env_settings.timeout, or see what the server does",
            ) from error
        except self._failures as error:
            self.close()
            raise SpaceError(
                f"{self.url} has ended the session at a {kind}: {type(error).__name__}: {error}",
                cure="see the server's log; reset() opens a new session",
            ) from error
        if answer.get("type") != "observation":
            told = answer.get("data") or {}
            raise SpaceError(
                f"{self.url} refuses the {kind} {dict(data)}: {told.get('message', told)} "
                f"{told.get('errors') or ''}".rstrip(),
                cure="do as it says",
            )
        result: dict[str, Any] = answer["data"]
        return result

    def _seen(self, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the observation in words, and the info with the named actions."""
        told = data.get("observation") or {}
        text = readable(_text_of(told))
        info: dict[str, Any] = {"text": text}
        if isinstance(self.action_space, gym.spaces.Discrete):
            count = int(self.action_space.n)
            self._names = [str(name) for name in told.get("actions", ())][:count]
            self._names += [""] * (count - len(self._names))
            info["action_texts"] = list(self._names)
            info["action_mask"] = np.array([bool(name) for name in self._names], np.int8)
        return text, info


def _text_field(schema: Mapping[str, Any], url: str) -> str:
    """Return the field of an action that takes a text."""
    fields = schema.get("properties", {})
    texts = [name for name, field in fields.items() if field.get("type") == "string"]
    needed_ones = [name for name in texts if name in schema.get("required", ())]
    found = needed_ones or texts
    if len(found) != 1:
        raise ConfigError(
            f"the actions of {url} have the fields {sorted(fields)}, of which "
            f"{len(found) or 'none'} may be the text",
            cure="name one that takes a text, as env_settings: {field: message}",
        )
    return str(found[0])


def _text_of(told: Mapping[str, Any]) -> str:
    """Return an observation's ``text``, its only text, or all of it as JSON."""
    if isinstance(told.get("text"), str):
        return str(told["text"])
    texts = [value for value in told.values() if isinstance(value, str)]
    return str(texts[0]) if len(texts) == 1 else json.dumps(told, ensure_ascii=False)

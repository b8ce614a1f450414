"""A client of OpenEnv servers, against one of our own making."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.environments import environment_spec, make_environment
from dragoman.errors import ConfigError, SpaceError

server = pytest.importorskip("websockets.sync.server", reason="needs the extra 'openenv'")
SCHEMA = {"properties": {"message": {"type": "string"}, "metadata": {"type": "object"}}}


class Stub:
    """Answers ``said N`` to the N-th message of a session; to ``slow`` it is late by a second."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = SCHEMA
        self.seeds: list[int] = []
        self.server = server.serve(self.talk, "127.0.0.1", 0, process_request=self.answer)
        self.url = f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, connection: Any, request: Any) -> Any:
        if request.path == "/schema":
            return connection.respond(200, json.dumps({"action": self.schema}))
        return None

    def talk(self, connection: Any) -> None:
        for count, raw in enumerate(connection, 1):
            message = json.loads(raw)
            said = message["data"].get("message", "")
            self.seeds += [message["data"]["seed"]] if message["type"] == "reset" else []
            if said == "slow":
                time.sleep(1.0)
            if said == "wrong":
                answer = {"type": "error", "data": {"message": "'wrong' is no word"}}
            else:
                told: dict[str, Any] = {"echo": f"said {count} {said}", "number": 3}
                if "num_actions" in self.schema:
                    told["actions"] = ["up", "", "down"]
                if said == "cut":
                    told["truncated"] = True
                data = {"observation": told, "reward": 0.5, "done": said in ("end", "cut")}
                answer = {"type": "observation", "data": data}
            connection.send(json.dumps(answer))


@pytest.fixture
def stub() -> Iterator[Stub]:
    one = Stub()
    yield one
    one.server.shutdown()


def made(stub: Stub, **settings: Any) -> Any:
    return make_environment(environment_spec(f"openenv:{stub.url}"), settings)


def test_a_server_is_played(stub: Stub) -> None:
    env = made(stub)
    assert env.reset(seed=1)[0] == "said 1 "
    assert env.step("hello")[:4] == ("said 2 hello", 0.5, False, False)
    with pytest.raises(SpaceError, match=r"refuses the step .*'wrong' is no word"):
        env.step("wrong")
    assert env.step("on")[0] == "said 4 on"  # the session has gone on
    assert env.step("end")[2:4] == (True, False)
    env.reset(seed=1)
    assert env.step("cut")[2:4] == (False, True)  # a time limit is no end
    assert stub.seeds[0] == stub.seeds[1]


def test_a_late_answer_is_never_read(stub: Stub) -> None:
    env = made(stub, timeout=0.3)
    env.reset(seed=1)
    with pytest.raises(SpaceError, match=r"not answered a step within 0.3 s"):
        env.step("slow")
    with pytest.raises(SpaceError, match="no session"):
        env.step("hello")
    time.sleep(1.0)  # until the late answer has been sent
    assert env.reset()[0] == "said 1 "
    assert env.step("hello")[0] == "said 2 hello"


def test_named_actions_are_numbers(stub: Stub) -> None:
    stub.schema = {**SCHEMA, "num_actions": 3}
    env = made(stub)
    assert env.action_space.n == 3
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1, 0, 1]
    assert info["action_texts"] == ["up", "", "down"]
    assert env.step(2)[0] == "said 2 down"


def test_the_field_of_the_text_has_to_be_known(stub: Stub) -> None:
    stub.schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    with pytest.raises(ConfigError, match=r"fields \['a', 'b'\], of which 2 may be the text"):
        made(stub)
    stub.schema["required"] = ["b"]
    assert made(stub).unwrapped.field == "b"
    assert made(stub, field="message").unwrapped.field == "message"


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no OpenEnv server answers at .http://127\.0\.0\.1:9"):
        make_environment(environment_spec("openenv:http://127.0.0.1:9"))

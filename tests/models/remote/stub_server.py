"""A small OpenAI-compatible server on this machine, which misbehaves on command."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRIP_SECONDS = 0.05


def chat_answer(text: str | None, *, finish: str = "stop", prompt_tokens: int = 10, **message: Any):
    """Return a well-formed chat completion; a word counts as a token."""
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": usage(prompt_tokens, len((text or "").split())),
    }


def usage(prompt_tokens: int, completion_tokens: int):
    total = prompt_tokens + completion_tokens
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": total,
    }


def without(answer, *keys: str):
    return {key: value for key, value in answer.items() if key not in keys}


def echo_last_message(path: str, body: Any) -> Any:
    """Answer a chat with its last message, in capitals."""
    return chat_answer(body["messages"][-1]["content"].upper())


class StubServer:
    """Answers with a function of path and body, after the faults it was told to make.

    Args:
        answer: Path and JSON body in, answer out: JSON data, bytes as they are, or a fault.
    """

    def __init__(self, answer: Callable[[str, Any], Any] = echo_last_message) -> None:
        self.answer = answer
        self.faults: list[str] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.headers: dict[str, str] = {}
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        stub = self

        class Handler(_Handler):
            server_stub = stub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __enter__(self) -> StubServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_stub: StubServer

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        stub = self.server_stub
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with stub.lock:
            stub.bodies.append(body)
            stub.paths.append(self.path)
            stub.keys.append(self.headers["Authorization"])
            stub.in_flight += 1
            stub.most_in_flight = max(stub.most_in_flight, stub.in_flight)
            fault = stub.faults.pop(0) if stub.faults else None
        try:
            answer = stub.answer(self.path, body) if fault is None else FAULTS[fault]
            if callable(answer):
                answer(self, body)
            else:
                self.send(200, answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has given up, as it should
        finally:
            with stub.lock:
                stub.in_flight -= 1

    def send(self, status: int, answer: Any, **headers: str) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers | self.server_stub.headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def stall(self) -> None:
        """Accept the request and never answer."""
        self.server_stub.closing.wait(60)
        self.close_connection = True

    def drip(self) -> None:
        """Send a byte now and then, for ever: a timeout between two bytes never strikes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            self.wfile.flush()
            if self.server_stub.closing.wait(DRIP_SECONDS):
                break
        self.close_connection = True

    def cut(self) -> None:
        """Promise a body and close the connection in its middle."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [{"message": {"content": "half a t')
        self.close_connection = True

    def reset(self) -> None:
        """Close the connection without a word, by a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def flood(self) -> None:
        """Send an error that never ends, as fast as it is taken."""
        self.send_response(500)
        self.end_headers()
        while not self.server_stub.closing.is_set():
            self.wfile.write(b"x" * 65536)

    def bad_gzip(self) -> None:
        self.send(200, b"this is no gzip", Content_Encoding="gzip")


KEY = "sk-secret-key"
GOOD = chat_answer("four words as usage")
Fault = Callable[[_Handler, Any], None]


def answering(answer: Any, status: int = 200, **headers: str) -> Fault:
    return lambda handler, body: handler.send(status, answer, **headers)


BILLED: dict[str, Fault] = {
    "no choices": answering(without(GOOD, "choices")),
    "empty choices": answering({**GOOD, "choices": []}),
    "choices of a wrong type": answering({**GOOD, "choices": "four words"}),
    "no finish reason": answering(
        {**GOOD, "choices": [without(GOOD["choices"][0], "finish_reason")]}
    ),
    "no message": answering({**GOOD, "choices": [without(GOOD["choices"][0], "message")]}),
    "null text": answering({**chat_answer(None), "usage": GOOD["usage"]}),
}
"""Failures after which the usage is known: 10 tokens read, 4 written."""

UNBILLED: dict[str, Fault] = {
    "status 500": answering({"error": {"message": "it is broken"}}, status=500),
    "status 503 in HTML": answering(b"<html>come back later</html>", status=503),
    "status 429": answering({"error": {"message": "slow down"}}, status=429),
    "not JSON": answering(b"<html>hello</html>"),
    "half JSON": answering(json.dumps(GOOD).encode()[:100]),
    "empty": answering(b""),
    "not UTF-8": answering(b"\xff\xfe\x00"),
    "a list": answering([1, 2]),
    "an error with status 200": answering({"error": {"message": "it is broken"}}),
    "no usage": answering(without(GOOD, "usage")),
    "negative usage": answering({**GOOD, "usage": usage(-1, 4)}),
    "cut": lambda handler, body: handler.cut(),
    "reset": lambda handler, body: handler.reset(),
    "bad gzip": lambda handler, body: handler.bad_gzip(),
}
"""Failures after which nobody knows what was billed."""

SLOW: dict[str, Fault] = {
    "stall": lambda handler, body: handler.stall(),
    "drip": lambda handler, body: handler.drip(),
}
FINAL: dict[str, Fault] = {
    "status 400": answering({"error": {"message": "no such field"}}, status=400),
    "status 401": answering({"error": {"message": "wrong key sk-secret-key"}}, status=401),
    "status 403": answering({"error": {"message": "not allowed"}}, status=403),
    "status 404": answering({"error": {"message": "no such model"}}, status=404),
    "status 429, do not retry": answering({"error": "no"}, status=429, x_should_retry="false"),
    "status 429, in an hour": answering({"error": "no"}, status=429, Retry_After="3600"),
    "redirection": answering(b"", status=307, Location="http://example.com/v1"),
    "content filter": answering(chat_answer("", finish="content_filter")),
    "tool call": answering(chat_answer(None, finish="tool_calls")),
    "refusal": answering(chat_answer(None, refusal="I will not write that")),
}
"""What no repetition mends."""

OTHER: dict[str, Fault] = {
    "flood": lambda handler, body: handler.flood(),
    "status 429, in 0.3 seconds": answering({"error": "no"}, status=429, Retry_After="0.3"),
}
FAULTS = {**BILLED, **UNBILLED, **SLOW, **FINAL, **OTHER}

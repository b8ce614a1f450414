from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dragoman.cli import app
from dragoman.models.store import FILE_NAME, Store
from dragoman.run import doctor
from dragoman.run.doctor import Finding, examine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


def of(part: str, **settings: bool) -> list[Finding]:
    return [one for one in examine(network=part == "hub", **settings) if one.part == part]


def test_nothing_is_wrong_here() -> None:
    findings = list(examine(network=False))
    assert {one.part for one in findings} == {
        "installation",
        "extras",
        "device",
        "threads",
        "cache",
        "disk",
    }
    assert [one for one in findings if one.level == "wrong"] == []
    said = " ".join(one.text for one in findings)
    assert "torch" in said
    assert "GiB free" in said


def test_packages_that_are_missing_or_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "1.0", "gymnasium": None}
    real = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: versions[name] if name in versions else real(name)
    )
    wrong = [one.text for one in of("installation") if one.level == "wrong"]
    assert wrong == ["gymnasium is not installed", "numpy is 1.0, but >=1.26 is needed"]


def test_extras_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "9" if name == "peft" else None)
    there, missing = of("extras")
    assert there.text == "installed: tune"
    assert "gguf" in missing.text


@pytest.mark.parametrize(("damage", "level"), [(False, "ok"), (True, "wrong")])
def test_the_memory_of_answers_is_looked_at(damage: bool, level: str, cache: Path) -> None:
    store = Store(cache)
    store.put({bytes([i]) * 20: b"x" * 3000 for i in range(50)})
    store.close()
    file = cache / FILE_NAME
    if damage:
        content = file.read_bytes()
        file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    (one,) = of("cache")
    assert one.level == level, one
    assert ("dragoman cache clear" in one.cure) == damage


def test_a_full_disk_is_worth_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM_BYTES", 2**80)
    assert {one.level for one in of("disk")} == {"note"}


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *given: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of something that answers."""
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_hub_is_asked(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_ENDPOINT", hub)
    (one,) = of("hub")
    assert (one.level, one.text) == ("ok", f"{hub} answers")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        (one,) = of("hub")
    assert one.level == "note"
    assert "cannot be reached" in one.text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in of("hub")[0].text


def test_the_command_line_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    plain = runner.invoke(app, ["doctor", "--no-network"])
    assert plain.exit_code == 0, plain.output
    assert "installation: Python" in plain.output
    rows = json.loads(runner.invoke(app, ["doctor", "--no-network", "--json"]).output)
    assert {"part", "level", "text", "cure"} == set(rows[0])
    monkeypatch.setattr(doctor, "examine", lambda network: [Finding("a", "wrong", "b")])
    assert runner.invoke(app, ["doctor"]).exit_code == 1

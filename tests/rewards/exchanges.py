"""Exchanges with a real server, kept in a file and given again offline.

Run as a program, it serves the default model by ``transformers serve`` on this machine and
records them anew: ``python -m tests.rewards.exchanges``.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "exchanges.json"
MODEL = "smollm2-135m"

Exchange = dict[str, Any]


def recorded() -> list[Exchange]:
    return json.loads(FILE.read_text())


def replaying(exchanges: list[Exchange]) -> Callable[[str, Any], Any]:
    """Return what a stub server answers with; a question that was not recorded is an error."""
    known = {json.dumps([one["path"], one["body"]], sort_keys=True): one for one in exchanges}

    def answer(path: str, body: Any) -> Any:
        return known[json.dumps([path, body], sort_keys=True)]["answer"]

    return answer


def passing_on(url: str, folder: str, kept: list[Exchange]) -> Callable[[str, Any], Any]:
    """Return what asks the real server, under the model's name there, and keeps the exchange."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answer(path: str, body: Any) -> Any:
        data = json.dumps({**body, "model": folder}).encode()
        request = urllib.request.Request(
            url.removesuffix("/v1") + path, data, {"Content-Type": "application/json"}
        )
        with opener.open(request, timeout=120) as response:
            found = {**json.load(response), "model": MODEL}
        kept.append({"path": path, "body": body, "answer": found})
        return found

    return answer


def main() -> None:
    import tempfile

    import dragoman
    from dragoman.models.catalog import _resolve
    from tests.models.remote.serving import serve
    from tests.models.remote.stub_server import StubServer
    from tests.rewards.test_remote import experiment

    kept: list[Exchange] = []
    folder = _resolve(MODEL)
    with serve(folder) as url, StubServer(passing_on(url, folder, kept)) as stub:
        for reward in ("critique", "preferences"):
            with tempfile.TemporaryDirectory() as place:
                dragoman.train(experiment(reward, stub.url), out=Path(place, "run"))
    kept.sort(key=lambda one: json.dumps(one["body"]))
    FILE.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()

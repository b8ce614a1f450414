"""Exchanges with a real server, kept in a file and given again offline.

Run as a program, it serves the default model by ``transformers serve`` on this machine and
records them anew: ``python -m tests.server_exchanges``.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

JUDGES = Path(__file__).parent / "roles/reward/exchanges.json"
WRITERS = Path(__file__).parent / "programs/exchanges.json"
MODEL = "smollm2-135m"

Exchange = dict[str, Any]


def recorded(file: Path) -> list[Exchange]:
    return json.loads(file.read_text())


def replaying(exchanges: list[Exchange]) -> Callable[[str, Any], Any]:
    """Return what a stub server answers with; a question that was not recorded is an error."""
    known = {
        json.dumps([exchange["path"], exchange["body"]], sort_keys=True): exchange
        for exchange in exchanges
    }

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
            result = {**json.load(response), "model": MODEL}
        kept.append({"path": path, "body": body, "answer": result})
        return result

    return answer


def main() -> None:
    import dragoman
    from dragoman.models.catalog import _resolve
    from tests.models.remote.real_server import serve
    from tests.models.remote.stub_server import StubServer
    from tests.programs.test_search import ask_for_programs
    from tests.roles.reward.test_remote import experiment

    folder = _resolve(MODEL)

    def judge(url: str, place: Path) -> None:
        for reward in ("critique", "preferences"):
            dragoman.train(experiment(reward, url), out=place / reward)

    with serve(folder) as url:
        for file, ask in ((JUDGES, judge), (WRITERS, ask_for_programs)):
            kept: list[Exchange] = []
            with StubServer(passing_on(url, folder, kept)) as stub, TemporaryDirectory() as place:
                ask(stub.url, Path(place))
            kept.sort(key=lambda one: json.dumps(one["body"]))
            file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""A stand-in for the Hugging Face hub on loopback: what its client needs to send and to take."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


class StubHub:
    """Keeps files by repository; use it as a context manager."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.tokens: set[str | None] = set()

    def __enter__(self) -> StubHub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hub.tokens.add(self.headers.get("Authorization"))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(*hub.post(urlsplit(self.path).path, body))

            def do_GET(self) -> None:
                self._answer(*hub.get(unquote(urlsplit(self.path).path)))

            def do_HEAD(self) -> None:
                self.do_GET()

            def _answer(self, code: int, content: Any) -> None:
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(raw)))
                self.send_header("ETag", f'"{hashlib.sha1(raw).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.repos.setdefault(name, {})
            return 200, {"url": f"{self.url}/{name}", "name": name}
        name = "/".join(path.split("/")[3:5])
        if name not in self.repos:
            return 404, {"error": "no such repository"}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return 200, {"files": [{"path": file["path"], **plain} for file in files]}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.repos[name][entry["value"]["path"]] = content
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT}

    def get(self, path: str) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[0] != "api":
            files = self.repos.get("/".join(parts[:2]), {})
            file = "/".join(parts[4:])
            return (200, files[file]) if file in files else (404, {"error": "no such file"})
        name = "/".join(parts[2:4])
        if name not in self.repos:
            return 404, {"error": "no such repository"}
        files = self.repos[name]
        if "tree" in parts:
            return 200, [
                {"type": "file", "path": file, "size": len(raw), "oid": COMMIT}
                for file, raw in files.items()
            ]
        siblings = [{"rfilename": file} for file in files]
        return 200, {"id": name, "sha": COMMIT, "siblings": siblings, "private": False}

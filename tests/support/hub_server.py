"""A stand-in for the hub on this machine: the HTTP endpoints by which huggingface_hub uploads a folder."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OID = "d" * 40


@dataclass
class Hub:
    """The state of the server, and the requests that it has had.

    Attributes:
        url: where it listens.
        token: the only token it takes.
        repos: the files of each dataset repository, by path.
        private: whether each repository was made private.
        large: the content of files uploaded by sha256, as git-lfs does.
        calls: method and path of each request, in order.
    """

    token: str
    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON value that the hub would answer."""
        self.calls.append(f"{method} {path}")
        if method == "PUT":
            self.large[path.rpartition("/")[2]] = body
            return 200, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if token != f"Bearer {self.token}":
            return 401, {"error": "Invalid credentials"}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        # "/api/datasets/OWNER/NAME/preupload/main", or "/datasets/OWNER/NAME.git/info/lfs/objects/batch".
        parts = path.removeprefix("/api").removesuffix("/main").split("/")
        repo = "/".join(parts[2:4]).removesuffix(".git")
        if repo not in self.repos:
            return 404, {"error": "Repository not found"}
        if parts[-1] == "preupload":
            return 200, {"files": list(map(_mode, json.loads(body)["files"]))}
        if parts[-1] == "batch":
            return 200, {"transfer": "basic", "objects": list(map(self._place, json.loads(body)["objects"]))}
        if parts[-1] == "commit":
            return self._commit(repo, body)
        return 404, {"error": f"no such endpoint: {method} {path}"}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        repo = f"{wanted.get('organization') or 'someone'}/{wanted['name']}"
        if wanted.get("type") != "dataset":
            return 400, {"error": "not a dataset"}
        if repo in self.repos:
            return 409, {
                "error": "You already created this dataset repo",
                "url": f"{self.url}/datasets/{repo}",
            }
        self.repos[repo] = {}
        self.private[repo] = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        return 200, {"url": f"{self.url}/datasets/{repo}"}

    def _place(self, wanted: dict[str, Any]) -> dict[str, Any]:
        upload = {"href": f"{self.url}/storage/{wanted['oid']}"}
        return {**wanted, "actions": {"upload": upload}}

    def _commit(self, repo: str, body: bytes) -> tuple[int, Any]:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                content = self.large[value["oid"]]
                assert sha256(content).hexdigest() == value["oid"]
                self.repos[repo][value["path"]] = content
        url = f"{self.url}/datasets/{repo}/commit/{OID}"
        return 200, {"success": True, "commitUrl": url, "commitOid": OID, "hookOutput": ""}


def _mode(wanted: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if wanted["path"].endswith(".zip") else "regular"
    return {"path": wanted["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


@contextmanager
def serving(token: str) -> Iterator[Hub]:
    """Serve a hub at a free port of this machine while the block runs."""
    hub = Hub(token)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self._chunks()
            status, value = hub.answer(
                self.command, self.path.partition("?")[0], self.headers.get("Authorization", ""), body
            )
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _chunks(self) -> bytes:
            """Read a body of unknown length."""
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return b""
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()

"""Local sources for the tests of fetching: a tiny GGUF, wheels with its parts, a package index and a hub."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from gguf import GGUFWriter

from vsg_core.weights.cache import digest
from vsg_core.weights.registry import Entry, Gguf, Hub, Package, Wheels

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_gguf(
    path: Path,
    seed: int = 0,
    adjust: Callable[[GGUFWriter, dict[str, tuple[int, ...]]], object] = lambda writer, shapes: None,
) -> Path:
    """Write a random Llama of one layer with a byte-level tokenizer and a chat template.

    Args:
        adjust: gets the writer, to add fields, and the shapes of the tensors by name, to change them.
    """
    hidden, inner, heads = 32, 64, 2
    tokens = ["<|endoftext|>", *(chr(code) for code in range(ord("!"), ord("~") + 1)), "Ġ", "Ċ", "th", "the"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    random = np.random.default_rng(seed)
    shapes = {
        "token_embd.weight": (len(tokens), hidden),
        "output_norm.weight": (hidden,),
        "output.weight": (len(tokens), hidden),
        "blk.0.attn_norm.weight": (hidden,),
        "blk.0.ffn_norm.weight": (hidden,),
        **{f"blk.0.attn_{part}.weight": (hidden, hidden) for part in ("q", "k", "v", "output")},
        "blk.0.ffn_gate.weight": (inner, hidden),
        "blk.0.ffn_up.weight": (inner, hidden),
        "blk.0.ffn_down.weight": (hidden, inner),
    }
    adjust(writer, shapes)
    for name, shape in shapes.items():
        writer.add_tensor(name, random.standard_normal(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheels(gguf: Path, folder: Path, parts: int = 2, name: str = "tiny-part") -> Wheels:
    """Write wheels to `folder` that carry the bytes of `gguf`; return the registry's source that describes them."""
    folder.mkdir(parents=True, exist_ok=True)
    data, packages = gguf.read_bytes(), []
    size = -(-len(data) // parts)
    for part in range(1, parts + 1):
        module = f"{name.replace('-', '_')}{part}"
        wheel, info = folder / f"{module}-1.0-py3-none-any.whl", f"{module}-1.0.dist-info"
        with ZipFile(wheel, "w", ZIP_DEFLATED) as file:
            file.writestr(f"{module}/__init__.py", "raise RuntimeError('never imported')\n")
            file.writestr(f"{module}/data/part{part:02}.bin", data[(part - 1) * size : part * size])
            file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}{part}\nVersion: 1.0\n")
            file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            file.writestr(f"{info}/RECORD", "")
        packages.append(Package(f"{name}{part}", digest(wheel), wheel.stat().st_size))
    return Wheels("1.0", "*/data/part*.bin", tuple(packages))


def entry_of(gguf: Path, *sources: Hub | Wheels, name: str = "tiny") -> Entry:
    """Build a registry entry whose weights are `gguf`."""
    known = Gguf(gguf.name, gguf.stat().st_size, digest(gguf))
    return Entry(name, "llama", "base", sources, gguf=known, size=known.size, parameters=30_000)


class Server(BaseHTTPRequestHandler):
    """Send the answers of `reply`, and record the requests."""

    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        status, headers, body = self.reply(path)
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.send_body(body)

    do_HEAD = do_GET

    def reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def send_body(self, body: bytes) -> None:
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(handler: type[Server]) -> Iterator[str]:
    """Run a server and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass
class Index:
    """A package index: its address, its requests, and the environment in which pip uses no other.

    `starts` has the first byte of each request for a wheel.
    """

    url: str
    asked: list[str]
    starts: list[int]

    @property
    def environment(self) -> dict[str, str]:
        empty = {"PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
        return {"PIP_INDEX_URL": f"{self.url}/simple", **empty}

    def wheels_asked(self) -> list[str]:
        return [Path(path).name.split("-")[0] for path in self.asked if path.endswith(".whl")]


@contextmanager
def package_index(
    folder: Path,
    seconds: float = 0,
    ranges: bool = True,
    cuts: Sequence[int] = (),
    as_json: bool = False,
    hashes: bool = False,
    status: int = 200,
    password: str = "",
) -> Iterator[Index]:
    """Serve an index of the wheels in `folder`.

    Args:
        seconds: how long each wheel takes.
        ranges: serve parts of a wheel, not only the whole.
        cuts: after how many bytes the connection breaks, for the first answers with a wheel.
        as_json: list files as JSON (PEP 691) instead of HTML.
        hashes: list the sha256 of each file.
        status: the answer to a request for a wheel, if not the wheel.
        password: required of the user "someone" for every request.
    """
    starts: list[int] = []
    credentials = b64encode(f"someone:{password}".encode()).decode()

    class Handler(Server):
        asked: ClassVar[list[str]] = []

        def reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
            if password and self.headers.get("Authorization") != f"Basic {credentials}":
                return 401, {"WWW-Authenticate": 'Basic realm="index"'}, b""
            name = Path(path).name
            if (folder / name).is_file() and status != 200:
                return status, {}, b""
            if (folder / name).is_file():
                return self.wheel((folder / name).read_bytes())
            found = [
                file for file in folder.glob("*.whl") if file.name.split("-")[0] == name.replace("-", "_")
            ]
            kind, page = self.page({file.name: digest(file) if hashes else "" for file in found})
            return (200 if found else 404), {"Content-Type": kind}, page.encode()

        def page(self, files: dict[str, str]) -> tuple[str, str]:
            if as_json:
                listed = [
                    {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha} if sha else {}}
                    for name, sha in files.items()
                ]
                return "application/vnd.pypi.simple.v1+json", json.dumps({"files": listed})
            fragments = {name: f"#sha256={sha}" if sha else "" for name, sha in files.items()}
            links = [f'<a href="/files/{name}{fragment}">{name}</a>' for name, fragment in fragments.items()]
            return "text/html; charset=utf-8", "".join(links)

        def wheel(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            starts.append(start)
            if not ranges:
                return 200, {}, body
            if start >= len(body):
                return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            return 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:]

        def send_body(self, body: bytes) -> None:
            wheel = self.path.endswith(".whl")
            if wheel and len(starts) <= len(cuts):
                body = body[: cuts[len(starts) - 1]]
            pieces = 20 if wheel and seconds else 1
            step = max(1, -(-len(body) // pieces))
            for start in range(0, len(body), step):
                time.sleep(seconds / pieces)
                self.wfile.write(body[start : start + step])
                self.wfile.flush()

    with served(Handler) as url:
        yield Index(url, Handler.asked, starts)


@dataclass
class HubRepo:
    """The content of one repository on the local hub."""

    files: dict[str, bytes] = field(default_factory=dict)
    gated: bool = False


@contextmanager
def local_hub(repos: dict[str, HubRepo]) -> Iterator[tuple[str, list[str]]]:
    """Serve a hub with these repositories, each at COMMIT; yield its address and the requested paths."""

    class Handler(Server):
        asked: ClassVar[list[str]] = []

        def reply(self, path: str) -> tuple[int, dict[str, str], bytes]:
            parts = path.removeprefix("/api/models").strip("/").split("/")
            repo = repos.get("/".join(parts[:2]))
            if repo is None:
                return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not found"}, b""
            if path.startswith("/api/") and parts[2] == "revision":
                return self.json({"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": self.listing(repo)})
            if path.startswith("/api/"):
                return self.json(self.tree(repo))
            if repo.gated:
                return 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "accept the licence"}, b""
            body = repo.files[parts[-1]]
            return 200, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}, body

        def json(self, data: object) -> tuple[int, dict[str, str], bytes]:
            return 200, {"Content-Type": "application/json"}, json.dumps(data).encode()

        def tree(self, repo: HubRepo) -> list[dict[str, object]]:
            return [
                {
                    "type": "file",
                    "path": name,
                    "size": len(body),
                    "oid": hashlib.sha1(body).hexdigest(),
                    "lfs": {"size": len(body), "oid": hashlib.sha256(body).hexdigest(), "pointerSize": 130},
                }
                for name, body in repo.files.items()
            ]

        def listing(self, repo: HubRepo) -> list[dict[str, object]]:
            return [
                {
                    "rfilename": name,
                    "size": len(body),
                    "blobId": hashlib.sha1(body).hexdigest(),
                    "lfs": {
                        "size": len(body),
                        "sha256": hashlib.sha256(body).hexdigest(),
                        "pointerSize": 130,
                    },
                }
                for name, body in repo.files.items()
            ]

    with served(Handler) as url:
        yield url, Handler.asked

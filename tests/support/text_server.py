"""A stand-in for an API of texts on this machine: a tiny model that hashes its prompt, and every fault of such servers.

It listens on the loopback address alone, and each answer of it takes milliseconds unless it is told to be slow.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VOCABULARY = [
    " the", " a", " Paris", " Rome", " was", " had", " to", " of", " and", " it", " red", " house", " dog", " cat",
    " sat", " on", " mat", " in", " by", " one", ".", ",",
]  # fmt: skip
BEGINNING = 999
# Seconds that a request may be held at the most, whatever a test asks for.
LONGEST = 5.0


@dataclass
class Fault:
    """A misbehaviour in place of an answer.

    Args:
        cut: end the connection in the middle of the answer.
        body: in place of the answer's.
        seconds: wait before answering.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    body: bytes | None = None
    seconds: float = 0.0


@dataclass
class TextServer:
    """The state of the server, and the requests that it has had.

    Attributes:
        url: the base of its API.
        model: the name that it serves.
        answers_as: the name in its answers; "" for the one asked for.
        chats_as: the name in its chat answers, where that differs.
        lists: how many log-probabilities it gives at the most; 0 for none, and more are refused.
        can: the paths that it has.
        refuses: the names of parameters that it does not take.
        key: the only key it takes; "" takes any.
        echoes: what it adds to every text, say the key.
        faults: of the next requests, in their order; None answers one.
        always: the fault of all requests to a path.
        requests: path and body of each.
        fault_of: returns the fault of a request by its body.
        waver: draw greedy answers by chance, as a server does that is not deterministic.
        thinks: reason before each chat answer: "apart" in a field of its own, "tagged" in the text, "unseen".
        obeys: whether a request for answers without reasoning has an effect.
        weights: other weights under the same name; the texts of 0 and another differ.
        clock: give the present as the time when the model was created, and permissions with new ids, as vLLM does.
        bare: list its models without an object around.
        meta: what it says of the model's file, as llama.cpp's server does.
    """

    model: str = "tiny"
    answers_as: str = ""
    chats_as: str = ""
    system_fingerprint: str = "fp_1"
    lists: int = 20
    can: tuple[str, ...] = ("/models", "/completions", "/chat/completions", "/tokenize")
    refuses: tuple[str, ...] = ()
    key: str = ""
    echoes: str = ""
    url: str = ""
    waver: bool = False
    thinks: str = ""
    obeys: bool = False
    weights: int = 0
    clock: bool = False
    bare: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    fault_of: Callable[[dict[str, Any]], Fault | None] | None = None
    faults: deque[Fault | None] = field(default_factory=deque)
    always: dict[str, Fault] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def target(self) -> str:
        return f"openai:{self.model}@{self.url}"

    def asked(self, path: str) -> int:
        """Count the requests to a path."""
        return sum(each == path for each, _ in self.requests)

    def answer(self, path: str, body: dict[str, Any], key: str) -> tuple[int, Any]:
        """Return the status and the JSON value of an answer."""
        self.keys.append(key)
        if self.key and key != f"Bearer {self.key}":
            return 401, {"error": {"message": f"Incorrect API key provided: {key}"}}
        if path not in self.can:
            return 404, {"detail": "Not Found"}
        if path == "/models":
            return 200, [self._described()] if self.bare else {"data": [self._described()]}
        if path == "/tokenize":
            return 200, {"tokens": self._ids(body["content"])}
        for name in self.refuses:
            if name in body:
                return 400, {"error": {"message": f"Unrecognized request argument supplied: {name}"}}
        if body.get("logprobs", 0) > self.lists > 0:
            return 400, {"error": {"message": f"logprobs must be at most {self.lists}"}}
        prompt = body["prompt"] if path == "/completions" else json.dumps(body["messages"])
        return 200, self._written(path, prompt, body)

    def _described(self) -> dict[str, Any]:
        created = len(self.requests) if self.clock else 1
        permission = {"id": f"modelperm-{created}", "created": created}
        about = {"id": self.model, "created": created, "owned_by": "me", "permission": [permission]}
        return about | ({"meta": self.meta} if self.meta else {})

    def _written(self, path: str, prompt: str, body: dict[str, Any]) -> dict[str, Any]:
        tokens: list[str] = []
        for _ in range(body["max_tokens"]):
            tokens.append(self._next(prompt + "".join(tokens), body))
        text = "".join(tokens) + self.echoes
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length", "logprobs": None}
        if path == "/completions":
            choice["text"] = text
        else:
            choice["message"] = {"role": "assistant", **self._said(text, body)}
        if body.get("logprobs") and self.lists:
            scores = self._log_probabilities(prompt)
            top = sorted(scores, key=lambda token: -scores[token])[: body["logprobs"]]
            choice["logprobs"] = {"top_logprobs": [{token: scores[token] for token in top}]}
        named = self.answers_as or body["model"]
        named = self.chats_as or named if path == "/chat/completions" else named
        fingerprint = {"system_fingerprint": self.system_fingerprint} if self.system_fingerprint else {}
        return {"model": named, "choices": [choice], "usage": {"total_tokens": len(prompt)}, **fingerprint}

    def _said(self, text: str, body: dict[str, Any]) -> dict[str, Any]:
        """The content of a chat answer, for which reasoning leaves no tokens."""
        asked = body.get("chat_template_kwargs", {}).get("enable_thinking", True)
        if not self.thinks or (self.obeys and not asked):
            return {"content": text}
        if self.thinks == "tagged":
            return {"content": f"<think>\n{text}"}
        return {"content": None} | ({"reasoning_content": text} if self.thinks == "apart" else {})

    def _next(self, prompt: str, body: dict[str, Any]) -> str:
        scores = self._log_probabilities(prompt)
        for token_id, added in body.get("logit_bias", {}).items():
            scores[VOCABULARY[int(token_id)]] += added
        if body["temperature"] or self.waver:
            chance = self.chance if self.waver else random.Random(f"{body['seed']} {prompt}")
            return chance.choices(list(scores), [math.exp(score) for score in scores.values()])[0]
        return max(scores, key=lambda token: scores[token])

    def _log_probabilities(self, prompt: str) -> dict[str, float]:
        drawn = random.Random(f"{self.weights or ''}{prompt}")
        scores = {token: drawn.gauss(0, 1.5) for token in VOCABULARY}
        total = math.log(sum(math.exp(score) for score in scores.values()))
        return {token: score - total for token, score in scores.items()}

    def _ids(self, text: str) -> list[int]:
        # As a tokenizer that begins every text with a token of its own.
        ids = [VOCABULARY.index(text)] if text in VOCABULARY else list(range(len(text.split())))
        return [BEGINNING, *ids]


@contextmanager
def text_server(port: int = 0, **settings: Any) -> Iterator[TextServer]:
    """Run the server in a thread, on this port of the loopback address, by default a free one."""
    state = TextServer(**settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            path = self.path.removeprefix("/v1")
            state.requests.append((path, body))
            fault = state.fault_of(body) if state.fault_of else state.always.get(path)
            fault = fault or (state.faults.popleft() if state.faults else None) or Fault()
            time.sleep(min(fault.seconds, LONGEST))
            status, value = state.answer(path, body, self.headers.get("Authorization", ""))
            if fault.status != 200:
                status, value = fault.status, {"error": {"message": f"fault {fault.status}"}}
            content = json.dumps(value).encode() if fault.body is None else fault.body
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for name, each in fault.headers.items():
                self.send_header(name, each)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if fault.cut else content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=LONGEST)

"""A model behind an API that takes text only."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from vsg_core.errors import NotApplicable, VsgError
from vsg_core.hosted.answers import Answers
from vsg_core.hosted.api import (
    CHAT,
    COMPLETIONS,
    chat_body,
    choice_of,
    completion_body,
    listed_in,
    reasoning_in,
    text_of,
)
from vsg_core.hosted.capabilities import DIRECT, PLAIN, Capabilities, ask_capabilities, ids_of
from vsg_core.hosted.server import NoServer, Server
from vsg_core.hosted.text_model import MOST_LISTED, Likely, Reply, check_prompts, question_frame

Found = TypeVar("Found")
DIGITS = 16


class Requests:
    """The cost of a claim in requests, as a model of this machine counts its forward passes."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all counts to 0."""
        self.passes = self.tokens = 0
        self.forward_seconds = 0.0

    def add(self, seconds: float, answer: Mapping[str, Any]) -> None:
        """Count a request that was sent."""
        usage = answer.get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else 0
        self.passes += 1
        self.tokens += total if isinstance(total, int) else 0
        self.forward_seconds += seconds


class HostedModel:
    """A TextModel over HTTP, one request after the other.

    Args:
        answers: where answers are kept.
        name: as reports show it.
        kind: "base" or "instruct"; by default "instruct" if the server chats.
        can: what the server can do; by default it is asked.

    Raises:
        WrongUse: the server does not serve the model.
        NoServer: nothing answers.
        VsgError: it answers, but not as an API of this kind.
    """

    def __init__(
        self,
        server: Server,
        answers: Answers,
        *,
        name: str | None = None,
        kind: str | None = None,
        can: Capabilities | None = None,
    ) -> None:
        self.server, self.answers = server, answers
        self.address = server.address
        self.name = name or server.address.model
        self.can = can or ask_capabilities(server)
        # By another connection, perhaps, when it was asked what it can do.
        server.has_answered = True
        self._restarts = server.restarts
        self.kind = kind or ("base" if self.can.chats else "instruct")
        self.meter = Requests()

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(self.can)

    @property
    def identity(self) -> dict[str, str]:
        """The fields of a record about weights: where the model is, and by which words and texts it is known."""
        return {"revision": self.fingerprint, "source": f"{self.address.model}, hosted at {self.address.url}"}

    @property
    def notes(self) -> tuple[str, ...]:
        """The words of the server about the model, and how it is asked, for the record of a run."""
        said = ", ".join(f"{name} {value}" for name, value in self.can.says.items())
        notes = [f"the server says: {said}"]
        for requests, lack, sent in (
            ("completions", self.can.completes, self.can.plain),
            ("chat", self.can.chats, self.can.chat_plain),
        ):
            wanted = PLAIN if requests == "completions" else PLAIN | DIRECT
            refused = [name for name in wanted if name not in sent]
            if sent:
                values = ", ".join(f"{name} {json.dumps(value)}" for name, value in sent.items())
                notes.append(
                    f"sent with {requests}, where a server may ignore names that it does not know: {values}"
                )
            if refused and not lack:
                notes.append(
                    f"refused with {requests}, so that the server's own values apply: {', '.join(refused)}"
                )
        return tuple(notes)

    @property
    def most_listed(self) -> int:
        return self.can.most_listed

    def complete(
        self,
        prompts: Sequence[str],
        max_tokens: int = 20,
        *,
        seed: int | None = None,
        bias: Sequence[Mapping[str, float]] | None = None,
        fresh: bool = False,
    ) -> list[Reply]:
        """Continue each text, in a request of its own."""
        self._demand(self.can.completes)
        bodies = [self._completion(each, max_tokens) for each in check_prompts(prompts)]
        if seed is not None:
            for number, body in enumerate(bodies):
                body |= {"temperature": 1, "top_p": 1, "seed": seed + number}
        if bias is not None:
            self._demand(self.can.no_bias)
            for body, added in zip(bodies, bias, strict=True):
                body["logit_bias"] = {str(self._id(token)): more for token, more in added.items()}
        return self._each(COMPLETIONS, bodies, _reply, fresh)

    def ask(self, questions: Sequence[str], max_tokens: int = 20) -> list[Reply]:
        """Answer each question, by the chat of an instruct model, else as a completion."""
        if self.kind == "base" or self.can.chats:
            return self.complete([question_frame(each) for each in check_prompts(questions)], max_tokens)
        self._demand(self.can.reasons)
        plain = self.can.chat_plain
        bodies = [chat_body(self.address.model, each, max_tokens, plain) for each in check_prompts(questions)]

        def replied(answer: Mapping[str, Any]) -> Reply:
            # Some models reason before some answers only.
            self._demand(reasoning_in(self.server, answer))
            return _reply(answer)

        return self._each(CHAT, bodies, replied)

    def likely(self, prompts: Sequence[str], most: int = MOST_LISTED) -> list[Likely]:
        """The most probable next tokens after each text."""
        self._demand(self.can.no_list)
        wanted = min(most, self.most_listed)
        bodies = [
            self._completion(each, 1) | {"logprobs": self.most_listed} for each in check_prompts(prompts)
        ]

        def listed(answer: Mapping[str, Any]) -> Likely:
            found = listed_in(answer)
            if found is None:
                raise VsgError(
                    f"the server at {self.address.url} answers without the logprobs that it gave before: start it with "
                    "them, and run again"
                )
            return Likely.of(found, wanted)

        return self._each(COMPLETIONS, bodies, listed)

    def _completion(self, prompt: str, max_tokens: int) -> dict[str, Any]:
        return completion_body(self.address.model, prompt, max_tokens, self.can.plain)

    def _id(self, token: str) -> int:
        """The id of the token with this text.

        Raises:
            NotApplicable: the text is several tokens.
        """
        if self.can.tokenizer is None:
            raise NotApplicable(
                f"the server at {self.address.url} has no tokenizer to ask for the ids of tokens"
            )
        request = {"url": f"{self.address.root}{self.can.tokenizer[0]}", "text": token, **self._basis}
        answer = self.answers.read(request)
        if answer is None:
            answer = {"ids": ids_of(self.server, self.can.tokenizer, token)}
            self.answers.keep(request, answer)
        ids = answer["ids"]
        if len(ids) != 1:
            raise NotApplicable(f"{token!r} is {len(ids)} tokens of {self.name}: a bias is on one token")
        return int(ids[0])

    def _demand(self, lack: str) -> None:
        """Raise NotApplicable with what the server cannot do; nothing where it can."""
        if lack:
            raise NotApplicable(f"it needs what the server does not do: {lack}")

    @property
    def _basis(self) -> dict[str, str]:
        """All that an answer depends on besides its request and its URL."""
        return {"model": self.address.model, "server": self.fingerprint}

    def _each(
        self,
        path: str,
        bodies: Sequence[Mapping[str, Any]],
        read: Callable[[Mapping[str, Any]], Found],
        fresh: bool = False,
    ) -> list[Found]:
        """Read the answer to each request.

        Raises:
            NotApplicable: an answer shows that the claim does not apply.
            VsgError: a request is not answered; the message says how many were.
        """
        found: list[Found] = []
        for body in bodies:
            try:
                found.append(read(self._answer(path, body, fresh)))
            except NotApplicable:
                raise
            except VsgError as error:
                if isinstance(error, NoServer) and not found:
                    raise
                raise VsgError(
                    f"{len(found)} of {len(bodies)} requests were answered, too few for a verdict: {error}"
                ) from None
        return found

    def _answer(self, path: str, body: Mapping[str, Any], fresh: bool) -> dict[str, Any]:
        url = f"{self.address.url}{path}"
        request = {"url": url, "body": dict(body), **self._basis}
        if not fresh and (kept := self.answers.read(request)) is not None:
            return kept
        began = time.perf_counter()
        answer = self.server.post(url, body)
        self.meter.add(time.perf_counter() - began, answer)
        self._check_restarts()
        self._check_model(path, answer)
        choice_of(answer)
        if not fresh:
            self.answers.keep(request, answer)
        return answer

    def _check_restarts(self) -> None:
        """Check that a server that was gone for a while serves the same weights as before.

        Raises:
            VsgError: it does not.
        """
        if (restarts := self.server.restarts) == self._restarts:
            return
        if fingerprint_of(ask_capabilities(self.server)) != self.fingerprint:
            raise VsgError(
                f"the server at {self.address.url} was started again and answers differently: no verdict is of two "
                "models; run again"
            )
        self._restarts = restarts

    def _check_model(self, path: str, answer: Mapping[str, Any]) -> None:
        """Check that the asked model answered.

        Raises:
            VsgError: the answer names a model that differs from that of the first answer by this path.
        """
        expected = self.can.named.get(path)
        named = answer.get("model")
        if expected is not None and named != expected:
            raise VsgError(
                f"the server at {self.address.url} answers as model {named}, and as {expected} before: "
                "no verdict is of two models; run again once it serves one"
            )


def fingerprint_of(can: Capabilities) -> str:
    """Digest what the server says of the model and what the model writes: its weights only the server could digest.

    The URL is left out: the same weights are the same model on another port, and others write other texts. So are
    log-probabilities: a server rounds them otherwise in another batch, and any number of digits has values at which
    that shows.
    """
    said = json.dumps([dict(can.says), can.texts], sort_keys=True)
    # The digits come first: a model whose name is taken gets those that its identity begins with.
    return f"{hashlib.sha256(said.encode()).hexdigest()[:DIGITS]}-said-by-server"


def _reply(answer: Mapping[str, Any]) -> Reply:
    return Reply(text_of(answer), "length" if choice_of(answer).get("finish_reason") == "length" else "end")

"""The abilities of a server, asked of it once with small requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.hosted.address import SCHEME
from vsg_core.hosted.api import (
    CHAT,
    COMPLETIONS,
    chat_body,
    completion_body,
    listed_in,
    reasoning_in,
    text_of,
)
from vsg_core.hosted.server import Faulty, Refused, Server
from vsg_core.hosted.text_model import MOST_LISTED

# What a server is asked first: its greedy texts tell weights apart. Those of two quantisations part, if at all, after
# some tokens of a text that may go on in many ways.
PROBE = "The capital of France is"
OPEN = "Late in the evening the old man opened the door and"
QUESTION = "What is the capital of France?"
TOKENS = 24
# What a list of models says of one that stays the same from call to call and after a restart. vLLM and llama.cpp give
# the present time as `created`, and vLLM gives ids of permissions that are new each time.
LASTING = ("owned_by", "root")
# What llama.cpp's server says of the file itself.
OF_FILE = ("n_params", "size", "n_vocab", "n_embd")
# OpenAI's completions list five, its chat twenty.
LISTS = (MOST_LISTED, 5)
# Of servers that list tokens by id only where asked in a way of their own: the path and the name of the text.
TOKENIZERS = (("/extras/tokenize", "input"), ("/tokenize", "content"), ("/tokenize", "prompt"))
# What turns off defaults by which some servers change even greedy texts. The penalty has one name for llama.cpp and
# another for vLLM, which takes its default from the model's generation_config; others refuse the names.
PLAIN = {"repeat_penalty": 1.0, "repetition_penalty": 1.0, "top_k": 0, "min_p": 0.0}
# What turns off the reasoning of chat formats that have it: claims ask for answers of a few tokens.
DIRECT = {"chat_template_kwargs": {"enable_thinking": False}}
# What may follow a model's name in an answer: nothing, or a version, which begins with a digit.
VERSION = re.compile(r"([-:@]\d.*)?", re.DOTALL)
# Enough to keep a token from ever being chosen.
NEVER = -100


@dataclass(frozen=True)
class Capabilities:
    """The abilities of a server for one model.

    Attributes:
        completes: "" if it continues texts, else why not.
        chats: "" if it answers messages, else why not.
        reasons: why its answers cannot be used, where the model reasons before each; "" if it does not.
        most_listed: how many next tokens it lists with their log-probabilities.
        no_list: why it lists none; "" if it does.
        tokenizer: the path of the server's tokenizer and the name of its text; None without one.
        no_bias: why tokens cannot be biased; "" if they can.
        plain: the parameters that are sent with a completion so that the server's defaults do not change it.
        chat_plain: those that are sent with a chat.
        named: by path, the name that its answers give the model; none where they give none.
        says: what it says of the model: the part of its identity that only the server knows.
        texts: what the model writes greedily after the first texts, which tells weights apart that a server gives one
            name.
    """

    completes: str = ""
    chats: str = ""
    reasons: str = ""
    most_listed: int = 0
    no_list: str = ""
    tokenizer: tuple[str, str] | None = None
    no_bias: str = ""
    plain: Mapping[str, Any] = field(default_factory=dict)
    chat_plain: Mapping[str, Any] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In words, for the record of a run."""
        able = {
            "completions": not self.completes,
            "chat": not self.chats and not self.reasons,
            f"{self.most_listed} log-probabilities": self.most_listed > 0,
            "logit bias": not self.no_bias,
        }
        return ", ".join(name for name, can in able.items() if can)

    @property
    def parameters(self) -> str:
        """The names of the parameters that are sent besides those of OpenAI's API."""
        return ", ".join(sorted({*self.plain, *self.chat_plain}))


def ask_capabilities(server: Server) -> Capabilities:
    """Ask a server what it can do.

    Raises:
        WrongUse: it does not serve the model.
        VsgError: it neither continues texts nor answers messages, or is out of reach.
    """
    model = server.address.model
    says = _described(server)
    plain, answer, completes = _as_far_as_taken(
        server, COMPLETIONS, completion_body(model, PROBE, TOKENS, {}), PLAIN
    )
    most, no_list = 0, completes
    if answer is not None:
        most, no_list = _listed(server, plain)
    chat_plain, chat, chats = _as_far_as_taken(
        server, CHAT, chat_body(model, QUESTION, TOKENS, {}), PLAIN | DIRECT
    )
    if chat is None and answer is None:
        raise VsgError(
            f"the server at {server.address.url} neither continues texts ({completes}) nor chats ({chats}): give the "
            "URL of an OpenAI-compatible API, which mostly ends in /v1"
        )
    answers = {path: found for path, found in ((COMPLETIONS, answer), (CHAT, chat)) if found is not None}
    named = {path: name for path, found in answers.items() if (name := _word(found, "model"))}
    for name in named.values():
        _check_name(server, name)
    says |= _said_in(answers, named)
    tokenizer = _tokenizer(server) if answer is not None else None
    no_bias = completes or _no_bias(server, plain, tokenizer)
    texts = [text_of(each) for each in answers.values()]
    if answer is not None:
        further = completion_body(model, OPEN, TOKENS, plain)
        texts.append(text_of(server.post(f"{server.address.url}{COMPLETIONS}", further)))
    return Capabilities(
        completes=completes,
        chats=chats,
        reasons="" if chat is None else reasoning_in(server, chat),
        most_listed=most,
        no_list=no_list,
        tokenizer=tokenizer,
        no_bias=no_bias,
        plain=plain,
        chat_plain=chat_plain,
        named=named,
        says={"model": model, **says},
        texts=tuple(texts),
    )


def _described(server: Server) -> dict[str, str]:
    """Return what the list of models says of the model; empty without a list, which no server need have.

    Raises:
        WrongUse: the list lacks the model.
    """
    try:
        answer = server.get(f"{server.address.url}/models")
    except (Refused, Faulty):
        return {}
    # Some servers list them without an object around.
    listed = answer.get("data") if isinstance(answer, dict) else answer
    listed = listed if isinstance(listed, list) else []
    known = {str(each["id"]): each for each in listed if isinstance(each, dict) and "id" in each}
    model = server.address.model
    if not known:
        return {}
    if model not in known:
        names = ", ".join(sorted(known)[:5])
        raise WrongUse(
            f"the server at {server.address.url} has no model {model}, but {names}: give one of them, as in "
            f"{SCHEME}{next(iter(sorted(known)))}@{server.address.url}"
        )
    about = {name: known[model].get(name) for name in LASTING}
    if isinstance(meta := known[model].get("meta"), dict):
        about |= {name: meta.get(name) for name in OF_FILE}
    return {name: str(value) for name, value in about.items() if isinstance(value, (str, int))}


def _word(answer: Mapping[str, Any], name: str) -> str:
    """The text of a field of an answer; empty without one."""
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _said_in(answers: Mapping[str, Mapping[str, Any]], named: Mapping[str, str]) -> dict[str, str]:
    """Return what answers say of the model behind the name: its whole name, and the server's set-up."""
    names = list(dict.fromkeys(named.values()))
    setups = [_word(answer, "system_fingerprint") for answer in answers.values()]
    # Some servers give it one name for completions and another for chat.
    said = {"answers as": " and ".join(names), "system_fingerprint": next(filter(None, setups[::-1]), "")}
    return {name: value for name, value in said.items() if value}


def _check_name(server: Server, named: str) -> None:
    """Check that the asked model answers: by its name, or by that of one of its versions.

    Raises:
        WrongUse: another one does.
    """
    model = server.address.model
    own, other = (name.lower().rpartition("/")[2] for name in (model, named))
    # gpt-4o-2024-08-06 is a version of gpt-4o, which is none of gpt-4.
    if not other.startswith(own) or not VERSION.fullmatch(other.removeprefix(own)):
        raise WrongUse(
            f"the server at {server.address.url} was asked for {model} and answers as {named}: give the name of what "
            f"it serves, as in {SCHEME}{named}@{server.address.url}"
        )


def _tried(server: Server, path: str, body: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The answer to a probe, or why there is none."""
    try:
        answer = server.post(f"{server.address.url}{path}", body, probes=True)
        text_of(answer)
    # What keeps any request from being answered is not the lack of one ability.
    except (Refused, Faulty) as error:
        return None, error.reason
    return answer, ""


def _as_far_as_taken(
    server: Server, path: str, body: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None, str]:
    """Send a probe with the wanted parameters, or with those of them that the server takes.

    Returns:
        those parameters, the answer to the probe, and why there is none.
    """
    answer, _ = _tried(server, path, {**body, **wanted})
    if answer is not None:
        return dict(wanted), answer, ""
    without, why = _tried(server, path, body)
    if without is None:
        return {}, None, why
    short = {**body, "max_tokens": 1}
    each = {
        name: value
        for name, value in wanted.items()
        if _tried(server, path, {**short, name: value})[0] is not None
    }
    answer, _ = _tried(server, path, {**body, **each}) if each else (None, "")
    return (each, answer, "") if answer is not None else ({}, without, "")


def _listed(server: Server, plain: Mapping[str, Any]) -> tuple[int, str]:
    """Find how many next tokens the server lists, and why it lists none."""
    why = ""
    for wanted in LISTS:
        body = completion_body(server.address.model, PROBE, 1, plain) | {"logprobs": wanted}
        answer, why = _tried(server, COMPLETIONS, body)
        try:
            found = None if answer is None else listed_in(answer)
        except Faulty as error:
            return 0, error.reason
        if found:
            return min(len(found), wanted), ""
        if answer is not None:
            why = (
                f"the server at {server.address.url} answers without logprobs: start it with them, if it can"
            )
    return 0, why


def _tokenizer(server: Server) -> tuple[str, str] | None:
    for path, name in TOKENIZERS:
        try:
            ids_of(server, (path, name), PROBE)
        except VsgError:
            continue
        return path, name
    return None


def ids_of(server: Server, tokenizer: tuple[str, str], text: str) -> list[int]:
    """The ids of the tokens of a text, as the server's own tokenizer gives them, without what begins every text.

    Raises:
        VsgError: it gives none.
    """
    before = _tokens(server, tokenizer, "")
    ids = _tokens(server, tokenizer, text)
    ids = ids[len(before) :] if ids[: len(before)] == before else ids
    if not ids:
        raise VsgError(f"the tokenizer of the server at {server.address.url} gives no ids")
    return ids


def _tokens(server: Server, tokenizer: tuple[str, str], text: str) -> list[int]:
    path, name = tokenizer
    body = {"model": server.address.model, name: text, "add_special": False, "add_special_tokens": False}
    ids = server.post(f"{server.address.root}{path}", body, probes=True).get("tokens")
    if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
        raise VsgError(f"the tokenizer of the server at {server.address.url} gives no ids")
    return ids


def _no_bias(server: Server, plain: Mapping[str, Any], tokenizer: tuple[str, str] | None) -> str:
    """Why tokens cannot be biased: tried by forbidding the first token of an answer."""
    if tokenizer is None:
        return (
            f"the server at {server.address.url} has no tokenizer to ask for the ids that a logit bias takes"
        )
    body = completion_body(server.address.model, PROBE, 1, plain)
    answer, why = _tried(server, COMPLETIONS, body)
    if answer is None:
        return why
    first = text_of(answer)
    try:
        ids = ids_of(server, tokenizer, first)
    except VsgError as error:
        return error.reason
    biased, why = _tried(server, COMPLETIONS, body | {"logit_bias": {str(each): NEVER for each in ids}})
    if biased is None:
        return why
    return "" if text_of(biased) != first else f"the server at {server.address.url} ignores logit_bias"

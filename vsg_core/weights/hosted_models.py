"""Hosted models as the rest of the suite finds models: described by name, identified by their server, opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vsg_core.errors import VsgError
from vsg_core.hosted.address import Address
from vsg_core.weights.cache import root
from vsg_core.weights.names import slug
from vsg_core.weights.registry import Entry, Hosted

if TYPE_CHECKING:
    from vsg_core.hosted.capabilities import Capabilities
    from vsg_core.hosted.hosted_model import HostedModel

# Under the cache folder.
ANSWERS = "answers"
# What each server said, or why it did not answer: once per process, for every claim of a run asks for it.
_ASKED: dict[Hosted, Capabilities | VsgError] = {}


def describe_hosted(target: str, family_of: Callable[[str, str], str]) -> Entry:
    """Describe openai:NAME@URL without asking the server; its kind is guessed from the name.

    Raises:
        WrongUse: it is no such address.
    """
    address = Address.of(target)
    name = slug(f"openai-{address.model.replace('/', '--')}")
    base = re.search(r"(^|[-_./])(base|davinci|babbage)", address.model.lower()) is not None
    return Entry(
        name=name,
        family=family_of(slug(address.model), ""),
        kind="base" if base else "instruct",
        sources=(Hosted(address.model, address.url),),
        note="asked over HTTP: claims that need more than text do not apply",
    )


def address_of(entry: Entry) -> Address:
    """The address of a hosted model."""
    source = source_of(entry)
    return Address(source.model, source.url)


def source_of(entry: Entry) -> Hosted:
    """The server of a hosted model."""
    source = entry.sources[0]
    if not isinstance(source, Hosted):
        raise VsgError(f"{entry.name} is not hosted: this is a fault of vsg")
    return source


def open_hosted(entry: Entry, name: str | None = None) -> HostedModel:
    """Open a hosted model; what its server can do is asked once per process.

    Raises:
        VsgError: the server does not answer, or does not serve the model.
    """
    from vsg_core.hosted.answers import Answers
    from vsg_core.hosted.hosted_model import HostedModel
    from vsg_core.hosted.server import Server

    can = _asked(entry)
    server, answers = Server(address_of(entry)), Answers(root() / ANSWERS)
    return HostedModel(server, answers, name=name or entry.name, kind=entry.kind, can=can)


def said_by_server(entry: Entry) -> str:
    """Identify a hosted model by what its server says and answers; empty where it does not answer."""
    from vsg_core.hosted.hosted_model import fingerprint_of

    try:
        return fingerprint_of(_asked(entry))
    except VsgError:
        return ""


def abilities_of(entry: Entry) -> dict[str, str]:
    """Return what a server can do for a hosted model, for the key of its records; empty where it does not answer.

    A server that is started again with log-probabilities, say, is asked again for what did not apply before.
    """
    try:
        can = _asked(entry)
    except VsgError:
        return {}
    return {"kind": with_asked_kind(entry).kind, "abilities": can.text, "parameters": can.parameters}


def with_asked_kind(entry: Entry) -> Entry:
    """Describe a hosted model with the kind that its server shows; the guessed one where it does not answer."""
    try:
        return replace(entry, kind="base") if _asked(entry).chats else entry
    except VsgError:
        return entry


def _asked(entry: Entry) -> Capabilities:
    """Return the abilities of the server.

    Raises:
        VsgError: it does not answer.
    """
    from vsg_core.hosted.capabilities import ask_capabilities
    from vsg_core.hosted.server import Server

    source = source_of(entry)
    if source not in _ASKED:
        try:
            server = Server(address_of(entry))
            try:
                _ASKED[source] = ask_capabilities(server)
            finally:
                server.close()
        except VsgError as error:
            _ASKED[source] = error
    found = _ASKED[source]
    if isinstance(found, VsgError):
        raise found.with_traceback(None)
    return found

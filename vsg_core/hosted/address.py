"""The address of a hosted model: openai:NAME@URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from vsg_core.errors import WrongUse

SCHEME = "openai:"
EXAMPLE = "openai:NAME@http://127.0.0.1:8000/v1"
GIVEN = re.compile(rf"{SCHEME}(?P<model>.+)@(?P<url>[a-z]+://.+)", re.DOTALL)
# Visible characters of ASCII, as in the ids of models: NAME, OWNER/NAME, NAME:TAG.
MODEL = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True)
class Address:
    """A model of a server that speaks OpenAI's protocol.

    Args:
        model: the server's name for it.
        url: the base of the API, without a slash at its end, and without credentials.
    """

    model: str
    url: str

    @classmethod
    def of(cls, target: str) -> Self:
        """Read openai:NAME@URL.

        Raises:
            WrongUse: it is not that, or the URL has what would be recorded and must not be: credentials, a query.
        """
        found = GIVEN.fullmatch(target)
        if not found:
            raise WrongUse(
                f"{without_secrets(target)} names no server: give openai:NAME@URL, such as {EXAMPLE}"
            )
        model, url = found["model"], found["url"].rstrip("/")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise WrongUse(f"the server's address is not a URL: give one such as {EXAMPLE}") from None
        if parts.scheme not in ("http", "https") or not host or not MODEL.fullmatch(url):
            raise WrongUse(f"{without_secrets(url)} is not an http or https URL: give one such as {EXAMPLE}")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise WrongUse(
                f"the URL of {without_secrets(url)} has credentials or a query, which records would keep: leave them "
                "out, and give the key in the environment as VSG_API_KEY or OPENAI_API_KEY"
            )
        if not MODEL.fullmatch(model):
            raise WrongUse("the model's name has spaces or other characters that no API takes: give its id")
        return cls(model, url)

    @property
    def target(self) -> str:
        """Return what --model takes for it."""
        return f"{SCHEME}{self.model}@{self.url}"

    @property
    def root(self) -> str:
        """The server without the path of its API."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_loopback(self) -> bool:
        """Return whether the server is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def is_private(self) -> bool:
        """Return whether what is sent stays unread on the way."""
        return self.is_loopback or self.url.startswith("https:")


def is_hosted(target: object) -> bool:
    """Return whether what was given to --model stands for a hosted model."""
    return isinstance(target, str) and target.startswith(SCHEME)


def without_secrets(target: str) -> str:
    """Return a target for a message, without the credentials and the query of its URL."""
    return re.sub(r"[?#].*", "", re.sub(r"://[^/]*@", "://", target, flags=re.DOTALL), flags=re.DOTALL)

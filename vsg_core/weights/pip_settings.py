"""The part of pip's configuration that determines where packages come from, read with `pip config list`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass

PYPI = "https://pypi.org/simple"
# Seconds; pip's own default.
TIMEOUT = 15.0
PIP = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check"]
NO = {"", "0", "false", "no", "off", "n", "f"}
UNSUPPORTED = ("trusted-host", "keyring-provider")
# Sections by increasing precedence: options of the command override `global`, the environment overrides both.
SECTIONS = ("global", "download", ":env:")


@dataclass(frozen=True)
class PipSettings:
    """The places where pip looks for packages, and how it connects to them.

    Args:
        indexes: addresses of simple indexes, in pip's order; http, https or file.
        find_links: folders, file URLs or pages that link to wheels.
        proxy: address of a proxy; None to follow HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
        cert: file of certificates to trust; None for those of the system.
        client_cert: file with the client's certificate and key.
        timeout: seconds without an answer after which a connection counts as lost.
        unsupported: settings in effect that only pip itself can use.
    """

    indexes: tuple[str, ...] = (PYPI,)
    find_links: tuple[str, ...] = ()
    proxy: str | None = None
    cert: str | None = None
    client_cert: str | None = None
    timeout: float = TIMEOUT
    unsupported: tuple[str, ...] = ()


def read_settings() -> PipSettings:
    """Read the configuration from pip, which combines its files and the environment.

    If pip does not answer, return pip's defaults.
    """
    listing = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True)
    return parse_settings(listing.stdout if listing.returncode == 0 else "")


def parse_settings(listing: str) -> PipSettings:
    """Parse lines such as `global.index-url='https://…'`."""
    values: dict[str, str] = {}
    for section in SECTIONS:
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            # The option's name follows the last dot: `:env:.find-links`.
            where, _, option = name.strip().rpartition(".")
            if where == section:
                values[option] = str(ast.literal_eval(value))
    indexes = [values.get("index-url") or PYPI, *values.get("extra-index-url", "").split()]
    if values.get("no-index", "").lower() not in NO:
        indexes = []
    bundles = (values.get("cert"), os.environ.get("REQUESTS_CA_BUNDLE"), os.environ.get("CURL_CA_BUNDLE"))
    proxy = values.get("proxy")
    return PipSettings(
        indexes=tuple(index.rstrip("/") for index in indexes),
        find_links=tuple(values.get("find-links", "").split()),
        proxy=f"http://{proxy}" if proxy and "://" not in proxy else proxy or None,
        cert=next((bundle for bundle in bundles if bundle), None),
        client_cert=values.get("client-cert") or None,
        timeout=float(values.get("timeout") or values.get("default-timeout") or TIMEOUT),
        unsupported=tuple(option for option in UNSUPPORTED if values.get(option)),
    )

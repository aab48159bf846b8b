"""A wheel's bytes from an offset on, to standard output: run as a script, in a process of its own.

`pip download` cannot continue a file. Its finder and its session can be asked for any part of one, and so the
user's indexes, mirrors, proxies, certificates and credentials hold here as they do there. They are no public
interface of pip's: one whose insides are others downloads the whole wheel, from which the bytes are taken.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

CHUNK = 1 << 13  # all that a killed fetch can lose
OPTIONS = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--retries=2"]
OPTIONS += ["--no-deps", "--only-binary=:all:"]


def main(requirement: str, start: int, out: BinaryIO) -> None:
    """Write the wheel of a requirement `NAME==VERSION` from byte `start` on; exit with pip's words otherwise."""
    try:
        read = _reader(requirement)
    except (ImportError, AttributeError, TypeError) as error:
        print(f"this pip cannot continue a file ({error!r})", file=sys.stderr)
        _copy_whole(requirement, start, out)
        return
    while True:
        before = start
        try:
            for piece in read(start):
                out.write(piece)
                out.flush()
                start += len(piece)
            return
        except BrokenPipeError:
            sys.exit("nobody reads on")
        except OSError as error:  # gone on with at once, as long as each attempt brings something
            if start == before:
                sys.exit(f"ERROR: {error}")


def _reader(requirement: str) -> Callable[[int], Iterator[bytes]]:
    """What gives the bytes of pip's choice for the requirement from an offset on."""
    from pip._internal.commands.download import DownloadCommand
    from pip._vendor.packaging.specifiers import SpecifierSet

    command = DownloadCommand("download", "")
    options, _ = command.parse_args([*OPTIONS, requirement])
    name, _, version = requirement.partition("==")
    session = command._build_session(options)
    finder = command._build_package_finder(options, session)
    found = finder.find_best_candidate(name, SpecifierSet(f"=={version}")).best_candidate
    if found is None:
        sys.exit(f"ERROR: No matching distribution found for {requirement}")
    url = found.link.url_without_fragment
    return lambda start: _read(session, url, start)


def _read(session: Any, url: str, start: int) -> Iterator[bytes]:
    """The bytes from `start` on, also of a server that gives nothing but the whole."""
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
    with session.get(url, headers=headers, stream=True) as response:
        if response.status_code == 416:  # there is nothing beyond
            return
        response.raise_for_status()
        missing = int(response.headers.get("Content-Length", 0))
        skip = 0 if response.status_code == 206 else start
        for piece in response.iter_content(CHUNK):
            yield piece[skip:]
            skip = max(0, skip - len(piece))
            missing -= len(piece)
    if missing > 0:
        raise ConnectionError(f"the connection broke {missing} bytes before the end")


def _copy_whole(requirement: str, start: int, out: BinaryIO) -> None:
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "pip", "download", *OPTIONS, "--dest", folder, requirement]
        if failed := subprocess.run(command).returncode:
            sys.exit(failed)
        (wheel,) = Path(folder).glob("*.whl")
        with wheel.open("rb") as file:
            file.seek(start)
            while piece := file.read(CHUNK):
                out.write(piece)


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s: %(message)s")  # pip's warnings
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # pip may print, and what it prints is none of the wheel's bytes
        main(sys.argv[1], int(sys.argv[2]), out)

"""Errors of other libraries, each put into one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vsg_core.errors import VsgError

# Characters of a library's message that are shown; the useful part comes first.
LONGEST = 400
# Colours of the terminal, and other characters that a terminal would act on.
CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x1f\x7f]")


@contextmanager
def foreign_errors(what: str, remedy: str = "") -> Iterator[None]:
    """Turn whatever a library raises inside the block into one line that keeps its message.

    Args:
        what: the subject and what failed, such as "FOLDER cannot be loaded".
        remedy: what to do about it.

    Raises:
        VsgError: anything was raised other than a VsgError, an interruption or the end of the process.
    """
    try:
        with _quiet():
            yield
    except VsgError:
        raise
    except BaseException as error:
        # A panic of a library in Rust is not an Exception; an interruption and pytest's outcomes are not either.
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise
        remedy = remedy or _package(error)
        advice = f": {remedy}" if remedy else ""
        raise VsgError(f"{what} ({type(error).__name__}{_message(error)}){advice}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers, whose own tables and warnings would come before the one line."""
    # Where it is not loaded yet, nothing of it runs: collecting claims must not load it.
    loaded: Any = sys.modules.get("transformers")
    if loaded is None:
        yield
        return
    logging = loaded.utils.logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def one_line(text: str) -> str:
    """Join the lines of a message, without colours and control characters, cut at LONGEST characters."""
    line = " ".join(CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _message(error: BaseException) -> str:
    line = one_line(str(error))
    return f": {line}" if line else ""


def _package(error: BaseException) -> str:
    """Return the command that gets a missing package, unless the message has it."""
    if not isinstance(error, ImportError) or not error.name or "pip install" in str(error):
        return ""
    return f"pip install {error.name.partition('.')[0]}"

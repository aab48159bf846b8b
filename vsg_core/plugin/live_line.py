"""The claim that is running, with its number and its time, on a line below pytest's own, in a terminal only.

The line is gone when the claim ends.

Nothing else may print meanwhile: pytest prints between the phases of a test, and what a test prints is captured. So
there is no line with -s, with live logs, and while a debugger asks.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress

import pytest

from vsg_core.markup.literal import visible
from vsg_core.plugin.order import model_name
from vsg_core.plugin.selection import claim_of
from vsg_core.runs.plan import clock_text

# A claim that ends sooner shows no line.
DELAY = 1.0
# The options with which something prints while a test runs.
PRINTING = ("usepdb", "trace", "setupshow", "setupplan", "log_cli_level")
# From the cursor to the end of the screen: the line is the only thing below the cursor.
ERASE = b"\x1b[J"
# Columns that the name of a claim keeps while that of its model is not shortened.
KEPT = 12


def name_widths(claim: int, model: int, room: int) -> tuple[int, int]:
    """Divide `room` columns between the names of a claim and its model, which need `claim` and `model` columns.

    The claim's name is shortened first, then the model's; each keeps at least one column.
    """
    claim = min(claim, max(room - model, KEPT))
    model = max(1, min(model, room - claim))
    return max(1, min(claim, room - model)), model


def shortened(text: str, width: int) -> str:
    """The text in at most `width` columns, with an ellipsis where something is left out."""
    return text if len(text) <= width else text[: width - 1] + "…"


class LiveLine:
    """Draws the line from a thread of its own, once per second.

    Args:
        terminal: a file descriptor of the terminal; not 1, which pytest redirects while a test runs.
    """

    def __init__(self, config: pytest.Config, terminal: int) -> None:
        self.config = config
        self.terminal = terminal
        self.numbers: dict[str, str] = {}
        self.running: tuple[str, str, str] | None = None
        self.since = 0.0
        self.drawn = False
        self.hidden = threading.Event()
        self.hidden.set()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        claims = [item.nodeid for item in session.items if model_name(item)]
        self.numbers = {name: f"claim {place} of {len(claims)}" for place, name in enumerate(claims, 1)}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        model = model_name(item)
        claim = claim_of(item)
        if model and claim:
            self.running = (self.numbers.get(item.nodeid, "claim"), visible(claim.id), visible(model))
        self.since = time.monotonic()
        try:
            return (yield)
        finally:
            self.running = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self.shown())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self.shown())

    def pytest_enter_pdb(self) -> None:
        self.hide()

    def shown(self) -> Generator[None, object, object]:
        """Show the line while a phase of the claim runs."""
        if self.running:
            self.hidden.clear()
            self.thread = threading.Thread(target=self.follow, daemon=True)
            self.thread.start()
        try:
            return (yield)
        finally:
            self.hide()

    def follow(self) -> None:
        """Draw until the phase ends."""
        while not self.hidden.wait(DELAY):
            with self.lock:
                if not self.hidden.is_set():
                    self.draw()

    def draw(self) -> None:
        """Draw below the cursor, and put the cursor back."""
        with suppress(OSError):
            # Not captured: a fixture, say the model that is loading, writes to the terminal itself.
            if os.path.sameopenfile(1, self.terminal):
                return
            columns = os.get_terminal_size(self.terminal).columns
            text = self.line(columns - 1)
            column = self.config.get_terminal_writer().width_of_current_line % max(columns, 1)
            back = f"\x1b[{column}C" if column else ""
            # Relative, because the line end scrolls the screen where the cursor is at its bottom.
            self.write(f"\r\n\x1b[2K{text}\r\x1b[A{back}".encode())
            self.drawn = True

    def line(self, width: int) -> str:
        """The running claim in at most `width` columns: only the names are shortened, unless that is not enough."""
        number, claim, model = self.running or ("", "", "")
        start, between, end = f"{number}: ", " on ", f" … {clock_text(time.monotonic() - self.since)}"
        room = width - len(start + between + end)
        claim_width, model_width = name_widths(len(claim), len(model), room)
        return (start + shortened(claim, claim_width) + between + shortened(model, model_width) + end)[:width]

    def hide(self) -> None:
        """Erase the line; after this nothing is drawn until the next phase."""
        self.hidden.set()
        with self.lock, suppress(OSError):
            if self.drawn:
                self.write(ERASE)
            self.drawn = False
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def write(self, text: bytes) -> None:
        """Write all of it."""
        while text:
            text = text[os.write(self.terminal, text) :]

    def pytest_unconfigure(self) -> None:
        os.close(self.terminal)


def _fits(config: pytest.Config) -> bool:
    """Return whether nothing but pytest will print while a claim runs."""
    if not config.pluginmanager.has_plugin("terminal"):
        return False
    # Each is an option of a plugin that may be left out.
    if getattr(config.option, "capture", "no") != "fd" or any(
        getattr(config.option, name, None) for name in PRINTING
    ):
        return False
    logs = config.pluginmanager.has_plugin("logging") and config.getini("log_cli")
    return not logs and os.environ.get("TERM", "dumb") != "dumb"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.option.collectonly or not _fits(config):
        return
    # Nothing is captured yet, so this is the terminal if there is one.
    with suppress(OSError, ValueError):
        if sys.stdout.isatty():
            config.pluginmanager.register(LiveLine(config, os.dup(sys.stdout.fileno())), "vsg-live-line")

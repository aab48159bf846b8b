"""SIGTERM and SIGHUP end a run of claims as Ctrl-C does: with the report of what was measured."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType, TracebackType
from typing import Any

import pytest

from vsg_core.plugin.order import model_name
from vsg_core.plugin.places import is_worker, runs_claims

# Windows has no SIGHUP.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """The run was asked to end. pytest ends it as after Ctrl-C, with exit code 2."""


class Listener:
    """Turns the first signal into Stopped, and ignores signals from then on, and while the reports are written.

    Attributes:
        installed: the signals that it handles.
    """

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.installed: list[int] = []
        self.ending = False

    def listen(self) -> None:
        """Handle the signals that nothing else handles; nohup, a host or another plugin keeps its own."""
        # Python lets no other thread set a handler.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self.stop)
                self.installed.append(number)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End the run, once."""
        if self.ending:
            return
        self.ending = True
        text = f"stopped by {signal.Signals(number).name}"
        # Ends the run after this claim, if the claim swallows the exception.
        self.session.shouldstop = text
        raise Stopped(text)

    def pytest_collection_finish(self) -> None:
        # Claims may be elsewhere than in hypotheses/.
        if any(map(model_name, self.session.items)):
            self.listen()

    # Before the reports are written.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        self.ending = True
        yield

    def pytest_unconfigure(self) -> None:
        for number in self.installed:
            # Bound methods are equal, not identical.
            if signal.getsignal(number) == self.stop:
                signal.signal(number, signal.SIG_DFL)


class PutOff:
    """Puts off Ctrl-C, SIGTERM and SIGHUP while a block runs, so that what it does is not cut in two.

    A second one is not put off: what takes too long can still be ended.
    """

    def __init__(self) -> None:
        self.usual: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self.came: list[int] = []

    def __enter__(self) -> PutOff:
        # Python lets no other thread set a handler.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *SIGNALS):
                handler = signal.getsignal(number)
                if callable(handler):
                    self.usual[number] = handler
                    signal.signal(number, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        """Keep the first signal, and act on another."""
        if self.came:
            self.usual[number](number, frame)
        else:
            self.came.append(number)

    def deliver(self) -> None:
        """Do what the signal that came asks for, which may raise KeyboardInterrupt."""
        while self.came:
            number = self.came.pop()
            self.usual[number](number, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self.usual.items():
            signal.signal(number, handler)
        self.deliver()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or is_worker(session.config):
        return
    listener = Listener(session)
    session.config.pluginmanager.register(listener, "vsg-signals")
    if runs_claims(session.config):
        listener.listen()

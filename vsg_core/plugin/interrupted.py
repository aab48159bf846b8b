"""The end of a run by Ctrl-C, SIGTERM or SIGHUP: how far it came, and the command that continues it.

If no test has ended by then, neither a report of pytest-html nor an empty folder is left.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import suppress

import pytest

from vsg_core.hosted.address import without_secrets
from vsg_core.plugin.options import PREFIX, SHORT
from vsg_core.plugin.order import model_name
from vsg_core.plugin.places import is_worker, reports_folder

# pytest takes what begins with pytest_ in a plugin for a hook.
from vsg_core.projects import pytest_command as command_of
from vsg_core.projects import run_command
from vsg_core.wording import count_text

RESUME = "resume"
HTML = "pytest_html"


class Interruption:
    """Follows a run until something interrupts it.

    Attributes:
        claims: the node ids of the claims, once the run has begun.
        ended: those of the tests that have ended, claims or not.
        came: the run was interrupted.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.claims: set[str] = set()
        self.ended: set[str] = set()
        self.came = False

    # Around what runs the tests, in this process or in workers.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        self.claims = {item.nodeid for item in session.items if model_name(item)}
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.ended.add(report.nodeid)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest.exit is none, and with Interrupted pytest and plugins end a run of their own accord.
        of_pytest = isinstance(excinfo.value, pytest.Session.Interrupted)
        self.came = isinstance(excinfo.value, KeyboardInterrupt) and not of_pytest
        if self.came and not self.ended:
            self.leave_out_html()

    def leave_out_html(self) -> None:
        """Unregister what would write a report without a test, unless someone asked for that file."""
        if getattr(self.config.option, "htmlpath", None) != str(reports_folder(self.config) / "pytest.html"):
            return
        manager = self.config.pluginmanager
        for plugin in manager.get_plugins():
            if type(plugin).__module__.partition(".")[0] == HTML:
                manager.unregister(plugin)

    # Around everything that prints at the end, so that the line is the last one.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        yield
        if not self.came:
            return
        # The folder of its report was made at the start.
        with suppress(OSError):
            reports_folder(self.config).rmdir()
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        if self.claims and terminal is not None and not self.config.option.vsg_dry:
            done = f"{len(self.ended & self.claims)} of {count_text(len(self.claims), 'claim')} done"
            terminal.write_line(f"interrupted: {done}; continue with: {continuing_command(self.config)}")


def continuing_command(config: pytest.Config) -> str:
    """The command of this run with --resume, quoted for a shell."""
    words = list(map(str, config.invocation_params.args))
    # What `vsg run` adds in front of the words that it was given.
    command = command_of([], config.invocation_params.dir)
    added = command[command.index("pytest") + 1 :]
    if words[: len(added)] == added:
        words = words[len(added) :]
    if not config.option.vsg_resume and {f"--{RESUME}", PREFIX + RESUME}.isdisjoint(words):
        words.insert(0, f"--{RESUME}" if RESUME in config.stash.get(SHORT, []) else PREFIX + RESUME)
    # The address of a hosted model may have a password.
    shown = [without_secrets(word) if "://" in word else word for word in words]
    return f"{run_command()} {shlex.join(shown)}"


def pytest_configure(config: pytest.Config) -> None:
    if not (hasattr(config, "workerinput") or is_worker(config)):
        config.pluginmanager.register(Interruption(config), "vsg-interruption")

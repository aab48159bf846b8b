"""A file of claims that cannot be collected because one of them is wrong: one line in place of a traceback."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from _pytest._code.code import ReprFileLocation
from _pytest.reports import CollectErrorRepr

from vsg_core.errors import WrongUse
from vsg_core.judge.claims import located


class Refused(CollectErrorRepr):
    """One line, which pytest's short summary shows too.

    Args:
        place: of the file, as pytest names it.
    """

    def __init__(self, text: str, place: str) -> None:
        super().__init__(text)
        self.reprcrash = ReprFileLocation(place, 0, text.removeprefix(place).lstrip(":"))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Name the claim and its line where a file of claims raises WrongUse."""
    report = yield
    call = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if isinstance(error, WrongUse):
        report.longrepr = Refused(collector.nodeid + located(collector.path, error), collector.nodeid)
    return report

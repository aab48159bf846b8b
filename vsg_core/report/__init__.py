"""Records turned into pages, tables and text. Measures nothing.

Arrange the records of a run once with `report_of`; everything here takes the `Report`.
"""

from vsg_core.report.page.render import write_report
from vsg_core.report.text.terminal import terminal_summary
from vsg_core.report.view.rows import Report, report_of

__all__ = ["Report", "report_of", "terminal_summary", "write_report"]

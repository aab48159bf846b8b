"""The claim report: a page, rows for scripts, and a summary for the terminal, from evidence records alone."""

from vsg_core.report.page.render import write_report
from vsg_core.report.text.terminal import terminal_summary

__all__ = ["terminal_summary", "write_report"]

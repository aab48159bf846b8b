"""Two runs compared: which verdicts flipped, which estimates moved, what is new and what is gone."""

from vsg_core.report.diff.page import write_diff
from vsg_core.report.diff.pairs import CHANGES, Change, RecordPair
from vsg_core.report.diff.runs import RunDiff, compare_runs
from vsg_core.report.diff.text import diff_text

__all__ = ["CHANGES", "Change", "RecordPair", "RunDiff", "compare_runs", "diff_text", "write_diff"]

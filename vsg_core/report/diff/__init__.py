"""Two runs, or two engines, compared: which verdicts flipped or are replicated, which estimates moved."""

from vsg_core.report.diff.engines import EngineDiff, compare_engines, engines_text
from vsg_core.report.diff.page import write_diff
from vsg_core.report.diff.pairs import CHANGES, Change, RecordPair
from vsg_core.report.diff.runs import RunDiff, compare_runs
from vsg_core.report.diff.text import diff_text

__all__ = [
    "CHANGES",
    "Change",
    "EngineDiff",
    "RecordPair",
    "RunDiff",
    "compare_engines",
    "compare_runs",
    "diff_text",
    "engines_text",
    "write_diff",
]

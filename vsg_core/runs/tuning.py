"""Set, before torch is loaded, how threads of a measuring process wait and what memory it keeps."""

from vsg_core.runs.memory import keep_freed_memory
from vsg_core.runs.spinning import limit_spinning


def tune_process() -> None:
    """Limit spinning threads and keep freed memory, where the user has not chosen otherwise. No number changes."""
    limit_spinning()
    keep_freed_memory()

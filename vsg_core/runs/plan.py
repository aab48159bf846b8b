"""The plan of a run in several processes, in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.filesize import decimal

from vsg_core.runs.estimates import duration_text
from vsg_core.runs.shards import Shard
from vsg_core.wording import count_text


def plan_text(shards: Sequence[Shard], where: str, workers: int, own: str) -> str:
    """The shards with their claims, sizes and estimated durations, and the whole.

    Args:
        where: as given to --on.
        workers: how many shards run at a time.
        own: what the controller runs itself, in words; empty for nothing.
    """
    rows = [_row(shard) for shard in sorted(shards, key=lambda shard: -shard.seconds)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    claims = count_text(sum(len(shard.claims) for shard in shards), "claim")
    whole = about_text(makespan([shard.seconds for shard in shards], workers))
    head = f"{count_text(len(shards), 'shard')} with {claims} on {where}, {workers} at a time: {whole}"
    return "\n".join([head, *map(str.rstrip, lines), *([f"then in this process: {own}"] if own else [])])


def _row(shard: Shard) -> tuple[str, ...]:
    memory = f"{decimal(shard.memory)} of memory" if shard.memory else "size not known"
    return shard.name, count_text(len(shard.claims), "claim"), memory, about_text(shard.seconds)


def makespan(seconds: Sequence[float], workers: int) -> float:
    """The duration of shards of these durations on that many workers, the longest first; 0 if one is not known."""
    if not all(seconds):
        return 0.0
    busy = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        busy[busy.index(min(busy))] += duration
    return max(busy)


def about_text(seconds: float) -> str:
    """An estimated duration: "about 12 min"; 0 is "not measured before"."""
    return f"about {duration_text(seconds)}" if seconds else "not measured before"


def clock_text(seconds: float) -> str:
    """An elapsed time: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Progress of workers while they run: a line each on a terminal, a line per claim elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table

from vsg_core.plugin.live_line import name_widths
from vsg_core.runs.controller import Done, Finished, Launched, Lost, Outcome
from vsg_core.runs.events import Started
from vsg_core.runs.plan import about_text, clock_text
from vsg_core.runs.shards import Shard

REFRESHED_PER_SECOND = 2
# Blanks between two columns.
GAP = 2


@dataclass
class Row:
    """One shard as it runs.

    Args:
        since: when its worker was started, on time.monotonic.
        claim: the name of the claim that runs; empty before the first.
        ended: how many of its claims have ended.
    """

    shard: Shard
    since: float
    claim: str = ""
    ended: int = 0

    @property
    def number(self) -> str:
        return f"claim {min(self.ended + 1, len(self.shard.claims))} of {len(self.shard.claims)}"

    @property
    def doing(self) -> str:
        """Name what its worker does now."""
        if self.ended >= len(self.shard.claims):
            return "a look at its concept tokens for the page"
        return self.claim or "starting"

    def rest(self, now: float) -> str:
        """The estimated rest: from earlier records, else from the claims of this run."""
        elapsed = now - self.since
        whole = self.shard.seconds or (elapsed / self.ended * len(self.shard.claims) if self.ended else 0.0)
        return f"{about_text(whole - elapsed)} left" if whole > elapsed else ""


class Progress:
    """Shows what workers do, without disturbing what pytest prints."""

    def __init__(self, config: pytest.Config, shards: Iterable[Shard]) -> None:
        # Without pytest's plugin for terminals there is neither a writer nor this option.
        has_terminal = config.pluginmanager.has_plugin("terminalreporter")
        self.writer: Any = config.get_terminal_writer() if has_terminal else None
        self.quiet = getattr(config.option, "verbose", 0) < 0
        self.shards = {shard.name: shard for shard in shards}
        self.rows: dict[str, Row] = {}
        self.on_terminal = bool(self.writer and sys.stdout.isatty() and self.writer.hasmarkup)
        self._live: Live | None = None

    def take(self, outcome: Outcome) -> None:
        """Follow one outcome."""
        if isinstance(outcome, Launched):
            name = outcome.shard.name
            self.rows.setdefault(name, Row(self.shards[name], time.monotonic()))
        elif isinstance(outcome, Started) and outcome.shard in self.rows:
            self._start(self.rows[outcome.shard], outcome)
        elif isinstance(outcome, (Finished, Lost)) and outcome.shard.name in self.rows:
            self.rows[outcome.shard.name].ended += 1
        elif isinstance(outcome, Done):
            self.rows.pop(outcome.shard.name, None)

    def _start(self, row: Row, started: Started) -> None:
        row.claim = started.claim.rpartition("::")[2].partition("[")[0].removeprefix("test_")
        if not (self.quiet or self.on_terminal):
            # On the other stream, so that pytest's own lines stay whole.
            print(f"[{started.shard}] {row.number}: {row.claim}", file=sys.stderr, flush=True)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the lines for as long as this lasts."""
        self.draw()
        try:
            yield
        finally:
            self.erase()

    def draw(self) -> None:
        """Draw the lines below what pytest has printed, on a terminal."""
        if self.quiet or not self.on_terminal or self._live or not self.rows:
            return
        self._width = self.writer.width_of_current_line
        if self._width:
            self.writer._file.write("\n")
        self.writer.flush()
        console = Console(file=self.writer._file, force_terminal=True)
        self._live = Live(
            get_renderable=lambda: self.table(console.width), console=console, transient=True,
            refresh_per_second=REFRESHED_PER_SECOND, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start(refresh=True)

    def erase(self) -> None:
        """Remove the lines, and put the cursor back where pytest goes on."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        if self._width:
            self.writer._file.write(f"\x1b[1A\x1b[{self._width}C")
        self.writer.flush()

    def table(self, width: int) -> Table:
        """A row for each worker in `width` columns; where they are too few, names are shortened and nothing else."""
        now = time.monotonic()
        rows = [
            (row.shard.name, row.number, row.doing, clock_text(now - row.since), row.rest(now))
            for row in list(self.rows.values())
        ]
        model, number, claim, clock, rest = (max(map(cell_len, column)) for column in zip(*rows, strict=True))
        room = width - (number + clock + rest + 4 * GAP)
        claim, model = name_widths(claim, model, room)
        table = Table.grid(padding=(0, GAP, 0, 0))
        columns = ((model, False), (number, True), (claim, False), (clock, True), (rest, True))
        for own, right in columns:
            justify: Literal["left", "right"] = "right" if right else "left"
            table.add_column(justify=justify, width=own, no_wrap=True, overflow="ellipsis")
        for cells in rows:
            table.add_row(*cells)
        return table

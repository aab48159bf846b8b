"""The sequences of all states: in contexts, or copied out of them while others need the room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.filesize import decimal

from vsg_core.errors import NotEnoughMemory
from vsg_core.generator.llama_cpp.context import CELLS, MOST_SEQUENCES, Context, Saved

# Sequences of one state that lie next to each other in a context; a larger state has several parts.
PART = 128
# Cells of a new context that is not asked for more.
SHARED_CELLS = 8192


@dataclass(eq=False)
class Part:
    """Some rows of a state: in a context from the sequence `first` on, or saved.

    Args:
        cells: positions that each row has room for.
        used: when it was last needed.
    """

    rows: int
    cells: int
    context: Context | None = None
    first: int = 0
    saved: list[Saved] = field(default_factory=list)
    used: int = 0

    @property
    def width(self) -> int:
        """Sequences that it takes: at least two, since a pass over one position rounds otherwise."""
        return max(2, self.rows)


class Store:
    """Contexts, as many as are needed within `budget` bytes, and the parts of states in them.

    Args:
        open_context: opens a context for a number of sequences and cells of each.
        bytes_per_cell: of keys and values.
        longest: positions that a sequence may have.
    """

    def __init__(
        self,
        open_context: Callable[[int, int], Context],
        bytes_per_cell: int,
        budget: int,
        longest: int,
    ) -> None:
        self._open = open_context
        self.bytes_per_cell = bytes_per_cell
        self.budget = budget
        self._longest = longest
        self._contexts: list[Context] = []
        self._parts: list[Part] = []
        self._clock = 0
        # Parts of states that are gone. The collector of garbage may run at any time, inside a pass too, so it only
        # adds to this.
        self.gone: deque[list[Part]] = deque()

    def cells(self, positions: int) -> int:
        """Cells that a sequence of that many positions gets: doubled, so that few sizes of contexts are needed."""
        cells = CELLS
        while cells < positions:
            cells *= 2
        return min(cells, -(-self._longest // CELLS) * CELLS)

    def most_rows(self, positions: int) -> int:
        """Number of sequences of that many positions that one part may have; at least 1."""
        return max(1, min(PART, self.budget // (self.cells(positions) * self.bytes_per_cell)))

    def take(self, rows: int, positions: int) -> Part:
        """Make a part with empty sequences.

        Raises:
            NotEnoughMemory: the budget does not hold it, even if all others are copied out.
        """
        part = Part(rows, self.cells(positions))
        self._place(part)
        self._parts.append(part)
        return part

    def reach(self, part: Part, positions: int) -> Context:
        """Bring a part into a context where each row has room for that many positions. Errors as of `take`."""
        self._clean()
        if part.context is not None and part.cells < positions:
            self._copy_out(part)
        if part.context is None:
            part.cells = max(part.cells, self.cells(positions))
            self._place(part)
            for row, saved in enumerate(part.saved):
                self._context_of(part).restore(part.first + row, saved)
            part.saved = []
        self._clock += 1
        part.used = self._clock
        return self._context_of(part)

    def row(self, part: Part, row: int) -> Saved:
        """Copy one row of a part, wherever it is."""
        if part.context is None:
            return part.saved[row]
        return part.context.save(part.first + row)

    def fill(self, part: Part, row: int, saved: Saved) -> None:
        """Write a copied row into an empty one of a part that is in a context."""
        self._context_of(part).restore(part.first + row, saved)

    def drop(self, parts: list[Part]) -> None:
        """Free parts, once."""
        for part in parts:
            if part not in self._parts:
                continue
            self._parts.remove(part)
            part.saved = []
            if part.context is not None:
                part.context.free(part.first, part.width)
                part.context = None

    def close(self) -> None:
        """Free all contexts; no part can be used any more."""
        for part in self._parts:
            part.context = None
        for context in self._contexts:
            context.close()
        self._contexts, self._parts = [], []
        self.gone.clear()

    def _clean(self) -> None:
        while self.gone:
            self.drop(self.gone.popleft())

    def _context_of(self, part: Part) -> Context:
        assert part.context is not None
        return part.context

    def _place(self, part: Part) -> None:
        """Find room for a part, as a last resort by copying out those that were not needed for longest."""
        self._clean()
        while not (self._fits(part) or self._grows(part)):
            others = [each for each in self._parts if each.context is not None and each is not part]
            if not others:
                raise NotEnoughMemory(
                    f"{part.rows} sequences of {part.cells} positions need "
                    f"{decimal(part.width * part.cells * self.bytes_per_cell)} in llama.cpp, above the "
                    f"{decimal(self.budget)} that may be taken: ask for fewer or shorter ones at once"
                )
            self._copy_out(min(others, key=lambda each: each.used))
        self._clock += 1
        part.used = self._clock

    def _fits(self, part: Part) -> bool:
        """Put a part into a context that has room; return whether there is one."""
        for context in self._contexts:
            first = context.take(part.width) if context.cells == part.cells else None
            if first is not None:
                part.context, part.first = context, first
                return True
        return False

    def _grows(self, part: Part) -> bool:
        """Put a part into a new context, if the budget allows; empty ones are closed for it."""
        wanted = min(MOST_SEQUENCES, max(part.width, SHARED_CELLS // part.cells))
        if self._room(part.cells) < wanted:
            for context in [each for each in self._contexts if not each.taken.any()]:
                context.close()
                self._contexts.remove(context)
        sequences = min(wanted, self._room(part.cells))
        if sequences < part.width:
            return False
        self._contexts.append(self._open(sequences, part.cells))
        return self._fits(part)

    def _room(self, cells: int) -> int:
        """Number of sequences of that many cells that the rest of the budget holds."""
        held = sum(len(context.taken) * context.cells for context in self._contexts) * self.bytes_per_cell
        return (self.budget - held) // (cells * self.bytes_per_cell)

    def _copy_out(self, part: Part) -> None:
        context = self._context_of(part)
        part.saved = [context.save(part.first + row) for row in range(part.rows)]
        context.free(part.first, part.width)
        part.context = None

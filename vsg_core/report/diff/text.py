"""Two runs compared, as plain text for a terminal: what flipped first, what stayed as a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from vsg_core.report.diff.runs import KINDS, Pair, RunDiff
from vsg_core.report.text.terminal import visible_lines
from vsg_core.report.view import measures
from vsg_core.report.view.cells import Record
from vsg_core.report.view.measures import several

NO_BREAK = "\xa0"
TOLD = ("broken", "flipped", "moved", "not comparable", "new", "gone", "similar")


def diff_text(diff: RunDiff, names: tuple[str, str], width: int = 96) -> str:
    """The comparison as text of at most `width` columns; `names` are what the runs are called."""
    blocks = [
        *_headline(diff, names, width),
        *(_section(diff.of(kind), kind, width) for kind in TOLD if diff.of(kind)),
    ]
    return visible_lines("\n\n".join(blocks))


def _headline(diff: RunDiff, names: tuple[str, str], width: int) -> Iterator[str]:
    lines = [
        f"{side}  {name}: {several(len(records), 'record')}"
        for side, name, records in zip("AB", names, (diff.a, diff.b), strict=True)
    ]
    for name, both in diff.surroundings.items():
        lines.append(f"   {name}")
        for side, told in zip("AB", both, strict=True):
            lines += _wrapped(f"{side}: {told}", width, 5)
    yield "\n".join(lines)
    yield "\n".join(wrap(headline(diff), width))


def headline(diff: RunDiff) -> str:
    """3 pairs of claim and model: 1 flipped, 2 identical."""
    counts = ", ".join(f"{count} {kind}" for kind, count in diff.counts.items() if count)
    return f"{several(len(diff.pairs), 'pair')} of claim and model: {counts}"


def _section(pairs: Sequence[Pair], kind: str, width: int) -> str:
    lines = [f"{kind}: {KINDS[kind]}"]
    for claim, group in groupby(pairs, key=lambda pair: pair.claim):
        lines += [f"  {claim}", *_claim(list(group), width)]
    return "\n".join(lines)


def _claim(pairs: Sequence[Pair], width: int) -> Iterator[str]:
    """A line for each model; what is to be said of all models is said once."""
    shared = len({tuple(pair.notes) for pair in pairs}) == 1
    for pair in pairs:
        yield from _wrapped(f"{pair.model}: {was_and_now(pair)}", width, 6)
        for note in () if shared else pair.notes:
            yield from _wrapped(note, width, 10)
    for note in pairs[0].notes if shared else ():
        yield from _wrapped(note, width, 10)


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    margin = " " * indent
    whole = text.replace(" %", NO_BREAK + "%")
    lines = wrap(whole, width, initial_indent=margin, subsequent_indent=margin + "  ", break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines]


def was_and_now(pair: Pair) -> str:
    """refuted 5 % [1 %, 17 %] → holds 82 % [67 %, 93 %]; one of them where both are the same."""
    texts = [" ".join(measured(record)) for record in (pair.a, pair.b) if record is not None]
    return " → ".join(dict.fromkeys(texts))


def measured(record: Record) -> list[str]:
    """The verdict, its estimate and its interval, as far as there are any."""
    unit = measures.unit_of(record["bound"])
    parts = (record["verdict"], measures.estimate(record, unit), measures.interval(record["interval"], unit))
    return [part for part in parts if part]

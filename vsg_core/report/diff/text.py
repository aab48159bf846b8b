"""Two runs compared, as plain text for a terminal: flipped verdicts first, identical ones only counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from vsg_core.records.record import Record
from vsg_core.report.diff.pairs import CHANGES, Change, RecordPair
from vsg_core.report.diff.runs import CODE, RunDiff
from vsg_core.report.text.terminal import visible_lines
from vsg_core.wording import count_text, estimate_text, interval_text

# More pairs than this without a record in a run are one line: the run was a partial one.
FEW = 3
NO_BREAK = "\xa0"
# The changes whose pairs are listed; the others are counted.
LISTED: tuple[Change, ...] = ("broken", "flipped", "moved", "not comparable", "new", "gone", "similar")


def diff_text(diff: RunDiff, names: tuple[str, str], width: int = 96) -> str:
    """The comparison as text of at most `width` columns; `names` are what the runs are called."""
    blocks = [_runs(diff, names, width), "\n".join(wrap(headline(diff), width))]
    absent = {side: [pair for pair in diff.pairs if pair.side(side) is None] for side in "AB"}
    absent = {side: pairs for side, pairs in absent.items() if len(pairs) > FEW}
    blocks += ["\n".join(wrapped(_lacks(side, pairs), width, 0)) for side, pairs in absent.items()]
    collapsed = {id(pair) for pairs in absent.values() for pair in pairs}
    for change in LISTED:
        if shown := [pair for pair in diff.of(change) if id(pair) not in collapsed]:
            blocks.append(_section(shown, change, width))
    return visible_lines("\n\n".join(blocks))


def headline(diff: RunDiff) -> str:
    """3 pairs of claim and model: 1 flipped, 2 identical."""
    counts = ", ".join(f"{count} {change}" for change, count in diff.counts.items() if count)
    return f"{count_text(len(diff.pairs), 'pair')} of claim and model: {counts}"


def _lacks(side: str, pairs: Sequence[RecordPair]) -> str:
    """One line for the pairs that a partial run lacks."""
    models = dict.fromkeys(pair.model for pair in pairs)
    named = ", ".join(list(models)[:FEW]) + (f" and {len(models) - FEW} more" if len(models) > FEW else "")
    return f"{side} has no record of {count_text(len(pairs), 'pair')}, on {named}"


def was_and_now(pair: RecordPair) -> str:
    """The measurements of both records, or one of them if they are equal.

    "refuted 5 % [1 %, 17 %] → holds 82 % [67 %, 93 %]".
    """
    texts = [verdict_and_measurement(record) for record in (pair.a, pair.b) if record is not None]
    return " → ".join(dict.fromkeys(texts))


def _runs(diff: RunDiff, names: tuple[str, str], width: int) -> str:
    lines = [
        f"{side}  {name}: {count_text(len(records), 'record')}"
        for side, name, records in zip("AB", names, (diff.a, diff.b), strict=True)
    ]
    for name, values in diff.surroundings.items():
        if name == CODE:
            digests = " in A, ".join(values)
            text = (
                f"the code differed: vsg_core, hypotheses or fixtures are not the same files ({digests} in B)"
            )
            lines += wrapped(text, width, 3)
            continue
        lines.append(f"   {name}")
        for side, value in zip("AB", values, strict=True):
            lines += wrapped(f"{side}: {value}", width, 5)
    return "\n".join(lines)


def _section(pairs: Sequence[RecordPair], change: Change, width: int) -> str:
    lines = [f"{change}: {CHANGES[change]}"]
    for claim, group in groupby(pairs, key=lambda pair: pair.claim):
        lines += [f"  {claim}", *_claim(list(group), width)]
    return "\n".join(lines)


def _claim(pairs: Sequence[RecordPair], width: int) -> Iterator[str]:
    """One line per model; notes that all models share come once, after them."""
    shared = len({tuple(pair.notes) for pair in pairs}) == 1
    for pair in pairs:
        yield from wrapped(f"{pair.model}: {was_and_now(pair)}", width, 6)
        for note in () if shared else pair.notes:
            yield from wrapped(note, width, 10)
    for note in pairs[0].notes if shared else ():
        yield from wrapped(note, width, 10)


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """The text in lines of `width` columns; a number keeps its percent sign."""
    margin = " " * indent
    whole = text.replace(" %", NO_BREAK + "%")
    lines = wrap(whole, width, initial_indent=margin, subsequent_indent=margin + "  ", break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines]


def verdict_and_measurement(record: Record) -> str:
    """The verdict, its estimate and its interval, as far as there are any."""
    evidence, unit = record.evidence, record.unit
    estimate = estimate_text(evidence.estimate, evidence.interval, evidence.n, unit, record.claim.value_unit)
    parts = (record.verdict, estimate, interval_text(evidence.interval, unit))
    return " ".join(part for part in parts if part)

"""Two engines compared: which verdicts of the first the second one replicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from vsg_core.errors import VsgError
from vsg_core.records.record import Record
from vsg_core.report.diff.runs import json_side
from vsg_core.report.diff.text import verdict_and_measurement, wrapped
from vsg_core.report.text.terminal import visible_lines
from vsg_core.report.view.engines import JUDGED, RESULTS, EnginePair, Result, counts, counts_text
from vsg_core.report.view.rows import report_of
from vsg_core.vocabulary import Replication
from vsg_core.weights.engine_names import engine_of, model_of
from vsg_core.wording import count_text


@dataclass(frozen=True)
class EngineDiff:
    """All claims on all models that two engines have records of.

    Args:
        pairs: by model and engine, in the order of the report.
    """

    pairs: Sequence[EnginePair]

    @property
    def counts(self) -> Mapping[str, Mapping[Replication, int]]:
        """The number of findings with each result, by the model's name on the second engine."""
        return {name: counts(pairs) for name, pairs in self.findings.items()}

    @property
    def findings(self) -> Mapping[str, list[EnginePair]]:
        """The pairs of findings, by the model's name on the second engine."""
        names = dict.fromkeys(pair.name for pair in self.pairs)
        return {
            name: [pair for pair in self.pairs if pair.name == name and pair.is_finding] for name in names
        }

    def of(self, result: Result) -> list[EnginePair]:
        """The pairs with that result."""
        return [pair for pair in self.pairs if pair.result == result]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the counts of findings per model, and one row per pair, identities included."""
        return {"counts": self.counts, "cells": [_json_row(pair) for pair in self.pairs]}


def compare_engines(records: Iterable[Record]) -> EngineDiff:
    """Pair the records of each model on two engines, by claim. Of two of the same the newer one counts.

    Raises:
        VsgError: no model has records of two engines.
    """
    report = report_of(records)
    if not report.replicas:
        names = ", ".join(model.name for model in report.models) or "nothing"
        raise VsgError(
            f"no model has records of two engines, only {names}: "
            "run the claims with `--engine llama.cpp` too, which records them under MODEL+llama.cpp"
        )
    pairs = report.engine_pairs.values()
    return EngineDiff([pair for name in report.replicas for pair in pairs if pair.name == name])


def engines_text(diff: EngineDiff, width: int = 96) -> str:
    """The comparison as text of at most `width` columns: what is not replicated first, the rest by reason."""
    blocks = ["\n".join(line for name in diff.findings for line in wrapped(_headline(diff, name), width, 0))]
    for result in RESULTS:
        if pairs := diff.of(result):
            blocks.append("\n".join(_section(result, pairs, width)))
    return visible_lines("\n\n".join(blocks))


def _headline(diff: EngineDiff, name: str) -> str:
    """smollm2-135m-instruct, transformers and llama.cpp: 41 of 52 findings replicated, 3 not replicated, ..."""
    pairs = diff.findings[name]
    text = f"{model_of(name)}, {engine_of(model_of(name))} and {engine_of(name)}: {counts_text(pairs)}"
    rest = sum(pair.result not in JUDGED for pair in pairs)
    identities = [pair for pair in diff.pairs if pair.name == name and not pair.is_finding]
    judged = [pair for pair in identities if pair.result in JUDGED]
    same = sum(pair.result == "replicated" for pair in judged)
    text += f"; {count_text(rest, 'more is', 'more are')} not compared" if rest else ""
    return text + (f". Identities: {same} of {len(judged)} replicated" if judged else "")


def _section(result: Result, pairs: Sequence[EnginePair], width: int) -> Iterator[str]:
    yield f"{result}: {RESULTS[result]}"
    if result in ("one engine", "no verdict", "not comparable"):
        yield from _by_reason(pairs, width)
        return
    for claim, group in groupby(sorted(pairs, key=lambda pair: pair.claim), key=lambda pair: pair.claim):
        yield f"  {claim}"
        for pair in group:
            yield from wrapped(f"{pair.name}: {_both(pair)}", width, 6)
            yield from wrapped(pair.reason, width, 10)


def _by_reason(pairs: Sequence[EnginePair], width: int) -> Iterator[str]:
    """Each reason once, with the claims that it is the reason of."""
    reasons: dict[str, list[EnginePair]] = {}
    for pair in pairs:
        reasons.setdefault(pair.reason, []).append(pair)
    for reason, same in reasons.items():
        claims = dict.fromkeys(pair.claim for pair in same)
        names = dict.fromkeys(pair.name for pair in same)
        yield from wrapped(f"{', '.join(claims)} on {', '.join(names)}", width, 2)
        yield from wrapped(reason, width, 6)


def _both(pair: EnginePair) -> str:
    """The measurements on both engines, or one of them if they are equal."""
    texts = [verdict_and_measurement(record) for record in (pair.first, pair.second) if record is not None]
    return " | ".join(dict.fromkeys(texts))


def _json_row(pair: EnginePair) -> dict[str, Any]:
    first, second = pair.engines
    found = pair.difference
    return {
        "claim": pair.claim,
        "model": pair.model,
        "status": pair.record.claim.status,
        "result": pair.result,
        "reason": pair.reason,
        "engines": {first: json_side(pair.first), second: json_side(pair.second)},
        "difference": found
        and {
            "estimate": found.estimate,
            "interval": found.interval,
            "narrow": found.narrow,
            "margin": found.margin,
            "n": found.n,
        },
    }

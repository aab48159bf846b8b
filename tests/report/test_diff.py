"""Two runs compared: what became of each claim on each model, by records that the judge made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from tests.support.report_records import (
    BRANCHES,
    EMPTY,
    MODELS,
    RECOVERED,
    SLICED,
    measured,
    not_run_record,
    provenance,
    run,
    successes,
    values,
)
from vsg_core.judge.intervals import rate_interval
from vsg_core.judge.trials import Trial
from vsg_core.report.diff import compare_runs, diff_text

Record = dict[str, Any]


def empty(count: int, **more: Any) -> Record:
    """EMPTY (a rate above 50 %) on a model, with so many successes in 40."""
    return measured(EMPTY, 0, successes(count), SLICED) | more


def not_run(reason: str) -> Record:
    return not_run_record(EMPTY, MODELS[0], reason, provenance())


UNABLE = not_run("not applicable: it cannot copy") | {"model": empty(0)["model"]}
ABSENT = not_run("weights unavailable")
BROKEN = not_run("error: ZeroDivisionError") | {"outcome": "broken"}


@pytest.mark.parametrize(
    ("a", "b", "kind", "note"),
    [
        (empty(38), empty(38), "identical", ""),
        (empty(38), empty(2), "flipped", "trials that differ: 36 of 40"),
        (empty(38), empty(20), "flipped", "trials that differ: 18 of 40"),
        (empty(28), empty(39), "moved", "trials that differ: 11 of 40"),
        (empty(39), empty(28), "moved", "trials that differ: 11 of 40"),
        (empty(33), empty(39), "similar", "trials that differ: 6 of 40"),
        (empty(38), empty(38, statement="Otherwise"), "identical", "in B the claim reads: Otherwise"),
        (empty(38), empty(2, rule="rate above 40 %"), "not comparable", "B alone has “rate above 40 %”"),
        (empty(38), empty(2, model={**MODELS[0], "sha256": "ff"}), "not comparable", "other weights"),
        (empty(38), empty(38, provenance=provenance(dtype="float32")), "not comparable", "another dtype"),
        (empty(38), None, "gone", ""),
        (empty(38), ABSENT, "gone", "weights unavailable"),
        (None, empty(38), "new", ""),
        (ABSENT, empty(38), "new", "weights unavailable"),
        (empty(38), BROKEN, "broken", "error: ZeroDivisionError"),
        (BROKEN, empty(38), "new", "error: ZeroDivisionError"),
        (empty(38), UNABLE, "flipped", ""),
        (UNABLE, UNABLE, "not run", ""),
        (ABSENT, None, "not run", ""),
        (None, UNABLE, "not run", ""),
    ],
)
def test_what_became_of_a_claim(a: Record | None, b: Record | None, kind: str, note: str) -> None:
    (pair,) = compare_runs([a] if a else [], [b] if b else []).pairs
    assert pair.kind == kind
    assert note in "; ".join(pair.notes)
    assert bool(pair.notes) == bool(note)


def test_weights_that_nothing_identifies_compare_with_nothing() -> None:
    unknown = empty(38, model=MODELS[0], provenance=provenance(model_sha256=None))
    (pair,) = compare_runs([unknown], [unknown]).pairs
    assert (pair.kind, pair.notes) == ("not comparable", ["nothing identifies the weights"])


def test_an_arm_that_moved_and_a_control_that_failed_are_told() -> None:
    """The claim's own numbers are the same in both."""

    def branches(control: float, named: int) -> Record:
        arms = {"permuted weights": values(control, 0.02), "names the top token": successes(named)}
        return measured(BRANCHES, 0, values(0.01, 0.2), arms)

    (pair,) = compare_runs([branches(-0.01, 38)], [branches(0.05, 38)]).pairs
    assert pair.kind == "moved"
    assert list(pair.notes) == [
        "arm 'permuted weights' moved",
        "control 'permuted weights': its rule held in A, failed in B",
        "trials that differ: 0 of 40, 40 of other arms",
    ]


@pytest.mark.parametrize("trials", [(40, 40), (40, 400)])
def test_moved_is_rarely_chance(trials: tuple[int, int]) -> None:
    """Two runs with one true rate have intervals that lie apart in fewer than 1 of 100 pairs, whatever the rate."""
    a, b = (np.array([rate_interval(k, n, 0.05) for k in range(n + 1)]) for n in trials)  # [n + 1, 2]
    apart = (a[:, None, 1] < b[None, :, 0]) | (b[None, :, 1] < a[:, None, 0])  # [n + 1, m + 1]
    chances = [
        float(
            binom.pmf(np.arange(len(a)), trials[0], rate)
            @ apart
            @ binom.pmf(np.arange(len(b)), trials[1], rate)
        )
        for rate in np.linspace(0.01, 0.99, 99)
    ]
    assert 0 < max(chances) < 0.01


def test_pairs_come_in_the_order_of_the_report_and_all_are_counted() -> None:
    records = run()
    diff = compare_runs(records, records[1:])
    assert sum(diff.counts.values()) == len(diff.pairs) == len(records)
    assert [pair.claim for pair in diff.of("gone")] == [records[0]["claim"]]
    assert diff.counts["broken"] == 1


def test_what_the_runs_were_made_with_is_told_where_it_differs() -> None:
    newer = provenance(60 * 24, versions={"torch": "2.14.0", "python": "3.12.4"})
    diff = compare_runs([empty(38)], [empty(38, provenance=newer)])
    assert diff.surroundings == {
        "day": ("2026-03-14", "2026-03-15"),
        "torch": ("2.13.0", "2.14.0"),
        "transformers": ("5.1.0", "unknown"),
    }


@pytest.mark.parametrize("width", [80, 96])
def test_the_text_tells_flips_first_and_fits(width: int) -> None:
    a = [empty(38), measured(RECOVERED, 0, successes(38), {"permuted weights": successes(7)})]
    b = [empty(2), measured(RECOVERED, 0, successes(36), {"permuted weights": successes(7)})]
    text = diff_text(compare_runs(a, b), ("before", "after"), width)
    assert max(map(len, text.splitlines())) <= width
    assert (
        max(map(len, diff_text(compare_runs(run(), run()[5:] + b), ("a", "b"), width).splitlines())) <= width
    )
    assert "2 pairs of claim and model: 1 flipped, 1 similar" in text
    assert "holds 95 % [83 %, 99.4 %] → refuted 5 % [0.6 %, 17 %]" in " ".join(text.split())
    assert text.index("flipped: ") < text.index("similar: ")


def test_the_text_lets_no_control_character_through() -> None:
    trial = Trial("\x1b[31m", success=True)
    broken = not_run("error: '\x1b[31m\u202e'") | {"outcome": "broken", "claim": "a\x1bb"}
    text = diff_text(compare_runs([measured(EMPTY, 0, [trial] * 40, SLICED)], [broken]), ("a\x1b", "b"))
    assert "\x1b" not in text
    assert "\u202e" not in text

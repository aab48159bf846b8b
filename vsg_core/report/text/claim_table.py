"""The claims of a run as a table: for a notebook, for pandas, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vsg_core.errors import VsgError, WrongUse
from vsg_core.markup.literal import visible
from vsg_core.records.files import read_records
from vsg_core.report.view.rows import Report, report_of
from vsg_core.report.view.terms import UNIT_NAMES
from vsg_core.wording import unit_of

# What an estimate is, by its unit; all are numbers as they are, a rate from 0 to 1.
MEASURES = UNIT_NAMES | {"counterexamples": "rate of counterexamples"}

Record = Mapping[str, Any]

# The columns of a row, each with where a record has it.
COLUMNS: dict[str, Callable[[Record], Any]] = {
    "claim": lambda r: r["claim"],
    "model": lambda r: r["model"]["name"],
    "verdict": lambda r: r["verdict"],
    "estimate": lambda r: r["estimate"],
    "interval_low": lambda r: r["interval"] and r["interval"][0],
    "interval_high": lambda r: r["interval"] and r["interval"][1],
    "n": lambda r: r["n"],
    "measure": lambda r: MEASURES[unit_of(r["bound"])],
    "recorded": lambda r: r["recorded"] and r["recorded"]["verdict"],
    "outcome": lambda r: r["outcome"],
    "reason": lambda r: r["reason"],
    "question": lambda r: r["question"],
    "statement": lambda r: r["statement"],
    "rule": lambda r: r["rule"],
    "model_family": lambda r: r["model"].get("family"),
    "model_kind": lambda r: r["model"].get("kind"),
    "model_parameters": lambda r: r["model"].get("parameters"),
    "dtype": lambda r: r["provenance"].get("dtype"),
    "started": lambda r: r["provenance"]["started"],
    "seconds": lambda r: r["provenance"].get("seconds"),
    "tokens": lambda r: r["provenance"].get("tokens"),
}


class ClaimRecord(dict[str, Any]):
    """The record of one claim on one model, which shows itself in a notebook."""

    def _repr_html_(self) -> str:
        from vsg_core.report.notebook import record_html

        return record_html(self)


class ClaimTable:
    """All claims of a run on all of its models.

    In a notebook it shows itself. `table["weights_are_recovered", "gpt2"]` is one record with all trials,
    `pandas.DataFrame(table.rows)` its numbers.

    Args:
        records: as `evidence.read_records` gives them; of two for the same claim and model the newer counts.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.report: Report = report_of(records)
        self.records = {
            (cell.record["claim"], cell.model): ClaimRecord(cell.record) for cell in self.report.cells
        }

    @classmethod
    def read(cls, folder: str | Path) -> ClaimTable:
        """The table of a folder of reports, or of the folder of records in it. Errors as of `read_run`."""
        return cls(read_run(folder))

    def __getitem__(self, claim_and_model: tuple[str, str]) -> ClaimRecord:
        return self.records[claim_and_model]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One flat row a claim and model, in the order of the report; None where there is no value."""
        return [{name: of(record) for name, of in COLUMNS.items()} for record in self.records.values()]

    def csv(self) -> str:
        """The rows as CSV: a header, numbers as they are, nothing where there is no value."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({k: visible(v) if isinstance(v, str) else v for k, v in row.items()})
        return text.getvalue()

    def _repr_html_(self) -> str:
        from vsg_core.report.notebook import table_html

        return table_html(self.report)


def read_run(folder: str | Path) -> list[dict[str, Any]]:
    """The records of a run: `folder` is its reports, or its records themselves.

    Raises:
        WrongUse: there is no such folder.
        VsgError: there are no records in it, or one of them is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise WrongUse(f"there is no folder {str(folder)!r}: give a folder of reports, or of records")
    inner = folder / "records"
    records = read_records(inner if inner.is_dir() else folder)
    if not records:
        raise VsgError(f"no records in {folder}: give a folder of reports that a run has written")
    return records

"""The claims of a run as a table: for a notebook, for pandas, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vsg_core.markup.literal import visible
from vsg_core.records.confirmations import Confirmations, project_confirmations
from vsg_core.records.files import read_run
from vsg_core.records.history import Repeats, read_repeats
from vsg_core.records.record import Record
from vsg_core.report.view.cells import Cell
from vsg_core.report.view.rows import Report, report_of
from vsg_core.wording import UNIT_NAMES, Unit

Value = str | int | float | bool | None

# What an estimate is, by its unit. The estimates are plain numbers, rates from 0 to 1.
MEASURES: dict[Unit, str] = UNIT_NAMES | {"counterexamples": "rate of counterexamples"}

# The columns of a row, each with its value in a record.
COLUMNS: dict[str, Callable[[Record], Value]] = {
    "claim": lambda record: record.claim.id,
    "model": lambda record: record.model.name,
    "status": lambda record: record.claim.status,
    "verdict": lambda record: record.verdict,
    "estimate": lambda record: record.evidence.estimate,
    "interval_low": lambda record: record.evidence.interval and record.evidence.interval[0],
    "interval_high": lambda record: record.evidence.interval and record.evidence.interval[1],
    "n": lambda record: record.evidence.n,
    "share": lambda record: record.evidence.share,
    "p_value": lambda record: record.evidence.p_value,
    "measure": lambda record: MEASURES[record.unit],
    "recorded": lambda record: record.recorded.verdict if record.recorded else None,
    "outcome": lambda record: record.outcome,
    "reason": lambda record: record.reason,
    "question": lambda record: record.claim.question,
    "statement": lambda record: record.claim.statement,
    "rule": lambda record: record.claim.rule_text,
    "model_family": lambda record: record.model.family,
    "model_kind": lambda record: record.model.kind,
    "model_parameters": lambda record: record.model.parameters,
    "dtype": lambda record: record.evidence.dtype,
    "started": lambda record: record.run.started.isoformat(),
    "seconds": lambda record: record.run.seconds,
    "tokens": lambda record: record.run.tokens,
    "weights_form": lambda record: record.model.form,
}

# The further columns, which a record alone does not have.
OF_REPORT = ("survives_holm", "reproduced")
OF_LEDGER = (
    "confirmed_verdict", "confirmed_estimate", "confirmed_interval_low", "confirmed_interval_high", "confirmed_n",
)  # fmt: skip


class ClaimRecord(Record):
    """The record of one claim on one model, which displays itself in a notebook."""

    @classmethod
    def of(cls, record: Record) -> ClaimRecord:
        """The same record; its parts are shared."""
        return cls.model_construct(**{name: getattr(record, name) for name in Record.model_fields})

    def _repr_html_(self) -> str:
        from vsg_core.report.notebook import record_html

        return record_html(self)


class ClaimTable:
    """All claims of a run on all of its models.

    It displays itself in a notebook. `table["weights_are_recovered", "gpt2"]` is one record with all trials, and
    `pandas.DataFrame(table.rows)` has the numbers.

    Args:
        records: as `vsg_core.records.files.read_run` reads them; of two for the same claim and model the newer counts.
        repeats: the repetitions of records by model and claim, from folders that `vsg merge` has written.
        confirmations: what the ledgers of the project say.

    Attributes:
        report: the records as the page and the terminal show them.
    """

    def __init__(
        self,
        records: Iterable[Record],
        repeats: Mapping[tuple[str, str], Repeats] | None = None,
        confirmations: Confirmations | None = None,
    ) -> None:
        self.report: Report = report_of(records, repeats, confirmations)

    @classmethod
    def read(cls, folder: str | Path) -> ClaimTable:
        """The table of a folder of reports, a folder of records, or an archive.

        Confirming verdicts are those of the project that the current folder is in. Errors as of `read_run` and
        `project_confirmations`.
        """
        records = read_run(folder)
        return cls(records, read_repeats(folder, records), project_confirmations(Path.cwd()))

    def __getitem__(self, claim_and_model: tuple[str, str]) -> ClaimRecord:
        claim, model = claim_and_model
        for record in self.records:
            if (record.claim.id, record.model.name) == (claim, model):
                return ClaimRecord.of(record)
        raise KeyError(claim_and_model)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def records(self) -> list[Record]:
        """One record per claim and model, in the order of the report."""
        return [cell.record for cell in self.report.cells]

    @property
    def rows(self) -> list[dict[str, Value]]:
        """One flat row per claim and model, in the order of the report; None where there is no value."""
        return _rows(self.report)

    def csv(self) -> str:
        """The rows as CSV: a header, unformatted numbers, nothing where there is no value."""
        return csv_text(self.report)

    def _repr_html_(self) -> str:
        from vsg_core.report.notebook import table_html

        return table_html(self.report)


def csv_text(report: Report) -> str:
    """The claims of a report as CSV, one row per claim and model; see `ClaimTable.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *OF_REPORT, *OF_LEDGER], lineterminator="\n")
    writer.writeheader()
    for row in _rows(report):
        writer.writerow({name: visible(v) if isinstance(v, str) else v for name, v in row.items()})
    return text.getvalue()


def _rows(report: Report) -> list[dict[str, Value]]:
    return [
        {name: value(cell.record) for name, value in COLUMNS.items()}
        | {"status": cell.status, "survives_holm": cell.survives, "reproduced": cell.reproduced}
        | _confirming(cell)
        for cell in report.cells
    ]


def _confirming(cell: Cell) -> dict[str, Value]:
    """The columns of the confirming run; None where there is none."""
    if cell.confirmed is None:
        return dict.fromkeys(OF_LEDGER)
    line = cell.confirmed.line
    low, high = line.interval or (None, None)
    return dict(zip(OF_LEDGER, (line.verdict, line.estimate, low, high, line.n), strict=True))

"""Rebuild reports/example: its own records, replaced by those of newer runs, and the page that they give.

    python -m tools.example REPORTS...

Each REPORTS is a folder of reports of a later run. What has a verdict that is not the recorded one is left out, and so
are records of claims that are no longer there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.support.chromium import WIDE, browser, opened
from vsg_core.judge.claims import load_claims
from vsg_core.records.confirmations import read_confirmations
from vsg_core.records.files import ARCHIVE, read_records, read_run, write_archive
from vsg_core.records.making import reworded
from vsg_core.records.record import Record
from vsg_core.records.recorded import RecordedVerdict, compared, read_recorded, recorded_verdict
from vsg_core.report import report_of, write_report

ROOT = Path(__file__).parents[1]
EXAMPLE, CLAIMS = ROOT / "reports" / "example", ROOT / "hypotheses"
MICROSCOPE = "microscope"


def newest(places: Iterable[Path]) -> list[Record]:
    """Return the records of recorded verdicts, the later place's of two, in the words of today's claims."""
    claims = {claim.id: claim for claim in load_claims(CLAIMS)}
    found = {(record.model.name, record.claim.id): record for place in places for record in read_run(place)}
    known = [
        record
        for (model, claim), record in sorted(found.items())
        if claim in claims
        and (not record.is_finding or accepted(model).get(claim) == recorded_verdict(record))
    ]
    return [
        compared(reworded(record, claims[record.claim.id]), accepted(record.model.name).get(record.claim.id))[
            0
        ]
        for record in known
    ]


@cache
def accepted(model: str) -> dict[str, RecordedVerdict]:
    """Return the recorded verdicts of a model by claim."""
    return read_recorded(CLAIMS / "recorded", model)


def rebuild(folders: list[Path]) -> None:
    """Write the archive and its digest, the page and its rows, and a picture of the first screen."""
    # Times on the page are those of the machine's time zone.
    os.environ["TZ"] = "UTC"
    time.tzset()
    archive = write_archive(newest([EXAMPLE, *folders]), EXAMPLE / ARCHIVE)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (EXAMPLE / f"{ARCHIVE}.sha256").write_text(f"{digest}  {ARCHIVE}\n")
    for folder in folders:
        if (folder / MICROSCOPE).is_dir():
            shutil.copytree(folder / MICROSCOPE, EXAMPLE / MICROSCOPE, dirs_exist_ok=True)
    report = report_of(read_records(archive), confirmations=read_confirmations([CLAIMS]))
    page = write_report(report, EXAMPLE)
    with browser() as chromium, opened(chromium, page, viewport=WIDE) as shown:
        shown.screenshot(path=EXAMPLE / "claims.png")


def main() -> None:
    """Rebuild the example with the folders that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reports", nargs="*", type=Path, help="folders of reports, the newest last")
    rebuild(parser.parse_args().reports)


if __name__ == "__main__":
    main()

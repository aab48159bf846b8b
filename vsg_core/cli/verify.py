"""`vsg verify`: the ledger of a freeze checked line by line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import as_json, print_json

if TYPE_CHECKING:
    from vsg_core.registration.verifying import Verification


@click.command()
@click.argument("name")
@click.option(
    "--nonce", metavar="TEXT", help="Also check that the seed follows from the freeze and this nonce."
)
@as_json
def verify(name: str, nonce: str | None, as_json: bool) -> int:
    """Check the verdicts that confirm the freeze NAME.

    Each line of the ledger follows the one before and names a record that is kept; the verdict of the line is the one
    that the judge gives on that record's trials now; and the record fits what was frozen. No model is loaded. The exit
    code is 1 if anything is wrong or missing.
    """
    from vsg_core.projects import claim_folders
    from vsg_core.records.registered import read_registration
    from vsg_core.registration.freezing import registered_folder
    from vsg_core.registration.verifying import verify

    registration = read_registration(registered_folder(claim_folders(Path.cwd(), ())), name)
    found = verify(registration, nonce)
    if as_json:
        print_json(_as_json(name, found))
    else:
        for fault in found.faults:
            click.echo(fault)
        click.echo(f"{name}: {_summary(found)}")
    return 1 if found.faults else 0


def _counts(found: Verification) -> dict[str, int]:
    counts = Counter(line.kind for line in found.lines)
    return {f"{kind}s": counts[kind] for kind in ("confirmation", "repeat", "placebo")}


def _summary(found: Verification) -> str:
    from vsg_core.wording import count_text

    if found.faults:
        return count_text(len(found.faults), "fault")
    if not found.lines:
        return "not confirmed yet, the ledger has no lines"
    listed = ", ".join(f"{count} {kind}" for kind, count in _counts(found).items())
    seed = "the seed follows from the nonce" if found.seeded else "the seed is not checked without --nonce"
    return f"{len(found.lines)} lines ({listed}) fit their records, the judge and the freeze; {seed}"


def _as_json(name: str, found: Verification) -> dict[str, Any]:
    return {
        "name": name,
        "lines": len(found.lines),
        **_counts(found),
        "seed_checked": found.seeded,
        "faults": list(found.faults),
    }

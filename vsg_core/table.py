"""The recorded verdicts as a Markdown table, claims by models: the README's is made with it."""

from __future__ import annotations

from pathlib import Path

from vsg_core.claims import load_claims
from vsg_core.recorded import Recorded, read_recorded
from vsg_core.wording import Bound, measured_text


def recorded_table(claims: Path, recorded: Path) -> str:
    """Claims of a folder down, models across; a cell is verdict and measurement. Claims and models without any
    recorded verdict are left out."""
    models = sorted(path.stem for path in recorded.glob("*.toml"))
    verdicts = {model: read_recorded(recorded, model) for model in models}
    rows = [["claim", *models], ["---"] * (1 + len(models))]
    for claim in load_claims(claims):
        cells = [_cell(verdicts[model].get(claim.id), claim.rule.bound) for model in models]
        if any(cells):
            rows.append([claim.statement, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(recorded: Recorded | None, bound: Bound) -> str:
    if recorded is None:
        return ""
    if recorded.estimate is None or recorded.interval is None or recorded.n is None:
        return f"*{recorded.verdict}*: {recorded.reason}"
    return f"**{recorded.verdict}** {measured_text(bound, recorded.estimate, recorded.interval, recorded.n)}"

"""The recorded verdicts as a Markdown table, claims by models: the README's is made with it."""

from __future__ import annotations

from pathlib import Path

from vsg_core.claims import load_claims
from vsg_core.recorded import Recorded, read_recorded
from vsg_core.wording import measured_text


def recorded_table(claims: Path, recorded: Path) -> str:
    """Claims of a folder down, models with recorded verdicts across; a cell is verdict and measurement."""
    models = sorted(path.stem for path in recorded.glob("*.toml"))
    verdicts = {model: read_recorded(recorded, model) for model in models}
    rows = [["claim", *models], ["---"] * (1 + len(models))]
    for claim in load_claims(claims):
        kind = claim.rule.bound["kind"]
        rows.append([claim.statement, *(_cell(verdicts[model].get(claim.id), kind) for model in models)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(recorded: Recorded | None, kind: str) -> str:
    if recorded is None:
        return ""
    if recorded.estimate is None or recorded.interval is None or recorded.n is None:
        return f"*{recorded.verdict}*: {recorded.reason}"
    return f"**{recorded.verdict}** {measured_text(kind, recorded.estimate, recorded.interval, recorded.n)}"

"""The card of a published run: README.md of a dataset repository, with the YAML header that the hub reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from vsg_core.markup.literal import markdown_text
from vsg_core.report.text.counts import headline
from vsg_core.report.text.recorded_table import markdown_table
from vsg_core.report.view.confirmed import ledger_texts
from vsg_core.report.view.models import shown_name
from vsg_core.report.view.rows import Report
from vsg_core.report.view.status import harness_of, replication_texts, status_text
from vsg_core.wording import count_text

TAGS = ("concept-tokens", "claims", "vector-space-generation")


def dataset_card(report: Report, repo: str, files: Mapping[str, str]) -> str:
    """Return the card of a run.

    Args:
        repo: OWNER/NAME of the dataset repository.
        files: what each published file holds, by its name.
    """
    parts = [
        _header(repo),
        f"# {headline(report)}",
        f"Claims about concept tokens, each judged by a rule written before its data. {status_text(report)} "
        + "".join(f"{text} " for text in [*ledger_texts(report.confirmations), *replication_texts(report)])
        + _not_reproduced(report)
        + "`summary.md` has all verdicts, `claims.html` every trial as far as a page can hold it.",
        markdown_table(["file", "content"], [[f"`{name}`", text] for name, text in files.items()]),
        "## Models\n\n" + _models(report),
        "## Where it was measured\n\n" + "\n".join(f"- {line}" for line in _measured(report)),
        _use(repo),
    ]
    return "\n\n".join(parts) + "\n"


def _header(repo: str) -> str:
    """The YAML header; JSON strings are YAML, whatever is in them."""
    tags = "\n".join(f"- {tag}" for tag in TAGS)
    name = json.dumps(repo.partition("/")[2])
    data = "configs:\n- config_name: claims\n  data_files: claims.csv"
    return f"---\npretty_name: {name}\ntags:\n{tags}\n{data}\n---"


def _not_reproduced(report: Report) -> str:
    count = len(report.not_reproduced)
    return (
        f"{count_text(count, 'verdict was', 'verdicts were')} not reproduced by another run. "
        if count
        else ""
    )


def _models(report: Report) -> str:
    """One row per model with counts of its verdicts on findings."""
    rows = []
    for model in report.models:
        cells = [row.cells[model.name] for row in report.findings if model.name in row.cells]
        found = ["broken" if cell.broken else cell.verdict for cell in cells]
        verdicts = [str(found.count(verdict)) for verdict in report.counts]
        rows.append([markdown_text(shown_name(model)), f"`{(model.weights or 'unknown')[:12]}`", *verdicts])
    table = markdown_table(["model", "weights", *report.counts], rows)
    harness = harness_of(report)
    return f"{table}\n\n{harness.title}: {harness.text}. {harness.meaning}" if harness else table


def _measured(report: Report) -> list[str]:
    runs = [cell.record.run for cell in report.cells]
    days = sorted({run.started.date().isoformat() for run in runs})
    facts = {
        "days": [days[0], days[-1]] if len(days) > 1 else days,
        "commits": _distinct(
            run.commit and run.commit[:12] + " with changes" * bool(run.dirty) for run in runs
        ),
        "devices": _distinct(run.device for run in runs),
        "machines": _distinct(run.machine for run in runs),
        "versions": _distinct(
            ", ".join(f"{name} {version}" for name, version in run.versions.items()) for run in runs
        ),
    }
    return [f"{name}: {markdown_text('; '.join(values))}" for name, values in facts.items() if values]


def _distinct(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})


def _use(repo: str) -> str:
    return (
        "## Use\n\n```sh\n"
        f"hf download {repo} --repo-type dataset --local-dir theirs\n"
        "vsg merge theirs reports --into merged   # every run is kept; differing verdicts are flagged\n"
        "vsg diff reports theirs\n```"
    )

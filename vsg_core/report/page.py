"""The claim report as one HTML file that needs nothing else, and its rows as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vsg_core.evidence import write_atomically
from vsg_core.report.literal import literal, visible
from vsg_core.report.measures import several
from vsg_core.report.origins import command, origins
from vsg_core.report.rows import Record, report_of, started


def write_report(records: Sequence[Record], out_dir: str | Path) -> Path:
    """Write `out_dir`/claims.html and claims.json from evidence records alone; returns the path of the page.

    The page links to `out_dir`/records/MODEL/CLAIM.json, where `evidence.write_record` puts all trials.

    Raises:
        VsgError: a file cannot be written.
    """
    out_dir = Path(out_dir)
    write_atomically(out_dir / "claims.json", json.dumps(claim_rows(records), indent=1) + "\n")
    return write_atomically(out_dir / "claims.html", render(records))


def claim_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """claims.json: one row a claim and model, in the order of the page."""
    rows = []
    for cell in report_of(records).cells:
        record = cell.record
        row = {"claim": record["claim"], "model": cell.model}
        row |= {key: record[key] for key in ("verdict", "estimate", "interval", "n")}
        row |= {"recorded": record["recorded"] and record["recorded"]["verdict"]}
        rows.append(row | {key: record[key] for key in ("outcome", "reason")})
    return rows


def render(records: Sequence[Record]) -> str:
    """The page as text that UTF-8 can hold, whatever the records hold."""
    page = _environment().get_template("page.html").render(report=report_of(records))
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "literal": literal,
        "day": _day,
        "json": lambda value: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        "web": _web,
        "amount": _amount,
    }
    environment.globals |= {
        "anchor": _anchor,
        "origins": origins,
        "command": command,
        "started": started,
        "record_path": lambda r: (
            f"records/{quote(r['model']['name'], safe='')}/{quote(r['claim'], safe='')}.json"
        ),
        "several": several,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Where a template forgets `literal`, hidden characters are named all the same, in attributes too."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _anchor(*names: str) -> str:
    """An id that HTML and URLs take as it is."""
    return "--".join(re.sub(r"[^\w.+-]", "-", name, flags=re.ASCII) for name in names)


def _web(link: str | None) -> str | None:
    """A link that a browser may follow: the web's, never a script's."""
    return link if link and re.match(r"https?://", link) else None


def _amount(value: float | None, digits: int = 1) -> str:
    """A number for a column of numbers; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"

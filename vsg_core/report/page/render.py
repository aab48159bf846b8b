"""The claim report as one HTML file that needs nothing else, and its rows as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from vsg_core.markup.literal import visible
from vsg_core.records.files import write_atomically
from vsg_core.records.microscope import read_microscopes
from vsg_core.report.view.cells import Record, started
from vsg_core.report.view.examples import counted, heaviest
from vsg_core.report.view.findings import STANDINGS
from vsg_core.report.view.measures import several
from vsg_core.report.view.origins import command, model_command, origins, rests_on
from vsg_core.report.view.rows import Report, report_of
from vsg_core.report.view.steps import parting, steps_of, together
from vsg_core.report.view.terms import UNIT_NAMES
from vsg_core.vocabulary import ACROSS

HERE = Path(__file__).parent
# How much of the trials the page itself holds, most first, and up to how many bytes it may then weigh: all of every
# arm, all of the claim's own, examples, fewer examples, none. What it lacks is in the records beside it.
SMALL, LARGEST = 1_200_000, 2_950_000
DEPTHS = {"all": SMALL, "claim": SMALL, "examples": LARGEST, "few": LARGEST, "links": sys.maxsize}


def write_report(records: Sequence[Record], out_dir: str | Path) -> Path:
    """Write `out_dir`/claims.html and claims.json from evidence records alone; returns the path of the page.

    The page links to `out_dir`/records/MODEL/CLAIM.json, where `evidence.write_record` puts all trials, and shows
    what `microscope.write_microscope` left beside them.

    Raises:
        VsgError: a file cannot be written.
    """
    out_dir = Path(out_dir)
    write_atomically(out_dir / "claims.json", json.dumps(claim_rows(records), indent=1) + "\n")
    return write_atomically(out_dir / "claims.html", render(records, read_microscopes(out_dir)))


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


def render(records: Sequence[Record], microscopes: Sequence[Mapping[str, Any]] = ()) -> str:
    """The page as text that UTF-8 can hold, whatever the records hold."""
    report = report_of(records)
    template = _environment(report).get_template("page.html")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    shared = {
        "report": report,
        "microscopes": microscopes,
        "style": Markup("\n".join((HERE / name).read_text(encoding="utf-8") for name in STYLES)),
        "script": Markup(script),
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    for depth, most in DEPTHS.items():
        if _least(report, depth) > most:
            continue
        page = template.render(**shared, depth=depth).encode("utf-8", "backslashreplace")
        if len(page) <= most:
            break
    return page.decode("utf-8")


def _least(report: Report, depth: str) -> int:
    """A size that a page with all those trials exceeds, known without making it."""
    if depth not in ("all", "claim"):
        return 0
    tables = [table for cell in report.cells for table in cell.tables if depth == "all" or not table.label]
    return sum(150 + len(trial["prompt"]) for table in tables for trial in table.trials)


STYLES = ("page.css", "claim.css", "microscope.css")


class _Flat(FileSystemLoader):
    """Templates are indented to be read; in the page that would be a quarter of its bytes."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, name, is_current = super().get_source(environment, template)
        return re.sub(r"^ +", "", source, flags=re.MULTILINE), name, is_current


def _environment(report: Report) -> Environment:
    from vsg_core.markup.templating import environment  # it imports this package

    made = environment(HERE)
    made.loader = _Flat(HERE)
    made.filters |= {
        "clip": lambda text: visible(text if len(text) <= 80 else text[:79] + "…"),
        "day": _day,
        "json": _shown,
        "paragraphs": lambda text: "\n\n".join(" ".join(p.split("\n")) for p in text.split("\n\n")),
        "web": _web,
        "amount": _amount,
        "size": _size,
    }
    made.globals |= {
        "anchor": _anchor,
        "slug": _slugs([*report.questions, *report.families]).get,
        "columns": {model["name"]: f"m{i}" for i, model in enumerate(report.models, 1)} | {ACROSS: ""},
        "origins": origins,
        "rests_on": rests_on,
        "command": command,
        "model_command": model_command,
        "started": started,
        "counted": counted,
        "heaviest": heaviest,
        "standing_words": STANDINGS,
        "unit_names": UNIT_NAMES,
        "record_path": lambda r: f"records/{_quoted(r['model']['name'])}/{_quoted(r['claim'])}.json",
        "several": several,
        "steps_of": steps_of,
        "parting": parting,
        "together": together,
    }
    return made


def _shown(value: Any) -> str:
    """An input of a trial, its numbers to four digits; the record has all of them."""
    return value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return {name: _rounded(each) for name, each in value.items()} if isinstance(value, dict) else value


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _anchor(*names: str) -> str:
    """An id that HTML and URLs take as it is."""
    return "--".join(re.sub(r"[^\w.+-]", "-", name, flags=re.ASCII) for name in names)


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="backslashreplace")


def _slugs(names: Sequence[str]) -> dict[str, str]:
    """A short id of its own for each name, to be read in a URL."""
    slugs: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:60] or "name"
        taken = sum(
            slug == plain or re.fullmatch(re.escape(plain) + r"-\d+", slug) is not None
            for slug in slugs.values()
        )
        slugs[name] = plain if not taken else f"{plain}-{taken + 1}"
    return slugs


def _web(link: str | None) -> str | None:
    """A link that a browser may follow: the web's, never a script's."""
    return link if link and re.match(r"https?://", link) else None


def _amount(value: float | None, digits: int = 1) -> str:
    """A number for a column of numbers; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _size(parameters: float | None) -> str:
    """135 M, 1.8 B; empty where it is not known."""
    if not parameters:
        return ""
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"

"""The claim report as one HTML file that needs nothing else, and its rows as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from vsg_core.markup.literal import visible
from vsg_core.markup.templating import environment
from vsg_core.records.files import ARCHIVE, FOLDER, write_atomically
from vsg_core.records.microscope import Microscope, read_microscopes
from vsg_core.records.record import ModelReference, Record
from vsg_core.records.schemas import claim_row
from vsg_core.report.view.cells import Cell
from vsg_core.report.view.confirmed import BADGES, ledger_texts
from vsg_core.report.view.engines import JUDGED, EnginePair, counts_text
from vsg_core.report.view.examples import counted, heaviest
from vsg_core.report.view.findings import STANDINGS
from vsg_core.report.view.models import quantised_text
from vsg_core.report.view.origins import command, model_command, origins, removal_command, rests_on
from vsg_core.report.view.rows import Report
from vsg_core.report.view.status import harness_of, holm_text, status_text
from vsg_core.report.view.steps import parting, steps_of, together
from vsg_core.vocabulary import ACROSS, form_text
from vsg_core.weights.engine_names import engine_of, model_of
from vsg_core.wording import UNIT_NAMES, count_text, exact_text

HERE = Path(__file__).parent
NO_BREAK = "\xa0"
STYLES = ("page.css", "claim.css", "microscope.css")
# Only of a page with records of two engines.
ENGINE_STYLE = "engines.css"
# Only of a page with confirming verdicts.
CONFIRMED_STYLE = "confirmed.css"
# How much of the trials the page itself has, most first, each with the size in bytes up to which it is used: all of
# every arm, all of the claim's own, examples, fewer examples, none. The records have the rest.
SMALL, LARGEST = 1_200_000, 2_950_000
DEPTHS = {"all": SMALL, "claim": SMALL, "examples": LARGEST, "few": LARGEST, "links": sys.maxsize}


def write_report(report: Report, out_dir: str | Path) -> Path:
    """Write `out_dir`/claims.html and claims.json; return the path of the page.

    The page links to `out_dir`/records/MODEL/CLAIM.json for all trials, or to `out_dir`/records.zip if the records are
    in that archive, and shows the looks at concept tokens in `out_dir`/microscope.

    Raises:
        VsgError: a file cannot be written, or a file of the microscope is damaged.
    """
    out_dir = Path(out_dir)
    write_atomically(out_dir / "claims.json", json.dumps(claim_rows(report), indent=1) + "\n")
    page = render(report, read_microscopes(out_dir), _archived(report, out_dir))
    return write_atomically(out_dir / "claims.html", page)


def _archived(report: Report, out_dir: Path) -> frozenset[str]:
    """Name the records that are in the archive next to the page and not in the folder of records."""
    if not (out_dir / ARCHIVE).exists():
        return frozenset()
    members = (_member(cell.record) for cell in report.cells)
    return frozenset(member for member in members if not (out_dir / FOLDER / member).exists())


def claim_rows(report: Report) -> list[dict[str, Any]]:
    """Return the content of claims.json: one row per claim and model, in the order of the page."""
    return [
        claim_row(
            cell.record,
            cell.reproduced,
            cell.survives,
            cell.status,
            cell.confirmed.line if cell.confirmed else None,
        ).model_dump(mode="json")
        for cell in report.cells
    ]


def render(report: Report, microscopes: Sequence[Microscope] = (), archived: Collection[str] = ()) -> str:
    """Return the page as text that UTF-8 can encode, whatever the records contain.

    Args:
        archived: the records (MODEL/CLAIM.json) that are in the archive next to the page, not in the folder.
    """
    template = _environment(report).get_template("page.html")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    styles = [*STYLES]
    styles += [ENGINE_STYLE] * bool(report.replicas) + [CONFIRMED_STYLE] * bool(report.registered)
    shared = {
        "report": report,
        "harness": harness_of(report),
        "microscopes": microscopes,
        "archived": archived,
        "style": Markup("\n".join((HERE / name).read_text(encoding="utf-8") for name in styles)),
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
    """A size that a page with these trials exceeds, known without rendering it."""
    if depth not in ("all", "claim"):
        return 0
    tables = [table for cell in report.cells for table in cell.tables if depth == "all" or not table.label]
    return sum(150 + len(trial.prompt) for table in tables for trial in table.trials)


class _Flat(FileSystemLoader):
    """Loads templates without their indentation, which would be a quarter of the page's bytes."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, name, is_current = super().get_source(environment, template)
        return re.sub(r"^ +", "", source, flags=re.MULTILINE), name, is_current


def _environment(report: Report) -> Environment:
    templates = environment(HERE)
    templates.loader = _Flat(HERE)
    templates.filters |= {
        "clip": lambda text: visible(text if len(text) <= 80 else text[:79] + "…"),
        "day": _day,
        "minute": _minute,
        "json": _shown,
        "paragraphs": lambda text: "\n\n".join(" ".join(p.split("\n")) for p in text.split("\n\n")),
        "web": _web,
        "amount": _amount,
        "size": _size,
        "unbroken": _unbroken,
        "groupby_model": _by_model,
    }
    templates.globals |= {
        "anchor": _anchor,
        "slug": _slugs([*report.asked, *report.families]).get,
        "columns": {model.name: f"m{i}" for i, model in enumerate(report.models, 1)} | {ACROSS: ""},
        "origins": origins,
        "rests_on": rests_on,
        "command": command,
        "model_command": model_command,
        "removal_command": removal_command,
        "counted": counted,
        "heaviest": heaviest,
        "standing_words": STANDINGS,
        "status_text": status_text,
        "holm_text": holm_text,
        "ledger_texts": ledger_texts,
        "badge_words": BADGES,
        "registered": report.registered,
        "unit_names": UNIT_NAMES,
        "member": _member,
        "several": count_text,
        "quantised_text": quantised_text,
        "form_text": form_text,
        "exact_text": exact_text,
        "replicas": report.replicas,
        "engine_of": engine_of,
        "model_of": model_of,
        "engine_pair": _pairs_of(report),
        "judged": JUDGED,
        "counts_text": counts_text,
        "steps_of": steps_of,
        "parting": parting,
        "together": together,
    }
    return templates


def _by_model(models: Sequence[ModelReference]) -> list[list[ModelReference]]:
    """The columns of each model: one, or one per engine."""
    return [list(same) for _, same in groupby(models, key=lambda model: model_of(model.name))]


def _pairs_of(report: Report) -> Callable[[Cell], EnginePair | None]:
    """A function from a cell on a second engine to the pair with the first; None of any other cell."""
    return lambda cell: report.engine_pairs.get((cell.record.claim.id, cell.model))


def _shown(value: Any) -> str:
    """An input of a trial, its numbers to four digits; the record has all digits."""
    return value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return {name: _rounded(entry) for name, entry in value.items()} if isinstance(value, dict) else value


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _minute(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _anchor(*names: str) -> str:
    """An id that needs no escaping in HTML and URLs."""
    return "--".join(re.sub(r"[^\w.+-]", "-", name, flags=re.ASCII) for name in names)


def _member(record: Record) -> str:
    """The path of a record in the folder or archive of records, for a URL."""
    model, claim = (
        quote(name, safe="", errors="backslashreplace") for name in (record.model.name, record.claim.id)
    )
    return f"{model}/{claim}.json"


def _slugs(names: Sequence[str]) -> dict[str, str]:
    """A short, unique id for each name, readable in a URL."""
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
    """The link if it leads to the web, else None: never a script."""
    return link if link and re.match(r"https?://", link) else None


def _amount(value: float | None, digits: int = 1) -> str:
    """A number for a column of numbers; a dash without one."""
    return "–" if value is None else f"{value:,.{digits}f}"


def _unbroken(text: str) -> Markup:
    """The text with no line break between a number and its percent sign; apply it after `literal`."""
    shown = text if isinstance(text, Markup) else Markup.escape(visible(text))
    return Markup(re.sub(r"(?<=\d) (?=%)", NO_BREAK, shown))


def _size(parameters: float | None) -> str:
    """135 M, 1.8 B; empty if it is unknown."""
    if not parameters:
        return ""
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"

"""Recorded verdicts as Markdown tables, claims by models: those of the README and of docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress, product
from pathlib import Path

from vsg_core.judge.claims import Claim, load_claims
from vsg_core.judge.holm import survivals
from vsg_core.judge.rules import Rule
from vsg_core.projects import RECORDED
from vsg_core.records.confirmations import Confirmation, read_confirmations
from vsg_core.records.recorded import RecordedVerdict, read_recorded
from vsg_core.report.view.confirmed import (
    CONFIRMED,
    FAILED,
    MARKS_TEXT,
    Badge,
    badge_of,
    registered_texts,
)
from vsg_core.report.view.status import PILOT, Harness, exploratory_texts, weights_text
from vsg_core.report.view.terms import share_text
from vsg_core.vocabulary import ACROSS, form_text, is_quantised
from vsg_core.weights.engine_names import model_of, on_second_engine
from vsg_core.wording import estimate_text, measured_text

# Marks a decided verdict that Holm's correction over the model's findings does not leave.
FAILS_HOLM = "†"
HOLM = f"{FAILS_HOLM}: does not survive Holm’s correction over all findings with a verdict on the same model."


def recorded_table(
    claims: Path, recorded: Path, headline: bool = False, short: bool = False, own: Sequence[Path] = ()
) -> str:
    """Return one table per question, with a row per claim and a column per model; then the identities, and a note.

    Claims with confirming verdicts come first in their table. The note says how far the verdicts are confirmed, which
    of them Holm's correction leaves, and in which form the weights were. Claims without a recorded or a confirming
    verdict are left out, and so are, in each table, models without a verdict in it. So are the verdicts of a second
    engine on a model that the first has verdicts on: see `replication_table`.

    Args:
        claims: the folder of claims.
        recorded: the folder of recorded verdicts, one file per model.
        headline: only the headline claims and those with confirming verdicts, in one table.
        short: the verdict and the estimate alone, without the interval and the number of trials.
        own: further folders of claims, each with its recorded verdicts in recorded/, which replace earlier ones.

    Raises:
        VsgError: a file of recorded verdicts, a freeze or a ledger is damaged.
    """
    folders = [recorded, *(folder / RECORDED for folder in own)]
    confirmations = read_confirmations([claims, *own])
    found = {path.stem for folder in folders for path in folder.glob("*.toml")} | set(confirmations.models)
    # A second engine's verdicts are in tables of their own.
    models = sorted(name for name in found if not (on_second_engine(name) and model_of(name) in found))
    verdicts: dict[str, dict[str, RecordedVerdict]] = {model: {} for model in models}
    for model, folder in product(models, folders):
        verdicts[model] |= read_recorded(folder, model)
    cell = _short_cell if short else full_cell
    tables: dict[str, list[tuple[Badge, list[str]]]] = {}
    apart: list[tuple[list[RecordedVerdict], list[str]]] = []
    confirming: list[Mapping[str, Confirmation]] = []
    with_pilot = False
    loaded = list(load_claims(claims, *own))
    survive = {model: _survivals(loaded, verdicts[model]) for model in models}
    for claim in loaded:
        accepted = [verdicts[model].get(claim.id) for model in models]
        confirmed = confirmations.of_claim(claim.id, claim.rules_digest)
        if not (any(accepted) or confirmed) or (headline and not claim.headline and not confirmed):
            continue
        line = [claim.statement]
        for model, verdict in zip(models, accepted, strict=True):
            mark = FAILS_HOLM if survive[model].get(claim.id) is False else ""
            each = confirmed.get(model)
            shown = [cell(verdict, claim.rule, mark)] if verdict else []
            shown += [_confirmed_cell(each, claim.rule, short)] if each else []
            line.append("; ".join(shown))
        if claim.status == "identity":
            apart.append((list(filter(None, accepted)), line))
        else:
            with_pilot |= claim.headline and not confirmed
            confirming.append(confirmed)
            question = "" if headline else f"## {claim.question}\n\n"
            tables.setdefault(question, []).append((badge_of(claim.status, confirmed), line))
    head = ["claim", *(_model_head(model, verdicts[model].values()) for model in models)]
    parts = [question + _without_empty_columns(head, _in_order(rows)) for question, rows in tables.items()]
    if apart:
        parts += _harness(apart, head, "" if headline else "## ", short)
    forms = [_form(verdicts[model].values()) for model in models if model != ACROSS]
    if tables:
        marked = any(FAILS_HOLM in cell for rows in tables.values() for _, line in rows for cell in line)
        unconfirmed = sum(not each for each in confirming)
        note = [
            *registered_texts(confirming, confirmations),
            MARKS_TEXT if any(confirming) else "",
            *exploratory_texts(unconfirmed, len(confirming)),
            PILOT if with_pilot else "",
            HOLM if marked else "",
            weights_text(forms),
        ]
        parts.append(" ".join(filter(None, note)))
    return "\n\n".join(parts)


def _in_order(rows: Iterable[tuple[Badge, list[str]]]) -> list[list[str]]:
    """Put claims that are confirmed first, then those of some models only, those that failed, and the others."""
    return [line for _, line in sorted(rows, key=lambda row: row[0].rank)]


def _survivals(claims: Iterable[Claim], recorded: Mapping[str, RecordedVerdict]) -> dict[str, bool | None]:
    """Return which verdicts of a model's findings survive Holm's correction, by claim."""
    family = [
        claim.id
        for claim in claims
        if claim.id in recorded and claim.status != "identity" and recorded[claim.id].verdict != "not run"
    ]
    judged = [(recorded[name].verdict, recorded[name].p_value) for name in family]
    return dict(zip(family, survivals(judged), strict=True))


def _harness(
    apart: Sequence[tuple[list[RecordedVerdict], list[str]]], head: list[str], mark: str, short: bool
) -> Iterator[str]:
    """The identities, those that do not hold first; a short table has only these."""
    judged = [
        verdict.verdict for accepted, _ in apart for verdict in accepted if verdict.verdict != "not run"
    ]
    harness = Harness(len(apart), len(judged), len(judged) - judged.count("holds"))
    failed = [line for accepted, line in apart if not _holds(accepted)]
    held = [line for accepted, line in apart if _holds(accepted)]
    text = f"{harness.text}. {harness.meaning}"
    yield f"{mark}{harness.title}\n\n{text}" if mark else f"{harness.title}: {text}"
    if shown := failed if short else [*failed, *held]:
        yield _without_empty_columns(head, shown)


def _holds(accepted: Iterable[RecordedVerdict]) -> bool:
    return {verdict.verdict for verdict in accepted} <= {"holds", "not run"}


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _model_head(model: str, verdicts: Iterable[RecordedVerdict]) -> str:
    """gemma-3-270m (4-bit); the name alone where the weights are not quantised."""
    forms = {verdict.form for verdict in verdicts if verdict.form and is_quantised(verdict.form)}
    return f"{model} ({', '.join(sorted(map(form_text, forms)))})" if forms else model


def _form(verdicts: Iterable[RecordedVerdict]) -> str | None:
    """The form of a model's weights; None where it is not known."""
    return next((verdict.form for verdict in verdicts if verdict.form), None)


def _without_empty_columns(head: list[str], rows: list[list[str]]) -> str:
    filled = [any(column) for column in zip(*rows, strict=True)]
    return markdown_table([*compress(head, filled)], [[*compress(row, filled)] for row in rows])


def full_cell(recorded: RecordedVerdict, rule: Rule, mark: str = "") -> str:
    """A recorded verdict with its measurement: "**holds** 62 % [50 %, 74 %] of 60"; or why there is none."""
    if recorded.estimate is None or recorded.interval is None or recorded.n is None:
        return f"*not run*, {recorded.not_applicable}"
    measured = measured_text(recorded.estimate, recorded.interval, recorded.n, rule.unit)
    share = share_text(rule, recorded.share)
    return f"**{recorded.verdict}**{mark} {measured}" + (f"; {share}" if share else "")


def _confirmed_cell(confirmation: Confirmation, rule: Rule, short: bool) -> str:
    """The confirming verdict: "✓ **holds** 58 % [53 %, 63 %] of 400"; without a verdict why there is none."""
    line = confirmation.line
    mark = CONFIRMED if confirmation.status == "confirmed" else FAILED
    if line.estimate is None or line.interval is None or line.n is None:
        reason = " ".join(line.reason.split()).replace("|", r"\|")
        return f"{mark} *not run*" + (f", {reason}" if reason and not short else "")
    if short:
        return f"{mark} **{line.verdict}** {estimate_text(line.estimate, line.interval, line.n, rule.unit)}"
    return f"{mark} **{line.verdict}** {measured_text(line.estimate, line.interval, line.n, rule.unit)}"


def _short_cell(recorded: RecordedVerdict, rule: Rule, mark: str) -> str:
    if recorded.estimate is None:
        return "*not run*"
    estimate = estimate_text(recorded.estimate, recorded.interval, recorded.n, rule.unit)
    return f"**{recorded.verdict}**{mark} {estimate}"

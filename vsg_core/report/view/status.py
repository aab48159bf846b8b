"""The worth of the verdicts in words: how far they are confirmed, and the identities, which are shown apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vsg_core.judge.holm import HOLM_ALPHA
from vsg_core.report.view.confirmed import registered_texts
from vsg_core.report.view.engines import counts_text
from vsg_core.report.view.rows import ClaimRow, Report
from vsg_core.vocabulary import form_text
from vsg_core.weights.engine_names import engine_of, model_of
from vsg_core.wording import count_text, exact_text

EXPLORATORY = "exploratory: none has been confirmed on new prompts under a rule registered beforehand."
PILOT = "A pilot preceded the headline claims."


@dataclass(frozen=True)
class Harness:
    """The identities: how many there are, how many verdicts they have, and how many of these do not hold."""

    identities: int
    judged: int
    failed: int

    @property
    def title(self) -> str:
        """The heading: whether all of them hold."""
        if not self.failed:
            return "The harness is sound"
        return f"The harness: {count_text(self.failed, 'verdict does', 'verdicts do')} not hold"

    @property
    def text(self) -> str:
        """The number that hold: "81 of 81 verdicts of 21 identities hold"."""
        many = count_text(self.identities, "identity", "identities")
        return f"{self.judged - self.failed} of {count_text(self.judged, 'verdict')} of {many} hold"

    @property
    def meaning(self) -> str:
        """The meaning of the word, for readers who meet it."""
        return (
            "Identities are settled by arithmetic, by the harness or by a library, or were all but certain before any "
            "data. They say nothing about models, and no count of findings includes them."
        )


def harness_of(report: Report) -> Harness | None:
    """Return how the identities of a report came out; None if it has none."""
    if not report.identities:
        return None
    return Harness(len(report.identities), len(report.judged_identities), len(report.failed_identities))


def sections(report: Report) -> dict[str, Sequence[ClaimRow]]:
    """Return the findings by question, then the identities under a heading that counts them."""
    harness = harness_of(report)
    apart = {f"{harness.title}: {harness.text}": report.identities} if harness else {}
    return {**report.questions, **apart}


def status_text(report: Report) -> str:
    """Return how far the findings are confirmed, and the form of the weights: a few sentences."""
    unconfirmed = [row for row in report.findings if row.status == "exploratory"]
    sentences = registered_texts((row.confirmations for row in report.findings), report.confirmations)
    sentences += exploratory_texts(len(unconfirmed), len(report.findings))
    sentences += [PILOT] * any(row.headline for row in unconfirmed)
    sentences.append(weights_text(model.form for model in report.measured_models))
    return " ".join(filter(None, sentences))


def exploratory_texts(unconfirmed: int, findings: int) -> list[str]:
    """Return that the verdicts are exploratory in a sentence, of how many claims if not of all; none without one."""
    of = "" if unconfirmed == findings else f" of {count_text(unconfirmed, 'claim')}"
    return [f"The verdicts{of} are {EXPLORATORY}"] * bool(unconfirmed)


def holm_text(report: Report) -> str:
    """Return what surviving Holm means, and for how many verdicts; empty where no p-value is known."""
    survivors, asked = report.survival
    if not asked:
        return ""
    return (
        f"{survivors} of {count_text(asked, 'decided verdict')} {'survive' if survivors != 1 else 'survives'} Holm: "
        "Holm’s correction over all findings with a verdict on the same model, which keeps the chance that any "
        f"surviving verdict on a model is false at {exact_text(HOLM_ALPHA, 'percent')} or less."
    )


def replication_texts(report: Report) -> list[str]:
    """Return a sentence per model on a second engine: how many findings it replicates; none without one."""
    return [
        f"Replicated by a second engine, {engine_of(name)}, on {model_of(name)}: {counts_text(pairs)}."
        for name, pairs in report.replications.items()
    ]


def weights_text(forms: Iterable[str | None]) -> str:
    """Return the forms of some models' weights in a sentence: "All weights are 4-bit."; empty where none is known."""
    counts = Counter(form_text(form) if form else "unknown" for form in forms)
    if len(counts) < 2:
        return "".join(f"All weights are {form}." for form in counts if form != "unknown")
    each = [f"{form} on {count_text(count, 'model')}" for form, count in counts.most_common()]
    return f"Weights: {', '.join(each)}."

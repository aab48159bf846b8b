"""Compute the generated tables of the documentation; cog calls these functions (`make docs`).

The numbers in docs/judging.md are computed from the judge's code, and the verdicts are the recorded ones.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

import vsg_core
from fixtures.pools.all_pools import POOLS
from tests.judge.test_false_verdicts import (
    ALPHA,
    SIZES,
    Array,
    false_verdicts,
    rate_difference_intervals,
    rate_intervals,
)
from tools.capabilities import is_across, lacking, optional_capabilities, reached, second_engine
from vsg_core.judge.claims import load_claims
from vsg_core.judge.measures import verdict_of
from vsg_core.judge.power import trials_to_decide
from vsg_core.judge.rules import always, more, rate
from vsg_core.lazy import LazyModule
from vsg_core.records.files import read_reports
from vsg_core.report.text.recorded_table import markdown_table, recorded_table
from vsg_core.report.text.replication_table import NONE_YET, replication_table, second_engines
from vsg_core.weights.engine_names import on_second_engine

CLAIMS = Path(__file__).parents[1] / "hypotheses"
# Written as "4 times in 5" on the page.
CHANCE = 0.8
EXAMPLE = Path(__file__).parents[1] / "reports" / "example"
SWEEP = Path(__file__).parents[1] / "docs" / "sweep.json"
SPEED = Path(__file__).parents[1] / "docs" / "speed.json"
# The outcomes of the sweep, as docs/models.md names them.
OUTCOMES = {
    "right": "right, on the fast path",
    "slower": "right, on a slower path",
    "partly": "right, but a measurement is refused",
    "refused": "refused in one line",
    "unbuilt": "not tried: no tiny model was built",
    "wrong": "wrong",
    "traceback": "a traceback",
}
Rows = list[list[str]]
# The sections of the page on the public face, by the module that a name comes from.
SECTIONS = {
    "Claims and evidence": ("judge.", "errors"),
    "The model": ("generator.model", "weights."),
    "Mixtures and distributions": ("generator.mixing",),
    "Models in text alone": ("hosted",),
    "Writing": ("generator.writing",),
    "Reading": ("generator.reading",),
    "Records and reports": ("records.", "report."),
    "Libraries that load when a claim first uses them": ("lazy",),
}
Flags = NDArray[np.bool_]


def headline_verdicts() -> str:
    """Return the table in the README: headline claims, short cells."""
    return recorded_table(CLAIMS, CLAIMS / "recorded", headline=True, short=True)


def all_verdicts() -> str:
    """Return the tables of docs/verdicts.md, one per question."""
    return recorded_table(CLAIMS, CLAIMS / "recorded")


def replications() -> str:
    """Return the tables of docs/replication.md: each model's findings on both engines, by the example's trials."""
    recorded = CLAIMS / "recorded"
    if not any(on_second_engine(path.stem) for path in recorded.glob("*.toml")):
        return NONE_YET
    return replication_table(CLAIMS, recorded, second_engines(read_reports(EXAMPLE)))


def capabilities() -> str:
    """Return which optional capabilities the second engine has, and which claims reach each of them."""
    missing = lacking(second_engine())
    claims = [claim for claim in load_claims(CLAIMS) if not is_across(claim)]
    reach = {claim.id: reached(claim) for claim in claims}
    rows = [
        [
            f"{sentence.rstrip('.')} (`{name}`)",
            "yes",
            "no" if name in missing else "yes",
            ", ".join(f"`{claim}`" for claim in reach if name in reach[claim]) or "none",
        ]
        for name, (sentence, _) in optional_capabilities().items()
    ]
    plain = sum(not found for found in reach.values())
    kept_back = sum(bool(found & missing) for found in reach.values())
    text = f"{plain} of {len(claims)} claims reach none of these, so they apply to every engine."
    if kept_back:
        text += f" {kept_back} do not apply to llama.cpp, because they reach what it lacks."
    head = ["optional capability", "transformers", "llama.cpp", "claims that reach it"]
    return f"{markdown_table(head, rows)}\n\n{text}"


def markdown(rows: Rows) -> str:
    """Return a Markdown table; the first row is its head."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body]).replace("%", " %").replace("  %", " %")


def pools() -> Rows:
    """Return the pools with the fixture that draws from each, its population and its sizes."""
    head = ["fixture", "population", "items", "in a claim's share", "without listed and repeated ones"]
    rows = [
        [
            f"`draw_{pool.name.replace(' ', '_')}`",
            pool.population,
            f"{len(pool.items()):,}",
            f"{pool.share_size:,}",
            f"{sum(1 for _ in pool.share('a_claim')):,}",
        ]
        for pool in POOLS
    ]
    return [head, *rows]


def power_of_a_rate() -> Rows:
    """Return, for each bound and number of trials, the successes that decide and the true rate that suffices."""
    rows = [["rule", "trials", "holds from", "refuted up to", "holds 4 times in 5 at a true rate of"]]
    for bound, sizes in ((0.5, (20, 40, 100, 200)), (0.9, (40, 100, 200, 400))):
        for n in sizes:
            rule = rate(above=bound, trials=n)
            verdicts = [verdict_of(rule, ends) for ends in zip(*rate_intervals(n), strict=True)]
            least, most = verdicts.index("holds"), n - verdicts[::-1].index("refuted")
            truths = np.arange(0, 1.0001, 0.001)
            truth = truths[np.argmax(stats.binom.sf(least - 1, n, truths) >= CHANCE)]
            rows.append([f"above {bound:.0%}", str(n), str(least), str(most), f"{truth:.1%}"])
    return rows


def power_of_a_rate_over_an_arm() -> Rows:
    """Return by how much a true rate must exceed the arm's for the claim to hold 4 times in 5."""
    rows = [["trials in each arm", "the arm's true rate 10 %", "50 %"]]
    for n in (20, 40, 100, 200):
        holds = rate_difference_intervals(n)[0] > 0
        rows.append([str(n), *(f"{_gap(holds, n, arm) * 100:.0f} points" for arm in (0.1, 0.5))])
    return rows


def _gap(holds: Flags, n: int, arm: float) -> float:
    gaps = np.arange(0, 1 - arm, 0.01)
    chances = _chance_of_pairs(holds, n, arm + gaps, np.full_like(gaps, arm))
    return float(gaps[np.argmax(chances >= CHANCE)])


def _chance_of_pairs(pairs: Flags, n: int, truths: Array, arm_truths: Array) -> Array:
    """Return the chance of the success counts marked in `pairs` [n + 1, n + 1], at each pair of true rates."""
    outcomes = np.arange(n + 1)
    own, arm = (stats.binom.pmf(outcomes, n, rates[:, None]) for rates in (truths, arm_truths))
    return np.asarray(((own @ pairs) * arm).sum(axis=1))


def power_of_a_mean() -> Rows:
    """Return the true mean, and the margin of equivalence, for which the claim holds 4 times in 5."""
    rows = [
        ["trials", "difference: true mean beyond the bound by", "equivalence: margin, the true mean being 0"]
    ]
    for n in (20, 40, 100, 200):
        beyond = TTestPower().solve_power(nobs=n, alpha=ALPHA, power=CHANCE, alternative="two-sided")
        margins = np.arange(0, 2, 0.01)
        margin = margins[np.argmax([_chance_of_equivalence(n, m) >= CHANCE for m in margins])]
        rows.append([str(n), f"{beyond:.2f} standard deviations", f"{margin:.2f} standard deviations"])
    return rows


def _chance_of_equivalence(n: int, margin: float) -> float:
    """Return the chance that the interval of n normal values, mean 0 and deviation 1, lies within the margin."""
    deviations, step = np.linspace(0, 3, 3001, retstep=True)
    room = np.sqrt(n) * margin - stats.t.ppf(1 - ALPHA, n - 1) * deviations
    inside = np.clip(2 * stats.norm.cdf(room) - 1, 0, None)
    density = stats.chi.pdf(deviations * np.sqrt(n - 1), n - 1) * np.sqrt(n - 1)
    return float((inside * density).sum() * step)


def trials_of_a_difference() -> Rows:
    """Return the fewest trials with which a difference decides, by the smallest effect that matters."""
    sizes = (0.1, 0.2, 0.3, 0.5)
    return [
        ["smallest effect that matters, in standard deviations", *(f"{size:g}" for size in sizes)],
        ["trials", *(str(trials_to_decide(more(matters=size), 1.0)) for size in sizes)],
    ]


def trials_of_a_rate_over_an_arm() -> Rows:
    """Return the fewest trials with which a rate over an arm decides, by the smallest effect and the arm's rate."""
    sizes = (0.05, 0.1, 0.15, 0.2)
    rows = [["smallest effect that matters", *(f"{100 * size:.0f} points" for size in sizes)]]
    for arm in (0.1, 0.5):
        counts = [trials_to_decide(rate(above=0, over="arm", matters=size), arm) for size in sizes]
        rows.append([f"trials in each arm, the arm's true rate {arm:.0%}", *map(str, counts)])
    return rows


def trials_of_always() -> Rows:
    """Return, for each open rate, how many trials without a counterexample *always* needs."""
    rules = [always(open_rate=open_rate) for open_rate in (0.1, 0.05, 0.01, 0.001)]
    return [
        ["counterexamples left open", *(f"{rule.limit:g}" for rule in rules)],
        ["trials without one", *(str(rule.trials_to_hold) for rule in rules)],
    ]


def errors_of_a_rate() -> Rows:
    """Return the worst chance that a rate's interval lies above the truth, for two kinds of interval."""
    rows = [["interval", *(f"{n} trials" for n in SIZES)]]
    for name, method in (("Clopper-Pearson, used here", "beta"), ("Wilson, for comparison", "wilson")):
        rows.append([name, *(f"{_worst(n, method):.1%}" for n in SIZES)])
    return rows


def _worst(n: int, method: str) -> float:
    outcomes, truths = np.arange(n + 1), np.arange(0.01, 1, 0.005)[:, None]
    low, _ = proportion_confint(outcomes, n, ALPHA, method)
    return float(((low > truths) * stats.binom.pmf(outcomes, n, truths)).sum(axis=1).max())


def errors_of_a_rate_over_an_arm() -> Rows:
    """Return the worst chances that a rate over an arm falsely holds and is falsely refuted."""
    rows = [["rule", *(f"{n} trials" for n in SIZES)]]
    for bound in (0.0, 0.2, 0.5):
        cells = []
        for n in SIZES:
            low, high = rate_difference_intervals(n)
            truths = np.arange(0, 1 - bound + 1e-9, 0.02)
            holds = _chance_of_pairs(low > bound + 1e-12, n, truths + bound, truths).max()
            refuted = _chance_of_pairs(high < bound - 1e-12, n, truths + bound, truths).max()
            cells.append(f"{holds:.1%} / {refuted:.1%}")
        rows.append([f"above by {bound * 100:.0f} points", *cells])
    return rows


def errors_of_a_mean() -> Rows:
    """Return how often a mean is falsely called above and below the bound, for four shapes of values."""
    rows = [["values", *(f"{n} trials" for n in SIZES)]]
    shapes = (
        "normal",
        "paired difference of skewed values",
        "skewed, as waiting times are",
        "extremely skewed",
    )
    for shape in shapes:
        cells = [" / ".join(f"{share:.1%}" for share in false_verdicts(shape, n)) for n in SIZES]
        rows.append([shape, *cells])
    return rows


def public_face() -> str:
    """Return the tables of docs/public-face.md: every name of `vsg_core` with the first sentence of its docstring."""
    stub = (Path(vsg_core.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    homes = {name: home for home, name in re.findall(r"from \.([\w.]+) import \w+ as (\w+)", stub)}
    parts = []
    for section, prefixes in SECTIONS.items():
        names = sorted((name for name, home in homes.items() if home.startswith(prefixes)), key=str.lower)
        rows = [[f"`{name}{_signature(name)}`", _first_sentence(name)] for name in names]
        parts.append(f"## {section}\n\n" + markdown_table(["name", "what it is"], rows))
    missing = {name for name, home in homes.items() if not home.startswith(sum(SECTIONS.values(), ()))}
    if missing:
        raise ValueError(f"no section for {', '.join(sorted(missing))}: add one to SECTIONS")
    return "\n\n".join(parts)


def language_model() -> str:
    """Return the table of what a LanguageModel does."""
    owner = vsg_core.LanguageModel
    public = [name for name, member in inspect.getmembers(owner) if name[0] != "_" and inspect.getdoc(member)]
    rows = [[f"`lm.{name}{_signature(name, owner)}`", _first_sentence(name, owner)] for name in public]
    return markdown_table(["member", "what it is"], rows)


def _signature(name: str, owner: object = vsg_core) -> str:
    """The names of a function's parameters; empty for anything else."""
    member = getattr(owner, name)
    if not inspect.isfunction(member):
        return ""
    return f"({', '.join(parameter for parameter in inspect.signature(member).parameters if parameter != 'self')})"


def _first_sentence(name: str, owner: object = vsg_core) -> str:
    """The first paragraph of a name's docstring, or the value of a constant."""
    member = getattr(owner, name)
    if isinstance(member, frozenset):
        # An attribute has its words in the docstring of its class.
        return plain((inspect.getdoc(owner) or "").partition(f"\n    {name}: ")[2].partition("\n    ")[0])
    return sentence(member)


def sentence(value: Any) -> str:
    """The first paragraph of a docstring, or the value of a constant, for a cell of a table."""
    if isinstance(value, str):
        return plain(f"“{value}”")
    return plain(
        f"The library {value.__name__}." if isinstance(value, LazyModule) else inspect.getdoc(value) or ""
    )


def plain(text: str) -> str:
    """The first paragraph of a text in one line, for a cell of a table."""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def sweep_counts() -> str:
    """Return the numbers of architectures, and of their variants, by outcome."""
    counts = Counter((kind, is_variant) for kind, is_variant, _ in _swept())
    rows = [
        [word, str(counts[kind, False]), str(counts[kind, True])]
        for kind, word in OUTCOMES.items()
        if counts[kind, False] or counts[kind, True] or kind in ("wrong", "traceback")
    ]
    return markdown_table(["outcome", "architectures", "variants"], rows)


def sweep_outcomes(*kinds: str) -> str:
    """Return the entries of the sweep with these outcomes, by path or line."""
    by_note: dict[str, list[str]] = defaultdict(list)
    for name, line in _sweep().items():
        if line["kind"] in kinds:
            by_note[_note(line)].append(name)
    rows = [[", ".join(f"`{name}`" for name in found), note] for note, found in by_note.items()]
    rows.sort(key=lambda row: (-row[0].count(","), row[1]))
    return markdown_table(["architectures", "path, or reason"], rows) if rows else "None."


def sweep_without() -> str:
    """Return the measurements that do not apply to some entries."""
    missing: dict[str, list[str]] = defaultdict(list)
    for name, line in _sweep().items():
        for measurement in line.get("without", ()):
            missing[measurement].append(name)
    rows = [[what, str(len(found)), ", ".join(f"`{n}`" for n in found)] for what, found in missing.items()]
    return markdown_table(["measurement", "entries", "which"], rows)


def _sweep() -> dict[str, dict[str, Any]]:
    outcomes: dict[str, dict[str, Any]] = json.loads(SWEEP.read_text(encoding="utf-8"))["outcomes"]
    return outcomes


def _swept() -> list[tuple[str, bool, str]]:
    """Each entry's outcome, whether it is a variant, and its path or line."""
    variant = re.compile(r" (?!encoder-decoder$)")
    return [(line["kind"], bool(variant.search(name)), line["note"]) for name, line in _sweep().items()]


def _note(line: dict[str, Any]) -> str:
    """A note without the class that it begins with and without numbers, so that like reasons share a row."""
    note = str(line["note"])
    if line["kind"] == "refused":
        note = re.sub(r" \(off by [^)]*\)|: off by .*", "", note)
    return re.sub(r"^\w+(?:ForCausalLM|Generation|LMHeadModel|MTModel|Model\w*) ", "", note).replace(
        "|", r"\|"
    )


def speed_of(varied: str) -> str:
    """Return the times of each amount of a quantity that `python -m benchmarks.growth` varied."""
    rows = [
        [
            str(point["amount"]),
            _seconds(point["seconds"]),
            _seconds(point["at_best"]),
            f"{point['seconds'] / point['at_best']:.2f}",
        ]
        for point in _speed()["points"]
        if point["varied"] == varied
    ]
    return markdown_table([varied, "seconds", "seconds at the best rates", "times as long"], rows)


def speed_rates() -> str:
    """Return the best rates of each model, in the order in which they were measured."""
    rows = [
        [f"`{model}`", *(", ".join(f"{each[kind]:.0f}" for each in found) for kind in ("prompts", "steps"))]
        for model, found in _speed()["rates"].items()
    ]
    return markdown_table(["model", "positions of prompts per second", "of steps per second"], rows)


def speed_setting() -> str:
    """Return the sentence that names the machine, and the claims in their order."""
    found = _speed()
    claims = ", ".join(f"`{name}`" for name in found["claims"])
    return (
        f"Measured on {found['machine']}, with torch {found['torch']}. The claims, in this order: {claims}."
    )


def _speed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SPEED.read_text(encoding="utf-8"))
    return found


def _seconds(seconds: float) -> str:
    """At least two significant digits: 0.053, 0.53, 5.3, 53."""
    return f"{seconds:.3f}" if seconds < 0.1 else f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"

"""The replication of a verdict by a second engine: two verdicts, and the paired difference of the trials.

The rule was written before a second engine had been run:

- *replicated*: the same verdict, holds, refuted or negligible, and the paired difference is smaller than the smallest
  that matters: its interval of confidence 1 - 2 alpha is within the margin (two one-sided tests at alpha).
- *not replicated*: two different verdicts of these three, or a difference that matters: its interval of confidence
  1 - alpha is outside the margin, whatever the verdicts.
- *undecided*: the rest. A verdict that is inconclusive on either engine replicates nothing and contradicts nothing.

The margin is the smallest effect that matters, as the claim's rule names it; of an equivalence its limit. Without
one it is RATE_MARGIN for a rate, and VALUE_MARGIN standard deviations of the first engine's values for a mean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from vsg_core.judge.intervals import (
    Interval,
    difference_of_differences_interval,
    mean_interval,
    paired_rate_difference_interval,
)
from vsg_core.judge.measures import DECIDED, mean
from vsg_core.judge.rules import FEWEST_FOR_T, Rule
from vsg_core.judge.trials import Evidence, JudgingError, Trial
from vsg_core.vocabulary import Replication, Verdict

# 40 pairs, the fewest of a rate, that agree one by one have a 90 % interval of about ±6 points.
RATE_MARGIN = 0.1
# The size that J. Cohen calls small (Statistical Power Analysis for the Behavioral Sciences, 1988).
VALUE_MARGIN = 0.2
# The share of the units that both engines must have in common: a difference says nothing about the others.
SHARED = 0.9
# A cluster, or a prompt and how often it came before.
Unit = tuple[str, int]
Pairs = list[tuple[float, float]]


@dataclass(frozen=True)
class PairedDifference:
    """The measurement on the second engine minus that on the first, over the same units.

    Args:
        estimate: a difference of rates, of differences of rates, of rates of counterexamples, or of means.
        interval: of confidence 1 - alpha, the alpha of the claim's rule.
        narrow: of confidence 1 - 2 alpha.
        n: pairs of units.
        margin: the smallest difference that matters.
    """

    estimate: float
    interval: Interval
    narrow: Interval
    n: int
    margin: float

    @property
    def is_small(self) -> bool:
        """Return whether the difference is too small to matter."""
        return -self.margin < self.narrow[0] and self.narrow[1] < self.margin

    @property
    def matters(self) -> bool:
        """Return whether the difference is too large not to matter."""
        return self.interval[0] > self.margin or self.interval[1] < -self.margin


def replication(first: Verdict, second: Verdict, difference: PairedDifference | None) -> Replication:
    """Return whether the second engine's verdict replicates the first's, by the rule of this module.

    Args:
        difference: None where the trials cannot be paired; then equal verdicts are undecided.
    """
    both = {first, second}
    if len(both) == 2 and both <= set(DECIDED):
        return "not replicated"
    if difference is not None and difference.matters:
        return "not replicated"
    alike = first == second and first in DECIDED
    return "replicated" if alike and difference is not None and difference.is_small else "undecided"


def paired_difference(rule: Rule, first: Evidence, second: Evidence) -> PairedDifference:
    """Measure by how much the second engine's trials differ from the first's, unit by unit.

    A unit is a cluster, or a prompt; of a prompt that comes several times the first is paired with the first. The
    interval is Newcombe's for paired rates, Student's t for means. Of a rate over another arm it combines those of
    both arms, as if the differences in one said nothing about those in the other.

    Raises:
        JudgingError: an arm is missing, too few units are the same, or a trial lacks what the rule looks at.
    """
    pairs = _paired(rule, first.trials, second.trials)
    if rule.kind in ("difference", "equivalence"):
        return _of_means(rule, pairs)
    if rule.over is None:
        return _of_rates(rule, pairs)
    arms = [evidence.arms.get(rule.over) for evidence in (first, second)]
    if arms[0] is None or arms[1] is None:
        raise JudgingError(f"no trials of {rule.over!r}: the rule compares with it")
    return _of_rates_over(rule, pairs, _paired(rule, arms[0], arms[1]))


def _of_rates(rule: Rule, pairs: Pairs) -> PairedDifference:
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    return PairedDifference(
        mean(after) - mean(before),
        paired_rate_difference_interval(after, before, rule.alpha),
        paired_rate_difference_interval(after, before, 2 * rule.alpha),
        len(pairs),
        RATE_MARGIN,
    )


def _of_rates_over(rule: Rule, own: Pairs, over: Pairs) -> PairedDifference:
    mine, other = _of_rates(rule, own), _of_rates(rule, over)
    estimates = (mine.estimate, other.estimate)
    return PairedDifference(
        mine.estimate - other.estimate,
        difference_of_differences_interval(estimates, (mine.interval, other.interval)),
        difference_of_differences_interval(estimates, (mine.narrow, other.narrow)),
        mine.n,
        RATE_MARGIN if rule.matters is None else rule.matters,
    )


def _of_means(rule: Rule, pairs: Pairs) -> PairedDifference:
    differences = [after - before for before, after in pairs]
    estimate = mean(differences)
    # Engines that agree in every digit leave nothing to estimate.
    same = all(math.isclose(each, estimate, rel_tol=1e-9, abs_tol=1e-150) for each in differences)
    ends = [
        (estimate, estimate) if same else mean_interval(differences, alpha)
        for alpha in (rule.alpha, 2 * rule.alpha)
    ]
    return PairedDifference(estimate, ends[0], ends[1], len(pairs), _margin_of_means(rule, pairs))


def _margin_of_means(rule: Rule, pairs: Pairs) -> float:
    if rule.matters is not None:
        return rule.matters
    return rule.limit if rule.kind == "equivalence" else VALUE_MARGIN * stdev(before for before, _ in pairs)


def _paired(rule: Rule, first: Sequence[Trial], second: Sequence[Trial]) -> Pairs:
    """The numbers of the units that both engines have, in the first's order.

    Raises:
        JudgingError: there are too few, or too many are on one engine alone.
    """
    before, after = _units(rule, first), _units(rule, second)
    shared = [unit for unit in before if unit in after]
    most = max(len(before), len(after))
    if len(shared) < SHARED * most:
        raise JudgingError(f"only {len(shared)} of {most} independent trials have the same prompts")
    if len(shared) < FEWEST_FOR_T:
        raise JudgingError(f"{len(shared)} pairs of trials, an interval needs {FEWEST_FOR_T}")
    return [(before[unit], after[unit]) for unit in shared]


def _units(rule: Rule, trials: Sequence[Trial]) -> dict[Unit, float]:
    """One number per unit, by its name: a success, a counterexample or a value; clusters have the mean of theirs.

    Of *always*, a cluster is a counterexample if any of its trials is.
    """
    numbers: dict[Unit, list[float]] = {}
    seen: Counter[str] = Counter()
    for trial in trials:
        if trial.cluster is None:
            unit = ("prompt " + trial.prompt, seen[trial.prompt])
            seen[trial.prompt] += 1
        else:
            unit = ("cluster " + trial.cluster, 0)
        numbers.setdefault(unit, []).append(_number(rule, trial))
    join = max if rule.kind == "always" else mean
    return {unit: join(each) for unit, each in numbers.items()}


def _number(rule: Rule, trial: Trial) -> float:
    number = trial.number if rule.kind in ("difference", "equivalence") else trial.success
    if number is None:
        raise JudgingError(f"trial {trial.prompt[:60]!r} lacks what the rule looks at")
    return 1.0 - number if rule.kind == "always" else float(number)

"""Power: the effects that a number of trials can detect under a rule, computed from the two."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache, partial
from statistics import NormalDist

from vsg_core.errors import WrongUse
from vsg_core.judge.intervals import Interval, rate_difference_interval, rate_interval
from vsg_core.judge.measures import verdict_of
from vsg_core.judge.rules import FEWEST_FOR_T, Rule
from vsg_core.vocabulary import Verdict
from vsg_core.wording import count_text, exact_text, number_text

# The share of runs that must decide.
POWER = 0.8
# The smallest effect of a rate whose rule names none.
RATE_MATTERS = 0.1
# Beyond these, no claim is asked.
_MOST_TRIALS = 100_000
# Counts with less than this chance are left out.
_NO_WEIGHT = 1e-9
# Equally likely standard deviations over which a chance is averaged.
_DEVIATIONS = 2000
_IN_MOST_RUNS = f"in {exact_text(POWER, 'percent')} of runs"


@cache
def power_text(rule: Rule, n: int) -> str:
    """Describe in one sentence what `n` independent trials can detect under a rule."""
    match rule.kind:
        case "rate":
            return _rate(rule, n)
        case "always":
            open_share = 1 - rule.alpha ** (1 / n)
            return (
                f"{count_text(n, 'trial')} without a counterexample leave {number_text(open_share, 'percent')} open; "
                f"{rule.trials_to_hold} leave {exact_text(rule.limit, 'percent')}"
            )
        case "difference":
            text = (
                f"{count_text(n, 'trial')}: a mean {number_text(_effect(n, rule.interval_alpha), 'number')} standard "
                f"deviations from the limit is detected {_IN_MOST_RUNS}"
            )
            if rule.matters is None:
                return text
            spread = number_text(_within(n, rule.alpha), "number")
            return (
                f"{text}; a true mean at the limit is negligible {_IN_MOST_RUNS} while the values' standard "
                f"deviation is at most {spread} times the smallest effect that matters"
            )
        case "equivalence":
            spread = number_text(_within(n, rule.alpha), "number")
            return (
                f"{count_text(n, 'trial')}: a true mean of 0 holds {_IN_MOST_RUNS} while the values' standard "
                f"deviation is at most {spread} times the margin"
            )


@cache
def trials_to_decide(rule: Rule, spread: float) -> int:
    """Compute the fewest independent trials with which a rule decides about the smallest effect that matters.

    With these, 4 of 5 runs decide if the true effect is the smallest one that matters (the claim holds), and 4 of 5
    if it is exactly at the limit (negligible).

    Args:
        rule: one that names that effect.
        spread: what else the number depends on: of a difference, the standard deviation of the values; of a rate over
            another arm, the true rate of that arm. The arms of a rate count as independent: where they are of the
            same units and agree, fewer trials suffice.

    Raises:
        WrongUse: the rule names no such effect, the spread is out of range, or 100,000 trials are too few.
    """
    matters = rule.matters
    if matters is None:
        raise WrongUse(
            f"{rule.kind} {rule.needs}: the rule names no smallest effect that matters: give matters="
        )
    if rule.kind == "difference":
        if not 0 < spread < math.inf:
            raise WrongUse(f"a standard deviation of {spread!r}: give a number above 0")
        deviations = matters / spread
        return _fewest(
            lambda n: _effect(n, rule.alpha) <= deviations and _within(n, rule.alpha) * deviations >= 1
        )
    at_limit = spread + rule.limit
    beyond = at_limit + (matters if rule.side == "above" else -matters)
    if not all(0 <= rate <= 1 for rate in (spread, at_limit, beyond)):
        raise WrongUse(f"a rate of {spread!r} in {rule.over!r}: the rule's differences from it leave 0 to 1")
    return _fewest(
        lambda n: (
            _chance(n, beyond, spread, partial(_counts_that_give, rule, n, verdict="holds")) >= POWER
            and _chance(n, at_limit, spread, partial(_counts_that_give, rule, n, verdict="negligible"))
            >= POWER
        )
    )


def smallest_effect(rule: Rule) -> float | None:
    """Return the smallest effect that matters, as a distance from the limit in its unit; None if a mean names none.

    A rate that names none takes RATE_MATTERS. Of an equivalence and of *always* it is the whole way to what they
    state: a mean of 0, no counterexample.
    """
    if rule.kind in ("equivalence", "always"):
        return rule.limit
    return RATE_MATTERS if rule.matters is None and rule.kind == "rate" else rule.matters


def power(rule: Rule, n: int, spread: float | None = None) -> float:
    """Compute the chance that a claim holds if it is true by the smallest effect that matters.

    The truth lies that far from the limit on the claim's side; of a rate at most as far as rates go. A run that the
    rule would call negligible does not hold. The arms of a rate count as independent, which is too few for arms that
    agree on the same units.

    Args:
        n: independent units; fewer than the rule takes give 0.
        spread: of a mean, the standard deviation of the values; of a rate over another arm, the true rate of that
            arm; otherwise nothing depends on it.

    Raises:
        WrongUse: a mean names no smallest effect, or the spread is missing or out of range.
    """
    if n < rule.trials:
        return 0.0
    if rule.kind == "always":
        return float(n >= rule.trials_to_hold)
    matters = smallest_effect(rule)
    if matters is None:
        raise WrongUse(f"{rule.kind} {rule.needs}: the rule names no smallest effect: give matters=")
    if rule.kind != "rate":
        if spread is None or not 0 < spread < math.inf:
            raise WrongUse(f"a standard deviation of {spread!r}: give a number above 0")
        return _power_of_mean(rule, n, matters / spread)
    if rule.over is not None and (spread is None or not 0 <= spread <= 1):
        raise WrongUse(f"a rate of {spread!r} in {rule.over!r}: give one from 0 to 1")
    arm_rate = 0.0 if rule.over is None or spread is None else spread
    truth = arm_rate + rule.limit + (matters if rule.side == "above" else -matters)
    truth = min(max(truth, 0.0), 1.0)
    if rule.over is None:
        return _power_of_rate(rule, n, truth)
    return _chance(n, truth, arm_rate, partial(_counts_that_hold, rule, n))


def trials_for_power(rule: Rule, spread: float | None, least: float) -> int:
    """Compute a number of trials at which the power of a rule is at least `least`, and hardly more than needed.

    Raises:
        WrongUse: as `power`; or 100,000 trials are too few.
    """
    return _fewest(lambda n: power(rule, n, spread) >= least)


def _power_of_rate(rule: Rule, n: int, truth: float) -> float:
    from scipy.stats import binom

    above = rule.side == "above"
    edge = _edge(_verdict_of_count(rule, n), "holds", n, from_below=above)
    if edge is None:
        return 0.0
    return float(binom.sf(edge - 1, n, truth) if above else binom.cdf(edge, n, truth))


def _power_of_mean(rule: Rule, n: int, deviations: float) -> float:
    """The chance of *holds*, averaged over the standard deviation of the sample.

    In units of the standard error: `effect` is the true mean, from the limit; or the margin of an equivalence.

    Args:
        deviations: the smallest effect that matters, in standard deviations.
    """
    import numpy
    from scipy.stats import chi2, norm, t

    effect = math.sqrt(n) * deviations
    quantiles = (numpy.arange(_DEVIATIONS) + 0.5) / _DEVIATIONS
    sampled = numpy.sqrt(chi2.ppf(quantiles, n - 1) / (n - 1))
    narrow = float(t.ppf(1 - rule.alpha, n - 1)) * sampled
    if rule.kind == "equivalence":
        chances = 2 * norm.cdf(effect - narrow) - 1
    else:
        wide = float(t.ppf(1 - rule.alpha / 2, n - 1)) * sampled
        # Beyond the limit by the wide interval, and not within the smallest effect by the narrow one.
        chances = norm.sf(numpy.maximum(wide, effect - narrow) - effect)
    return float(numpy.clip(chances, 0, 1).mean())


def _counts_that_hold(rule: Rule, n: int, arm_count: int) -> tuple[int, int]:
    """The lowest and the highest count of successes with which a rate over an arm holds and is not negligible."""
    least, most = _counts_that_give(rule, n, arm_count, "holds")
    if rule.matters is None:
        return least, most
    low, high = _counts_that_give(rule, n, arm_count, "negligible")
    if low > high:
        return least, most
    return (max(least, high + 1), most) if rule.side == "above" else (least, min(most, low - 1))


def _fewest(decides: Callable[[int], bool]) -> int:
    """The number of trials from FEWEST_FOR_T on at which `decides` becomes true: doubled, then bisected."""
    most = FEWEST_FOR_T
    while not decides(most):
        most *= 2
        if most > _MOST_TRIALS:
            raise WrongUse(
                f"more than {_MOST_TRIALS:,} trials: the smallest effect that matters is too small"
            )
    least = most // 2 if most > FEWEST_FOR_T else FEWEST_FOR_T
    return bisect_left(range(most), True, lo=least, key=decides)


def _chance(n: int, truth: float, arm_truth: float, counts_given: Callable[[int], tuple[int, int]]) -> float:
    """The chance of a verdict on a rate over an arm, of `n` independent trials each, at the true rates of both.

    Args:
        counts_given: returns, for a count of the arm, the lowest and the highest count of the claim's own trials that
            give the verdict.
    """
    import numpy
    from scipy.stats import binom

    arm_counts = numpy.arange(n + 1)
    weights = binom.pmf(arm_counts, n, arm_truth)
    total = 0.0
    for arm_count in arm_counts[weights > _NO_WEIGHT].tolist():
        least, most = counts_given(arm_count)
        if least <= most:
            total += weights[arm_count] * (binom.cdf(most, n, truth) - binom.cdf(least - 1, n, truth))
    return float(total)


def _counts_that_give(rule: Rule, n: int, arm_count: int, verdict: Verdict) -> tuple[int, int]:
    """The lowest and the highest count of successes that give a verdict; the lowest is the higher where none does.

    A higher count moves both intervals up.
    """

    def interval(count: int) -> Interval:
        widening = 2 if verdict == "negligible" else 1
        return rate_difference_interval(count, n, arm_count, n, widening * rule.alpha)

    def first(reached: Callable[[int], bool]) -> int:
        return bisect_left(range(n + 1), True, key=reached)

    limit, matters = rule.limit, rule.matters or 0.0
    if verdict == "negligible":
        least = first(lambda count: interval(count)[0] > limit - matters)
        return least, first(lambda count: interval(count)[1] >= limit + matters) - 1
    if (verdict == "holds") == (rule.side == "above"):
        return first(lambda count: interval(count)[0] > limit), n
    return 0, first(lambda count: interval(count)[1] >= limit) - 1


def undecidable(rule: Rule) -> str:
    """Return why the fewest trials that a rule takes could never decide it; empty where they could.

    Only a rate over another arm can be such a rule: `Rule` refuses a plain rate itself, t intervals may have any
    width, and how many trials `always` gets is known when it runs. Newcombe's interval has a closed form where both
    arms are all successes or none (see `rate_difference_interval`): at a difference of 1 it is narrowest, and two
    arms alike leave the least open where they have no success.
    """
    if rule.kind != "rate" or rule.over is None:
        return ""
    square = NormalDist().inv_cdf(1 - rule.alpha / 2) ** 2
    open_share = square / (rule.trials + square)
    beyond = 1 - abs(rule.limit)
    if math.sqrt(2) * open_share >= beyond:
        needed = math.floor(square * (math.sqrt(2) / beyond - 1)) + 1
        return f"rate {rule.needs}: {rule.trials} trials per arm cannot both hold and refute: give trials={needed}"
    margin = rule.limit if rule.side == "below" else -rule.limit
    # The rule says that the arms hardly differ.
    if 0 < margin <= open_share:
        needed = math.floor(square * (1 / margin - 1)) + 1
        left = number_text(open_share, "points").lstrip("+")
        return (
            f"rate {rule.needs}: {rule.trials} trials per arm leave {left} open where neither has a success: "
            f"give trials={needed}"
        )
    return ""


def _rate(rule: Rule, n: int) -> str:
    """Counts that decide, and the true rates that reach them in 4 of 5 runs."""
    outcome = _verdict_of_count(rule, n)
    above = rule.side == "above"
    negligible: list[str] = []
    if rule.matters is not None:
        least, most = _counts_that_give(rule, n, 0, "negligible")
        counts = f"for {least} to {most} successes" if least <= most else "at no count"
        negligible = [f"is negligible {counts}"]
    against = f" against none of {n} in the other arm" if rule.over else ""
    parts = [
        _reach("holds", _edge(outcome, "holds", n, from_below=above), n, from_below=above),
        _reach("is refuted", _edge(outcome, "refuted", n, from_below=not above), n, from_below=not above),
        *negligible,
    ]
    return f"{count_text(n, 'trial')}{against}: {'; '.join(parts)}"


def _edge(outcome: Callable[[int], Verdict], verdict: Verdict, n: int, *, from_below: bool) -> int | None:
    """The lowest count of successes that gives the verdict, or the highest; None if no count does.

    Verdicts are monotonic in the count, so the edge is found by bisection.
    """
    if from_below:
        edge = bisect_left(range(n + 1), True, key=lambda count: outcome(count) == verdict)
        return edge if edge <= n else None
    edge = bisect_left(range(n + 1), True, key=lambda count: outcome(count) != verdict) - 1
    return edge if edge >= 0 else None


def _reach(what: str, edge: int | None, n: int, *, from_below: bool) -> str:
    """One side: "holds from 27 successes (a true rate of 74 % in 80 % of runs)"."""
    if edge is None:
        return f"{what} at no count"
    count = count_text(edge, "success", "successes")
    word = f"from {count}" if from_below else f"up to {count}"
    rate = _deciding_rate(edge, n, from_below)
    return f"{what} {word}" + (f" (a true rate of {rate} % {_IN_MOST_RUNS})" if rate is not None else "")


def _deciding_rate(edge: int, n: int, from_below: bool) -> int | None:
    """The whole percent nearest to the limit at which the count reaches `edge` in 4 of 5 runs."""
    import numpy
    from scipy.stats import binom

    percents = numpy.arange(101) if from_below else numpy.arange(100, -1, -1)
    chances = binom.sf(edge - 1, n, percents / 100) if from_below else binom.cdf(edge, n, percents / 100)
    reached = percents[chances >= POWER]
    return int(reached[0]) if len(reached) else None


def _verdict_of_count(rule: Rule, n: int) -> Callable[[int], Verdict]:
    if rule.over:
        return lambda count: verdict_of(
            rule,
            rate_difference_interval(count, n, 0, n, rule.alpha),
            rate_difference_interval(count, n, 0, n, 2 * rule.alpha),
        )
    return lambda count: verdict_of(rule, rate_interval(count, n, rule.alpha))


def _effect(n: int, alpha: float) -> float:
    """The distance of a mean from the limit, in standard deviations, that a two-sided t test finds in 4 of 5 runs.

    Bisected up to six standard errors: beyond, the noncentral t distribution may give NaN.
    """
    from scipy.optimize import brentq
    from statsmodels.stats.power import TTestPower

    # Not TTestPower.solve_power: at some n its root finder fails, and returns an array.
    chance = TTestPower().power
    return float(
        brentq(lambda effect: chance(effect, n, alpha, alternative="two-sided") - POWER, 0, 6 / math.sqrt(n))
    )


def _within(n: int, alpha: float) -> float:
    """The largest standard deviation, in margins, at which two one-sided t tests of a mean of 0 hold in 4 of 5 runs.

    Both tests succeed where the estimate stays within margin - t * standard error of 0, to a normal approximation.
    """
    from scipy.stats import norm, t

    return math.sqrt(n) / float(t.ppf(1 - alpha, n - 1) + norm.ppf((1 + POWER) / 2))

"""Placebo claims: the trials of a claim with permuted labels, of which the judge should find nothing.

Once the labels are permuted, the truth is on the bound of the placebo's rule, so *holds* and *refuted* are both false
verdicts. A rule with alpha 0.05 gives them in at most about 1 run of 20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from vsg_core.judge.arms import Arm
from vsg_core.judge.claims import Claim
from vsg_core.judge.measures import Unit, by_unit, same_units
from vsg_core.judge.rules import difference, rate
from vsg_core.judge.trials import Evidence, JudgingError, Trial

if TYPE_CHECKING:
    from numpy.random import Generator

# Placebos of a freeze on each model, whatever the number of its claims.
PLACEBOS = 20
# The arm of a placebo on rates; which of the two it is was decided by coins.
SWAPPED = "swapped"
_NO_CONTROL = "its labels are permuted: an effect would be a false verdict"
_ARM = "the other outcomes, dealt to this arm at random"

Units = Mapping[Unit, Sequence[Trial]]


def placebos_of(claims: Sequence[str], claim: str) -> list[int]:
    """Return the numbers of the placebos made from a claim: number k is made from claim (k - 1) mod their count.

    Args:
        claims: the ids of all claims registered on the model, in the order of the freeze.
    """
    return [k for k in range(1, PLACEBOS + 1) if claims[(k - 1) % len(claims)] == claim]


def placebo(claim: Claim, evidence: Evidence, seed: str, number: int) -> tuple[Claim, Evidence]:
    """Permute the labels of a claim's trials.

    Of values, the sign of each independent unit's distance from the limit is flipped by a fair coin. Of rates, the
    outcomes of two arms are swapped in each pair of units by a fair coin: those of the claim and of the arm that it
    is compared with, or of its first control on the same units. Arms of different units, which have no pairs, are
    shuffled together; a claim without another arm is cut in two at random. The other arms are left out.

    An equivalence is judged as a difference from the upper of its limits: between both limits it would rightly hold.

    Args:
        seed: of the run on this model; equal seeds flip the same coins.
        number: that of the placebo, from 1.

    Returns:
        A claim that its evidence should leave undecided, with the alpha and the smallest effect that matters of the
        one given, and that evidence.

    Raises:
        JudgingError: a trial has no value.
    """
    draws = _draws(seed, number)
    own = by_unit(evidence.trials)
    rule, arms = claim.rule, {}
    if rule.kind in ("difference", "equivalence"):
        trials = _flipped(own, rule.limit, draws)
        rule = difference(above=rule.limit, trials=rule.trials, alpha=rule.alpha, matters=rule.matters)
    else:
        trials, arms[SWAPPED] = _swapped(own, _other_arm(claim, evidence), draws)
        fewest = min(len(by_unit(trials)), len(by_unit(arms[SWAPPED])))
        rule = rate(above=0, over=SWAPPED, trials=fewest, alpha=rule.alpha, matters=rule.matters)
    undecided = replace(
        claim,
        id=f"{claim.id}, placebo {number}",
        rule=rule,
        arms=tuple(Arm(name=name, role="comparison", sentence=_ARM) for name in arms),
        no_control=_NO_CONTROL,
        value_unit=claim.value_unit if rule.unit == "number" else "",
    )
    return undecided, Evidence(trials, arms)


def _draws(seed: str, number: int) -> Generator:
    import numpy

    return numpy.random.default_rng(
        int.from_bytes(hashlib.sha256(f"placebo {number} {seed}".encode()).digest())
    )


def _flipped(units: Units, limit: float, draws: Generator) -> list[Trial]:
    """The trials with the values of about half of the units mirrored at the limit."""
    heads = draws.random(len(units)) < 0.5
    return [
        _mirrored(trial, limit) if head else trial
        for trials, head in zip(units.values(), heads, strict=True)
        for trial in trials
    ]


def _mirrored(trial: Trial, limit: float) -> Trial:
    if trial.number is None:
        raise JudgingError(f"trial {trial.prompt[:60]!r} lacks a value")
    return replace(trial, value=2 * limit - trial.number, success=None)


def _other_arm(claim: Claim, evidence: Evidence) -> Units | None:
    """The arm that is swapped with the claim's own; None if there is none.

    It is the arm that the rule compares with, else the first control, else the first other arm whose units are the
    same and have outcomes.
    """
    if claim.rule.over is not None:
        return by_unit(evidence.arms[claim.rule.over])
    own = by_unit(evidence.trials)
    for arm in sorted(claim.arms, key=lambda arm: arm.role != "control"):
        other = by_unit(evidence.arms.get(arm.name, ()))
        if same_units(own, other) and all(trial.success is not None for trial in _joined(other.values())):
            return other
    return None


def _swapped(own: Units, other: Units | None, draws: Generator) -> tuple[list[Trial], list[Trial]]:
    """The trials of two arms after coins were flipped about their units."""
    if other is not None and same_units(own, other):
        heads = draws.random(len(own)) < 0.5
        pairs = [
            (other[unit], own[unit]) if head else (own[unit], other[unit])
            for unit, head in zip(own, heads, strict=True)
        ]
        return _joined(first for first, _ in pairs), _joined(second for _, second in pairs)
    # Units of the two arms may have one name, so that each gets a new one.
    together = [
        [replace(trial, cluster=str(place)) for trial in trials]
        for place, trials in enumerate([*own.values(), *(other or {}).values()])
    ]
    shuffled = [together[place] for place in draws.permutation(len(together))]
    size = len(own) if other is not None else len(own) // 2
    return _joined(shuffled[:size]), _joined(shuffled[size:])


def _joined(units: Iterable[Sequence[Trial]]) -> list[Trial]:
    return list(chain.from_iterable(units))

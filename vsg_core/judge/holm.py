"""Holm's correction for many verdicts at once."""

from __future__ import annotations

from collections.abc import Sequence

from vsg_core.vocabulary import Verdict

# The chance that any surviving verdict of a family is false.
HOLM_ALPHA = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's step-down procedure, in the order given.

    The verdicts whose adjusted p-value is at most alpha survive: whatever the truth of all claims, and however they
    depend on each other, the chance that any of the survivors is false is at most alpha.

    Args:
        p_values: of every verdict of a family, those that decide nothing included: leaving these out would make the
            family smaller because of what was found.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def survivals(judged: Sequence[tuple[Verdict, float | None]]) -> list[bool | None]:
    """Return which verdicts of a family survive; None for an inconclusive one, and for one without a p-value.

    Args:
        judged: each verdict with its p-value; one without a p-value, from before records had them, counts with 1.
    """
    adjusted = holm([1.0 if p_value is None else p_value for _, p_value in judged])
    return [
        None if p_value is None or verdict == "inconclusive" else after <= HOLM_ALPHA
        for (verdict, p_value), after in zip(judged, adjusted, strict=True)
    ]

"""Holm's correction for many verdicts at once."""

from __future__ import annotations

from collections.abc import Sequence


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

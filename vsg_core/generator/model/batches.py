"""Several groups of sequences in one call, so that they share batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from typing import Any


def at_once(run: Callable[..., Any], *groups: Sequence[Any], **options: Any) -> list[Any]:
    """Run a function once over the sequences of all groups, and divide its results.

    `mixed, noise = at_once(lm.generate, mixed_frames, noise_frames, max_new_tokens=8)`. Alone, a small group takes as
    many passes as a large one. Where one group has ids and another embeddings, the ids are fed as their embeddings.

    Args:
        run: from a list of sequences to a list or a tensor with a result for each.
        options: further arguments of `run`.

    Returns:
        The results of each group, in order.
    """
    results = run([*chain.from_iterable(groups)], **options)
    ends = accumulate(map(len, groups))
    return [results[end - len(group) : end] for group, end in zip(groups, ends, strict=True)]

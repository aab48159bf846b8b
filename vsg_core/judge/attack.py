"""Attacking a claim that says *always*: Hypothesis draws the cases and shrinks the first counterexample.

Hypothesis is imported on the first attack: listing the claims must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

from vsg_core.errors import WrongUse
from vsg_core.judge.trials import JudgingError, Trial

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Case = TypeVar("Case")


def attack(
    strategy: SearchStrategy[Case],
    check: Callable[[list[Case]], Sequence[Trial]],
    *,
    trials: int = 300,
    batch: int = 10,
    seed: int = 0,
    key: Callable[[Case], Hashable] = repr,
) -> list[Trial]:
    """Draw cases until at least `trials` different ones have passed, or one has failed.

    Cases are drawn independently of each other; the same seed gives the same cases, whatever else runs. A
    case drawn twice is one trial, so a strategy of few cases gives fewer trials than asked for.

    Args:
        strategy: of one case.
        check: judges up to `batch` cases, say in one forward pass: a trial for each, in order.
        batch: cases drawn together. Hypothesis caps their size at 8 KB of choices, about a thousand numbers.
        key: two cases with the same key are the same case.

    Returns:
        The trials that passed and, if a case failed, the shrunk counterexample: last, and the only failure.

    Raises:
        JudgingError: `check` did not return one trial a case, or no case of that size can be drawn.
    """
    import hypothesis
    from hypothesis import strategies as st

    from vsg_core.judge.independent_draws import BACKEND

    if trials < 1 or batch < 1:
        raise WrongUse(f"attack(trials={trials}, batch={batch}): give numbers from 1 up")
    judged: dict[
        Hashable, Trial
    ] = {}  # each case is judged once, so a replay in shrinking sees the same answer
    drawn: list[Trial] = []  # what was judged up to the first failure; shrinking is not a random draw
    counterexamples: list[Trial] = []  # the last one is the smallest

    def judge(cases: list[Case]) -> None:
        fresh = {key(case): case for case in cases if key(case) not in judged}
        if fresh:
            judged.update(zip(fresh, _checked(check, list(fresh.values())), strict=True))
        if not counterexamples:
            drawn[:] = judged.values()
        failing = [judged[key(case)] for case in cases if not judged[key(case)].success]
        if failing:
            counterexamples.append(failing[0])
            raise _Counterexample
        if not counterexamples and len(drawn) >= trials:
            raise _Stop

    settings = hypothesis.settings(
        backend=BACKEND,
        max_examples=10 * -(-trials // batch),  # ten times what it takes when no case comes twice
        database=None,
        deadline=None,
        derandomize=False,  # the seed says it all
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )
    batches = st.lists(strategy, min_size=batch, max_size=batch)
    try:
        hypothesis.seed(seed)(settings(hypothesis.given(batches)(judge)))()
    except _Counterexample:
        pass
    except _Stop as stop:
        if stop.__cause__ is not None:
            raise stop.__cause__ from None
    except hypothesis.errors.Unsatisfiable as error:
        raise JudgingError(
            f"no {batch} cases can be drawn together ({error}): give a smaller batch"
        ) from error
    return [trial for trial in drawn if trial.success] + counterexamples[-1:]


def first_batches(
    strategy: SearchStrategy[Case], *, cases: int = 100, batch: int = 10, seed: int = 0
) -> list[list[Case]]:
    """The batches, of at least `cases` in all, that an attack with the same strategy, batch and seed begins with; but
    for the simplest case, which comes alone and first.

    For its controls: an attack that finds a counterexample at once would leave them with too few.
    """
    batches: list[list[Case]] = []

    def keep(drawn: list[Case]) -> list[Trial]:
        if len(drawn) > 1:  # a control may put one case's vector into another's place
            batches.append(drawn)
        return [Trial("", success=True) for _ in drawn]

    attack(strategy, keep, trials=cases + 1, batch=batch, seed=seed)
    return batches


class _Counterexample(Exception):
    """A case failed: Hypothesis catches this, and shrinks."""


class _Stop(BaseException):
    """Enough cases, or an error in `check`: Hypothesis lets it pass, where it would shrink an Exception."""


def _checked(check: Callable[[list[Case]], Sequence[Trial]], cases: list[Case]) -> Sequence[Trial]:
    try:
        found = check(cases)
        if len(found) != len(cases) or any(trial.success is None for trial in found):
            raise JudgingError(
                f"{len(cases)} cases gave {len(found)} trials: check must return one a case, with its success"
            )
    except Exception as error:
        raise _Stop from error
    return found

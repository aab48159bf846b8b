"""The attack on a claim that says *always*: Hypothesis draws the cases and shrinks the first counterexample.

Hypothesis is imported on the first attack, so that listing claims stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from vsg_core.errors import WrongUse
from vsg_core.judge.trials import Evidence, JudgingError, Trial

if TYPE_CHECKING:
    import hypothesis
    from hypothesis.strategies import SearchStrategy

Case = TypeVar("Case")
CONTROL_CASES = 100


def attack(
    strategy: SearchStrategy[Case],
    check: Callable[[list[Case]], Sequence[Trial]],
    *,
    controls: Mapping[str, Callable[[list[Case]], Sequence[Trial]]] | None = None,
    trials: int = 300,
    batch: int = 10,
    seed: int = 0,
    key: Callable[[Case], Hashable] = repr,
) -> Evidence:
    """Draw cases until at least `trials` different ones have passed, or one has failed.

    Cases are drawn independently of each other; the same seed gives the same cases, whatever else runs. A
    case drawn twice is one trial, so a strategy with few distinct cases gives fewer trials than requested.

    Args:
        strategy: of one case.
        check: judges up to `batch` cases, say in one forward pass: one trial per case, in order.
        controls: by arm, a check that judges the first cases (100 or slightly more) in place of `check`. They are
            drawn separately, since an attack that finds a counterexample at once would leave a control with too few.
        batch: cases drawn together. Hypothesis caps their size at 8 KB of choices, about a thousand numbers.
        key: two cases with the same key are the same case.

    Returns:
        The trials that passed and, if a case failed, the shrunk counterexample, which is last and the only failure;
        and the controls' arms.

    Raises:
        WrongUse: `trials` or `batch` is below 1, or `batch` is 1 although there are controls.
        JudgingError: `check` did not return one trial per case, or no case of that size can be drawn.
    """
    if controls and batch < 2:
        raise WrongUse(f"attack(batch={batch}) with controls: give 2 or more, a control may exchange cases")
    judged = _attacked(strategy, check, trials, batch, seed, key)
    arms = {}
    if controls:
        batches = _first_batches(strategy, batch, seed)
        arms = {name: [trial for cases in batches for trial in of(cases)] for name, of in controls.items()}
    return Evidence(judged, arms)


def _attacked(
    strategy: SearchStrategy[Case],
    check: Callable[[list[Case]], Sequence[Trial]],
    trials: int,
    batch: int,
    seed: int,
    key: Callable[[Case], Hashable],
) -> list[Trial]:
    import hypothesis
    from hypothesis import strategies as st

    if trials < 1 or batch < 1:
        raise WrongUse(f"attack(trials={trials}, batch={batch}): give numbers from 1 up")
    # Each case is judged once, so a replay in shrinking sees the same answer.
    judged: dict[Hashable, Trial] = {}
    # What was judged up to the first failure; shrinking is not a random draw.
    drawn: list[Trial] = []
    # The last one is the smallest.
    counterexamples: list[Trial] = []

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

    # Ten times what it takes when no case comes twice.
    settings = _settings(10 * -(-trials // batch))
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


def _settings(max_examples: int) -> hypothesis.settings:
    import hypothesis

    from vsg_core.judge.independent_draws import BACKEND

    return hypothesis.settings(
        backend=BACKEND,
        max_examples=max_examples,
        database=None,
        deadline=None,
        # The draws depend on the seed alone.
        derandomize=False,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )


def _first_batches(strategy: SearchStrategy[Case], batch: int, seed: int) -> list[list[Case]]:
    """The first batches (at least CONTROL_CASES cases) that an attack with the same arguments draws.

    Hypothesis's initial minimal example is left out.
    """
    batches: list[list[Case]] = []

    def keep(drawn: list[Case]) -> list[Trial]:
        # A control may put one case's vector into another's place, which takes two cases.
        if len(drawn) > 1:
            batches.append(drawn)
        return [Trial("", success=True) for _ in drawn]

    _attacked(strategy, keep, CONTROL_CASES + 1, batch, seed, repr)
    return batches


class _Counterexample(Exception):
    """A case failed: Hypothesis catches this, and shrinks."""


class _Stop(BaseException):
    """Ends the attack after enough cases or an error in `check`.

    Not an Exception, because Hypothesis would try to shrink that.
    """


def _checked(check: Callable[[list[Case]], Sequence[Trial]], cases: list[Case]) -> Sequence[Trial]:
    try:
        judged = check(cases)
        if len(judged) != len(cases) or any(trial.success is None for trial in judged):
            raise JudgingError(
                f"{len(cases)} cases gave {len(judged)} trials: check must return one per case, with its success"
            )
    except Exception as error:
        raise _Stop from error
    return judged

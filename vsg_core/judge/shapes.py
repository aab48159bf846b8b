"""The shape of evidence: what would keep it from being judged, whatever its numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from vsg_core.judge.arms import Arm
from vsg_core.judge.claims import Claim
from vsg_core.judge.measures import Arms, judged_verdict, measure
from vsg_core.judge.rules import Rule
from vsg_core.judge.trials import Evidence, JudgingError, Trial

OWN = "the claim's own trials"


def mistakes(claim: Claim, returned: object, *, counted: bool = True) -> list[str]:
    """List what keeps the return value of a claim's function from being judged, one line each.

    Unlike `judge` it lists every mistake, looks at no interval, and refuses `success=` under a rule on values.

    Args:
        counted: whether the numbers of trials count too.
    """
    if returned is None:
        return [
            "it returned nothing: end it with `return trials(...)` or `return Evidence(trials(...), {...})`"
        ]
    if isinstance(returned, bool):
        return [
            f"it returned {returned}: return the trials, each with its success; the rule gives the verdict"
        ]
    try:
        evidence = Evidence.of(returned)
    except JudgingError as error:
        return [str(error)]
    found = list(_misnamed(claim, evidence.arms))
    for arm, trials in _given(claim, evidence):
        called, rule = (OWN, claim.rule) if arm is None else (_called(arm), arm.rule)
        found += _lacking(called, rule or claim.rule, trials, strict=rule is not None)
    return [*found, *_few(claim, evidence)] if counted else found


def _few(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Yield a line for each arm with fewer trials than its rule needs, or than one that compares with it needs.

    Where a positive control does not hold, nothing else is judged: the other arms may be of what the model can do.
    """
    able = _able(claim, evidence.arms)
    roles = {arm.name: _called(arm) for arm in claim.arms}
    for arm, trials in _given(claim, evidence):
        called, rule = (OWN, claim.rule) if arm is None else (_called(arm), arm.rule)
        if rule is None or not (able or (arm is not None and arm.role == "positive control")):
            continue
        yield from _too_few(called, rule, trials)
        if rule.over is not None and rule.over in evidence.arms:
            yield from _too_few(
                f"{roles[rule.over]}, with which a rule compares", rule, evidence.arms[rule.over]
            )


def _able(claim: Claim, arms: Arms) -> bool:
    """Return whether all positive controls hold."""
    try:
        measured = [
            measure(rule, arms[name], arms, name) for name, rule in claim.of_role("positive control").items()
        ]
    except (KeyError, JudgingError):
        return False
    rules = claim.of_role("positive control").values()
    return all(
        judged_verdict(rule, found) == "holds" for rule, (found, _) in zip(rules, measured, strict=True)
    )


def _given(claim: Claim, evidence: Evidence) -> Iterator[tuple[Arm | None, Sequence[Trial]]]:
    """Yield the claim's own trials, with no arm, then each declared arm that has trials, with these."""
    yield None, evidence.trials
    for arm in claim.arms:
        if arm.name in evidence.arms:
            yield arm, evidence.arms[arm.name]


def _called(arm: Arm) -> str:
    return f"{arm.role} {arm.name!r}"


def _misnamed(claim: Claim, given: Mapping[str, Sequence[Trial]]) -> Iterator[str]:
    """Yield a line for each arm that is given but not declared, and declared but not given."""
    declared = {arm.name: arm for arm in claim.arms}
    missing = [name for name in declared if name not in given]
    for name in given:
        if name in declared:
            continue
        if close := get_close_matches(name, missing, n=1):
            missing.remove(close[0])
            yield f"arm {name!r} is not declared: did you mean {close[0]!r}?"
        else:
            yield f"arm {name!r} is not declared: add it to the claim's controls or comparisons, or leave it out"
    for name in missing:
        yield f"no trials of {_called(declared[name])}: return Evidence(trials, {{{name!r}: [...]}})"


def _lacking(called: str, rule: Rule, trials: Sequence[Trial], *, strict: bool) -> Iterator[str]:
    """Yield a line if trials lack what the rule looks at.

    Args:
        strict: False for a comparison, which a rule on values also describes by its successes.
    """
    if rule.kind in ("rate", "always"):
        lacking = [trial for trial in trials if trial.success is None]
        other, advice = "value", "give success=, or state the rule as more(), less() or equivalence()"
    else:
        lacking = [trial for trial in trials if (trial.value if strict else trial.number) is None]
        other, advice = (
            "success",
            "give value=, or state the rule as rate() or a word for it, such as mostly()",
        )
    if lacking:
        has = f"have {other}= and no" if getattr(lacking[0], other) is not None else "have no"
        wanted = "value" if other == "success" else "success"
        many = "all" if len(lacking) == len(trials) else f"{len(lacking)} of"
        of = f"{called}: {many} {len(trials)} {has} {wanted}=, which the rule ({rule.kind} {rule.needs}) looks at"
        yield f"{of}: {advice}"


def _too_few(called: str, rule: Rule, trials: Sequence[Trial]) -> Iterator[str]:
    """Yield a line if there are fewer independent units than the rule needs."""
    units = len({index if trial.cluster is None else trial.cluster for index, trial in enumerate(trials)})
    always = rule.kind == "always"
    needed = rule.trials_to_hold if always else rule.trials
    # One counterexample decides.
    if units >= needed or (always and any(trial.success is False for trial in trials)):
        return
    of = f", in {units} clusters," if units < len(trials) else ""
    can = "can hold only from" if always else "needs"
    yield (
        f"{called}: {len(trials)} trials{of} and the rule {can} {needed}: give more prompts; where their number "
        'depends on the model, at_least(...) makes the claim "not applicable" to those that leave too few'
    )

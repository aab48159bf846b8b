"""Differences between the rules of two records, field by field, in words."""

from __future__ import annotations

from collections.abc import Iterator

from vsg_core.judge.rules import Rule
from vsg_core.records.record import Record, StoredArm
from vsg_core.wording import limit_text, margin_text


def rule_differences(a: Record, b: Record) -> list[str]:
    """One line per difference between the rules of A and B, at least one: only call it where the digests differ.

    A control that a record has no trials of, because a positive control failed, is missing in it: then only the digest
    shows that its rule differs.
    """
    lines = list(_differences("the rule", a.claim.rule, b.claim.rule))
    in_a, in_b = _arm_rules(a), _arm_rules(b)
    guarded_a, guarded_b = _guarded(a), _guarded(b)
    for arm in in_a:
        if arm in in_b:
            lines += _differences(f"{arm}, its rule", in_a[arm], in_b[arm])
            if (was := guarded_a[arm]) != (now := guarded_b[arm]):
                lines.append(f"{arm} protects {was} in A, {now} in B")
    if "not run" not in (a.verdict, b.verdict):
        lines += [f"{arm} in A only: {in_a[arm].needs}" for arm in in_a if arm not in in_b]
        lines += [f"{arm} in B only: {in_b[arm].needs}" for arm in in_b if arm not in in_a]
    return lines or ["the rule of a control differs"]


def _arm_rules(record: Record) -> dict[str, Rule]:
    """The rules of the arms, by role and name."""
    return {_called(arm): arm.rule for arm in record.evidence.arms if arm.rule is not None}


def _guarded(record: Record) -> dict[str, str]:
    """The verdicts that the arms protect, by role and name; controls of older records protect *holds*."""
    return {_called(arm): arm.protects or "holds" for arm in record.evidence.arms}


def _called(arm: StoredArm) -> str:
    return f"{arm.role} “{arm.name}”"


def _differences(rule: str, a: Rule, b: Rule) -> Iterator[str]:
    """The fields in which two rules differ; `rule` is what they are called."""
    if a.kind != b.kind:
        yield f"{rule}'s kind: {a.kind} in A, {b.kind} in B"
    if (a.side, a.limit, a.kind) != (b.side, b.limit, b.kind):
        yield f"{rule}'s limit: {_limit(a)} in A, {_limit(b)} in B"
    if a.over != b.over:
        yield f"{rule}'s comparison: {_over(a)} in A, {_over(b)} in B"
    if a.matters != b.matters:
        yield f"{rule}'s smallest effect that matters: {_matters(a)} in A, {_matters(b)} in B"
    if a.trials != b.trials:
        yield f"{rule}'s fewest trials: {a.trials} in A, {b.trials} in B"
    if a.alpha != b.alpha:
        yield f"{rule}'s alpha: {a.alpha:g} in A, {b.alpha:g} in B"


def _limit(rule: Rule) -> str:
    return limit_text(rule.side, rule.limit, rule.unit)


def _matters(rule: Rule) -> str:
    return "none" if rule.matters is None else margin_text(rule.matters, rule.unit)


def _over(rule: Rule) -> str:
    return f"“{rule.over}”" if rule.over else "none"

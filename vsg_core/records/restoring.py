"""A claim restored from a record, so that its trials can be judged again."""

from __future__ import annotations

from vsg_core.judge.arms import Arm
from vsg_core.judge.claims import Claim, Source
from vsg_core.records.record import Record
from vsg_core.vocabulary import KINDS


def claim_of(record: Record) -> Claim:
    """The claim as the record has it, with all that a verdict is judged by.

    The record of a claim whose positive control failed has no other arms, so neither has the claim. Kinds of model are
    not part of a record: the claim has both.

    Raises:
        WrongUse: the record's rules do not fit each other.
    """
    said = record.claim
    arms = [
        Arm(
            name=arm.name,
            role=arm.role,
            rule=arm.rule,
            sentence=arm.sentence,
            dose=arm.dose,
            # Older records do not say what a control guards: holds.
            protects=(arm.protects or "holds") if arm.role == "control" else None,
        )
        for arm in record.evidence.arms
    ]
    judged = {each.over for each in (said.rule, *(arm.rule for arm in arms if arm.rule)) if each.over}
    missing = judged - {arm.name for arm in arms}
    return Claim(
        id=said.id,
        question=said.question,
        statement=said.statement,
        source=Source(said.source, said.link),
        reported=said.reported,
        reported_verdict=said.reported_verdict,
        rule=said.rule,
        kinds=KINDS,
        arms=(*arms, *(Arm(name=name, role="comparison") for name in sorted(missing))),
        no_control="" if any(arm.role == "control" for arm in arms) else said.no_control or "not judged",
        headline=said.headline,
        status=said.status,
        seed=said.seed,
        docstring=said.docstring,
        value_unit=said.value_unit,
        line=said.line,
    )

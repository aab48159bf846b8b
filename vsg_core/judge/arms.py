"""The arms that a claim declares: each has a name and a role, and may have a rule, a sentence and a dose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import get_args

from vsg_core.errors import WrongUse
from vsg_core.judge.rules import Rule
from vsg_core.vocabulary import Protects, Role, Verdict


@dataclass(frozen=True, kw_only=True)
class Dose:
    """The amount of something that an arm was given; arms of one curve are drawn as points of one line."""

    value: float
    """The amount."""

    unit: str
    """What the amount counts: "standard deviations", "vectors", "share of the layers"."""

    curve: str
    """The name that the arms of this curve share, with … for the amount."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm of a claim besides its own trials."""

    name: str
    role: Role
    rule: Rule | None = None
    """What the arm must show; None for a comparison, which no rule judges."""

    sentence: str = ""
    """What the arm is, in one sentence."""

    dose: Dose | None = None

    protects: Protects | None = None
    """The verdicts that a control guards; None for other arms."""


@dataclass(frozen=True)
class Described:
    """A rule with a sentence about the arm that it judges, as `control(...)` makes it."""

    rule: Rule
    sentence: str
    protects: Protects = "holds"


def control(rule: Rule, sentence: str, protects: Protects = "holds") -> Described:
    """A rule for a control, with one sentence about what the arm changes.

    Args:
        protects: the verdicts that become *inconclusive* if the rule does not hold. "holds": the arm shows what else
            could give the effect. "refuted": the arm shows what else could hide it, so *refuted* and *negligible*,
            which both deny the effect, are guarded. "both": all three.

    Raises:
        WrongUse: `protects` is a different word.
    """
    if protects not in get_args(Protects):
        raise WrongUse(f"control(protects={protects!r}): give one of {', '.join(get_args(Protects))}")
    return Described(rule, sentence, protects)


def guards(protects: Protects | None, verdict: Verdict) -> bool:
    """Return whether a control guards a verdict.

    Args:
        protects: None, as in older records, for a control that guards *holds*.
    """
    if verdict == "holds":
        return protects != "refuted"
    return verdict in ("refuted", "negligible") and protects in ("refuted", "both")


def doses(name: str, amounts: Iterable[float], unit: str) -> dict[str, Dose]:
    """Comparisons that differ only in an amount: `doses("noise at {:g} std", (0.5, 1), "standard deviations")`.

    Args:
        name: of an arm, with a place for its amount.
        unit: what the amount counts.

    Raises:
        WrongUse: the name has not exactly one place for an amount, or gives two amounts one name.
    """
    pieces = list(Formatter().parse(name))
    if [field for _, field, _, _ in pieces if field is not None] != [""]:
        raise WrongUse(
            f"doses({name!r}): give a name with one place for the amount, say 'noise at {{:g}} std'"
        )
    curve = "".join(text + ("" if field is None else "…") for text, field, _, _ in pieces)
    given = list(amounts)
    arms = {name.format(amount): Dose(value=float(amount), unit=unit, curve=curve) for amount in given}
    if len(arms) < len(given):
        raise WrongUse(f"doses({name!r}): {len(given)} amounts give {len(arms)} names: write more digits")
    return arms


def declared_arms(
    positive_controls: Mapping[str, Rule | Described],
    controls: Mapping[str, Rule | Described],
    comparisons: Sequence[str] | Mapping[str, str | Dose],
) -> tuple[Arm, ...]:
    """The arms of a claim, positive controls first, from the arguments of `@claim`.

    Raises:
        WrongUse: a comparison is described by something other than a sentence or a dose, a name is used twice, or a
            control's rule names a smallest effect that matters.
    """
    arms = [
        *(_judged(name, "positive control", rule) for name, rule in positive_controls.items()),
        *(_judged(name, "control", rule) for name, rule in controls.items()),
    ]
    if isinstance(comparisons, Mapping):
        arms += [_comparison(name, about) for name, about in comparisons.items()]
    else:
        arms += [Arm(name=name, role="comparison") for name in comparisons]
    names = [arm.name for arm in arms]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise WrongUse(f"arm {repeated[0]!r} is declared twice: give each arm one name and one role")
    return tuple(arms)


def _judged(name: str, role: Role, given: Rule | Described) -> Arm:
    described = given if isinstance(given, Described) else Described(given, "")
    rule = described.rule
    if not isinstance(rule, Rule):
        raise WrongUse(
            f"{name!r} is judged by {rule!r}: give rate(), difference(), equivalence() or always()"
        )
    if rule.matters is not None:
        raise WrongUse(
            f"{role} {name!r}: matters is {rule.matters!r}: only the claim's own rule can be negligible"
        )
    if role == "control":
        return Arm(name=name, role=role, rule=rule, sentence=described.sentence, protects=described.protects)
    if described.protects != "holds":
        raise WrongUse(
            f"{role} {name!r} protects {described.protects!r}: leave it out, a positive control guards all verdicts"
        )
    return Arm(name=name, role=role, rule=rule, sentence=described.sentence)


def _comparison(name: str, about: str | Dose) -> Arm:
    if isinstance(about, Dose):
        return Arm(name=name, role="comparison", dose=about)
    if not isinstance(about, str):
        raise WrongUse(f"comparison {name!r} is described by {about!r}: give a sentence or a dose")
    return Arm(name=name, role="comparison", sentence=about)

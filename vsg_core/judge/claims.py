"""A claim: one falsifiable sentence about models, with its source and its rule, attached to the function that
gathers its evidence."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.rule_base import Rule
from vsg_core.judge.rule_kinds import Rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.vocabulary import KINDS

__all__ = ["KINDS", "Claim", "Evidence", "Trial", "claim", "load_claims"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """What `@claim` attaches to a function as `function.claim`; see there for the fields."""

    id: str
    question: str
    statement: str
    source: str
    reported: str
    rule: Rule
    kinds: tuple[str, ...]
    controls: Mapping[str, Rule]
    positive_controls: Mapping[str, Rule]
    comparisons: tuple[str, ...]
    power: str
    link: str | None
    headline: bool
    seed: int
    docstring: str

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of all arms besides the main one."""
        return (*self.positive_controls, *self.controls, *self.comparisons)

    @property
    def rule_text(self) -> str:
        """The rule, its numbers and every control's in one sentence: equal ones judge alike."""
        parts = [self.rule.text]
        parts += [f"positive control {name!r}: {rule.text}" for name, rule in self.positive_controls.items()]
        parts += [f"control {name!r}: {rule.text}" for name, rule in self.controls.items()]
        return "; ".join(parts)

    def __post_init__(self) -> None:
        for name in ("statement", "source", "reported"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise WrongUse(f"{name} is {getattr(self, name)!r}: give a sentence")
        rules = {"rule": self.rule, **self.controls, **self.positive_controls}
        for name, rule in rules.items():
            if not isinstance(rule, Rule):
                raise WrongUse(
                    f"{name!r} is judged by {rule!r}: give rate(), difference(), equivalence() or always()"
                )
            over = rule.over if isinstance(rule, Rate) else None
            if over is not None and (over not in self.arms or over == name):
                raise WrongUse(f"over={over!r} names no other arm: declare it in controls or comparisons")
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise WrongUse(f"kinds is {self.kinds!r}: give one or both of {', '.join(KINDS)}")
        repeated = sorted({name for name in self.arms if self.arms.count(name) > 1})
        if repeated:
            raise WrongUse(f"arm {repeated[0]!r} is declared twice: give each arm one name and one role")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise WrongUse(f"seed is {self.seed!r}: give an integer from 0 up")


def claim(
    statement: str,
    *,
    source: str,
    reported: str,
    rule: Rule,
    kinds: Sequence[str] = KINDS,
    controls: Mapping[str, Rule] | None = None,
    positive_controls: Mapping[str, Rule] | None = None,
    comparisons: Sequence[str] = (),
    power: str = "",
    link: str | None = None,
    headline: bool = False,
    seed: int = 0,
) -> Callable[[Function], Function]:
    """Declare a claim on the function `test_...` that gathers its evidence.

    Args:
        statement: one sentence that could be false.
        source: where it comes from, so that a reader finds it.
        reported: what that source saw.
        rule: what the data must show, written before the data: rate, difference, equivalence or always.
        kinds: the kinds of model it is about, "base" and "instruct".
        controls: arms that must not show the effect, each with the rule that says so. One whose rule does
            not hold turns *holds* into *inconclusive*.
        positive_controls: what a model must be able to do for the claim to apply to it, each with its rule.
            One that does not hold makes the claim *not run* on that model.
        comparisons: arms shown beside the main one, without a rule.
        power: what this number of trials can tell apart.
        link: a URL of the source.
        headline: it is one of those that `pytest -m headline` runs, which `make report` and `make test` do.
        seed: of every random draw; the fixture `generator` is seeded from it.

    Raises:
        WrongUse: an argument is wrong; one line that names the claim.
    """

    def attach(function: Function) -> Function:
        name = function.__name__
        try:
            if not name.startswith("test_"):
                raise WrongUse("the name must start with test_")
            for argument, names in {"kinds": kinds, "comparisons": comparisons}.items():
                if isinstance(names, str):
                    raise WrongUse(f"{argument} is the string {names!r}: give a list, [{names!r}]")
            declared = Claim(
                id=name.removeprefix("test_"),
                question=_first_line(function.__globals__.get("__doc__")) or function.__module__,
                statement=statement,
                source=source,
                reported=reported,
                rule=rule,
                kinds=tuple(kinds),
                controls=dict(controls or {}),
                positive_controls=dict(positive_controls or {}),
                comparisons=tuple(comparisons),
                power=power,
                link=link,
                headline=headline,
                seed=seed,
                docstring=inspect.getdoc(function) or "",
            )
        except WrongUse as error:
            raise WrongUse(f"claim {name}: {error}") from None
        function.claim = declared  # type: ignore[attr-defined]
        return function

    return attach


def load_claims(folder: str | Path) -> list[Claim]:
    """All claims declared in `folder`/*.py, by file name and then in the order they are written.

    Raises:
        WrongUse: no such folder, a file that cannot be imported, or two claims of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise WrongUse(f"no folder {folder}: give the folder that holds the claims")
    claims: dict[str, Claim] = {}
    for path in sorted(folder.glob("*.py")):
        for declared in _claims_of(path):
            if declared.id in claims:
                raise WrongUse(f"{path}: a second claim named {declared.id}: rename one of them")
            claims[declared.id] = declared
    return list(claims.values())


def _claims_of(path: Path) -> list[Claim]:
    spec = importlib.util.spec_from_file_location(f"vsg_claims_in_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except VsgError as error:
        raise WrongUse(f"{path}: {error}") from None
    except Exception as error:
        raise WrongUse(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    members = vars(module).values()
    own = [member for member in members if getattr(member, "__module__", None) == spec.name]
    declared = [getattr(member, "claim", None) for member in own]
    return [claim for claim in declared if isinstance(claim, Claim)]


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].strip()

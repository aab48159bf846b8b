"""A claim: one falsifiable sentence about models, with its source and its rule.

It is attached to the function that gathers its evidence.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.arms import Arm, Described, Dose, declared_arms
from vsg_core.judge.power import undecidable
from vsg_core.judge.rules import Rule, rules_digest
from vsg_core.vocabulary import KINDS, Kind, Status

Function = TypeVar("Function", bound=Callable[..., Any])
# What a source saw of the claim as it is stated here.
ReportedVerdict = Literal["holds", "refuted"]
# The source and the report of an idea of one's own.
NEW_HERE, NOTHING_REPORTED = "new here", "nothing: new here"


@dataclass(frozen=True)
class Source:
    """The paper, repository or file that a claim comes from.

    Calling a source names a place in it: `STUDY("README, Results", "#results")`.

    Args:
        text: as a reader finds it.
        link: a URL of it.
    """

    text: str
    link: str | None = None

    def __call__(self, place: str, at: str = "") -> Source:
        """The same source at a place in it; `at` is appended to the link."""
        return replace(self, text=f"{self.text}, {place}", link=self.link and self.link + at)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A declared claim, which `@claim` attaches to its function as `function.claim`; see there for the fields."""

    id: str
    question: str
    statement: str
    source: Source
    reported: str
    reported_verdict: ReportedVerdict
    rule: Rule
    kinds: tuple[Kind, ...]
    arms: tuple[Arm, ...]
    no_control: str = ""
    headline: bool
    status: Status = "exploratory"
    gate: bool = False
    seed: int
    docstring: str
    value_unit: str = ""
    line: int = 0

    def of_role(self, role: str) -> dict[str, Rule]:
        """The rules of the arms of a role, by name."""
        return {arm.name: arm.rule for arm in self.arms if arm.role == role and arm.rule is not None}

    @property
    def _rules(self) -> list[Rule]:
        return [self.rule, *(arm.rule for arm in self.arms if arm.rule is not None)]

    @property
    def rules_digest(self) -> str:
        """A digest of everything a verdict is judged by."""
        protects = {arm.name: arm.protects for arm in self.arms if arm.protects is not None}
        return rules_digest(self.rule, self.of_role("positive control"), self.of_role("control"), protects)

    @property
    def rule_text(self) -> str:
        """The rule and every control's in one sentence, for people to read; nothing compares it."""
        parts = [self.rule.text]
        for arm in self.arms:
            if arm.rule is not None:
                guards = "" if arm.protects in (None, "holds") else f", protects {arm.protects}"
                parts.append(f"{arm.role} {arm.name!r}{guards}: {arm.rule.text}")
        return "; ".join(parts)

    def __post_init__(self) -> None:
        texts = {"statement": self.statement, "source": self.source.text, "reported": self.reported}
        for name, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise WrongUse(f"{name} is {text!r}: give a sentence")
        if self.reported_verdict not in get_args(ReportedVerdict):
            raise WrongUse(f"reported_verdict is {self.reported_verdict!r}: give 'holds' or 'refuted'")
        if not isinstance(self.rule, Rule):
            raise WrongUse(
                f"'rule' is judged by {self.rule!r}: give rate(), difference(), equivalence() or always()"
            )
        names = {arm.name for arm in self.arms}
        for arm in (None, *self.arms):
            rule = self.rule if arm is None else arm.rule
            if rule is not None and (why := undecidable(rule)):
                raise WrongUse(why if arm is None else f"{arm.role} {arm.name!r}: {why}")
            over = rule.over if rule is not None else None
            if over is not None and (over not in names or (arm is not None and over == arm.name)):
                raise WrongUse(f"over={over!r} names no other arm: declare it in controls or comparisons")
        self._check_control()
        if self.value_unit and all(rule.unit != "number" for rule in self._rules):
            raise WrongUse(
                f"unit={self.value_unit!r}: only values have one, and no rule here is about values"
            )
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise WrongUse(f"kinds is {self.kinds!r}: give one or both of {', '.join(KINDS)}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise WrongUse(f"seed is {self.seed!r}: give an integer from 0 up")

    def _check_control(self) -> None:
        """Check that the claim has a control, or a reason for having none.

        A positive control is not one: it shows that the model can do the task, not what else gives the effect.
        """
        if not isinstance(self.no_control, str):
            raise WrongUse(f"no_control is {self.no_control!r}: give the reason in one sentence")
        if self.of_role("control"):
            if self.no_control:
                raise WrongUse(
                    f"no_control is {self.no_control!r}, but it has controls: leave one of them out"
                )
        elif not self.no_control.strip():
            raise WrongUse(
                'no control: add controls={"name": control(rule, "sentence")}, an arm without the effect, '
                'or give the reason for none, no_control="..."'
            )


def claim(
    statement: str,
    *,
    source: Source | str | None = None,
    reported: str | None = None,
    rule: Rule,
    reported_verdict: ReportedVerdict = "holds",
    kinds: Sequence[str] = KINDS,
    controls: Mapping[str, Rule | Described] | None = None,
    positive_controls: Mapping[str, Rule | Described] | None = None,
    comparisons: Sequence[str] | Mapping[str, str | Dose] = (),
    no_control: str = "",
    link: str | None = None,
    headline: bool = False,
    identity: bool = False,
    gate: bool = False,
    seed: int = 0,
    unit: str = "",
) -> Callable[[Function], Function]:
    """Declare a claim on the function `test_...` that gathers its evidence.

    Args:
        statement: one sentence that could be false.
        source: where it comes from, so that a reader finds it. Left out, with `reported`, for an idea of one's own.
        reported: what that source saw.
        rule: what the data must show, written before the data: rate, difference, equivalence or always, or one of
            the words for them (mostly, rarely, cannot, more, ...).
        reported_verdict: whether what the source saw agrees with the statement ("holds") or with its opposite
            ("refuted").
        kinds: the kinds of model it is about, "base" and "instruct".
        controls: arms that must not show the effect, each with the rule that says so, or with
            `control(rule, "one sentence about the arm")`. One whose rule does not hold turns the verdicts that it
            protects, *holds* unless it says otherwise, into *inconclusive*.
        positive_controls: what a model must be able to do for the claim to apply to it, each with its rule.
            One that does not hold makes the claim *not run* on that model.
        comparisons: arms shown next to the claim's own, without a rule: names, or by name one sentence or a `Dose`
            (see `doses`).
        no_control: why there is no control, in one sentence; needed where `controls` is left out.
        link: a URL of the source, where the source has none of its own.
        headline: one of the claims that `pytest -m headline` runs, as `make report` and `make test` do.
        identity: settled by arithmetic, by the harness or by a library for any model that passes the self-check, or
            all but certain before any data. Reports show such claims apart from findings.
        gate: every other claim on the same model takes it for granted: it runs first, and if it is refuted they do
            not run.
        seed: of every random draw; the fixture `generator` is seeded from it.
        unit: what the values of a trial are in, shown behind every mean of them: "bits", "cosine".

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
            origin, saw = _origin(source, reported, reported_verdict, link)
            declared = Claim(
                id=name.removeprefix("test_"),
                question=_first_line(function.__globals__.get("__doc__")) or function.__module__,
                statement=statement,
                source=origin,
                reported=saw,
                reported_verdict=reported_verdict,
                rule=rule,
                kinds=cast("tuple[Kind, ...]", tuple(kinds)),
                arms=declared_arms(positive_controls or {}, controls or {}, comparisons),
                no_control=no_control,
                headline=headline,
                status="identity" if identity else "exploratory",
                gate=gate,
                seed=seed,
                docstring=inspect.getdoc(function) or "",
                line=inspect.unwrap(function).__code__.co_firstlineno,
                value_unit=unit,
            )
        except WrongUse as error:
            raise WrongUse(f"claim {name}: {error}") from None
        function.claim = declared  # type: ignore[attr-defined]
        return function

    return attach


def _origin(
    source: Source | str | None, reported: str | None, reported_verdict: str, link: str | None
) -> tuple[Source, str]:
    """The source and what it saw; of an idea of one's own, for which both are left out, that it is new."""
    if source is None and reported is None:
        if link or reported_verdict != "holds":
            raise WrongUse("link and reported_verdict are about a source: give source and reported too")
        return Source(NEW_HERE), NOTHING_REPORTED
    if source is None:
        raise WrongUse(f"reported is {reported!r}, but there is no source: say where, or leave both out")
    if reported is None:
        raise WrongUse("a source, but not what it saw: give reported as well, or leave both out")
    if not isinstance(source, Source):
        return Source(source, link), reported
    if link and source.link:
        raise WrongUse(f"link={link!r}, but the source has one: {source.link}: give one of them")
    return replace(source, link=source.link or link), reported


def load_claims(*folders: str | Path) -> list[Claim]:
    """All claims declared in the folders' *.py, by folder, file name and then in the order they are written.

    Raises:
        WrongUse: no such folder, a file that cannot be imported, or two claims of one name.
    """
    claims: dict[str, Claim] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise WrongUse(f"no folder {folder}: give the folder that holds the claims")
        with _importable(folder.resolve().parent):
            for path in sorted(folder.glob("*.py")):
                for declared in _claims_of(path):
                    if declared.id in claims:
                        raise WrongUse(f"{path}: a second claim named {declared.id}: rename one of them")
                    claims[declared.id] = declared
    return list(claims.values())


@contextmanager
def _importable(project: Path) -> Iterator[None]:
    """Let claims import the project's fixtures, as pytest's option `pythonpath` does."""
    sys.path.insert(0, str(project))
    try:
        yield
    finally:
        sys.path.remove(str(project))


def _claims_of(path: Path) -> list[Claim]:
    # Files of different folders may have one name.
    where = hashlib.sha256(str(path.resolve().parent).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"vsg_claims_in_{where}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise WrongUse(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and pickle look a class's module up there.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except VsgError as error:
        raise WrongUse(f"{path}{located(path, error)}") from None
    except Exception as error:
        raise WrongUse(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    members = vars(module).values()
    own = [member for member in members if getattr(member, "__module__", None) == spec.name]
    declared = [getattr(member, "claim", None) for member in own]
    return [claim for claim in declared if isinstance(claim, Claim)]


def located(path: Path, error: VsgError) -> str:
    """The message of an error that a file of claims raised, after the line and the claim that it is about.

    An argument of @claim, such as rate(above=2), is refused before the claim is declared, so the file's text shows
    which claim it belongs to: ":12: claim test_it: rate: the limit is 2.0".
    """
    own = str(path.absolute())
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == own]
    if not lines:
        return f": {error}"
    name = "" if str(error).startswith("claim ") else _decorated(path, lines[-1])
    return f":{lines[-1]}: " + (f"claim {name}: " if name else "") + str(error)


def _decorated(path: Path, line: int) -> str:
    """The function in whose decorators the line is; empty for none."""
    for node in ast.parse(path.read_bytes()).body:
        if not isinstance(node, ast.FunctionDef) or not node.decorator_list:
            continue
        if node.decorator_list[0].lineno <= line <= node.lineno:
            return node.name
    return ""


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].strip()

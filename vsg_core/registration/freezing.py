"""A freeze made from claims as they are in a clean tree, with the power that their trials give them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.llama_cpp import library
from vsg_core.judge.arms import Arm
from vsg_core.judge.claims import Claim
from vsg_core.judge.placebo import placebos_of
from vsg_core.judge.power import power, smallest_effect, trials_for_power
from vsg_core.projects import RECORDED, REGISTERED
from vsg_core.records.provenance import changed_files, code
from vsg_core.records.registered import (
    LEAST_POWER,
    Commitment,
    Freeze,
    FrozenClaim,
    FrozenModel,
    FrozenRun,
    check_commitment,
    check_name,
)
from vsg_core.registration.checking import dealing_digest, parts_of, versions_for
from vsg_core.registration.drawing import Drawn, drawn_by
from vsg_core.registration.exploring import NO_SPREAD, Explored, Spread
from vsg_core.runs.keys import Project, weights_of
from vsg_core.vocabulary import EngineName
from vsg_core.weights import loading
from vsg_core.weights.registry import Entry

# What every model is computed in: a freeze has no choice of it.
DTYPE = "float32"


@dataclass(frozen=True)
class Proposal:
    """Describe what is to be frozen.

    Args:
        claims: their ids, each with its number of trials; None for the fewest that give LEAST_POWER on every model.
        targets: the models as `pytest --model` takes them, in the order in which they run.
        engines: each model is registered on every one of them.
        only: the claims that are registered on some of the models alone, with the names of these.
        units: the claims whose items give fewer independent units, with the number that is expected at least.
    """

    name: str
    claims: Mapping[str, int | None]
    targets: Sequence[str]
    engines: Sequence[EngineName]
    commitment: Commitment
    note: str = ""
    only: Mapping[str, Collection[str]] = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_commitment(self.commitment.sha256)
        if not self.commitment.by.strip():
            raise WrongUse("--by is empty: say who committed to the nonce, and how")


class Refused(VsgError):
    """Claims that cannot be registered as they are, one per line."""


def make_freeze(
    proposal: Proposal, known: Sequence[Claim], folders: Sequence[Path], reports: Path, commit: str
) -> Freeze:
    """Freeze claims.

    Args:
        known: all claims of the project.
        folders: those of the claims, the project's first; the freeze goes into the last.
        reports: has the exploratory records.
        commit: the tree's, see `clean_commit`.

    Raises:
        WrongUse: the name is taken, or there is no such claim or model.
        Refused: a claim cannot be registered; a line for each reason.
        VsgError: weights are unknown, or a file cannot be read.
    """
    if (taken := registered_folder(folders) / f"{proposal.name}.toml").exists():
        raise WrongUse(f"{taken} exists, and a freeze is never changed: choose another name")
    claims = _chosen(known, proposal)
    models, entries = _models(proposal)
    explored = Explored(reports, [folder / RECORDED for folder in folders])
    project = Project(folders[0].parent, tuple(folders))
    drawn = {claim.id: drawn_by(project, claim) for claim in claims}
    if faults := [fault for claim in claims for fault in _faults(claim, drawn[claim.id])]:
        raise Refused("\n".join(faults))
    makers = [
        _Maker(
            claim,
            _chosen_of(entries, claim.id, proposal),
            explored,
            proposal.claims[claim.id],
            proposal.units.get(claim.id),
        )
        for claim in claims
    ]
    if faults := [fault for maker in makers for fault in maker.faults()]:
        raise Refused("\n".join(faults))
    registered = {name for maker in makers for name in maker.models}
    return Freeze(
        name=proposal.name,
        frozen=datetime.now(UTC).replace(microsecond=0),
        commit=commit,
        note=proposal.note,
        commitment=proposal.commitment,
        versions=versions_for(entries[name] for name in registered),
        dealing=dealing_digest(),
        explored=tuple((claim.id, claim.seed) for claim in known),
        models=tuple(model for model in models if model.name in registered),
        claims=tuple(
            maker.frozen(parts_of(project, maker.claim), _exclusions(maker.claim.id, drawn, explored))
            for maker in makers
        ),
    )


def placebos_on(freeze: Freeze, model: str) -> list[str]:
    """The claims that the placebos on a model are made from, one entry per placebo."""
    on_model = freeze.claims_on(model)
    return [claim for claim in on_model for _ in placebos_of(on_model, claim)]


def registered_folder(folders: Sequence[Path]) -> Path:
    """The folder of the freezes of claims in these folders."""
    return folders[-1] / REGISTERED


def clean_commit(folder: Path, but: Iterable[Path] = ()) -> str:
    """The commit that is checked out in the repository of a folder.

    Args:
        but: files and folders that may differ, from `folder`.

    Raises:
        VsgError: there is no repository, or files differ from the commit.
    """
    commit, changed = code(folder).commit, changed_files(folder, but)
    if commit is None or changed is None:
        raise VsgError(
            f"{folder} is in no git repository with a commit, which a freeze and a confirmation name"
        )
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise VsgError(
            f"the tree differs from commit {commit[:12]}: {changed[0]}{more}: commit or remove that"
        )
    return commit


def _chosen(claims: Sequence[Claim], proposal: Proposal) -> list[Claim]:
    """The claims to freeze, in the order of their files."""
    known = [claim.id for claim in claims]
    if not proposal.claims:
        raise WrongUse("no claims: give their ids with --claims")
    for name in proposal.claims:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "`vsg claims` lists them"
            raise WrongUse(f"there is no claim {name!r}: {hint}")
    return [claim for claim in claims if claim.id in proposal.claims]


def _models(proposal: Proposal) -> tuple[tuple[FrozenModel, ...], dict[str, Entry]]:
    """The models, engine after engine, and their entries by name.

    Raises:
        WrongUse: there is no such model, it is behind an API, or an engine is not installed.
        VsgError: nothing identifies its weights.
    """
    models: dict[str, FrozenModel] = {}
    entries: dict[str, Entry] = {}
    for engine in proposal.engines:
        if engine == "llama.cpp":
            # Its version is part of the freeze.
            library.check_library()
        for target in proposal.targets:
            entry = loading.describe(target, engine=engine)
            if entry.is_hosted:
                raise WrongUse(f"{target} is behind an API, and its weights have no digest: leave it out")
            if not (weights := weights_of(entry)):
                raise VsgError(
                    f"the weights of {entry.name} are neither on this machine nor pinned: vsg models fetch {target}"
                )
            entries[entry.name] = entry
            models[entry.name] = FrozenModel(
                name=entry.name,
                target=loading.target_of(entry, target),
                engine=entry.engine,
                weights=weights,
                form=entry.form,
                dtype=DTYPE,
            )
    if not models:
        raise WrongUse("no models: give them with --model")
    return tuple(models.values()), entries


def _chosen_of(entries: Mapping[str, Entry], claim: str, proposal: Proposal) -> dict[str, Entry]:
    """The models on which a claim is registered if it applies to them.

    Raises:
        WrongUse: it is to be registered on one that the freeze does not have.
    """
    only = proposal.only.get(claim, entries)
    if others := sorted(set(only) - entries.keys()):
        raise WrongUse(
            f"{claim} on {others[0]}: the freeze has {', '.join(entries)}: add --model or --engine"
        )
    return {name: entry for name, entry in entries.items() if name in only}


def _faults(claim: Claim, drawn: Drawn) -> Iterator[str]:
    """Why a claim cannot be registered on any model."""
    if claim.status == "identity":
        yield f"{claim.id} is an identity, which data cannot confirm: leave it out"
    if not claim.of_role("control"):
        yield f"{claim.id} has no control: give it one, or leave it out"
    if drawn.across:
        yield f"{claim.id} is judged over the records of several models, not on new items: leave it out"
    elif not drawn.fixtures:
        yield f"{claim.id} draws its items from no pool, so none can be new: leave it out, or let it draw them"
    if smallest_effect(claim.rule) is None:
        yield f"{claim.id}: its rule names no smallest effect that matters: give matters="


@dataclass(frozen=True)
class _Maker:
    """Makes the frozen form of a claim.

    Args:
        entries: the models on which it is registered if it applies to them.
        chosen: its number of trials; None for the fewest that do.
        expected: how many independent units these give at least; None for as many.
    """

    claim: Claim
    entries: Mapping[str, Entry]
    explored: Explored
    chosen: int | None
    expected: int | None

    def faults(self) -> Iterator[str]:
        """Why its trials cannot be registered."""
        name, rule = self.claim.id, self.claim.rule
        if not self.models:
            yield f"{name} applies to none of the models: leave it out"
        if self.units < rule.trials:
            yield f"{name}: {self.units} units, but its rule takes at least {rule.trials}: give more trials"
            return
        if self.units > self.trials:
            yield f"{name}: {self.units} units of {self.trials} trials, which cannot give more units than trials"
            return
        for model in self.models:
            if (spread := self.spreads[model]) is None:
                yield (
                    f"{name} has no record in {self.explored.reports} to compute its power from: run it, and give "
                    "its reports with --from"
                )
                return
            if (found := power(rule, self.units, spread.value)) < LEAST_POWER:
                yield f"{name} on {model}: {self._too_few(found, spread)}"

    def frozen(self, parts: Mapping[str, str], exclusions: str) -> FrozenClaim:
        claim, matters = self.claim, smallest_effect(self.claim.rule)
        if matters is None:
            raise WrongUse(f"{claim.id}: its rule names no smallest effect that matters: give matters=")
        return FrozenClaim(
            id=claim.id,
            statement=claim.statement,
            rule=claim.rule_text,
            rules=claim.rules_digest,
            alpha=claim.rule.alpha,
            matters=matters,
            trials=self.trials,
            units=self.expected,
            controls=tuple(_sentence(arm) for arm in claim.arms if arm.role != "comparison"),
            exclusions=exclusions,
            parts=dict(parts),
            runs=tuple(map(self._run, self.models)),
        )

    @cached_property
    def models(self) -> list[str]:
        """The models that it applies to: those of its kinds, without those on which it was found not to apply."""
        return [
            name
            for name, entry in self.entries.items()
            if entry.kind in self.claim.kinds and self.explored.verdict(self.claim.id, name) != "not run"
        ]

    @cached_property
    def trials(self) -> int:
        """Its number of trials: the one chosen, or the fewest that give enough power on every model."""
        if self.chosen is not None:
            return self.chosen
        spreads = {spread for spread in self.spreads.values() if spread is not None}
        needed = (trials_for_power(self.claim.rule, each.value, LEAST_POWER) for each in spreads)
        return max(needed, default=self.claim.rule.trials)

    @property
    def units(self) -> int:
        """State how many independent units its trials give."""
        return self.trials if self.expected is None else self.expected

    @cached_property
    def spreads(self) -> dict[str, Spread | None]:
        """The spread on each model."""
        return {model: self.explored.spread(self.claim, model) for model in self.models}

    def _run(self, model: str) -> FrozenRun:
        spread = self.spreads[model] or NO_SPREAD
        return FrozenRun(
            model=model,
            power=round(power(self.claim.rule, self.units, spread.value), 4),
            spread=spread.value,
            spread_of=spread.model,
            exploratory=self.explored.verdict(self.claim.id, model),
        )

    def _too_few(self, found: float, spread: Spread) -> str:
        try:
            needed = f"{trials_for_power(self.claim.rule, spread.value, LEAST_POWER)} would do"
        except WrongUse as error:
            needed = str(error)
        known = "" if spread.value is None else f", with the spread {spread.value:.3g} of {spread.model}"
        return f"{self.units} units have a power of {found:.2f}{known}, below {LEAST_POWER}: {needed}"


def _sentence(arm: Arm) -> str:
    """A control with what it is and what it must show."""
    needs = arm.rule.needs if arm.rule else ""
    return f"{arm.role} {arm.name!r}: {'; '.join(filter(None, [arm.sentence.rstrip('.'), needs]))}"


def _exclusions(claim: str, drawn: Mapping[str, Drawn], explored: Explored) -> str:
    """Describe what the items of a claim are drawn from, and which are left out."""
    own = drawn[claim]
    with_it = sorted(other for other, each in drawn.items() if other != claim and each.shared & own.shared)
    whose = f"shared with {', '.join(with_it)}" if with_it else "given to no other claim of the freeze"
    return (
        f"{explored.population(claim) or own.text}; {whose}; left out are listed items and the share of "
        "every claim of the project"
    )

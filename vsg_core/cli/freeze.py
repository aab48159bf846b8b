"""`vsg freeze`: register claims before the data that will judge them exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from vsg_core.errors import VsgError, WrongUse
from vsg_core.projects import EXAMPLE
from vsg_core.vocabulary import ENGINES, FIRST_ENGINE, EngineName

if TYPE_CHECKING:
    from vsg_core.records.registered import Commitment, Freeze, FrozenRun


@click.command()
@click.argument("name")
@click.option(
    "--claims", "given", multiple=True, required=True, metavar="ID[,ID...]|@FILE",
    help="Claims to register; @FILE has one per line: its id, its trials if you choose them (TRIALS:UNITS if they give "
    "fewer independent units), and the names of its models if it is not to be registered on all (repeatable).",
)  # fmt: skip
@click.option(
    "--commitment", required=True, metavar="HEX",
    help="The sha256 of a nonce that you do not know: that of a colleague, say.",
)  # fmt: skip
@click.option("--by", required=True, metavar="TEXT", help="Who committed to the nonce, and how: a sentence.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME_OR_PATH",
    help="A model to register the claims on, as `pytest --model` takes it (repeatable; default: all on this machine).",
)  # fmt: skip
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice(ENGINES), default=[FIRST_ENGINE],
    help="Register every model on this engine (repeatable).",
)  # fmt: skip
@click.option(
    "--trials", "chosen", multiple=True, metavar="N|CLAIM=N",
    help="Trials of every claim, or of one (repeatable; default: the fewest that give a power of 0.9 on every model).",
)  # fmt: skip
@click.option(
    "--note", default="", metavar="TEXT",
    help='What the freeze is for, in a sentence. One that begins with "Rehearsal" makes it a rehearsal, which confirms '
    "nothing.",
)  # fmt: skip
@click.option(
    "--from", "reports", type=click.Path(path_type=Path), metavar="REPORTS",
    help="Folder of reports with the exploratory records, from which power is computed (default: reports/example).",
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Print trials and power and write nothing; the tree may have changes."
)
def freeze(
    name: str, given: tuple[str, ...], commitment: str, by: str, models: tuple[str, ...],
    engines: tuple[EngineName, ...], chosen: tuple[str, ...], note: str, reports: Path | None, dry_run: bool,
) -> None:  # fmt: skip
    """Register claims under NAME: write hypotheses/registered/NAME.toml.

    It fixes each claim with its rule, its trials, and digests of all that its verdict will rest on. The file and the
    nonce determine the items that `pytest --confirm NAME --nonce TEXT` draws. Refused are a tree with changes, a claim
    without controls or without a pool, an identity, and a power below 0.9.
    """
    from vsg_core.judge.claims import load_claims
    from vsg_core.projects import claim_folders
    from vsg_core.records.registered import write_freeze
    from vsg_core.registration.freezing import (
        Proposal,
        clean_commit,
        make_freeze,
        placebos_on,
        registered_folder,
    )
    from vsg_core.wording import number_text

    folders = claim_folders(Path.cwd(), ())
    listed = list(_listed(given))
    if doubled := [name for name, count in Counter(each.claim for each in listed).items() if count > 1]:
        raise WrongUse(f"--claims has {doubled[0]} twice: give it once, with all its models")
    wanted = trials_chosen({each.claim: each.trials for each in listed}, chosen)
    only = {each.claim: each.models for each in listed if each.models}
    targets, committed = models or _models_here(), _commitment(commitment, by)
    units = {each.claim: each.units for each in listed if each.units is not None}
    proposal = Proposal(name, wanted, targets, engines, committed, note, only, units)
    commit = "" if dry_run else clean_commit(folders[-1])
    known = load_claims(*folders)
    made = make_freeze(proposal, known, folders, reports or folders[0].parent / EXAMPLE, commit)
    for line in _lines(made):
        click.echo(line)
    for model in made.models:
        placebos = placebos_on(made, model.name)
        expected = number_text(made.expected(placebos), "number")
        click.echo(
            f"{model.name}: {len(placebos)} placebo claims, of which {expected} decide by chance on average"
        )
    if not dry_run:
        click.echo(
            f"frozen: {write_freeze(made, registered_folder(folders))}: commit it before the nonce is known"
        )


def _commitment(digest: str, by: str) -> Commitment:
    from vsg_core.records.registered import Commitment, check_commitment

    return Commitment(sha256=check_commitment(digest), by=by)


def _models_here() -> list[str]:
    """The models of the registry whose weights are on this machine; the embedded one if there is none."""
    from vsg_core.weights import loading, registry

    here = [entry.name for entry in registry.entries() if loading.weights_here(entry)]
    return here or [registry.DEFAULT_MODEL]


class Listed(NamedTuple):
    """A claim to register.

    Attributes:
        trials: None to let them follow from the power.
        units: how many independent units they give at least; None for as many.
        models: the names of those on which it is registered; empty for all.
    """

    claim: str
    trials: int | None = None
    units: int | None = None
    models: tuple[str, ...] = ()


def _listed(given: Sequence[str]) -> Iterator[Listed]:
    """The claims of --claims.

    Raises:
        WrongUse: what follows an id on a line of a file is not a number, or two with a colon.
        VsgError: a file cannot be read.
    """
    for each in given:
        if not each.startswith("@"):
            yield from (Listed(name.strip()) for name in each.split(",") if name.strip())
            continue
        path = Path(each[1:])
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise VsgError(f"cannot read the claims in {path}: {error}") from error
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            numbers = words[1].split(":") if len(words) > 1 else []
            if len(numbers) > 2 or not all(map(str.isdecimal, numbers)):
                raise WrongUse(
                    f"{path}, line {number}: {words[1]!r} is not a number of trials, or TRIALS:UNITS: give a claim's "
                    "id, its trials and its models"
                )
            if words:
                yield Listed(words[0], *_padded(numbers), tuple(words[2:]))


def _padded(numbers: Sequence[str]) -> tuple[int | None, int | None]:
    """Trials and units, None for what is not given."""
    trials, units, *_ = *map(int, numbers), None, None
    return trials, units


def trials_chosen(claims: Mapping[str, int | None], chosen: Sequence[str]) -> dict[str, int | None]:
    """Return the claims with the trials that --trials chooses: N of all that have none of their own, CLAIM=N of one.

    Raises:
        WrongUse: a value is neither, or names a claim that is not registered.
    """
    found = dict(claims)
    for each in chosen:
        name, _, number = each.rpartition("=")
        if not number.isdecimal() or int(number) < 1 or each.startswith("="):
            raise WrongUse(f"--trials {each}: give a whole number from 1 up, or CLAIM=N")
        if name and name not in found:
            raise WrongUse(f"--trials {each}: --claims does not have {name}")
        if name:
            found[name] = int(number)
    common = [int(each) for each in chosen if "=" not in each]
    return {name: common[-1] if common and trials is None else trials for name, trials in found.items()}


def _lines(freeze: Freeze) -> Iterator[str]:
    """Describe what is frozen, for people to read."""
    for claim in freeze.claims:
        units = "" if claim.units is None else f" that give {claim.units} units"
        yield f"{click.style(claim.id, bold=True)}: {claim.trials} trials{units}, {claim.matters:g} matters"
        yield from (f"  {_run_text(run)}" for run in claim.runs)


def _run_text(run: FrozenRun) -> str:
    spread = "" if run.spread is None else f", spread {run.spread:.3g} of {run.spread_of}"
    explored = f", exploratory: {run.exploratory}" if run.exploratory else ", not explored"
    return f"{run.model}: power {run.power:.2f}{spread}{explored}"

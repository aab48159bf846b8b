"""`vsg new claim`: a file with a claim that runs, to be rewritten into one's own."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vsg_core.errors import VsgError, WrongUse

# A record is named after its claim, and a file's name has at most 255 bytes.
LONGEST = 100
SKELETON = '''\
"""Which question is this claim about?"""

from __future__ import annotations

from vsg_core import (
    Evidence,
    LanguageModel,
    Trial,
    claim,
    control,
    mostly,
    not_mostly,
    trials,
    write_concepts,
)


# This runs as it is: replace the sentence, the rule, the control and the body. Write the rule before you see data.
@claim(
    "The heaviest token of a concept token is the token that the model would write next",
    # Where the sentence comes from, and what was seen there. For an idea of your own leave both out.
    source="name the paper or repository, and the place in it",
    reported="what was seen there",
    # What the data must show: rate(above=0.8), difference(below=0), always(), ... (docs/judging.md).
    rule=mostly(),
    # An arm that must not show the effect. If there can be none, give the reason: no_control="one sentence".
    controls={"after another prompt": control(not_mostly(), "the concept token of another prompt")},
)
def test_NAME(lm: LanguageModel, open_prompts: list[str]) -> Evidence:
    """Say what is fed in, what is measured, and what the control changes."""
    heaviest = [trace.steps[0].token_id for trace in write_concepts(lm, open_prompts)]
    predicted = lm.next_logits(open_prompts).argmax(-1).tolist()

    def arm(tokens: list[int]) -> list[Trial]:
        return trials(
            open_prompts,
            output=[lm.token(token) for token in tokens],
            success=[token == expected for token, expected in zip(tokens, predicted, strict=True)],
        )

    return Evidence(arm(heaviest), {"after another prompt": arm(heaviest[-1:] + heaviest[:-1])})
'''


@click.group()
def new() -> None:
    """Write a file to start from."""


@new.command()
@click.argument("name")
@click.option(
    "--claims",
    "folder",
    metavar="DIR",
    help="Folder to write it to (default: hypotheses/ of the project, or of the current folder).",
)
def claim(name: str, folder: str | None) -> None:
    """Write a claim called NAME that runs as it is, with a statement, a source, a rule and a control.

    NAME says in a few words what is claimed, in lower case: noise_is_ignored. The file is hypotheses/test_NAME.py.
    """
    from vsg_core.projects import CLAIMS, project_around

    here = Path.cwd()
    target = Path(folder) if folder else (project_around(here) or Path()) / CLAIMS
    path = target / f"test_{_checked(name)}.py"
    _check_unused(name, here, [folder] if folder and target.is_dir() else [])
    text = SKELETON.replace("test_NAME", f"test_{name}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{path} exists already: give another name") from None
    except OSError as error:
        raise VsgError(f"cannot write {path}: {error.strerror or error}") from error
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    more = f" --claims {folder}" if folder else ""
    click.echo(
        f"{shown}\ntry it: vsg run --dry{more} -k {name}; commit it before the first run without --dry"
    )


def _checked(name: str) -> str:
    """The name, if it can be that of a claim.

    Raises:
        WrongUse: it cannot.
    """
    if re.fullmatch(r"[a-z][a-z0-9_]*", name) and not name.startswith("test_") and len(name) <= LONGEST:
        return name
    close = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix("test_")[:LONGEST]
    hint = f", say {close}" if re.match("[a-z]", close) else ", say noise_is_ignored"
    rule = f"lower-case letters, digits and _, without test_, at most {LONGEST}"
    raise WrongUse(f"no claim can be named {name[: 2 * LONGEST]!r}: give {rule}{hint}")


def _check_unused(name: str, here: Path, given: list[str]) -> None:
    """Check that no claim has the name.

    Raises:
        WrongUse: one has, or a file of claims cannot be imported.
    """
    from vsg_core.judge.claims import load_claims
    from vsg_core.projects import claim_folders

    if name in {known.id for known in load_claims(*claim_folders(here, given))}:
        raise WrongUse(f"there is a claim {name} already: give another name")

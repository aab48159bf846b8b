"""`vsg publish`: a run as a dataset repository on the Hugging Face hub.

The upload is in this room because it needs the report, which may import no model library, and the client of the hub.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import as_json, print_json, reports_option
from vsg_core.errors import VsgError, WrongUse, first_line_of
from vsg_core.projects import run_command
from vsg_core.wording import count_text

if TYPE_CHECKING:
    from vsg_core.records.record import Record

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
# Everything that is ever uploaded; the card, README.md, lists the other files.
FILES = {
    "records.zip": "every trial of every claim, one record per claim and model, and further runs in history/",
    "claims.json": "one row per claim and model",
    "claims.csv": "the same rows, flat, for pandas or a spreadsheet",
    "summary.md": "changes, verdicts and claims that were not run",
    "claims.html": "the page: download it and open it in a browser",
}
CARD = "README.md"


@click.command()
@click.argument("repo")
@reports_option
@click.option("--private", is_flag=True, help="If the repository is new, make it private.")
@as_json
def publish(repo: str, reports: str, private: bool, as_json: bool) -> None:
    """Publish the run in a folder of reports as the dataset REPO (OWNER/NAME) on the Hugging Face hub.

    Uploads records.zip, claims.json, claims.csv, summary.md, claims.html and a card (README.md), all built from the
    records, and nothing else. The token is that of `hf auth login` or of HF_TOKEN.
    """
    from vsg_core.records.files import read_reports

    if not REPO.fullmatch(repo) or ".." in repo or "--" in repo:
        raise WrongUse(f"{repo!r} is not a dataset repository: give OWNER/NAME")
    records = read_reports(reports)
    if not records:
        raise VsgError(
            f"no records in {Path(reports) / 'records'}: make some with `{run_command()}`, or give --reports"
        )
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise VsgError("no token for the hub: `hf auth login`, or set HF_TOKEN to a token that may write")
    with tempfile.TemporaryDirectory(prefix="vsg-publish-") as temporary:
        _build(records, Path(reports), Path(temporary), repo)
        commit = _upload(Path(temporary), repo, private, token, _message(records))
    if as_json:
        print_json({"repo": repo, "commit": commit.oid, "url": commit.commit_url, "files": [*FILES, CARD]})
    else:
        click.echo(f"{count_text(len(records), 'record')} published: {commit.commit_url}")


def _build(records: list[Record], reports: Path, folder: Path, repo: str) -> None:
    """Write what is published into an empty folder, from the records, their history and the looks at the models."""
    from vsg_core.records import microscope
    from vsg_core.records.confirmations import project_confirmations
    from vsg_core.records.files import ARCHIVE, write_archive, write_atomically
    from vsg_core.records.history import read_history, read_repeats
    from vsg_core.report import report_of, write_report
    from vsg_core.report.text.card import dataset_card
    from vsg_core.report.text.summary import write_neighbours

    report = report_of(records, read_repeats(reports, records), project_confirmations(Path.cwd()))
    write_archive(records, folder / ARCHIVE, read_history(reports))
    if (reports / microscope.FOLDER).is_dir():
        shutil.copytree(reports / microscope.FOLDER, folder / microscope.FOLDER)
    write_report(report, folder)
    write_neighbours(report, folder)
    write_atomically(folder / CARD, dataset_card(report, repo, FILES))


def _upload(folder: Path, repo: str, private: bool, token: str, message: str) -> Any:
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="vector-space-generation")
    with _failures(repo):
        api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
        return api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[*FILES, CARD],
            commit_message=message,
        )


def _message(records: list[Record]) -> str:
    models = {record.model.name for record in records}
    return f"{count_text(len(records), 'record')} of {count_text(len(models), 'model')}"


@contextmanager
def _failures(repo: str) -> Iterator[None]:
    """Turn errors of the hub's client into one line."""
    from huggingface_hub import constants, errors

    network: tuple[Any, ...] = errors.HfHubHTTPError.__bases__
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise VsgError("HF_HUB_OFFLINE is set: unset it to publish") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        hint = "; the token must be allowed to write there" if status in (401, 403, 404) else ""
        raise VsgError(f"{constants.ENDPOINT} answered {status} for the dataset {repo}{hint}") from error
    except network as error:
        line = f"{type(error).__name__}: {first_line_of(error)}"
        raise VsgError(f"no connection to {constants.ENDPOINT} ({line})") from error
    except ValueError as error:
        raise VsgError(f"{repo} was not published: {' '.join(str(error).split())}") from error

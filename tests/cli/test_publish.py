"""`vsg publish` against a server on this machine that answers as the hub does; nothing else is reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.hub_server import OID, Hub, serving
from tests.support.report_records import (
    EMPTY,
    MODELS,
    SLICED,
    measured,
    provenance,
    successes,
    write_everything,
)
from vsg_core import ClaimTable
from vsg_core.records.files import read_reports, write_record
from vsg_core.records.merging import merge

ROOT = Path(__file__).parents[2]
UPLOADED = {"README.md", "records.zip", "claims.json", "claims.csv", "summary.md", "claims.html"}
Publish = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving("hf_right") as hub:
        yield hub


@pytest.fixture
def publish(hub: Hub, tmp_path: Path) -> Publish:
    """Return a function that runs `vsg publish` in a process of its own, for which HF_ENDPOINT is the stand-in."""

    def run(*arguments: str | Path, token: str = "hf_right", **more: str) -> tuple[int, str, str]:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": token, "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        command = [sys.executable, "-c", "from vsg_core.cli.main import main; main()", "publish"]
        ended = subprocess.run(
            [*command, *map(str, arguments)],
            env=environment | more, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    return run


def test_a_run_is_published_and_nothing_else_of_its_folder(
    hub: Hub, publish: Publish, tmp_path: Path
) -> None:
    """Another person downloads what was published, merges it and has the same records, with their history."""
    write_everything(tmp_path / "mine")
    theirs = measured(EMPTY, 1, successes(3), SLICED, run=provenance(-60))
    write_record(theirs, tmp_path / "theirs" / "records")
    reports = tmp_path / "reports"
    merge([tmp_path / "mine", tmp_path / "theirs"], reports)
    (reports / "secret.env").write_text("HF_TOKEN=hf_right")
    (reports / "records" / "notes.txt").write_text("private")
    code, out, errors = publish("someone/first", "--private")
    assert (code, errors) == (0, "")
    assert (
        out
        == f"{len(read_reports(reports))} records published: {hub.url}/datasets/someone/first/commit/{OID}\n"
    )
    assert set(hub.repos["someone/first"]) == UPLOADED
    assert hub.private["someone/first"]
    assert all(b"hf_right" not in content for content in hub.repos["someone/first"].values())

    downloaded = tmp_path / "downloaded"
    downloaded.mkdir()
    for name, content in hub.repos["someone/first"].items():
        (downloaded / name).write_bytes(content)
    assert read_reports(downloaded) == read_reports(reports)
    assert merge([downloaded], reports).new == 0
    assert ClaimTable.read(downloaded).csv() == (downloaded / "claims.csv").read_text(encoding="utf-8")
    rows = json.loads((downloaded / "claims.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in rows if row["reproduced"] is False] == [MODELS[1].name]


def test_the_card_is_made_from_the_run(hub: Hub, publish: Publish, tmp_path: Path) -> None:
    write_record(measured(EMPTY, 1, successes(38), SLICED), tmp_path / "one" / "records")
    code, out, errors = publish("someone/second-1.0", "--reports", "one", "--json")
    assert (code, errors) == (0, "")
    assert set(json.loads(out)["files"]) == set(hub.repos["someone/second-1.0"]) == UPLOADED
    assert not hub.private["someone/second-1.0"]
    card = hub.repos["someone/second-1.0"]["README.md"].decode()
    _, header, text = card.split("---\n", 2)
    assert yaml.safe_load(header) == {
        "pretty_name": "second-1.0",
        "tags": ["concept-tokens", "claims", "vector-space-generation"],
        "configs": [{"config_name": "claims", "data_files": "claims.csv"}],
    }
    assert "# 1 claim on 1 model: 1 holds" in text
    assert f"| {MODELS[1].name} (4-bit) | `{MODELS[1].weights[:12]}` | 1 | 0 | 0 | 0 |" in text
    assert "- commits: 0adeb75c0ffe" in text


def test_publishing_again_makes_a_further_commit(hub: Hub, publish: Publish, tmp_path: Path) -> None:
    for count in (1, 2):
        write_record(measured(EMPTY, count, successes(38), SLICED), tmp_path / "reports" / "records")
        assert publish("someone/again")[0] == 0
    assert len(json.loads(hub.repos["someone/again"]["claims.json"])) == 2


def _nothing(reports: Path) -> None:
    return None


def _whole(reports: Path) -> None:
    write_record(measured(EMPTY, 0, successes(38), SLICED), reports / "records")


def _damaged(reports: Path) -> None:
    _whole(reports)
    path = next(reports.glob("records/*/*.json"))
    path.write_text(path.read_text()[:200])


@pytest.mark.parametrize(
    ("repo", "made", "environment", "code", "said"),
    [
        ("no-owner", _whole, {}, 2, "'no-owner' is not a dataset repository: give OWNER/NAME"),
        ("a/b/c", _whole, {}, 2, "'a/b/c' is not a dataset repository: give OWNER/NAME"),
        ("someone/none", _nothing, {}, 1, "no records in reports/records: run vsg run first, or give --reports"),
        ("someone/none", _damaged, {}, 1, "damaged record reports/records/"),
        ("someone/none", _whole, {"HF_TOKEN": ""}, 1, "no token for the hub: `hf auth login`, or set HF_TOKEN"),
        ("someone/none", _whole, {"HF_TOKEN": "hf_wrong"}, 1, "answered 401 for the dataset someone/none"),
        ("someone/none", _whole, {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "no connection to http://127.0.0.1:9"),
        ("someone/none", _whole, {"HF_HUB_OFFLINE": "1"}, 1, "HF_HUB_OFFLINE is set: unset it to publish"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_line_and_uploads_nothing(
    hub: Hub, publish: Publish, tmp_path: Path, repo: str, made: Callable[[Path], None],
    environment: dict[str, str], code: int, said: str,
) -> None:  # fmt: skip
    made(tmp_path / "reports")
    before = dict(hub.repos)
    found, out, errors = publish(repo, **environment)
    assert (found, out) == (code, "")
    assert errors.startswith("vsg: ")
    assert said in errors
    assert errors.count("\n") == 1
    assert hub.repos == before

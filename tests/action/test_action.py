"""The GitHub action: each of its shell steps, run by bash as GitHub does, on a tiny random model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from vsg_core.records.files import read_reports

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
RUN, SHOW, INSTALL = "Run the claims", "Show the verdicts on the job's page", "Install"
CLAIMS = '''
"""Does the action do as it says?"""
from vsg_core import Trial, claim, rate

@claim("It mostly works", source="a paper", reported="always", rule=rate(above=0.5), no_control="fixed trials")
def test_one(lm):
    return [Trial(f"prompt {i}", output="text", success=i < 38) for i in range(40)]

@claim("It is broken", source="a paper", reported="never", rule=rate(above=0.5), no_control="fixed trials")
def test_two(lm):
    raise ValueError("no")
'''


@dataclass
class Job:
    """A job in a temporary folder: its workspace, and the files by which steps report to GitHub.

    Args:
        folder: an empty folder.
        inputs: those that differ from their defaults.
    """

    folder: Path
    inputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = self.folder / "workspace"
        self.workspace.mkdir()
        for name in ("output", "summary"):
            (self.folder / name).touch()

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text(encoding="utf-8")

    def value(self, expression: str) -> str:
        """Evaluate `${{ inputs.NAME }}` and `${{ steps.claims.outputs.NAME }}`; nothing else is in the shell steps."""
        kind, name = re.fullmatch(r"\$\{\{ (inputs|steps\.claims\.outputs)\.([\w-]+) }}", expression).groups()  # type: ignore[union-attr]
        if kind == "inputs":
            return str(self.inputs.get(name, ACTION["inputs"][name]["default"]))
        return self.outputs.get(name, "")

    def run(self, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a step's script as `shell: bash` does."""
        assert STEPS[step]["shell"] == "bash"
        script = self.folder / "script.sh"
        script.write_text(STEPS[step]["run"], encoding="utf-8")
        given = {name: self.value(text) for name, text in STEPS[step].get("env", {}).items()}
        github = {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        base = {name: text for name, text in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=self.workspace,
            env=base | here | github | given | environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def project(self) -> None:
        """Write a project of two claims, one of which is broken, to the workspace."""
        folder = self.workspace / "own"
        (folder / "hypotheses").mkdir(parents=True)
        (folder / "hypotheses" / "things.py").write_text(CLAIMS)
        (folder / "pytest.ini").write_text((ROOT / "pytest.ini").read_text())
        (folder / "conftest.py").write_text('pytest_plugins = ["vsg_core.plugin", "fixtures.models"]\n')


def test_claims_are_run_and_shown_on_the_jobs_page(tmp_path: Path, tiny_llama: Path) -> None:
    """The model is a folder of the workspace; a keyword with spaces stays one argument."""
    inputs = {
        "models": "tiny\n",
        "keyword": "one and not two",
        "project": "own",
        "arguments": "-p\nno:randomly\n",
    }
    job = Job(tmp_path, inputs | {"record": "true", "reports": "out/reports"})
    job.project()
    (job.workspace / "tiny").symlink_to(tiny_llama)
    ended = job.run(RUN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    reports = job.workspace / "out" / "reports"
    assert job.outputs == {"reports": str(reports), "exit-code": "0"}
    (record,) = read_reports(reports)
    assert (record.claim.id, record.verdict) == ("one", "holds")
    assert list((job.workspace / "own" / "hypotheses" / "recorded").glob("*.toml")), "it was recorded"
    assert job.run(SHOW).returncode == 0
    assert job.summary == (reports / "summary.md").read_text(encoding="utf-8")
    assert "It mostly works" in job.summary


def test_a_failure_fails_the_step_and_is_shown(tmp_path: Path, tiny_llama: Path) -> None:
    job = Job(tmp_path, {"models": str(tiny_llama), "project": "own"})
    job.project()
    ended = job.run(RUN)
    assert ended.returncode == 1
    assert job.outputs["exit-code"] == "1"
    assert job.run(SHOW).returncode == 0
    assert "**broken**" in job.summary


def test_no_input_is_run_as_a_command(tmp_path: Path) -> None:
    """A wrong expression is refused by pytest; what looks like a command stays text."""
    job = Job(
        tmp_path,
        {"models": "", "project": "own", "select": '"; touch pwned; "', "arguments": "$(touch pwned)"},
    )
    job.project()
    assert job.run(RUN).returncode == 4
    assert not list(tmp_path.rglob("pwned"))
    assert job.run(SHOW).returncode == 0
    assert job.summary == "No claim was measured.\n"
    assert not re.search(r"\$\{\{", "".join(step.get("run", "") for step in STEPS.values()))


def test_a_summary_that_a_job_cannot_show_is_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    (tmp_path / "output").write_text(f"reports={job.workspace}\n")
    (job.workspace / "summary.md").write_text("x" * 1_100_000)
    assert job.run(SHOW).returncode == 0
    assert job.summary == "The summary has more than 1 MB: see summary.md in the uploaded reports.\n"


def test_the_package_is_installed_with_its_command(tmp_path: Path) -> None:
    """Into a new environment that sees the dependencies of this one, without a network."""
    job = Job(tmp_path)
    venv.create(tmp_path / "env", with_pip=True)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # This environment's setuptools is newer than what venv brings.
    for old in site.glob("setuptools*"):
        shutil.rmtree(old)
    copy = tmp_path / "action"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(lambda name: (ROOT / name).is_file(), tracked.splitlines()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    path = f"{tmp_path / 'env' / 'bin'}:{os.environ['PATH']}"
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": "", "PATH": path}
    ended = job.run(INSTALL, GITHUB_ACTION_PATH=str(copy), **offline)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answered = subprocess.run(["vsg", "--version"], env={"PATH": path}, capture_output=True, text=True)
    assert answered.returncode == 0, answered.stderr


def test_other_actions_are_pinned_to_commits() -> None:
    used = [step["uses"] for step in STEPS.values() if "uses" in step]
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in used)


def test_every_input_is_described_used_and_has_a_default() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name, given in ACTION["inputs"].items():
        assert isinstance(given["default"], str), name
        assert given["description"]
        assert f"inputs.{name} " in text, name


@pytest.mark.parametrize("name", ["exit-code", "reports"])
def test_outputs_are_those_of_the_step(name: str) -> None:
    assert ACTION["outputs"][name]["value"] == f"${{{{ steps.claims.outputs.{name} }}}}"
    assert f"{name}=" in STEPS[RUN]["run"]

"""The wheel contains the claims, and `vsg run` runs them from an empty folder, in a fresh environment.

The environment has the packages that are installed here, but neither the checkout nor its editable installation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from vsg_core.records.files import read_record

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "reports", "shared")
PROJECT = ("conftest.py", "pytest.ini", "fixtures", "hypotheses")
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
CONFTEST = "import pytest\n@pytest.fixture\ndef mine():\n    return 'mine'\n"
OWN = '''
"""A question of my own?"""
from fixtures.sources import STUDY
from vsg_core import claim, mostly, trials

@claim("It is mine", source=STUDY("README"), reported="nothing", rule=mostly(), no_control="arithmetic")
def test_mine(lm, open_prompts, mine):
    return trials(open_prompts, output=[mine] * len(open_prompts), success=[True] * len(open_prompts))
'''


def call(*command: str | Path, folder: Path) -> str:
    """Run a command that succeeds, without the variables that would bring the checkout; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    kept.pop("CI", None)
    done = subprocess.run(list(map(str, command)), cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    """The files of a folder, by their path in it; no bytecode."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)) for path in found}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what an sdist of the sources contains, unpacked."""
    folder = tmp_path_factory.mktemp("sources")
    copy = shutil.copytree(ROOT, folder / "copy", ignore=LEFT_OUT)
    call(sys.executable, "-c", BUILD_SDIST, folder, folder=copy)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    """Build a wheel from the sdist; leftovers of an older build must not get into it."""
    old = sources / "build" / "lib" / "vsg_core" / "project" / "hypotheses" / "test_removed.py"
    old.parent.mkdir(parents=True)
    old.write_text("")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    call(*pip, "--wheel-dir", sources.parent, sources, folder=sources.parent)
    (path,) = sources.parent.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment that also finds the packages installed here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    call(*pip, wheel, folder=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # As code, since a path alone would also run the .pth files there: one of them brings the checkout.
    (site / "others.pth").write_text(f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n")
    return folder


def test_the_wheel_contains_the_project_inside_the_package(wheel: Path) -> None:
    """Hypotheses, fixtures with their data, and recorded verdicts; no other package is added."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = "vsg_core/project/"
    packed = {name.removeprefix(inside) for name in names if name.startswith(inside)}
    tracked = {name for name in files(ROOT) if name.split("/")[0] in PROJECT and "__pycache__" not in name}
    assert packed == tracked
    assert "hypotheses/recorded/smollm2-135m-instruct.toml" in packed
    assert "fixtures/data/open_prompts.toml" in packed
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"vsg_core", "vector_space_generation"}


def test_the_sdist_contains_what_the_tests_need(sources: Path) -> None:
    assert {"setup.py", "constraints.txt", "Makefile"} <= files(sources)
    assert files(ROOT / "tests") <= files(sources / "tests")


def test_claims_run_from_the_wheel_in_an_empty_folder(
    environment: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    """Claims in ./hypotheses join, with fixtures of ./conftest.py; nothing is written into the environment."""
    (tmp_path / "hypotheses").mkdir()
    (tmp_path / "hypotheses" / "mine.py").write_text(OWN)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    vsg = environment / "bin" / "vsg"
    before = {path: path.stat().st_mtime_ns for path in environment.rglob("*")}
    out = call(vsg, "run", "--model", tiny_llama, "-k", "mine or noise_still_generates", folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in environment.rglob("*")} == before
    assert "2 passed" in out
    records = tmp_path / "reports" / "records" / "tiny-random"
    assert sorted(path.stem for path in records.iterdir()) == ["mine", "noise_still_generates"]
    run = read_record(records / "noise_still_generates.json").run
    # The folder that it is installed in may be in somebody's repository.
    assert (run.commit, run.dirty) == (None, None)
    assert run.versions["vector-space-generation"]
    assert (tmp_path / "reports" / "claims.html").is_file()


def test_the_lists_of_claims_and_verdicts_are_those_of_the_wheel(environment: Path, tmp_path: Path) -> None:
    vsg = environment / "bin" / "vsg"
    assert "noise_still_generates" in {
        row["id"] for row in json.loads(call(vsg, "claims", "--json", folder=tmp_path))
    }
    assert "smollm2-135m-instruct (4-bit)" in call(vsg, "table", "--headline", folder=tmp_path)
    find = "import importlib.util as u; assert not u.find_spec('fixtures') and not u.find_spec('hypotheses')"
    call(environment / "bin" / "python", "-c", find, folder=tmp_path)

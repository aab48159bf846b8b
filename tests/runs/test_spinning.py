"""Spinning threads: limited before OpenMP is loaded, unless the user chose, and stated in the record."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from vsg_core.cli.main import main
from vsg_core.runs import spinning
from vsg_core.runs.spinning import CHOICES, LIMIT, SPINS, limit_spinning

LIMITED = {SPINS: str(LIMIT)}
# What OpenMP writes when it is loaded, if OMP_DISPLAY_ENV asks for it.
SHOWN = f"{SPINS} = '{LIMIT}'"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch has the OpenMP of GNU on Linux only")


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the variables, and restore them at the end even if a test sets them."""
    for name in CHOICES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, which has loaded torch, pass for one that has not."""
    monkeypatch.setattr(spinning, "_openmp_is_loaded", lambda: False)


def libgomp() -> Path:
    """Return the OpenMP library that torch brings."""
    torch = find_spec("torch")
    assert torch
    assert torch.origin
    found = sorted(Path(torch.origin).parent.glob("lib/libgomp*"))
    if not found:
        pytest.skip("this build of torch has another OpenMP")
    return found[0]


def fresh(*script: str) -> str:
    """Return what a script writes in a new interpreter, that of OpenMP included."""
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(script)],
        env=os.environ | {"OMP_DISPLAY_ENV": "verbose"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    return result.stdout


LIMIT_IT = "from vsg_core.runs.spinning import chosen, limit_spinning; limit_spinning(); print(chosen())"


def test_the_library_of_torch_reads_the_limit() -> None:
    shown = fresh(LIMIT_IT, f"import ctypes; ctypes.CDLL({str(libgomp())!r})")
    assert str(LIMITED) in shown
    assert SHOWN in shown


def test_nothing_is_stated_that_came_too_late() -> None:
    shown = fresh(f"import ctypes; ctypes.CDLL({str(libgomp())!r})", LIMIT_IT)
    assert "{}" in shown
    assert SHOWN not in shown


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_of_the_user_is_kept(name: str, monkeypatch: pytest.MonkeyPatch, not_loaded: None) -> None:
    monkeypatch.setenv(name, "17")
    limit_spinning()
    assert spinning.chosen() == {name: "17"}


def test_the_package_alone_changes_no_variable() -> None:
    shown = fresh(
        "import os; before = dict(os.environ)",
        "from vsg_core import torch; torch.zeros(1)",
        "print(before == dict(os.environ))",
    )
    assert "True" in shown
    assert SHOWN not in shown


def test_pytest_limits_before_conftest_loads_torch(suite, monkeypatch) -> None:
    suite.claims(suite.rate_claim(38))
    suite.pytester.makeconftest('import torch\npytest_plugins = ["vsg_core.plugin", "fixtures.models"]')
    monkeypatch.setenv("OMP_DISPLAY_ENV", "verbose")
    result = suite.run_apart("--collect-only")
    assert result.ret == 0
    assert SHOWN in result.stderr.str()


def test_the_record_states_the_choice_of_the_user(suite, monkeypatch, not_loaded) -> None:
    """The key is the same: how threads wait changes no evidence."""
    suite.claims(suite.rate_claim(38))
    suite.run().assert_outcomes(passed=1)
    limited = suite.record("one")
    monkeypatch.delenv(SPINS)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    suite.run().assert_outcomes(passed=1)
    passive = suite.record("one")
    assert limited.run.environment[SPINS] == str(LIMIT)
    assert passive.run.environment["OMP_WAIT_POLICY"] == "passive"
    assert SPINS not in passive.run.environment
    assert limited.key == passive.key


def test_it_is_limited_without_entry_points(suite, monkeypatch, not_loaded) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.claims(suite.rate_claim(38))
    suite.model = None
    assert suite.run("--collect-only").ret == 0
    assert spinning.chosen() == LIMITED


def test_other_projects_of_the_environment_are_left_alone(pytester, not_loaded) -> None:
    pytester.makepyfile("def test_plain():\n    pass\n")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    assert spinning.chosen() == {}


def test_the_command_limits(monkeypatch, not_loaded) -> None:
    monkeypatch.setattr(sys, "argv", ["vsg", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert spinning.chosen() == LIMITED

"""Lazy modules: nothing is imported before its first use, and everything works after it."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import vsg_core
from vsg_core.collector import no_collection
from vsg_core.weights.loading import import_engine

ROOT = Path(__file__).parent.parent
HEAVY = ["torch", "transformers", "numpy", "scipy", "hypothesis"]


def run(script: str) -> str:
    """Return the output of a script in a fresh interpreter."""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_no_name_of_the_public_face_imports_a_heavy_library() -> None:
    names = ", ".join(dir(vsg_core))
    assert (
        run(f"import sys\nfrom vsg_core import {names}\nprint([m for m in {HEAVY} if m in sys.modules])")
        == "[]"
    )


def test_dir_and_completion_list_every_name_and_import_nothing() -> None:
    """`dir(vsg_core)`, and the tab key in Python's shell, know the names before any is used."""
    script = (
        "import sys, vsg_core\nlisted = dir(vsg_core)\n"
        f"loaded = [m for m in {HEAVY} if m in sys.modules]\n"
        "from rlcompleter import Completer\nimport itertools\n"
        "complete = Completer({'vsg_core': vsg_core}).complete\n"
        "found = list(itertools.takewhile(bool, (complete('vsg_core.', n) for n in range(999))))\n"
        "names = {name.removeprefix('vsg_core.').rstrip('()') for name in found}\n"
        "print(len(listed) > 50, set(listed) <= names, loaded, 'torch' in sys.modules)"
    )
    assert run(script) == "True True [] False"
    stub = (ROOT / "vsg_core" / "__init__.pyi").read_text(encoding="utf-8")
    assert sorted(line.split()[-1] for line in stub.splitlines() if line.startswith("from .")) == dir(
        vsg_core
    )


def test_collecting_the_claims_imports_no_heavy_library() -> None:
    """Not even Hypothesis, whose own plugin would import it for the summary."""
    unused = [*HEAVY, "statsmodels", "pandas", "tomlkit", "rich.console"]
    script = (
        "import sys, pytest\n"
        "code = pytest.main(['--collect-only', '-q', 'hypotheses'])\n"
        f"print(int(code), [m for m in {unused} if m in sys.modules])"
    )
    assert run(script).endswith("0 []")


def test_the_help_of_the_command_needs_click_alone() -> None:
    unused = [*HEAVY, "statsmodels", "pydantic", "jinja2", "pytest", "rich.console", "tomlkit", "filelock"]
    script = (
        "import sys\nfrom vsg_core.cli.main import main\nsys.argv = ['vsg', '--help']\n"
        "try:\n    main()\nexcept SystemExit as ended:\n"
        f"    print(ended.code, [m for m in {unused} if m in sys.modules])"
    )
    assert run(script).endswith("0 []")


def test_introspection_does_not_import() -> None:
    script = (
        "import sys\nfrom vsg_core import torch\n"
        "repr(torch), hasattr(torch, '__bases__'), getattr(torch, '_mock_name', None)\n"
        "print('torch' in sys.modules)"
    )
    assert run(script) == "False"


def test_the_first_use_gives_the_module_itself() -> None:
    import hypothesis.strategies
    import torch

    assert vsg_core.torch.Tensor is torch.Tensor
    assert vsg_core.torch.nn.functional is torch.nn.functional
    assert vsg_core.torch.__version__ == torch.__version__
    assert vsg_core.strategies.lists is hypothesis.strategies.lists
    assert "float32" in dir(vsg_core.torch)


@pytest.fixture
def collector() -> Iterator[None]:
    """Leaves the garbage collector as it was."""
    was_on = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_a_pause_of_the_garbage_collector_ends_as_it_began(collector: None, on: bool) -> None:
    (gc.enable if on else gc.disable)()
    with suppress(KeyError), no_collection():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled() is on


@pytest.mark.parametrize("frozen", [True, False])
def test_objects_that_the_collector_never_looks_at_are_none_of_a_pause(collector: None, frozen: bool) -> None:
    """Frozen objects stay frozen, and what was made during a pause is collected like everything else."""

    class Circle:
        pass

    (gc.freeze if frozen else gc.unfreeze)()
    before = gc.get_freeze_count()
    with no_collection():
        circle = Circle()
        circle.itself = circle  # type: ignore[attr-defined]
        seen = weakref.ref(circle)
        del circle
    assert bool(gc.get_freeze_count()) is bool(before) is frozen
    gc.collect()
    assert seen() is None


def test_where_transformers_is_in_use_the_collector_can_still_free_its_models(collector: None) -> None:
    importlib.import_module("transformers")
    gc.unfreeze()
    import_engine.__wrapped__()
    assert not gc.get_freeze_count()
    assert gc.isenabled()

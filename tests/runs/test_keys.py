"""Keys: they change with what a verdict rests on, and with nothing else."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.text_server import text_server
from vsg_core.judge.arms import declared_arms
from vsg_core.judge.claims import Claim, Source, load_claims
from vsg_core.judge.rules import rate
from vsg_core.runs import rooms
from vsg_core.runs.keys import Project, engine_parts, judged_by, key_of, measured_on, reasons, weights_of
from vsg_core.runs.syntax import parsed, tree_text
from vsg_core.weights import loading, registry
from vsg_core.weights.names import is_commit

ROOT = Path(__file__).parents[2]
NAMES = re.compile(r"^def (test_\w+)", re.MULTILINE)


def write(folder: Path, files: dict[str, str]) -> Project:
    """Write modules by their path without .py, and return the project."""
    for name, text in files.items():
        path = folder / (name if Path(name).suffix or name.isupper() else f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(folder)


def parts_of(project: Project, name: str = "test_one") -> dict[str, str]:
    return project.parts(project.root / "hypotheses" / "questions.py", name)


def catalogue(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """The parts that the sources give, for every claim of a project."""
    project = Project(root)
    return {
        name: project.parts(path, name)
        for path in sorted((root / "hypotheses").glob("*.py"))
        for name in NAMES.findall(path.read_text())
    }


CLAIM = '''
"""Is it?"""
from fixtures.helpers import helper
from fixtures import tables
from vsg_core import claim, rate

LIMIT = 3

@claim("It is", source="s", reported="r", rule=rate(above=0.5))
def test_one(lm, shared):
    """Explain."""
    return helper(shared, LIMIT) + tables.ROWS

@claim("It is not", source="s", reported="r", rule=rate(above=0.5))
def test_two(lm):
    return other()

def other():
    return 2
'''
HELPERS = '''
"""Helpers."""
from fixtures.deep import deepest

class Kind:
    size: int = 1

def helper(shared, limit) -> Kind:
    from fixtures.late import late
    return deepest(limit), late

def untouched():
    return 5
'''
SHARED = """
import pytest
from fixtures.deep import constant

@pytest.fixture
def lm():
    return 1

@pytest.fixture(scope="session")
def shared(lm, base):
    return constant

@pytest.fixture
def base(request):
    return 1

@pytest.fixture
def unused(lm):
    return untouched
"""
FILES = {
    "hypotheses/questions": CLAIM,
    "fixtures/__init__": "",
    "fixtures/helpers": HELPERS,
    "fixtures/deep": "constant = 7\n\ndef deepest(x):\n    return constant + x\n\ndef alone():\n    return 1\n",
    "fixtures/late": "late = 8\n",
    "fixtures/tables": "ROWS = [1]\nROWS.append(2)\n",
    "fixtures/shared": SHARED,
}
# What is changed, and the parts of the key of test_one that change with it.
CHANGES = [
    ("hypotheses/questions", "LIMIT = 3", "LIMIT = 4", {"claim"}),
    ("hypotheses/questions", "return 2", "return 3", set()),
    ("hypotheses/questions", "helper(shared, LIMIT)", "helper(LIMIT, shared)", {"claim"}),
    ("hypotheses/questions", '"It is"', '"It really is"', set()),
    ("hypotheses/questions", "Explain.", "Explain more.", set()),
    ("fixtures/helpers", "deepest(limit)", "deepest(limit + 1)", {"claim"}),
    ("fixtures/helpers", "size: int = 1", "size: int = 2", {"claim"}),
    ("fixtures/helpers", "return 5", "return 6", set()),
    ("fixtures/deep", "constant = 7", "constant = 9", {"claim", "fixture shared"}),
    ("fixtures/deep", "constant + x", "constant - x", {"claim"}),
    ("fixtures/deep", "return 1", "return 2", set()),
    ("fixtures/late", "late = 8", "late = 9", {"claim"}),
    ("fixtures/tables", "append(2)", "append(3)", {"claim"}),
    (
        "fixtures/shared",
        "def base(request):\n    return 1",
        "def base(request):\n    return 2",
        {"fixture base"},
    ),
    ("fixtures/shared", "def lm():\n    return 1", "def lm():\n    return 2", {"fixture lm"}),
    ("fixtures/shared", "return untouched", "return None", set()),
    ("fixtures/shared", 'scope="session"', 'scope="module"', {"fixture shared"}),
]


@pytest.mark.parametrize(("file", "before", "after", "expected"), CHANGES)
def test_a_change_reaches_exactly_the_parts_that_rest_on_it(
    tmp_path: Path, file: str, before: str, after: str, expected: set[str]
) -> None:
    """A helper's helper, a class in an annotation, a constant, an import inside a function, a fixture's fixture."""
    was = parts_of(write(tmp_path / "a", FILES))
    assert before in FILES[file]
    now = parts_of(write(tmp_path / "b", FILES | {file: FILES[file].replace(before, after)}))
    assert {name for name in was if was[name] != now[name]} == expected
    assert was.keys() == now.keys() == {
        "claim", "fixture lm", "fixture shared", "fixture base", "generator", "judge",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"conftest": "import pytest\n\n@pytest.fixture(autouse=True)\ndef seeded():\n    return 1\n"},
         {"fixture seeded"}),
        ({"hypotheses/conftest": "def pytest_runtest_setup(item):\n    item.x = 1\n"}, {"conftest"}),
        ({"conftest": "import random\nrandom.seed(3)\n"}, {"conftest"}),
        ({"conftest": "import pytest\npytest_plugins = ['x']\n"}, set()),
        ({"hypotheses/questions": CLAIM.replace("(lm, shared)", "(lm, shared, own)")
          + "\nfrom fixtures.late import late\nimport pytest\nown = pytest.fixture(other)\n"}, {"fixture own"}),
        ({"hypotheses/questions": CLAIM.replace("def test_one", "@pytest.mark.usefixtures('unused')\ndef test_one")
          + "\nimport pytest\n"}, {"fixture unused"}),
        ({"hypotheses/questions": CLAIM.replace("(lm, shared)", "(lm, shared, request)").replace(
            "return helper", "request.getfixturevalue('unused')\n    return helper")}, {"fixture unused"}),
    ],
)  # fmt: skip
def test_other_ways_to_reach_something_count(
    tmp_path: Path, files: dict[str, str], expected: set[str]
) -> None:
    """Autouse fixtures, hooks of conftest.py, fixtures made by a call, marks, and fixtures asked for by name."""
    was = parts_of(write(tmp_path / "a", FILES))
    now = parts_of(write(tmp_path / "b", FILES | files))
    assert now.keys() - was.keys() == expected


@pytest.mark.parametrize(
    "source",
    [
        "import fixtures.tables\n\ndef test_one(lm):\n    return fixtures.tables.ROWS\n",
        "import fixtures.tables as t\n\ndef test_one(lm):\n    return t.ROWS\n",
        "from fixtures.tables import ROWS as rows\n\ndef test_one(lm):\n    return rows\n",
        "from fixtures.tables import *\n\ndef test_one(lm):\n    return ROWS\n",
        "from fixtures import tables\n\ndef test_one(lm):\n    return getattr(tables, 'RO' + 'WS')\n",
        "from fixtures.again import ROWS\n\ndef test_one(lm):\n    return ROWS\n",
        "def test_one(lm):\n    import fixtures.tables\n    return fixtures.tables.ROWS\n",
        "try:\n    from fixtures.tables import ROWS\nexcept ImportError:\n    ROWS = []\n\n"
        "def test_one(lm):\n    return ROWS\n",
        "from fixtures.tables import ROWS\n\nclass TestAll:\n    def test_one(self, lm):\n        return ROWS\n",
        "from fixtures.tables import ROWS\n\ndef made(x):\n    return lambda lm: x\n\ntest_one = made(ROWS)\n",
        "import fixtures.tables\n\nfor name in ['test_one']:\n    globals()[name] = lambda lm: fixtures.tables.ROWS\n",
    ],
)
def test_every_form_of_import_is_followed(tmp_path: Path, source: str) -> None:
    """Modules, aliases, stars, re-exports, imports inside functions and in try, classes, functions made by calls."""
    files = FILES | {"hypotheses/questions": source, "fixtures/again": "from .tables import ROWS\n"}
    was = parts_of(write(tmp_path / "a", files))
    now = parts_of(write(tmp_path / "b", files | {"fixtures/tables": "ROWS = [2]\n"}))
    assert [name for name in was if was[name] != now[name]] == ["claim"]


def test_names_that_are_a_functions_own_are_not_those_of_its_module(tmp_path: Path) -> None:
    """A parameter or variable that happens to be called as something in the module reaches nothing."""
    source = "def test_one(lm):\n    other = lm\n    return other\n\ndef other():\n    return {}\n"
    was, now = (
        parts_of(write(tmp_path / str(number), FILES | {"hypotheses/questions": source.format(number)}))
        for number in (1, 2)
    )
    assert was == now


def test_circular_imports_end(tmp_path: Path) -> None:
    files = FILES | {
        "fixtures/deep": "from fixtures.helpers import helper\nconstant = 1\n\ndef deepest(x):\n    return helper\n"
    }
    assert parts_of(write(tmp_path, files))["claim"]


def test_a_claim_that_reaches_another_room_rests_on_it(tmp_path: Path) -> None:
    """Claims across models rest on records; others on generator and judge alone, whatever they import of them."""
    of = "from vsg_core import {0}\n\ndef test_one(lm):\n    return {0}\n"
    for name, expected in {
        "presets": set(),
        "Evidence": set(),
        "Records": {"records"},
        "torch": set(),
    }.items():
        project = write(tmp_path / name, FILES | {"hypotheses/questions": of.format(name)})
        assert parts_of(project).keys() - {"claim", "fixture lm", "generator", "judge"} == expected


DATA = """
import tomllib
from pathlib import Path
import pytest

DATA = Path(__file__).parent / "data"

def _read(name):
    return tomllib.loads((DATA / f"{name}.toml").read_text())

@pytest.fixture
def lm():
    return _read("prompts")["nouns"]

@pytest.fixture
def numbered():
    return [_read(f"part_{number}") for number in range(2)]

@pytest.fixture
def everything():
    return [path.read_text() for path in DATA.iterdir()]

@pytest.fixture
def unnamed(request):
    return (DATA / request.param).read_text()
"""


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        ("lm", {"prompts"}),
        ("numbered", {"prompts", "part_1", "part_2"}),
        ("everything", {"prompts", "part_1", "part_2", "nouns"}),
        ("unnamed", {"prompts", "part_1", "part_2", "nouns"}),
    ],
)
def test_data_files_that_are_read_are_parts(tmp_path: Path, fixture: str, expected: set[str]) -> None:
    """By the string or f-string that names them; all of them where nothing does."""
    files = {
        "hypotheses/questions": f"def test_one(lm, {fixture}):\n    pass\n".replace("(lm, lm)", "(lm)"),
        "fixtures/__init__": "", "fixtures/shared": DATA,
    }  # fmt: skip
    project = write(tmp_path, files)
    (tmp_path / "fixtures" / "data").mkdir()
    for name in ("prompts.toml", "part_1.toml", "part_2.toml", "nouns.txt"):
        (tmp_path / "fixtures" / "data" / name).write_text("a = 1\n")
    found = {name.removeprefix("data ") for name in parts_of(project) if name.startswith("data ")}
    assert found == expected
    before = parts_of(project)
    (tmp_path / "fixtures" / "data" / "prompts.toml").write_text("# A comment.\na = 1\n")
    assert parts_of(Project(tmp_path)) == before
    (tmp_path / "fixtures" / "data" / "prompts.toml").write_text("a = 2\n")
    now = parts_of(Project(tmp_path))
    assert {name for name in now if now[name] != before[name]} == {"data prompts"}


HELD = "def test_one(lm):\n    return held.LIMIT\n"
READS = "from pathlib import Path\n\ndef test_one(lm):\n    return {}\n"
FIXTURE = "import pytest\n\n@pytest.fixture{}\ndef own():\n    return {}\n"
# Files of a project, the file that is changed by writing 2 for 1, and the part of the key that changes.
HIDDEN_WAYS = {
    "a module imported by a string": (
        {"hypotheses/questions": "from importlib import import_module\n\n"
                                 "def test_one(lm):\n    return import_module('fixtures.held')\n"},
        "fixtures/held", "claim"),
    "a module imported by a string that is computed": (
        {"hypotheses/questions": "def test_one(lm):\n    return __import__('fixtures.' + 'held'[:])\n"},
        "fixtures/held", "claim"),
    "eval": ({"hypotheses/questions": "LIMIT = 1\n\ndef test_one(lm):\n    return eval('LIMIT + 0')\n"},
             "hypotheses/questions", "claim"),
    "globals": ({"hypotheses/questions": "LIMIT = 1\n\ndef test_one(lm):\n    return globals()['LIM' + 'IT']\n"},
                "hypotheses/questions", "claim"),
    "an attribute set by a module of fixtures": (
        {"hypotheses/questions": f"from fixtures import held\n\n{HELD}",
         "fixtures/patch": "from fixtures import held\nheld.LIMIT = 1\n"}, "fixtures/patch", "other modules"),
    "an attribute set by another file of claims": (
        {"hypotheses/questions": f"from fixtures import held\n\n{HELD}",
         "hypotheses/patch": "from fixtures import held\nheld.LIMIT = 1\n"}, "hypotheses/patch", "other modules"),
    "an assignment that sets an attribute": (
        {"hypotheses/questions": f"from fixtures import held\n_ = setattr(held, 'LIMIT', 1)\n\n{HELD}"},
        "hypotheses/questions", "claim"),
    "an assignment that changes what it calls": (
        {"hypotheses/questions": "ROWS = [0, 0, 0]\nlast = ROWS.pop(1)\n\ndef test_one(lm):\n    return ROWS\n"},
        "hypotheses/questions", "claim"),
    "a list that another module extends": (
        {"hypotheses/questions": "import support.more\nfrom fixtures.held import ROWS\n\n"
                                 "def test_one(lm):\n    return ROWS\n",
         "fixtures/held": "ROWS = []\n", "support/more": "from fixtures.held import ROWS\nROWS += [1]\n"},
        "support/more", "claim"),
    "a function that registers itself": (
        {"hypotheses/questions": "import fixtures.more\nfrom fixtures.held import KNOWN\n\n"
                                 "def test_one(lm):\n    return KNOWN\n",
         "fixtures/held": "KNOWN = []\n\ndef known(function):\n    KNOWN.append(function)\n    return function\n",
         "fixtures/more": "from fixtures.held import known\n\n@known\ndef first():\n    return 1\n"},
        "fixtures/more", "claim"),
    "subclasses": (
        {"hypotheses/questions": "class Base:\n    pass\n\nclass First(Base):\n    size = 1\n\n"
                                 "def test_one(lm):\n    return Base.__subclasses__()\n"},
        "hypotheses/questions", "claim"),
    "a star that replaces a name": (
        {"hypotheses/questions": "LIMIT = 0\nfrom fixtures.held import *\n\ndef test_one(lm):\n    return LIMIT\n"},
        "fixtures/held", "claim"),
    "a fixture imported by a star": (
        {"hypotheses/questions": "from helpers import *\n\ndef test_one(lm, own):\n    pass\n",
         "helpers": FIXTURE.format("", 1)}, "helpers", "fixture own"),
    "a fixture of a plugin": (
        {"hypotheses/questions": "def test_one(lm, own):\n    pass\n", "conftest": "pytest_plugins = ['support.own']\n",
         "support/own": FIXTURE.format("", 1)}, "support/own", "fixture own"),
    "an autouse fixture of a plugin": (
        {"conftest": "pytest_plugins = ['support.own']\n", "support/own": FIXTURE.format("(autouse=True)", 1)},
        "support/own", "fixture own"),
    "a mark that names a fixture by a constant": (
        {"hypotheses/questions": "import pytest\nNAME = 'own'\npytestmark = pytest.mark.usefixtures(NAME)\n\n"
                                 "def test_one(lm):\n    pass\n", "conftest": FIXTURE.format("", 1)},
        "conftest", "fixture own"),
    "a hook of a plugin": ({"fixtures/hooks": "def pytest_runtest_setup(item):\n    item.x = 1\n"},
                           "fixtures/hooks", "conftest"),
    "a hook that conftest.py imports": (
        {"conftest": "from helpers import *\n", "helpers": "def pytest_runtest_setup(item):\n    item.x = 1\n"},
        "helpers", "conftest"),
    "setup_module": ({"hypotheses/questions": "def setup_module():\n    return 1\n\ndef test_one(lm):\n    pass\n"},
                     "hypotheses/questions", "conftest"),
    "a folder of pytest.ini's pythonpath": (
        {"hypotheses/questions": "from elsewhere import LIMIT\n\ndef test_one(lm):\n    return LIMIT\n",
         "pytest.ini": "[pytest]\npythonpath = . lib\n", "lib/elsewhere": "LIMIT = 1\n"}, "lib/elsewhere", "claim"),
    **{
        f"a data file read by {code}": (
            {"hypotheses/questions": READS.format(code), file: "1", "fixtures/data/notes.txt": "n"},
            file, f"data {part}")
        for code, file, part in (
            ("open('no' + 'tes.txt'), open('notes.txt'), open('al' + 'pha.json')", "fixtures/data/alpha.json", "alpha"),
            ("open('notes.txt'), open(f'{lm}.json')", "fixtures/data/alpha.json", "alpha"),
            ("open('notes.txt'), open(''.join(lm))", "fixtures/data/alpha.json", "alpha"),
            ("numpy.loadtxt('fixtures/data/al' + 'pha.csv')", "fixtures/data/alpha.csv", "alpha"),
            ("(Path('data') / 'x.json').read_text()", "data/x.json", "data/x.json"),
            ("(Path('data') / lm).read_text()", "data/deep/x.json", "data/deep/x.json"),
            ("open('./data/x.json')", "data/x.json", "data/x.json"),
            ("(Path(__file__).parent / '../data/x.json').open()", "data/x.json", "data/x.json"),
            ("open('VALUES')", "VALUES", "VALUES"),
            ("Path('fixtures/data/code.py').read_text()", "fixtures/data/code.py", "fixtures/data/code.py"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("files", "changed", "part"), HIDDEN_WAYS.values(), ids=HIDDEN_WAYS)
def test_ways_to_rest_on_something_that_no_name_shows_are_in_the_key(
    tmp_path: Path, files: dict[str, str], changed: str, part: str
) -> None:
    """Rather stale too often than kept wrongly."""
    bare = {"hypotheses/questions": "def test_one(lm):\n    pass\n", "fixtures/__init__": ""}
    project = write(tmp_path, bare | {"fixtures/held": "LIMIT = 1\n"} | files)
    was = parts_of(project)
    path = next(each for each in (tmp_path / changed, tmp_path / f"{changed}.py") if each.is_file())
    path.write_text(path.read_text().replace("1", "2"))
    now = parts_of(Project(tmp_path))
    assert was.keys() == now.keys()
    assert part in {name for name in was if was[name] != now[name]}


def test_a_data_file_anywhere_may_be_named_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "apart.json").write_text("1")
    code = READS.format(f"open({str(tmp_path / 'apart.json')!r})")
    project = write(tmp_path / "project", FILES | {"hypotheses/questions": code})
    assert "data apart.json" in parts_of(project)


def test_a_variable_of_the_environment_that_a_claim_reads_is_in_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os\n\ndef test_one(lm):\n    return os.environ.get('SIZE_OF_IT', '')\n"
    found = []
    for value in ("", "1", "2"):
        if value:
            monkeypatch.setenv("SIZE_OF_IT", value)
        found.append(parts_of(write(tmp_path, FILES | {"hypotheses/questions": code})))
    assert found[1].keys() - found[0].keys() == {"environment SIZE_OF_IT"}
    assert found[1] != found[2]


def ends_of_statements(text: str) -> Iterable[int]:
    """The numbers of the lines at whose end a statement ends."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return (token.start[0] for token in tokens if token.type == tokenize.NEWLINE)


SOURCES = sorted(
    [*ROOT.glob("hypotheses/*.py"), *ROOT.glob("fixtures/*.py"), *ROOT.glob("vsg_core/judge/*.py")]
)


@settings(max_examples=60)
@given(st.data())
def test_comments_docstrings_and_formatting_change_no_tree(data: st.DataObject) -> None:
    """In every file of the catalogue: a comment at the end of any line, other docstrings, other formatting."""
    text = data.draw(st.sampled_from(SOURCES)).read_text()
    ends = data.draw(st.sets(st.sampled_from(sorted(set(ends_of_statements(text)))), max_size=5))
    lines = [
        f"{line}  # {number}\n\n" if number in ends else line
        for number, line in enumerate(text.splitlines(), 1)
    ]
    documented = re.sub(
        r'^(\s*)"""[^"\\]*"""$', r'\1"Another docstring."', "\n".join(lines), flags=re.MULTILINE
    )
    assert tree_text(parsed(documented)) == tree_text(parsed(text))
    # Every bracket, quote and blank of another formatter.
    assert tree_text(parsed(ast.unparse(parsed(text)))) == tree_text(parsed(text))


@settings(max_examples=40)
@given(st.data())
def test_another_constant_anywhere_is_another_tree(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(SOURCES))
    tree = parsed(path.read_text())
    before = tree_text(tree)
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    if numbers := [node for node in constants if type(node.value) in (int, float)]:
        changed = data.draw(st.sampled_from(numbers))
        changed.value = repr(changed.value)
        assert tree_text(tree) != before


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the catalogue: claims, fixtures and data."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("hypotheses", "fixtures"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    return folder


def test_a_copy_elsewhere_has_the_same_keys(copy: Path) -> None:
    assert catalogue(copy) == catalogue()


def test_a_change_of_a_measured_fixture_makes_stale_what_reaches_it_and_nothing_else(copy: Path) -> None:
    """The catalogue itself: `thoughts`, and what asks for it."""
    path = copy / "fixtures" / "thoughts.py"
    before, text = catalogue(copy), path.read_text()
    path.write_text(
        text.replace("def thoughts(", "def thoughts(*, _unused=1, ", 1).replace("(*, _unused=1, lm", "(lm", 1)
    )
    assert catalogue(copy) == before
    changed = re.sub(r"(\ndef thoughts\([^)]*\)[^:]*:\n)", r"\1    _ = 1\n", text, count=1)
    assert changed != text
    path.write_text(changed)
    now = catalogue(copy)
    path.write_text(text)
    stale = {name for name in now if now[name] != before[name]}
    assert stale == {name for name, parts in before.items() if "fixture thoughts" in parts}
    assert 0 < len(stale) < len(before)
    assert all(
        {n for n in now[name] if now[name][n] != before[name][n]} == {"fixture thoughts"} for name in stale
    )


def test_everything_rests_on_the_decoding_loop() -> None:
    """Generator and judge are parts of every key, with what they import of other rooms."""
    assert all({"generator", "judge"} <= parts.keys() for parts in catalogue().values())
    names = {str(path.relative_to(ROOT / "vsg_core")) for path in rooms._files("generator")}
    assert {"generator/writing/decoding.py", "errors.py", "vocabulary.py", "lazy.py"} <= names
    assert {*(ROOT / "vsg_core" / "generator").rglob("*.py")} <= set(rooms._files("generator"))


HOOK = """
import json, sys
from pathlib import Path
opened, current = {}, []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and current:
        path = Path(arguments[0] if isinstance(arguments[0], str) else arguments[0].decode())
        if path.parent.name == "data" and path.parent.parent.name == "fixtures":
            opened.setdefault(current[-1], set()).add(path.stem)
sys.addaudithook(hook)
class Watch:
    def pytest_runtest_setup(self, item):
        item.session._setupstate
    def pytest_fixture_setup(self, fixturedef, request):
        current.append(fixturedef.argname)
    def pytest_fixture_post_finalizer(self, fixturedef, request):
        pass
import pytest
status = pytest.main(sys.argv[1:], plugins=[Watch()])
print("OPENED" + json.dumps({name: sorted(files) for name, files in opened.items()}))
"""


def test_no_fixture_of_the_catalogue_opens_a_data_file_that_its_key_does_not_name(tmp_path: Path) -> None:
    """Every fixture that reads a file is set up in a process of its own; Python itself reports what it opens."""
    project = Project(ROOT)
    named = {
        name.removeprefix("fixture "): {
            part.removeprefix("data ") for part in parts if part.startswith("data ")
        }
        for parts in catalogue().values()
        for name in parts
        if name.startswith("fixture ")
    }
    readers = sorted(name for name, files in named.items() if files and reads_alone(project, name))
    assert len(readers) > 10
    tests = "\n".join(f"def test_{name}({name}):\n    pass\n" for name in readers)
    (tmp_path / "test_readers.py").write_text(tests)
    (tmp_path / "hook.py").write_text(HOOK)
    done = subprocess.run(
        [sys.executable, "hook.py", "test_readers.py", "-q", "-p", "fixtures.prompts", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=True,
    )  # fmt: skip
    assert f"{len(readers)} passed" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("OPENED")]
    opened = json.loads(line.removeprefix("OPENED"))
    for parts in catalogue().values():
        for name in parts:
            read = (
                set(opened.get(name.removeprefix("fixture "), ())) if name.startswith("fixture ") else set()
            )
            assert {f"data {file}" for file in read} <= parts.keys()
    assert opened.keys() == set(readers)


def reads_alone(project: Project, name: str) -> bool:
    """Return whether a fixture asks for no model: those that do read no file of their own (see the next test)."""
    module = project.sources.module_of(ROOT / "fixtures" / "prompts.py")
    return name in module.symbols


def test_only_the_prompts_open_data_files() -> None:
    """No other module of fixtures or claims mentions anything by which a file is opened."""
    project = Project(ROOT)
    for path in SOURCES:
        if path.parent.name in ("fixtures", "hypotheses") and path.stem != "prompts":
            module = project.sources.module_of(path)
            for name in module.symbols:
                words = module.symbols[name].mentions.words
                assert not words & {"open", "read_text", "read_bytes", "__file__"}, (path, name)


ONE = Claim(
    id="one", question="q", statement="It is.", source=Source("s"), reported="r", reported_verdict="holds",
    rule=rate(above=0.5), kinds=("base",), arms=declared_arms({}, {"control": rate(below=0.5)}, ["other"]),
    headline=False, seed=0, docstring="d",
)  # fmt: skip


def test_what_judges_is_in_the_key_and_its_wording_is_not() -> None:
    from dataclasses import replace

    now = judged_by(ONE)
    for same in ({"statement": "Really."}, {"source": Source("t")}, {"reported": "x"}, {"docstring": "e"},
                 {"headline": True}, {"status": "identity"}):  # fmt: skip
        assert judged_by(replace(ONE, **same)) == now
    others: dict[str, dict[str, Any]] = {
        "rule": {"rule": rate(above=0.6)}, "seed": {"seed": 1}, "kinds": {"kinds": ("base", "instruct")},
        "arms": {"arms": ONE.arms[:1]},
    }  # fmt: skip
    for part, other in others.items():
        changed = judged_by(replace(ONE, **other))
        assert {name for name in now if now[name] != changed[name]} == {part}


def test_a_key_changes_with_the_model_the_libraries_and_the_device() -> None:
    entry = registry.entry(registry.DEFAULT_MODEL)
    given = measured_on(entry, "ab", None, "cpu")
    assert given == measured_on(entry, "ab", "float32", "cpu")
    now = key_of(given, engine_parts())
    assert reasons(now, key_of(measured_on(entry, "cd", None, "cpu"), engine_parts())) == ["weights changed"]
    assert reasons(now, key_of(measured_on(entry, "ab", None, "cuda"), engine_parts())) == [
        "device changed (cpu to cuda)"
    ]
    other = {**engine_parts(), "torch": "9.9"}
    assert reasons(now, key_of(given, other)) == [f"engine changed (torch {engine_parts()['torch']} to 9.9)"]
    assert reasons(None, now) == ["made before records had keys"]
    assert reasons(now, now) == []


def test_a_key_changes_with_what_the_server_of_a_hosted_model_can_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path))
    with text_server(can=("/models", "/completions")) as completes, text_server() as chats:
        entries = [loading.describe(each.target) for each in (completes, chats)]
        before, now = (key_of(measured_on(entry, "ab", None, "cpu")) for entry in entries)
    penalties = "min_p, repeat_penalty, repetition_penalty, top_k"
    assert set(reasons(before, now)) == {
        "kind changed (base to instruct)",
        "abilities changed (completions, 20 log-probabilities to completions, chat, 20 log-probabilities, logit bias)",
        f"parameters changed ({penalties} to chat_template_kwargs, {penalties})",
    }


def test_pinned_weights_are_known_before_they_are_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that records of a model whose weights are gone are kept."""
    monkeypatch.setenv("VSG_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for entry in (each for each in registry.entries() if each.gguf or is_commit(each.revision or "")):
        assert re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", weights_of(entry)), entry.name


def test_every_claim_of_the_catalogue_has_parts() -> None:
    """Those that its file declares, by the name of its function."""
    assert {f"test_{claim.id}" for claim in load_claims(ROOT / "hypotheses")} == set(catalogue())


def test_a_project_named_by_a_relative_path_has_the_same_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are given the project's folder from the current one."""
    project = write(tmp_path / "project", FILES)
    modules = (project.root / "fixtures" / "shared.py",)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = project.root / "hypotheses" / "questions.py"
    relative = Project(Path("../project"), (Path("../project/hypotheses"),), modules)
    assert relative.parts(path, "test_one") == project.parts(path, "test_one")

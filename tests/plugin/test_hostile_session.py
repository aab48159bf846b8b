"""Text that no file format likes, in every field of a claim: each file of a run still parses and shows it."""

from __future__ import annotations

import csv
import json
from xml.etree import ElementTree

from tests.support.page_reading import read

# Controls that XML forbids, line ends that are not \n, marks that turn text around, half a character, a noncharacter
HOSTILE = "\x00\x01\x1b[31m\x7f\x9b\r\u2028\u2029\x85\ufffe\uffff\u202e\u200f\ud800\udcff\U0010ffff]]>"
ESCAPED = (
    "\\x00\\x01\\x1b[31m\\x7f\\x9b\\r\\u2028\\u2029\\x85\\ufffe\\uffff\\u202e\\u200f\\ud800\\udcff\\U0010ffff"
)

CLAIMS = f"""
HOSTILE = {HOSTILE!a}

def evidence(successes):
    return [
        Trial(HOSTILE, output=HOSTILE, success=i < successes, inputs={{"note": HOSTILE}}, outputs={{HOSTILE: HOSTILE}},
              cluster=HOSTILE + str(i), mixture=[(HOSTILE, 0.7), ("a", 0.3)])
        for i in range(40)
    ]

@claim(
    "It works " + HOSTILE, rule=rate(above=0.5), source="a paper " + HOSTILE, reported=HOSTILE, no_control=HOSTILE
)
def test_measured(lm):
    return evidence(38)

@claim("It is broken", rule=rate(above=0.5), **ABOUT)
def test_broken(lm):
    raise ValueError(HOSTILE)

@claim("It does not apply", rule=rate(above=0.5), **ABOUT)
def test_not_applicable(lm):
    raise NotApplicable("no such thing " + HOSTILE)

@claim("It needs a fixture", rule=rate(above=0.5), **ABOUT)
def test_without_fixture(lm, failing):
    return evidence(38)

@pytest.fixture
def failing():
    raise RuntimeError(HOSTILE)

@pytest.mark.parametrize("text", [HOSTILE, HOSTILE.encode("utf-8", "surrogatepass")])
def test_of_any_kind(text):
    assert text
"""


def test_every_file_of_a_run_survives_hostile_text(suite, tmp_path):
    """Claims that are measured, broken, not applicable or lack a fixture, and a parametrized test next to them."""
    suite.claims(CLAIMS)
    junit, page = tmp_path / "junit.xml", suite.reports / "claims.html"
    result = suite.run("-v", "-rA", f"--junit-xml={junit}")
    result.assert_outcomes(passed=3, failed=2, skipped=1)
    terminal = result.stdout.str() + result.stderr.str()
    assert not set(terminal) & set("\x00\x01\x9b\u202e\ud800"), "nothing reaches the terminal as it is"
    assert {(case.get("name") or "").partition("[")[0] for case in ElementTree.parse(junit).iter("testcase")} == {
        "test_measured", "test_broken", "test_not_applicable", "test_without_fixture", "test_of_any_kind",
    }  # fmt: skip
    rows = json.loads((suite.reports / "claims.json").read_text(encoding="utf-8"))
    with (suite.reports / "claims.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows["claims"] if isinstance(rows, dict) else rows) == 4
    assert (
        suite.record("measured").evidence.trials[0].output
        == HOSTILE.encode("utf-8", "backslashreplace").decode()
    )
    assert suite.record("broken").outcome == "broken"
    assert ESCAPED in read(page.read_bytes().decode("utf-8")).text
    for path in filter(lambda path: path.is_file(), suite.reports.rglob("*")):
        path.read_bytes().decode("utf-8")

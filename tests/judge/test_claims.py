"""Declaring a claim, and finding all claims of a folder."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import declare
from vsg_core.errors import WrongUse
from vsg_core.judge.claims import Claim, claim, load_claims
from vsg_core.judge.rules import difference, rate

ABOUT: dict[str, Any] = {"source": "a paper", "reported": "always", "rule": rate(above=0.5)}


def test_what_a_claim_holds() -> None:
    declared = declare(
        rate(above=0.5),
        kinds=["instruct"],
        controls={"noise": rate(below=0.5)},
        positive_controls={"copies": rate(above=0.6)},
        comparisons=["tokens"],
        seed=7,
    )
    assert declared.id == "example"
    assert declared.question == "Claims and trials for the tests of the judge."
    assert declared.statement == "It works"
    assert declared.docstring == "The docstring."
    assert declared.kinds == ("instruct",)
    assert declared.arms == ("copies", "noise", "tokens")
    assert declared.seed == 7
    assert declared.rule_text == (
        "rate above 50 %, at least 40 trials, alpha 0.05; "
        "positive control 'copies': rate above 60 %, at least 40 trials, alpha 0.05; "
        "control 'noise': rate below 50 %, at least 40 trials, alpha 0.05"
    )


def test_the_function_stays_what_it_was() -> None:
    def test_it(lm: str) -> str:
        return lm

    decorated = claim("It works", **ABOUT)(test_it)
    assert decorated is test_it
    assert decorated("a") == "a"
    assert isinstance(decorated.claim, Claim)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statement": " "}, "statement is ' '"),
        ({"source": None}, "source is None"),
        ({"reported": ""}, "reported is ''"),
        ({"rule": 0.5}, "'rule' is judged by 0.5"),
        ({"controls": {"noise": rate}}, "'noise' is judged by <function rate"),
        ({"kinds": []}, "kinds is ()"),
        ({"kinds": ["chat"]}, "kinds is ('chat',): give one or both of base, instruct"),
        ({"kinds": "base"}, "give a list, ['base']"),
        ({"comparisons": "tokens"}, "give a list, ['tokens']"),
        ({"comparisons": ["a", "a"]}, "arm 'a' is declared twice"),
        ({"comparisons": ["a"], "controls": {"a": rate(below=0.5)}}, "arm 'a' is declared twice"),
        ({"rule": rate(above=0, over="x")}, "over='x' names no other arm"),
        ({"controls": {"x": rate(above=0, over="x")}}, "over='x' names no other arm"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    def test_it() -> None: ...

    with pytest.raises(WrongUse) as error:
        claim(**({"statement": "It works"} | ABOUT | arguments))(test_it)
    assert str(error.value).startswith("claim test_it: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_claim_must_be_named_as_a_test() -> None:
    def check_it() -> None: ...

    with pytest.raises(WrongUse, match="claim check_it: the name must start with test_"):
        claim("It works", **ABOUT)(check_it)


def test_a_rule_may_look_over_a_control() -> None:
    declare(rate(above=0, over="noise"), controls={"noise": rate(below=0.5)})
    declare(difference(above=0), controls={"a": rate(above=0, over="b")}, comparisons=["b"])


HEADER = '''"""A question?

More about it."""
from vsg_core import claim, rate
from vsg_core.judge.rules import rate as same
ABOUT = dict(source="a paper", reported="always", rule=rate(above=0.5))
'''


def write(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(HEADER + textwrap.dedent(body), encoding="utf-8")


def test_load_claims(tmp_path: Path) -> None:
    write(tmp_path, "second.py", "@claim('It is', **ABOUT)\ndef test_z(lm): ...\n\ndef test_plain(): ...\n")
    write(tmp_path, "first.py", "".join(f"@claim('It', **ABOUT)\ndef test_{n}(lm): ...\n" for n in "ba"))
    (tmp_path / "notes.txt").write_text("no claim")
    found = load_claims(tmp_path)
    assert [declared.id for declared in found] == ["b", "a", "z"]
    assert {declared.question for declared in found} == {"A question?"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def test_a(:", "cannot be imported: SyntaxError"),
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("@claim('', **ABOUT)\ndef test_a(lm): ...", "claim test_a: statement is ''"),
        ("rate(above=7)", "rate: the bound is 7.0"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path, body: str, message: str) -> None:
    write(tmp_path, "broken.py", body)
    with pytest.raises(WrongUse) as error:
        load_claims(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "broken.py"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_claims_of_one_name(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        write(tmp_path, name, "@claim('It', **ABOUT)\ndef test_same(lm): ...")
    with pytest.raises(WrongUse, match=r"b\.py: a second claim named same"):
        load_claims(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no folder"):
        load_claims(tmp_path / "nowhere")


def test_claims_are_listed_without_anything_heavy(tmp_path: Path) -> None:
    """`vsg claims` must answer within a second."""
    write(
        tmp_path,
        "a.py",
        "from vsg_core.judge.attack import attack\n@claim('It', **ABOUT)\ndef test_a(lm): ...",
    )
    code = f"""
import sys
from vsg_core.judge.claims import load_claims
import vsg_core.records.recorded
assert [claim.id for claim in load_claims({str(tmp_path)!r})] == ["a"]
heavy = {{"torch", "transformers", "scipy", "statsmodels", "hypothesis", "numpy"}} & set(sys.modules)
assert not heavy, heavy
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)

"""Declaring a claim, and finding all claims in a folder."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import declare
from vsg_core.errors import WrongUse
from vsg_core.judge.arms import Dose, control, doses
from vsg_core.judge.claims import Claim, Source, claim, load_claims
from vsg_core.judge.judging import judge
from vsg_core.judge.rules import Rule, always, cannot, difference, mostly, rarely, rate
from vsg_core.judge.trials import Trial

ABOUT: dict[str, Any] = {
    "source": "a paper",
    "reported": "always",
    "rule": rate(above=0.5),
    "no_control": "arithmetic",
}


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
    assert declared.question == "Claims, trials and records for the tests of the judge and of the records."
    assert declared.statement == "It works"
    assert declared.docstring == "The docstring."
    assert declared.kinds == ("instruct",)
    assert [(arm.name, arm.role, arm.rule) for arm in declared.arms] == [
        ("copies", "positive control", rate(above=0.6)),
        ("noise", "control", rate(below=0.5)),
        ("tokens", "comparison", None),
    ]
    assert declared.reported_verdict == "holds"
    assert declared.seed == 7
    assert declared.rule_text == (
        "rate above 50 %, at least 40 trials, alpha 0.05; "
        "positive control 'copies': rate above 60 %, at least 40 trials, alpha 0.05; "
        "control 'noise': rate below 50 %, at least 40 trials, alpha 0.05"
    )


def test_an_identity_is_judged_as_any_claim_is() -> None:
    """The mark changes the status alone: verdicts recorded before it stay comparable."""
    plain, marked = declare(rate(above=0.5)), declare(rate(above=0.5), identity=True)
    assert (plain.status, marked.status) == ("exploratory", "identity")
    assert replace(marked, status="exploratory", line=plain.line) == plain
    assert marked.rules_digest == plain.rules_digest


def test_the_function_is_returned_unchanged() -> None:
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
        ({"source": ""}, "source is ''"),
        ({"source": None}, "reported is 'always', but there is no source"),
        ({"reported": ""}, "reported is ''"),
        ({"reported": None}, "a source, but not what it saw"),
        ({"source": None, "reported": None, "link": "x"}, "link and reported_verdict are about a source"),
        ({"source": None, "reported": None, "reported_verdict": "refuted"}, "are about a source"),
        ({"no_control": ""}, 'no control: add controls={"name": control(rule, "sentence")}'),
        ({"no_control": None}, "no_control is None: give the reason in one sentence"),
        ({"no_control": "", "positive_controls": {"copies": mostly()}}, "no control: add controls="),
        ({"controls": {"a": rate(below=0.5)}}, "no_control is 'arithmetic', but it has controls"),
        (
            {"rule": rate(above=0.9, over="a", trials=40), "comparisons": ["a"]},
            "40 trials per arm cannot both hold and refute: give trials=51",
        ),
        (
            {"positive_controls": {"b": cannot(over="a", trials=20)}, "comparisons": ["a"]},
            "positive control 'b': rate below +5 points compared with “a”: 20 trials per arm leave 16 points open",
        ),
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
        ({"seed": True}, "seed is True"),
        ({"rule": rate(above=0, over="rule")}, "over='rule' names no other arm"),
        (
            {"reported_verdict": "inconclusive"},
            "reported_verdict is 'inconclusive': give 'holds' or 'refuted'",
        ),
        ({"comparisons": {"a": 0.5}}, "comparison 'a' is described by 0.5: give a sentence or a dose"),
        ({"comparisons": {"a": control(mostly(), "b")}}, "give a sentence or a dose"),
        ({"controls": {"a": Dose(value=1, unit="", curve="")}}, "'a' is judged by Dose("),
        ({"controls": {"a": control(0.5, "b")}}, "'a' is judged by 0.5"),  # type: ignore[arg-type]
        ({"source": Source("a paper", "x"), "link": "y"}, "link='y', but the source has one: x"),
    ],
)
def test_invalid_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    def test_it() -> None: ...

    with pytest.raises(WrongUse) as error:
        claim(**({"statement": "It works"} | ABOUT | arguments))(test_it)
    assert str(error.value).startswith("claim test_it: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_idea_of_ones_own_has_no_source() -> None:
    """Source and report may be left out together; readers then see that nothing was reported."""

    @claim("It works", rule=mostly(), controls={"noise": rarely()})
    def test_it() -> None: ...

    declared = test_it.claim  # type: ignore[attr-defined]
    assert declared.source == Source("new here")
    assert declared.reported == "nothing: new here"
    assert declared.no_control == ""


def test_a_claim_must_be_named_as_a_test() -> None:
    def check_it() -> None: ...

    with pytest.raises(WrongUse, match="claim check_it: the name must start with test_"):
        claim("It works", **ABOUT)(check_it)


def test_a_rule_may_compare_with_any_other_arm() -> None:
    declare(rate(above=0, over="noise"), controls={"noise": rate(below=0.5)})
    declare(difference(above=0), controls={"a": rate(above=0, over="b")}, comparisons=["b"])
    declare(rate(above=0, over="rule"), comparisons=["rule"])


def test_an_arm_has_a_sentence_or_a_dose() -> None:
    declared = declare(
        mostly(),
        controls={"noise": control(rarely(trials=80), "Noise of the same norm.")},
        comparisons={"tokens": "The tokens instead.", **doses("noise at {:g} std", (0.5, 1), "std")},
    )
    assert [(arm.name, arm.sentence, arm.dose) for arm in declared.arms] == [
        ("noise", "Noise of the same norm.", None),
        ("tokens", "The tokens instead.", None),
        ("noise at 0.5 std", "", Dose(value=0.5, unit="std", curve="noise at … std")),
        ("noise at 1 std", "", Dose(value=1.0, unit="std", curve="noise at … std")),
    ]


@pytest.mark.parametrize(
    ("name", "amounts", "message"),
    [
        ("noise", (1, 2), "give a name with one place for the amount"),
        ("{} of {}", (1, 2), "give a name with one place for the amount"),
        ("{std}", (1, 2), "give a name with one place for the amount"),
        ("{:.0f} std", (0.1, 0.2), "2 amounts give 1 names: write more digits"),
    ],
)
def test_doses_with_equal_names_are_refused(name: str, amounts: tuple[float, ...], message: str) -> None:
    with pytest.raises(WrongUse) as error:
        doses(name, amounts, "std")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_source_names_a_place_in_it() -> None:
    study = Source("A study", "https://example.org")
    assert study("Results", "#results") == Source("A study, Results", "https://example.org#results")
    assert study("Results") == Source("A study, Results", "https://example.org")
    assert Source("A study")("Results", "#results") == Source("A study, Results", None)


def test_a_link_is_for_a_source_without_one() -> None:
    def linked(source: Source | str) -> str | None:
        def test_it() -> None: ...

        decorated = claim("It works", **(ABOUT | {"source": source, "link": "https://example.org"}))(test_it)
        return decorated.claim.source.link  # type: ignore[attr-defined]

    assert linked("a paper") == linked(Source("a paper")) == "https://example.org"


def test_the_digest_covers_what_decides_a_verdict() -> None:
    """Rules and the names and roles of arms count; sentences, doses, order and comparisons outside rules do not."""

    # The default is a frozen value.
    def digest(rule: Rule = mostly(), **arguments: Any) -> str:  # noqa: B008
        return declare(rule, **arguments).rules_digest

    noise, copies = {"noise": rarely(trials=80)}, {"copies": mostly()}
    different = [
        digest(), digest(rate(above=0.50001)), digest(rate(above=0.5, trials=41)), digest(rate(below=0.5)),
        digest(rate(above=0.5, alpha=0.04)), digest(difference(above=0.5)), digest(always()),
        digest(rate(above=0.5, over="a"), comparisons=["a"]), digest(rate(above=0.5, over="b"), comparisons=["b"]),
        digest(controls=noise), digest(positive_controls=noise), digest(controls={"other": rarely(trials=80)}),
        digest(controls=copies), digest(controls=noise, positive_controls=copies),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert digest(comparisons=["a"]) == digest(comparisons={"a": "A sentence."}) == digest()
    assert digest(controls={"noise": control(rarely(trials=80), "A sentence.")}) == digest(controls=noise)
    assert digest(controls=noise | copies) == digest(controls=copies | noise)
    assert digest(difference(above=0)) == digest(difference(above=-0.0)) == digest(difference(above=0.0))
    # Recorded verdicts store it, so it must not vary between processes or versions.
    assert digest(controls=noise) == "86f056175d89616c"


HEADER = '''"""A question?

More about it."""
from vsg_core import claim, rate
from vsg_core.judge.rules import rate as same
ABOUT = dict(source="a paper", reported="always", rule=rate(above=0.5), no_control="arithmetic")
'''


def write(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(HEADER + textwrap.dedent(body), encoding="utf-8")


def test_claims_may_import_the_fixtures_next_to_them(tmp_path: Path) -> None:
    """The project's root is importable while its claims load, and not afterwards."""
    (tmp_path / "neighbours_of_claims.py").write_text("SOURCE = 'a paper'\n")
    (tmp_path / "hypotheses").mkdir()
    (tmp_path / "hypotheses" / "one.py").write_text(
        "from neighbours_of_claims import SOURCE\nfrom vsg_core import claim, mostly\n"
        "@claim('It works', source=SOURCE, reported='it did', rule=mostly(), no_control='x')\ndef test_a(lm): ...\n"
    )
    before = list(sys.path)
    assert [found.source.text for found in load_claims(tmp_path / "hypotheses")] == ["a paper"]
    assert sys.path == before


def test_claims_are_loaded_in_order(tmp_path: Path) -> None:
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
        ("rate(above=7)", ":7: rate: the limit is 7.0"),
        (
            "@claim(\n    'It',\n    rule=rate(above=0.95, trials=10),\n)\ndef test_a(lm): ...",
            "py:9: claim test_a: rate above 95 %: 10 trials cannot both hold and refute: give trials=72",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path, body: str, message: str) -> None:
    write(tmp_path, "broken.py", body)
    with pytest.raises(WrongUse) as error:
        load_claims(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "broken.py"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_claims_with_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        write(tmp_path, name, "@claim('It', **ABOUT)\ndef test_same(lm): ...")
    with pytest.raises(WrongUse, match=r"b\.py: a second claim named same"):
        load_claims(tmp_path)


def test_folders_are_joined_and_may_have_files_of_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "a.py", f"@claim('It', **ABOUT)\ndef test_{name}(lm): ...")
    folders = tmp_path / "two", tmp_path / "one"
    assert [declared.id for declared in load_claims(*folders)] == ["two", "one"]
    write(tmp_path / "one", "b.py", "@claim('It', **ABOUT)\ndef test_two(lm): ...")
    with pytest.raises(WrongUse, match=r"one/b\.py: a second claim named two: rename one of them"):
        load_claims(*folders)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no folder"):
        load_claims(tmp_path / "nowhere")


def test_claims_are_listed_without_heavy_imports(tmp_path: Path) -> None:
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


def test_only_values_have_a_unit() -> None:
    """It is in the reason of a verdict; under a rule on successes it is refused."""

    def test_it() -> None: ...

    with pytest.raises(WrongUse, match="unit='bits': only values have one"):
        claim("It works", **ABOUT, unit="bits")(test_it)
    about = ABOUT | {"rule": difference(above=0.0)}
    decorated: Any = claim("It works", **about, unit="bits")(test_it)
    reason = judge(decorated.claim, [Trial(f"prompt {i}", value=1.0 + i % 2) for i in range(40)]).reason
    assert reason.startswith("1.50 bits [")
    assert reason.endswith("of 40, rule: above 0 bits")

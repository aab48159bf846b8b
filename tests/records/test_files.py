"""Records: plain JSON that holds all there is, written whole or not at all, read back as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.judging import MODEL, declare, record_of, successes
from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.rules import always, difference, equivalence, judge, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.files import (
    RECORD_SCHEMA,
    build_record,
    not_run_record,
    read_records,
    record_text,
    write_record,
)


def validate(record: dict[str, Any]) -> None:
    """Against the schema, as a reader of the file sees it."""
    jsonschema.Draft202012Validator.check_schema(RECORD_SCHEMA)
    jsonschema.validate(json.loads(record_text(record)), RECORD_SCHEMA)


def test_a_record_holds_all_there_is() -> None:
    example = declare(
        rate(above=0.1, over="tokens"),
        controls={"noise": rate(below=0.5)},
        positive_controls={"copies": rate(above=0.5)},
        comparisons=["tokens"],
        link="https://example.org",
    )
    trial = Trial("p", "out", True, 0.5, {"mixture": [["a", 0.5]]}, {"greedy": "other"}, "c")
    evidence = Evidence(
        [*successes(39), trial],
        {"noise": successes(1), "copies": successes(40), "tokens": successes(2)},
    )
    record = build_record(example, MODEL, evidence, judge(example, evidence), {"dtype": "float32"})
    validate(record)
    assert record["trials"][-1] == {
        "prompt": "p",
        "inputs": {"mixture": [["a", 0.5]]},
        "outputs": {"output": "out", "greedy": "other"},
        "value": 0.5,
        "success": True,
        "cluster": "c",
    }
    assert [(row["name"], row["kind"], row["n"], len(row["trials"])) for row in record["controls"]] == [
        ("copies", "positive control", 40, 40),
        ("noise", "control", 40, 40),
        ("tokens", "comparison", 40, 40),
    ]
    assert record["bound"] == {"above": 0.1, "over": "tokens", "kind": "rate"}
    assert record["model"] == MODEL
    assert (record["outcome"], record["recorded"]) == ("new", None)


@pytest.mark.parametrize(
    ("rule", "bound"),
    [
        (rate(below=0.4), {"below": 0.4, "over": None, "kind": "rate"}),
        (difference(above=1), {"above": 1.0, "over": None, "kind": "difference"}),
        (equivalence(within=2), {"within": 2.0, "over": None, "kind": "equivalence"}),
        (always(), {"open_rate": 0.01, "over": None, "kind": "always"}),
    ],
)
def test_bounds(rule: Any, bound: dict[str, Any]) -> None:
    example = declare(rule)
    evidence = Evidence(successes(13))
    record = build_record(example, MODEL, evidence, judge(example, evidence), {})
    validate(record)
    assert record["bound"] == bound


def test_a_record_says_whether_its_claim_is_a_headline_claim_and_one_that_does_not_say_is_valid() -> None:
    records = [record_of(40, headline=True), record_of(40)]
    assert [record["headline"] for record in records] == [True, False]
    for record in records:
        validate(record)
        validate({key: value for key, value in record.items() if key != "headline"})
    with pytest.raises(jsonschema.ValidationError):
        validate(records[0] | {"headline": "yes"})


def test_a_claim_that_did_not_run() -> None:
    record = not_run_record(declare(rate(above=0.5)), MODEL, "weights unavailable", {})
    validate(record)
    assert (record["verdict"], record["reason"], record["outcome"]) == (
        "not run",
        "weights unavailable",
        "not run",
    )
    assert (record["estimate"], record["interval"], record["n"], record["trials"]) == (None, None, None, [])


def test_the_schema_is_no_formality() -> None:
    for damage in ({"verdict": "true"}, {"interval": [1]}, {"estimate": "0.5"}, {"outcome": None}):
        with pytest.raises(jsonschema.ValidationError):
            validate(record_of(40) | damage)


def test_numbers_of_other_libraries_become_plain() -> None:
    inputs: Any = {
        "array": np.arange(2),
        "one": np.float32(0.5),
        "path": Path("a"),
        3: (np.int64(1), np.bool_(True)),
    }
    record = _record(Trial("p", success=True, inputs=inputs))
    assert record["trials"][0]["inputs"] == {"array": [0, 1], "one": 0.5, "path": "a", "3": [1, True]}
    validate(record)


def test_what_json_lacks_becomes_text() -> None:
    record = _record(Trial("p", success=True, inputs={"temperature": math.inf, "x": [math.nan]}))
    assert record["trials"][0]["inputs"] == {"temperature": "inf", "x": ["nan"]}
    validate(record)


def test_what_is_judged_keeps_all_digits_and_what_only_went_in_keeps_six() -> None:
    """Half the digits of a weight in float32 are those of its conversion."""
    value = {"mixture": [[" a", 1 / 3]], "nested": {"x": (2e-9 / 3, 7)}, "array": np.array([0.1], "f4")}
    example = declare(difference(above=0))
    evidence = Evidence([Trial("p", value=i / 3, inputs=value) for i in range(40)])
    record = build_record(example, MODEL, evidence, judge(example, evidence), {"seconds": 1 / 3})
    trial = record["trials"][1]
    assert trial["inputs"] == {
        "mixture": [[" a", 0.333333]],
        "nested": {"x": [6.66667e-10, 7]},
        "array": [0.1],
    }
    assert (trial["value"], record["provenance"]["seconds"]) == (1 / 3, 1 / 3)


def test_a_record_has_a_line_for_each_trial_and_no_others_than_for_fields_and_arms() -> None:
    """So that it can be compared line by line, and is not half white space."""
    inputs = {"mixture": [[" a", 0.5], [" b", 0.5]]}
    example = declare(rate(above=0.5), comparisons=["other"])
    evidence = Evidence(successes(40, inputs=inputs), {"other": successes(3, inputs=inputs)})
    record = build_record(example, MODEL, evidence, judge(example, evidence), {"versions": {"torch": "2"}})
    text = record_text(record)
    assert json.loads(text) == record
    lines = text.splitlines()
    assert [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"prompt"')] == [
        *record["trials"],
        *record["controls"][0]["trials"],
    ]
    fields = len(record) + len(record["controls"][0])
    brackets = 2 + 2 + 3 * 1  # of the record and the arm; the ends of three lists
    assert len(lines) == 80 + fields + brackets


def _record(trial: Trial) -> dict[str, Any]:
    example = declare(rate(above=0.5))
    evidence = Evidence([trial, *successes(39, 39)])
    return build_record(example, MODEL, evidence, judge(example, evidence), {})


any_text = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\ud800", "\x00\x1b[31m", "\u2028</script>"]
)


@given(any_text, any_text)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, prompt: str, output: str) -> None:
    folder = tmp_path_factory.mktemp("records")
    record = _record(Trial(prompt, output=output, success=True))
    path = write_record(record, folder)
    assert path.read_bytes().isascii()
    assert read_records(folder) == [record]


def test_records_lie_by_model_and_claim(tmp_path: Path) -> None:
    for model in ("tiny", "another-1.5b"):
        write_record(record_of(40) | {"model": MODEL | {"name": model}}, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.json"))] == [
        "another-1.5b/example.json",
        "tiny/example.json",
    ]
    assert [record["model"]["name"] for record in read_records(tmp_path)] == ["another-1.5b", "tiny"]
    assert read_records(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", ".hidden", "a\\b", "a b", "-a", "a\n"])
def test_a_name_that_cannot_name_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUse, match="cannot name a file"):
        write_record(record_of(40) | {"model": {"name": name}}, tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_record(record_of(40), tmp_path)
    before = path.read_text()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(VsgError, match=r"cannot write .*example\.json: No space left on device"):
        write_record(record_of(0), tmp_path)
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged record"),
        (b'{"schema": 1, "cla', "damaged record"),
        (b"\xff\xfe", "damaged record"),
        (b"[" * 100_000, "damaged record"),
        (b"[1]", "has schema None, not 1"),
        (b'{"schema": 99}', "has schema 99, not 1"),
        (b'{"schema": 1, "claim": "a"}', "no question, statement"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write_record(record_of(40), tmp_path)
    damaged = tmp_path / "tiny" / "other.json"
    damaged.write_bytes(content)
    with pytest.raises(VsgError) as error:
        read_records(tmp_path)
    assert str(damaged) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unfinished_file_is_no_record(tmp_path: Path) -> None:
    path = write_record(record_of(40), tmp_path)
    (path.parent / ".example.json.k3x").write_text('{"sche')
    assert len(read_records(tmp_path)) == 1

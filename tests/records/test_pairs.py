"""The records that a claim across models is based on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.judging import MODEL, declare, judged_record, record_of, successes
from vsg_core.errors import RecordsUnavailable
from vsg_core.judge.rules import rate
from vsg_core.records.across import QUANTISATION, SIZE, TUNING, Records, pairs_of
from vsg_core.records.files import measured_digest, write_record
from vsg_core.records.record import ModelReference


def model(name: str, **properties: Any) -> ModelReference:
    known = {"series": "s", "kind": "base", "quantised": False, "parameters": 100} | properties
    return MODEL.model_copy(update={"name": name, **known})


SMALL, LARGE = model("small"), model("large", parameters=300)
MIDDLE = model("middle", parameters=200)
TUNED, QUARTER = model("tuned", kind="instruct"), model("quarter", quantised=True)


@pytest.mark.parametrize(
    ("difference", "pairs"),
    [
        (SIZE, [("small", "large"), ("tuned", "large instruct")]),
        (TUNING, [("small", "tuned"), ("large", "large instruct")]),
        (QUANTISATION, [("small", "quarter")]),
    ],
)
def test_a_pair_differs_in_one_thing_only(difference: str, pairs: list[tuple[str, str]]) -> None:
    others = [model("other", series="t", parameters=300), model("alone", series=None, parameters=300),
              model("unknown", kind=None, quantised=None, parameters=None)]  # fmt: skip
    instruct = model("large instruct", kind="instruct", parameters=300)
    models = [QUARTER, instruct, LARGE, SMALL, TUNED, *others]
    found = [(first.name, second.name) for first, second in pairs_of(models, difference)]
    assert sorted(found) == sorted(pairs)


def test_the_widest_pair_of_a_series_is_used_with_its_records(tmp_path: Path) -> None:
    for reference in (MIDDLE, LARGE, SMALL):
        write_record(record_of(30, model=reference), tmp_path / "records")
    records = Records(tmp_path)
    (pair,) = records.pairs(SIZE, ["example"])
    assert (pair.first.name, pair.second.name) == ("small", "large")
    assert [record.model.name for record in pair.records["example"]] == ["small", "large"]
    assert records.models == ["small", "large"]
    assert records.dtype == "float32"
    assert [(used.claim, used.model, used.weights) for used in records.used_records] == [
        ("example", "small", "ab12"),
        ("example", "large", "ab12"),
    ]


def test_without_a_pair_the_error_names_the_command(tmp_path: Path) -> None:
    write_record(record_of(30, model=SMALL), tmp_path / "records")
    with pytest.raises(RecordsUnavailable) as error:
        Records(tmp_path, lambda difference: f"pytest {difference}").pairs(SIZE, ["example"])
    assert error.value.cause == "records"
    assert error.value.reason == f"needs records of example on two models of one series: {SIZE}"
    assert error.value.command == f"pytest {SIZE}"
    assert "\n" not in str(error.value)


def test_records_of_different_rules_or_dtypes_are_not_paired(tmp_path: Path) -> None:
    write_record(record_of(30, model=SMALL), tmp_path / "records")
    for other in (
        record_of(30, model=LARGE, dtype="bfloat16"),
        record_of(30, model=LARGE, rule=rate(above=0.4)),
    ):
        write_record(other, tmp_path / "records")
        with pytest.raises(
            RecordsUnavailable,
            match="small and large were made under different rules, descriptions, seeds or dtypes",
        ):
            Records(tmp_path).pairs(SIZE)
    write_record(judged_record(declare(rate(above=0.5)), successes(9), LARGE), tmp_path / "records")
    assert len(Records(tmp_path).pairs(SIZE)) == 1


def test_a_second_engine_is_not_a_model_of_its_own(tmp_path: Path) -> None:
    """Its float32 weights would pass for the full form of a quantised model."""
    write_record(record_of(30, model=QUARTER), tmp_path / "records")
    before = measured_digest(tmp_path)
    write_record(record_of(30, model=model("quarter+llama.cpp")), tmp_path / "records")
    with pytest.raises(RecordsUnavailable):
        Records(tmp_path).pairs(QUANTISATION)
    assert measured_digest(tmp_path) == before, "claims across models do not become stale by it"

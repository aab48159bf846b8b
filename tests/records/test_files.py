"""Records on disk: plain JSON, complete, written whole or not at all, and read back equal."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.judging import MODEL, RUN, declare, judged_record, record_of, successes
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.judge.rules import Rule, always, difference, equivalence, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.files import (
    has_record,
    read_record,
    read_records,
    read_reports,
    read_run,
    record_text,
    write_archive,
    write_record,
)
from vsg_core.records.making import not_run_record
from vsg_core.records.record import ModelReference, NotRun, Record, StoredTrial
from vsg_core.records.schemas import claim_row, claims_schema, record_schema


def validate(record: Record | dict[str, Any]) -> None:
    """Validate against the schema, as a reader of the file does."""
    jsonschema.Draft202012Validator.check_schema(record_schema())
    values = json.loads(record_text(record)) if isinstance(record, Record) else record
    jsonschema.validate(values, record_schema())


def test_a_record_is_complete() -> None:
    example = declare(
        rate(above=0.1, over="tokens"),
        controls={"noise": rate(below=0.5)},
        positive_controls={"copies": rate(above=0.5)},
        comparisons={"tokens": "The tokens instead."},
        link="https://example.org",
        reported_verdict="refuted",
    )
    trial = Trial("p", "out", True, 0.5, {"x": 1}, {"greedy": "other"}, "c", [("a", 0.5)])
    evidence = Evidence(
        [*successes(39), trial],
        {"noise": successes(1), "copies": successes(40), "tokens": successes(2)},
    )
    record = judged_record(example, evidence)
    validate(record)
    assert record.evidence.trials[-1] == StoredTrial(
        prompt="p", output="out", success=True, value=0.5, mixture=(("a", 0.5),), inputs={"x": 1},
        outputs={"greedy": "other"}, cluster="c",
    )  # fmt: skip
    arms = record.evidence.arms
    assert [(arm.name, arm.role, arm.rule, arm.sentence, arm.n, len(arm.trials)) for arm in arms] == [
        ("copies", "positive control", rate(above=0.5), "", 40, 40),
        ("noise", "control", rate(below=0.5), "", 40, 40),
        ("tokens", "comparison", None, "The tokens instead.", 40, 40),
    ]
    assert record.claim.rule == example.rule
    assert (record.claim.link, record.claim.reported_verdict) == ("https://example.org", "refuted")
    assert (record.model, record.run, record.evidence.dtype) == (MODEL, RUN, "float32")
    assert (record.outcome, record.recorded) == ("new", None)


@pytest.mark.parametrize(
    ("rule", "trials", "stored"),
    [
        (rate(below=0.4), successes(13), ("rate", "below", 0.4, None, 40, 0.05, None)),
        (rate(below=0.4, over="a"), successes(13), ("rate", "below", 0.4, "a", 40, 0.05, None)),
        (difference(above=1, matters=2), successes(13), ("difference", "above", 1.0, None, 40, 0.05, 2.0)),
        (difference(above=1, trials=20), successes(13), ("difference", "above", 1.0, None, 20, 0.05, None)),
        (
            equivalence(within=2, alpha=0.1),
            successes(13),
            ("equivalence", "within", 2.0, None, 40, 0.1, None),
        ),
        (always(), successes(13), ("always", "at most", 0.01, None, 1, 0.05, None)),
    ],
)
def test_a_rule_is_data(rule: Rule, trials: list[Trial], stored: tuple[Any, ...]) -> None:
    arms = {"a": successes(3)} if rule.over else {}
    record = judged_record(declare(rule, comparisons=list(arms)), Evidence(trials, arms))
    validate(record)
    text = json.loads(record_text(record))["claim"]["rule"]
    keys = ("kind", "side", "limit", "over", "trials", "alpha", "matters")
    assert text == dict(zip(keys, stored, strict=True))
    assert Record.model_validate_json(record_text(record)).claim.rule == rule


def test_a_record_says_whether_its_claim_is_a_headline_claim() -> None:
    records = [record_of(40, headline=True), record_of(40)]
    assert [record.claim.headline for record in records] == [True, False]
    for record in records:
        validate(record)
    damaged = json.loads(record_text(records[0]))
    damaged["claim"]["headline"] = "yes"
    with pytest.raises(jsonschema.ValidationError):
        validate(damaged)


def test_a_claim_that_did_not_run() -> None:
    error = WeightsUnavailable("no network", "vsg models fetch tiny")
    record = not_run_record(declare(rate(above=0.5)), MODEL, error, RUN)
    validate(record)
    assert (record.verdict, record.outcome) == ("not run", "not run")
    assert record.not_run is not None
    assert record.not_run.model_dump() == {
        "cause": "weights",
        "reason": "no network",
        "command": "vsg models fetch tiny",
    }
    assert record.reason == "no network; to get them: vsg models fetch tiny"
    assert (record.evidence.estimate, record.evidence.interval, record.evidence.n) == (None, None, None)
    assert (record.evidence.trials, record.evidence.arms) == ((), ())


DAMAGES: list[tuple[str, Any]] = [
    ("evidence.verdict", "true"), ("evidence.interval", [1]), ("evidence.estimate", "0.5"), ("outcome", None),
    ("claim.rule.kind", "mean"), ("run.forward_passes", "3"), ("evidence.trials.0.success", 1),
    ("evidence.trials.0.value", True), ("evidence.n", 1.5), ("schema", 3), ("model.quantised", "no"),
    ("claim.rule.side", "over"), ("unknown", 1), ("evidence.trials.0.unknown", None),
]  # fmt: skip


def damaged_by(where: str, value: Any) -> dict[str, Any]:
    """Return the JSON values of a valid record with one of them replaced."""
    values: dict[str, Any] = json.loads(record_text(record_of(40)))
    *path, last = where.split(".")
    place: Any = values
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    return values


@pytest.mark.parametrize(("where", "value"), DAMAGES)
def test_the_schema_and_the_reader_refuse_the_same(tmp_path: Path, where: str, value: Any) -> None:
    """Nothing is coerced: "3" is not 3, 1 is not true."""
    values = damaged_by(where, value)
    with pytest.raises(jsonschema.ValidationError):
        validate(values)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    with pytest.raises(VsgError) as error:
        read_record(path)
    assert str(error.value).startswith(f"damaged record {path}: ")
    assert where.rpartition(".")[2] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "where", ["claim", "model", "evidence", "run", "outcome", "evidence.verdict", "run.started"]
)
def test_a_missing_part_is_named(tmp_path: Path, where: str) -> None:
    values = json.loads(record_text(record_of(40)))
    *path, last = where.split(".")
    del (values[path[0]] if path else values)[last]
    file = tmp_path / "a.json"
    file.write_text(json.dumps(values))
    with pytest.raises(VsgError) as error:
        read_record(file)
    assert (
        str(error.value)
        == f"damaged record {file}: {where}: Field required; delete it and run that claim again"
    )


def test_a_row_of_claims_json_fits_its_schema() -> None:
    rows = [claim_row(record_of(n)).model_dump(mode="json") for n in (0, 20, 40)]
    jsonschema.validate(rows, claims_schema())
    assert [row["verdict"] for row in rows] == ["refuted", "inconclusive", "holds"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([rows[0] | {"outcome": "fine"}], claims_schema())


def test_values_of_other_libraries_become_plain_json() -> None:
    inputs: Any = {
        "array": np.arange(2),
        "one": np.float32(0.5),
        "path": Path("a"),
        3: (np.int64(1), np.bool_(True)),
    }
    record = _record(Trial("p", success=True, inputs=inputs))
    assert record.evidence.trials[0].inputs == {"array": [0, 1], "one": 0.5, "path": "a", "3": [1, True]}
    validate(record)


def test_values_that_json_lacks_become_text() -> None:
    record = _record(Trial("p", success=True, inputs={"temperature": math.inf, "x": [math.nan]}))
    assert record.evidence.trials[0].inputs == {"temperature": "inf", "x": ["nan"]}
    validate(record)


def test_judged_values_keep_all_digits_and_inputs_keep_six() -> None:
    """Half the digits of a float32 weight come from its conversion."""
    inputs = {"nested": {"x": (2e-9 / 3, 7)}, "array": np.array([0.1], "f4")}
    trials = [Trial("p", value=i / 3, inputs=inputs, mixture=[(" a", 1 / 3)]) for i in range(40)]
    run = RUN.model_copy(update={"seconds": 1 / 3})
    record = judged_record(declare(difference(above=0)), trials, run=run)
    trial = Record.model_validate_json(record_text(record)).evidence.trials[1]
    assert trial.inputs == {"nested": {"x": [6.66667e-10, 7]}, "array": [0.1]}
    assert trial.mixture == ((" a", 0.333333),)
    assert (trial.value, record.run.seconds) == (1 / 3, 1 / 3)


def test_a_record_has_one_line_per_trial_field_and_arm() -> None:
    """Records can then be compared line by line, without being half white space."""
    mixture = [(" a", 0.5), (" b", 0.5)]
    example = declare(rate(above=0.5), comparisons=["other"])
    evidence = Evidence(successes(40, mixture=mixture), {"other": successes(3, mixture=mixture)})
    record = judged_record(example, evidence)
    text = record_text(record)
    assert Record.model_validate_json(text) == record
    lines = text.splitlines()
    assert [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"prompt"')] == [
        trial.model_dump(mode="json") for trial in (*record.evidence.trials, *record.evidence.arms[0].trials)
    ]
    fields = len(Record.model_fields) + len(type(record.evidence).model_fields)
    fields += len(type(record.evidence.arms[0]).model_fields)
    # Lines with only brackets: both of the record, the last of the evidence (the first follows the field's name),
    # both of the arm, and the ends of three lists.
    brackets = 2 + 1 + 2 + 3
    assert len(lines) == 80 + fields + brackets


def _record(trial: Trial) -> Record:
    return judged_record(declare(rate(above=0.5)), [trial, *successes(39, 39)])


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


def named(name: str) -> ModelReference:
    return MODEL.model_copy(update={"name": name})


def test_records_are_stored_by_model_and_claim(tmp_path: Path) -> None:
    for model in ("tiny", "another-1.5b"):
        write_record(record_of(40, model=named(model)), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*.json"))] == [
        "another-1.5b/example.json",
        "tiny/example.json",
    ]
    assert [record.model.name for record in read_records(tmp_path)] == ["another-1.5b", "tiny"]
    assert read_records(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", ".hidden", "a\\b", "a b", "-a", "a\n"])
def test_a_name_that_cannot_name_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUse, match="cannot name a file"):
        write_record(record_of(40, model=named(name)), tmp_path)
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
        (b"[1]", "schema None, and this version reads 1 and 2"),
        (b'{"schema": 3}', "schema 3, and this version reads 1 and 2"),
        (b'{"schema": "2"}', "schema '2', and this version reads 1 and 2"),
        (b'{"schema": 2.5}', "damaged record"),
        (b'{"schema": 2, "claim": {', "damaged record"),
        (b'{"schema": 2, "claim": "\\ud800"}', "damaged record"),
        (b'{"schema": 2, "claim": NaN}', "NaN is not JSON"),
        (b'{"schema": 1, "claim": "a"}', "no 'provenance'"),
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


def test_an_unfinished_file_is_not_a_record(tmp_path: Path) -> None:
    path = write_record(record_of(40), tmp_path)
    (path.parent / ".example.json.k3x").write_text('{"sche')
    assert len(read_records(tmp_path)) == 1


def test_an_archive_is_a_folder_in_one_file(tmp_path: Path) -> None:
    """It has the same records in the same order, also if one name continues another, and the same bytes each time."""
    records = [
        record_of(n, model=named(name)) for name, n in (("gpt2-medium", 40), ("gpt2", 0), ("gpt2.5", 20))
    ]
    for record in records:
        write_record(record, tmp_path / "reports" / "records")
    path = write_archive(records, tmp_path / "archived" / "records.zip")
    assert read_records(path) == read_records(tmp_path / "reports" / "records")
    assert [record.model.name for record in read_records(path)] == ["gpt2", "gpt2-medium", "gpt2.5"]
    assert write_archive(records[::-1], tmp_path / "again.zip").read_bytes() == path.read_bytes()
    assert (
        read_run(tmp_path / "reports") == read_run(tmp_path / "reports" / "records") == read_run(path.parent)
    )


def test_a_record_in_the_folder_replaces_the_archived_one(tmp_path: Path) -> None:
    """A run into a folder of reports with an archive loses no record of the archive."""
    write_archive([record_of(40, model=named(name)) for name in ("gpt2", "tiny")], tmp_path / "records.zip")
    newer = record_of(0, model=named("tiny"))
    write_record(newer, tmp_path / "records")
    assert read_reports(tmp_path) == [record_of(40, model=named("gpt2")), newer]
    assert read_run(tmp_path) == read_reports(tmp_path)


def test_other_files_are_skipped(tmp_path: Path) -> None:
    """File managers and other tools leave such files, in a folder or in an archive."""
    record = record_of(40)
    path = write_archive([record], tmp_path / "records.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("__MACOSX/._example.json", "readme.json", "a/b/c.json", "tiny/notes.txt", "../up.json"):
            archive.writestr(name, "no record")
    assert read_records(path) == [record]
    folder = write_record(record, tmp_path / "records").parent
    (folder / "._example.json").write_text("no record")
    assert read_records(tmp_path / "records") == [record]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:60] + b"\xff" * 40 + content[100:],
        lambda content: content.replace(b"tiny/example.json", b"tiny/another.json", 1),
    ],
)
def test_a_damaged_archive_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_archive([record_of(40)], tmp_path / "records.zip")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(VsgError) as error:
        read_records(path)
    assert str(error.value).startswith(f"damaged archive {path}: ")
    assert "\n" not in str(error.value)


def test_a_damaged_record_in_an_archive_is_named_with_it(tmp_path: Path) -> None:
    path = tmp_path / "records.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/example.json", '{"schema": 2}')
    with pytest.raises(
        VsgError, match=r"damaged record .*records\.zip/tiny/example\.json: claim: Field required"
    ):
        read_records(path)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="there is no folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(VsgError, match="no records in"):
        read_run(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
any_trial = st.builds(
    Trial,
    prompt=any_text,
    output=any_text,
    success=st.booleans(),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    inputs=st.none()
    | st.dictionaries(any_text.filter(lambda name: name != "mixture"), json_values, max_size=3),
    outputs=st.none() | st.dictionaries(any_text.filter(lambda name: name != "output"), any_text, max_size=2),
    cluster=st.none() | any_text.map(lambda text: f"cluster {text}"),
    mixture=st.none() | st.lists(st.tuples(any_text, st.floats(0, 1)), max_size=3),
)


@given(any_trial)
def test_any_trial_survives(trial: Trial) -> None:
    """Record to text to record: equal, the same text, and the judged numbers to the last bit."""
    record = _record(trial)
    text = record_text(record)
    again = Record.model_validate_json(text)
    assert again == record
    assert record_text(again) == text
    assert again.evidence_bytes == record.evidence_bytes
    stored = again.evidence.trials[0]
    assert repr((stored.success, stored.value)) == repr((trial.success, trial.value))
    assert len(stored.mixture or ()) == len(trial.mixture or ())


def test_lone_surrogates_anywhere_are_readable_again(tmp_path: Path) -> None:
    """Sentences, docstrings, names of arms, errors: a record that is written can be read."""
    example = declare(rate(above=0.5), comparisons={"an arm \ud800": "its sentence \ud800"})
    record = judged_record(example, Evidence(successes(40), {"an arm \ud800": successes(40)}))
    odd = record.model_copy(
        update={
            "claim": record.claim.model_copy(update={"statement": "It \ud800 works", "docstring": "\ud800"})
        }
    )
    path = write_record(odd, tmp_path)
    (read,) = read_records(tmp_path)
    assert read.claim.statement == "It \\ud800 works"
    assert read.evidence.arms[0].name == "an arm \\ud800"
    assert "\\ud83d" in record_text(
        odd.model_copy(update={"claim": odd.claim.model_copy(update={"question": "😀"})})
    )
    assert path.read_text().isascii()


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "not run"},
        {"estimate": None},
        {"trials": ()},
        {"not_run": NotRun(cause="error", reason="it broke")},
    ],
)
def test_a_verdict_without_its_numbers_or_trials_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    record = record_of(40)
    path = write_record(
        record.model_copy(update={"evidence": record.evidence.model_copy(update=change)}), tmp_path
    )
    with pytest.raises(VsgError, match=f"damaged record {path}"):
        read_records(tmp_path)


def test_a_record_is_found_in_the_folder_and_in_the_archive(tmp_path: Path) -> None:
    record = record_of(40)
    member = f"{record.model.name}/{record.claim.id}.json"
    assert not has_record(tmp_path, member)
    write_archive([record], tmp_path / "records.zip")
    assert has_record(tmp_path, member)
    assert not has_record(tmp_path, "other/claim.json")
    (tmp_path / "records.zip").unlink()
    write_record(record, tmp_path / "records")
    assert has_record(tmp_path, member)

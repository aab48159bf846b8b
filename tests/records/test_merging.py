"""Merging records: no run is lost, none is doubled, the last is shown, and differing verdicts are found."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.judging import MODEL, RUN, declare, judged_record, successes
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.judge.rules import rate
from vsg_core.records.files import (
    read_records,
    read_reports,
    record_member,
    write_archive,
    write_atomically,
    write_record,
)
from vsg_core.records.history import history_member, read_history, read_repeats, run_digest
from vsg_core.records.making import not_run_record
from vsg_core.records.merging import Merged, merge, read_runs
from vsg_core.records.record import Record, Run

SCHEMA_1 = Path(__file__).parent / "data" / "schema-1.zip"


def run(
    count: int = 38, minutes: int = 0, *, name: str = "tiny", weights: str = "ab12ab12ab12", seed: int | None = None,
    dtype: str = "float32", bound: float = 0.5, **circumstances: str,
) -> Record:  # fmt: skip
    """Return the record of a run with `count` successes of 40, started this many minutes after RUN."""
    made = Run(started=RUN.started + timedelta(minutes=minutes), **circumstances)  # type: ignore[arg-type]
    model = MODEL.model_copy(update={"name": name, "target": name, "sha256": weights})
    declared = declare(rate(above=bound), **({} if seed is None else {"seed": seed}))
    return judged_record(declared, successes(count), model, made, dtype)


def missing(minutes: int) -> Record:
    """Return the record of a run for which the weights were missing."""
    made = Run(started=RUN.started + timedelta(minutes=minutes))
    model = MODEL.model_copy(update={"sha256": None})
    return not_run_record(declare(rate(above=0.5)), model, WeightsUnavailable("no weights"), made)


def folder(path: Path, *records: Record) -> Path:
    """Write each record to the folder of reports `path`, as a run does."""
    for record in records:
        write_record(record, path / "records")
    return path


def files(reports: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder, by path; locks are left out."""
    return {
        path.relative_to(reports).as_posix(): path.read_bytes()
        for path in reports.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def shown(reports: Path) -> dict[str, Record]:
    return {record_member(record): record for record in read_records(reports / "records")}


def digests(runs: Iterable[Record]) -> set[str]:
    return set(map(run_digest, runs))


def test_the_last_run_is_shown_and_every_run_is_kept(tmp_path: Path) -> None:
    early, late = run(38), run(37, minutes=5)
    merged = merge([folder(tmp_path / "a", late), folder(tmp_path / "b", early)], tmp_path / "pool")
    assert shown(tmp_path / "pool") == {"tiny/example.json": late}
    assert digests(read_history(tmp_path / "pool").values()) == digests([early, late])
    assert (merged.new, merged.runs, len(merged.cells)) == (2, 2, 1)


def test_merging_again_adds_nothing_and_changes_no_file(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", run(38)), folder(tmp_path / "b", run(2, 3), run(38, 4, name="other"))
    merge([a, b, SCHEMA_1], tmp_path / "pool")
    before = files(tmp_path / "pool")
    for places in ([a], [b, a, a], [SCHEMA_1], [tmp_path / "pool"]):
        assert merge(places, tmp_path / "pool").new == 0
        assert files(tmp_path / "pool") == before
    assert (
        merge([tmp_path / "pool"], tmp_path / "second").new == merge([a, b, SCHEMA_1], tmp_path / "third").new
    )
    assert files(tmp_path / "second") == files(tmp_path / "third") == before


runs_of_anyone = st.builds(
    run,
    st.sampled_from([2, 20, 38]),
    st.integers(0, 3),
    name=st.sampled_from(["tiny", "other"]),
    weights=st.sampled_from(["ab12ab12ab12", "cd34cd34cd34"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
) | st.builds(missing, st.integers(0, 3))


@settings(max_examples=60)
@given(st.lists(st.lists(runs_of_anyone, min_size=1, max_size=4), min_size=1, max_size=4))
def test_any_sets_in_any_order_lose_no_run(sets: list[list[Record]]) -> None:
    """One after the other or all at once, the folder has every run once, and each cell shows one of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        places = [folder(Path(temporary, str(i)), *records) for i, records in enumerate(sets)]
        expected = set().union(*(read_runs(place) for place in places))
        for place in places:
            merge([place], Path(temporary, "one by one"))
        pool = Path(temporary, "at once")
        merge(places[::-1], pool)
        history = list(read_history(pool).values())
        assert digests(history) == expected
        assert len(history) == len(expected)
        assert files(Path(temporary, "one by one")) == files(pool)
        assert read_reports(pool) == read_records(pool / "records")
        cells: dict[str, list[Record]] = {}
        for one in history:
            cells.setdefault(record_member(one), []).append(one)
        assert shown(pool).keys() == cells.keys()
        for member, runs in cells.items():
            assert len({one.weights for one in runs if one.weights}) <= 1
            assert len({one.evidence.dtype for one in runs if one.evidence.dtype}) <= 1
            findings = [one for one in runs if one.is_finding] or runs
            assert shown(pool)[member].run.started == max(one.run.started for one in findings)


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (run(2, 5, weights="cd34cd34cd34"), {"tiny": "cd34cd34cd34", "tiny-ab12ab12": "ab12ab12ab12"}),
        (run(2, 5, dtype="bfloat16"), {"tiny": "bfloat16", "tiny-float32": "float32"}),
    ],
    ids=["weights", "dtype"],
)
def test_a_cell_of_other_weights_or_dtype_gets_a_name_of_its_own(
    tmp_path: Path, other: Record, names: dict[str, str]
) -> None:
    """The last one measured keeps the name; when the first is measured again, it gets the name back."""
    pool = tmp_path / "pool"
    merged = merge([folder(tmp_path / "a", run(38)), folder(tmp_path / "b", other)], pool)
    found = {
        name.split("/")[0]: {record.weights, record.evidence.dtype} for name, record in shown(pool).items()
    }
    assert found.keys() == names.keys()
    assert all(what in found[name] for name, what in names.items())
    assert not any(repeats.others for repeats in merged.repeats), "they are not repetitions"
    merged = merge([folder(tmp_path / "c", run(37, 9))], pool)
    assert shown(pool)["tiny/example.json"] == run(37, 9)
    assert len(shown(pool)) == 2
    assert digests(read_history(pool).values()) == digests([run(38), run(37, 9), other])
    assert [repeats.reproduced for repeats in merged.repeats if repeats.others] == [True]


def test_a_run_without_weights_hides_no_finding(tmp_path: Path) -> None:
    """A partial set, in which the same claim did not run, is newer and is kept, but not shown."""
    merge([folder(tmp_path / "a", run(38)), folder(tmp_path / "b", missing(9))], tmp_path / "pool")
    assert list(shown(tmp_path / "pool").values()) == [run(38)]
    assert len(read_history(tmp_path / "pool")) == 2


@pytest.mark.parametrize(
    ("other", "reproduced"),
    [
        (run(37, 5, machine="another", commit="c" * 40), True),
        (run(2, 5, machine="another"), False),
        (run(20, 5), False),
        (run(2, 5, seed=7), None),
        (run(2, 5, bound=0.6), None),
    ],
    ids=["same verdict", "refuted", "inconclusive", "other seed", "other rule"],
)
def test_what_is_not_reproduced(tmp_path: Path, other: Record, reproduced: bool | None) -> None:
    """Only a run with the same rule and seed on the same weights repeats a measurement."""
    merged = merge([folder(tmp_path / "a", run(38)), folder(tmp_path / "b", other)], tmp_path / "pool")
    (repeats,) = merged.repeats
    assert repeats.reproduced is reproduced
    read = read_repeats(tmp_path / "pool", read_reports(tmp_path / "pool"))
    assert [each.reproduced for each in read.values()] == ([] if reproduced is None else [reproduced])


def test_a_later_run_in_the_folder_is_compared_and_joins_the_history(tmp_path: Path) -> None:
    merge([folder(tmp_path / "a", run(38))], tmp_path / "pool")
    write_record(run(2, 5), tmp_path / "pool" / "records")
    (repeats,) = read_repeats(tmp_path / "pool", read_reports(tmp_path / "pool")).values()
    assert repeats.reproduced is False
    assert merge([tmp_path / "pool"], tmp_path / "pool").new == 0
    assert digests(read_history(tmp_path / "pool").values()) == digests([run(38), run(2, 5)])


def test_an_archive_carries_the_history(tmp_path: Path) -> None:
    """Readers of archives skip it; a merge of the archive alone has every run."""
    pool = tmp_path / "pool"
    merge([folder(tmp_path / "a", run(38)), folder(tmp_path / "b", run(2, 5))], pool)
    archive = write_archive(read_reports(pool), tmp_path / "sent" / "records.zip", read_history(pool))
    assert read_records(archive) == read_reports(tmp_path / "sent") == read_reports(pool)
    merge([archive], tmp_path / "again")
    assert files(tmp_path / "again") == files(pool)
    assert [each.reproduced for each in read_repeats(tmp_path / "sent", read_reports(pool)).values()] == [
        False
    ]


def test_an_archive_in_the_folder_is_renewed(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    write_archive([run(38)], pool / "records.zip")
    assert merge([folder(tmp_path / "b", run(2, 5), run(38, 1, name="other"))], pool).new == 2
    assert read_records(pool / "records.zip") == read_reports(pool)
    shutil.rmtree(pool / "records")
    shutil.rmtree(pool / "history")
    assert digests(read_runs(pool).values()) == digests([run(38), run(2, 5), run(38, 1, name="other")])


def _cut(place: Path) -> None:
    path = next(place.glob("records/*/*.json"))
    path.write_bytes(path.read_bytes()[:300])


def _moved(place: Path) -> None:
    path = next(place.glob("records/*/*.json"))
    path.rename(path.with_name("another.json"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [(_cut, "damaged record"), (_moved, "another.json is the record of example on tiny: move it to")],
)
@pytest.mark.parametrize("where", ["given", "pool"])
def test_a_damaged_record_is_one_line_and_nothing_is_written(
    tmp_path: Path, damage: Callable[[Path], None], said: str, where: str
) -> None:
    pool, given = tmp_path / "pool", folder(tmp_path / "given", run(38, 5))
    merge([folder(tmp_path / "a", run(38))], pool)
    damage(given if where == "given" else pool)
    before = files(pool)
    with pytest.raises(VsgError, match=said) as error:
        merge([given], pool)
    assert "\n" not in str(error.value)
    assert files(pool) == before


def test_a_record_in_the_place_of_another_cell_of_the_history_is_named(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    merge([folder(tmp_path / "a", run(38))], pool)
    (member,) = read_history(pool)
    write_atomically(pool / member.replace("tiny", "other"), (pool / member).read_text())
    with pytest.raises(VsgError, match="is a record of example on tiny: remove it from there"):
        merge([tmp_path / "a"], pool)


def test_places_without_records_are_named(tmp_path: Path) -> None:
    folder(tmp_path / "a", run(38))
    with pytest.raises(WrongUse, match="there is no folder or archive"):
        merge([tmp_path / "nowhere"], tmp_path / "pool")
    with pytest.raises(VsgError, match="no records in"):
        merge([tmp_path / "a", tmp_path], tmp_path / "pool")
    (tmp_path / "notes.txt").write_text("no archive")
    with pytest.raises(VsgError, match="damaged archive"):
        merge([tmp_path / "notes.txt"], tmp_path / "pool")
    with pytest.raises(WrongUse, match="is not a folder"):
        merge([tmp_path / "a"], tmp_path / "notes.txt")
    assert not (tmp_path / "pool").exists()


def test_a_merge_that_failed_halfway_is_completed_by_the_next(tmp_path: Path) -> None:
    """A file is in the way of the shown records, so that the merge ends after the runs are written."""
    places = [folder(tmp_path / "a", run(38)), folder(tmp_path / "b", run(2, 5), run(2, 6, name="other"))]
    pool = tmp_path / "pool"
    merge(places[:1], pool)
    in_the_way = pool / "records" / "other"
    in_the_way.write_text("in the way")
    with pytest.raises(VsgError, match="cannot write"):
        merge(places, pool)
    assert digests(read_history(pool).values()) > digests([run(38)])
    in_the_way.unlink()
    merge(places, pool)
    merge(places, tmp_path / "whole")
    assert files(pool) == files(tmp_path / "whole")


def test_the_name_of_a_run_has_its_time_and_digest() -> None:
    """It is the same under any name of the model, and differs for anything else."""
    one = run(38)
    assert history_member(one) == f"history/tiny/example/20260314T092600Z-{run_digest(one)[:12]}.json"
    renamed = one.model_copy(update={"model": one.model.model_copy(update={"name": "tiny-float32"})})
    assert run_digest(renamed) == run_digest(one)
    others = [run(37), run(38, 1), run(38, name="other"), run(38, machine="another")]
    assert len({*map(run_digest, [one, *others])}) == 5


def test_a_merge_counts_its_runs() -> None:
    assert Merged([(run(38), [run(2), run(38, 3)])], 1).runs == 2

"""Which models the claims across models pair, and what they make of records, in cases worked out by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hypotheses import test_across_models as across_claims
from hypotheses import test_reading as reading_claims
from tests.support.report_records import make_claim, provenance, successes
from vsg_core.errors import NotApplicable, RecordsUnavailable
from vsg_core.judge.claims import load_claims
from vsg_core.judge.rules import always, judge, rate
from vsg_core.judge.trials import Evidence, Trial
from vsg_core.records.across import DIFFERENCES, QUANTISATION, SIZE, TUNING, Records, command
from vsg_core.records.files import build_record, write_record
from vsg_core.weights import registry

CLAIMS = {claim.id: claim for claim in load_claims(Path(__file__).parents[2] / "hypotheses")}
FRAME = "The meaning of {} in plain English is"
NOUNS = [
    (f"left{chr(97 + i // 26)}{chr(97 + i % 26)}", f"right{chr(97 + i // 26)}{chr(97 + i % 26)}")
    for i in range(120)
]
SERIES = """
[[model]]
name = "{}"
family = "any"
series = "{}"
kind = "{}"
parameters = {}
size = {}
sources = [{{ kind = "hub", repo = "nobody/any" }}]
{}
"""
Q4 = 'gguf = { file = "any-q4_k_m.gguf", size = 1, sha256 = "00" }'
F16 = 'gguf = { file = "any.F16.gguf", size = 1, sha256 = "00" }'


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A registry of one series in three sizes, two kinds and two forms, and a model of another series."""
    path = tmp_path / "registry.toml"
    rows = [
        ("base", "one", "base", 100, 200, ""),
        ("small", "one", "instruct", 100, 200, F16),
        ("small-q4", "one", "instruct", 130, 60, Q4),
        ("middle", "one", "instruct", 300, 600, ""),
        ("large", "one", "instruct", 900, 1800, ""),
        ("other", "two", "instruct", 900, 1800, ""),
    ]
    path.write_text("".join(SERIES.format(*row) for row in rows))
    monkeypatch.setattr(registry, "REGISTRY", path)


def write(folder, claim, model, evidence, **made):
    record = build_record(claim, {"name": model}, evidence, judge(claim, evidence), provenance(**made))
    write_record(record, folder)


def write_readings(folder, model, read, known):
    """Records of the claims on reading, of a model that reads these mixtures and names these nouns alone."""

    def replies(answered, count=120):
        return [SimpleNamespace(text=NOUNS[i][0] if i in answered else "nothing") for i in range(count)]

    for name in ("mixture_cannot_be_copied", "mixture_cannot_be_read_in_completion_frame"):
        readings = SimpleNamespace(mixture=replies(read), noise=replies([]), alone=replies(known, 60))
        write(
            folder,
            CLAIMS[name],
            model,
            reading_claims.told_apart(SimpleNamespace(pairs=NOUNS), readings, FRAME),
        )
    mixed = [
        Trial(f"<0.5 {a} + 0.5 {b}>", success=i in read, inputs={"mixture": [[a, 0.5], [b, 0.5]]})
        for i, (a, b) in enumerate(NOUNS)
    ]
    apart = [Trial(f"<{a}> <{b}>", success=i in known) for i, (a, b) in enumerate(NOUNS[:60])]
    none = [Trial("none", success=False)] * 120
    claim = CLAIMS["reader_names_both_components"]
    arms = {name: apart if name == reading_claims.BOTH_ALONE else none for name in claim.arms}
    write(folder, claim, model, Evidence(mixed, arms))


def test_models_are_paired_by_one_difference_alone(models, tmp_path):
    """Same series always; a head stored apart makes no other size, and 16 bits are no quantisation."""
    for model in ("base", "small", "small-q4", "middle", "large", "other"):
        write(tmp_path, make_claim("one", "One", "Q", rate(above=0.5)), model, successes(38))
    names = {
        difference: [(pair.first.name, pair.second.name) for pair in Records(tmp_path).pairs(difference)]
        for difference in DIFFERENCES
    }
    assert names == {
        SIZE: [("small", "large")],  # the smallest and the largest
        TUNING: [("base", "small")],
        QUANTISATION: [("small", "small-q4")],
    }
    (tmp_path / "large" / "one.json").unlink()
    assert [pair.second.name for pair in Records(tmp_path).pairs(SIZE)] == ["middle"]
    assert command(SIZE) == "pytest --model small --model middle", "the least to fetch"


def test_records_pair_only_in_one_format(models, tmp_path):
    """What bfloat16 changed would pass for what size changed; a pair also needs every claim that is asked for."""
    one = make_claim("one", "One", "Q", rate(above=0.5))
    write(tmp_path, one, "small", successes(38), dtype="float32")
    write(tmp_path, one, "large", successes(38), dtype="bfloat16")
    with pytest.raises(
        RecordsUnavailable, match="those of small and large were made under different rules or dtypes"
    ):
        Records(tmp_path).pairs(SIZE, ["one"])
    write(tmp_path, one, "large", successes(38), dtype="float32")
    assert len(Records(tmp_path).pairs(SIZE, ["one"])) == 1
    with pytest.raises(
        RecordsUnavailable,
        match="needs records of one, two on two models",
    ):
        Records(tmp_path).pairs(SIZE, ["one", "two"])


def test_reading_counts_where_both_name_the_nouns(models, tmp_path):
    """Of 50 pairs that both name alone the smaller reads 10, the larger 30; what else it reads is left out."""
    write_readings(tmp_path, "small", read=range(10), known=range(50))
    write_readings(tmp_path, "large", read=[*range(30), *range(50, 60)], known=range(60))
    records = Records(tmp_path)
    evidence = across_claims.test_reading_grows_with_size(records)
    judged = judge(CLAIMS["reading_grows_with_size"], evidence)
    assert (judged.verdict, judged.n) == ("holds", 50)
    assert judged.estimate == pytest.approx((30 - 10) / 50)
    assert {row["name"]: row["estimate"] for row in judged.controls} == pytest.approx(
        {
            "smaller model": 10 / 50,
            "larger model": 30 / 50,
            "also where a noun itself is not named": (40 - 10) / 120,
        }
    )
    assert len(records.used) == 6


def test_growth_counts_frames_with_room_to_grow(models, tmp_path):
    """Where the smaller model reads nine in ten mixtures, the frame would only dilute what it gains elsewhere."""
    write_readings(tmp_path, "small", read=range(30), known=range(60))
    write_readings(tmp_path, "large", read=range(50), known=range(60))
    full = SimpleNamespace(pairs=NOUNS)
    for model in ("small", "large"):
        replies = [SimpleNamespace(text=noun) for noun, _ in NOUNS]
        readings = SimpleNamespace(mixture=replies, noise=replies, alone=replies[:60])
        evidence = reading_claims.told_apart(full, readings, FRAME)
        write(tmp_path, CLAIMS["mixture_cannot_be_copied"], model, evidence)
    evidence = across_claims.test_reading_grows_with_size(Records(tmp_path))
    frames = {trial.inputs["asked in"] for trial in evidence.trials}
    assert frames == {"mixture_cannot_be_read_in_completion_frame", "reader_names_both_components"}
    assert sum(trial.value for trial in evidence.trials) == 2 * 20


def test_brittle_is_who_reads_less(models, tmp_path):
    """The base model reads 40 of 60, the instruction-tuned 10: 30 in 60 less. The other way round it is refuted."""
    claim = CLAIMS["instruction_tuning_makes_brittle"]
    write_readings(tmp_path, "base", read=range(40), known=range(60))
    write_readings(tmp_path, "small", read=range(10), known=range(60))
    judged = judge(claim, across_claims.test_instruction_tuning_makes_brittle(Records(tmp_path)))
    assert (judged.verdict, judged.n, judged.estimate) == ("holds", 60, pytest.approx(0.5))
    write_readings(tmp_path, "small", read=range(60), known=range(60))
    judged = judge(claim, across_claims.test_instruction_tuning_makes_brittle(Records(tmp_path)))
    assert judged.verdict == "refuted"


@pytest.mark.parametrize(
    ("read", "known", "why"),
    [(range(10), range(39), "of 39 pairs, below 40"), (range(30), range(60), "differ alike on every pair")],
)
def test_what_leaves_nothing_to_judge_is_not_applicable(models, tmp_path, read, known, why):
    """Too few nouns that both models name, or no difference anywhere, is no verdict and no fault."""
    write_readings(tmp_path, "small", read=read, known=known)
    write_readings(tmp_path, "large", read=range(30), known=range(60))
    with pytest.raises(NotApplicable, match=why):
        across_claims.test_reading_grows_with_size(Records(tmp_path))


def test_verdicts_that_differ_by_quantisation_are_counted_by_question(models, tmp_path):
    """Of 24 questions of two claims 12 change, 6 of them to refuted; identities and claims on one form are left out."""
    for i in range(24):
        for j in range(2):
            claim = make_claim(f"claim_{i}_{j}", f"Claim {i} {j}", f"Question {i}", rate(above=0.5))
            write(tmp_path, claim, "small", successes(38))
            write(tmp_path, claim, "small-q4", successes(2 if i < 6 else 20 if i < 12 else 38))
    for model in ("small", "small-q4"):
        write(tmp_path, make_claim("law", "Law", "Law", always()), model, successes(300, 300))
    write(tmp_path, make_claim("lone", "Lone", "Lone", rate(above=0.5)), "small", successes(38))
    evidence = across_claims.test_quantised_weights_change_verdicts(Records(tmp_path))
    judged = judge(CLAIMS["quantised_weights_change_verdicts"], evidence)
    assert (judged.verdict, judged.estimate, judged.n) == ("holds", 12 / 24, 24)
    assert judged.controls[0]["estimate"] == 6 / 24
    for path in (tmp_path / "small").glob("claim_[0-4]_*.json"):
        path.unlink()
    with pytest.raises(
        RecordsUnavailable, match="has 19; to get them: pytest --model small --model small-q4"
    ):
        across_claims.test_quantised_weights_change_verdicts(Records(tmp_path))


def test_the_registry_has_a_pair_for_every_difference():
    """So that the reason of a claim that was not run can end with a command that changes it."""
    assert all(command(difference).count("--model") == 2 for difference in DIFFERENCES)

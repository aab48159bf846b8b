"""The claims across models, judged over records whose verdicts are worked out by hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.readings import COMPLETION, SECOND_WEIGHTS, Readings, naming
from fixtures.records import OWN_EMBEDDINGS, READING
from hypotheses import test_across_models as claims
from hypotheses.test_reading import BOTH, lighter_noun_named
from tests.support.judging import MODEL, judged_record, successes
from tests.support.report_records import make_claim
from vsg_core import (
    Evidence,
    Generation,
    NotApplicable,
    Records,
    RecordsUnavailable,
    Trial,
    always,
    less,
    rate,
)
from vsg_core.judge.claims import Claim, load_claims
from vsg_core.judge.judging import Judgement, judge
from vsg_core.records.across import DIFFERENCES, QUANTISATION, SIZE, TUNING
from vsg_core.records.files import write_record
from vsg_core.records.record import ModelReference

CLAIMS = {claim.id: claim for claim in load_claims(Path(__file__).parents[2] / "hypotheses")}
NOUNS = [
    (f"left{chr(97 + i // 26)}{chr(97 + i % 26)}", f"right{chr(97 + i // 26)}{chr(97 + i % 26)}")
    for i in range(120)
]
# One series in three sizes, two kinds and two forms, and a model of another series.
MODELS = {
    name: MODEL.model_copy(
        update={"name": name, "series": series, "kind": kind, "parameters": size, "quantised": name == "q4"}
    )
    for name, series, kind, size in [
        ("base", "one", "base", 100),
        ("small", "one", "instruct", 100),
        # A GGUF may keep the head apart from the embedding table, which adds parameters.
        ("q4", "one", "instruct", 130),
        ("middle", "one", "instruct", 300),
        ("large", "one", "instruct", 900),
        ("other", "two", "instruct", 900),
    ]
}
IT_WORKS = make_claim("works", "It works", "Does it work?", rate(above=0.5))


def write(folder: Path, claim: Claim, model: str, evidence: Evidence | list[Trial]) -> None:
    write_record(judged_record(claim, evidence, MODELS[model]), folder / "records")


def write_readings(folder: Path, model: str, read: Collection[int], known: Collection[int]) -> None:
    """Write the records on reading of a model that reads these mixtures and names these nouns side by side."""
    for name in READING:
        if name != "reader_names_both_components":
            write(folder, CLAIMS[name], model, lighter_noun_named(readings(read, known)))
    claim = CLAIMS["reader_names_both_components"]

    def both_named(named: Collection[int], of: int = 120) -> list[Trial]:
        return naming(NOUNS[:of], both_or_nothing(named, of), "<{}> <{}>", NOUNS[:of])

    arms = {arm.name: both_named(known, 60) if arm.name == BOTH else both_named([]) for arm in claim.arms}
    write(folder, claim, model, Evidence(both_named(read), arms))


def both_or_nothing(named: Collection[int], of: int = 120) -> list[Generation]:
    """Replies that name both of these nouns."""
    texts = [" ".join(NOUNS[i]) if i in named else "nothing" for i in range(of)]
    return [Generation([], text, "length") for text in texts]


def readings(read: Collection[int], known: Collection[int]) -> Readings:
    """Replies that name both nouns of these mixtures, and these nouns side by side."""
    return Readings(
        NOUNS,
        COMPLETION,
        both_or_nothing(read),
        both_or_nothing([]),
        both_or_nothing(known, 60),
        {weight: both_or_nothing([], 40) for weight in SECOND_WEIGHTS},
    )


def judged(evidence: Evidence, claim: str) -> Judgement:
    return judge(CLAIMS[claim], evidence)


def estimates(judgement: Judgement) -> dict[str, float | None]:
    return {judged.arm.name: judged.estimate for judged in judgement.arms}


def test_models_are_paired_by_one_difference_alone(tmp_path: Path) -> None:
    """A separate head does not make another size; of three sizes the smallest and the largest are paired."""
    for model in MODELS:
        write(tmp_path, IT_WORKS, model, successes(38))
    names = {
        difference: [(pair.first.name, pair.second.name) for pair in Records(tmp_path).pairs(difference)]
        for difference in DIFFERENCES
    }
    assert names == {SIZE: [("small", "large")], TUNING: [("base", "small")], QUANTISATION: [("small", "q4")]}
    (tmp_path / "records" / "large" / "works.json").unlink()
    assert [pair.second.name for pair in Records(tmp_path).pairs(SIZE)] == ["middle"]


def test_a_pair_needs_records_of_every_claim(tmp_path: Path) -> None:
    for model in ("small", "large"):
        write(tmp_path, IT_WORKS, model, successes(38))
    assert len(Records(tmp_path).pairs(SIZE, ["works"])) == 1
    with pytest.raises(RecordsUnavailable, match="needs records of works, other on two models"):
        Records(tmp_path).pairs(SIZE, ["works", "other"])


def test_the_claims_on_reading_have_the_arm_of_the_nouns_own_embeddings() -> None:
    assert all(OWN_EMBEDDINGS in [arm.name for arm in CLAIMS[name].arms] for name in READING)
    assert all(CLAIMS[name].kinds == ("base", "instruct") for name in READING)


def test_the_lighter_noun_counts_and_not_the_heavier() -> None:
    """The replies to 30 of 120 mixtures name both nouns; those to the heavier noun alone name neither."""
    evidence = lighter_noun_named(readings(range(30), range(60)))
    judgement = judged(evidence, "mixture_cannot_be_copied")
    assert (judgement.verdict, judgement.estimate, judgement.n) == ("refuted", 0.25, 120)
    assert "of 120 pairs" in judgement.reason
    assert judged(lighter_noun_named(readings([0], range(60))), "mixture_cannot_be_copied").verdict == "holds"
    # Only 30 of 60 replies have room for a second noun: that nothing is read in the mixtures shows nothing.
    unable = judged(lighter_noun_named(readings([0], range(30))), "mixture_cannot_be_copied")
    assert unable.verdict == "inconclusive"
    heavier = [replace(reply, text=pair[0]) for reply, pair in zip(both_or_nothing([]), NOUNS, strict=True)]
    copied = lighter_noun_named(replace(readings([], range(60)), mixture=heavier))
    assert judged(copied, "mixture_cannot_be_copied").verdict == "holds"
    assert estimates(judged(copied, "mixture_cannot_be_copied"))["names the heavier noun"] == 1


def test_reading_counts_where_both_models_name_the_nouns(tmp_path: Path) -> None:
    """Both name 50 pairs of nouns side by side; of these mixtures the base model reads 30, the tuned one 10."""
    write_readings(tmp_path, "base", read=[*range(30), *range(50, 60)], known=range(60))
    write_readings(tmp_path, "small", read=range(10), known=range(50))
    records = Records(tmp_path)
    evidence = claims.test_instruction_tuning_makes_brittle(records)
    assert len(evidence.trials) == 3 * 50
    judgement = judged(evidence, "instruction_tuning_makes_brittle")
    assert (judgement.verdict, judgement.n) == ("holds", 50)
    assert judgement.estimate == pytest.approx((30 - 10) / 50)
    assert estimates(judgement) == pytest.approx(
        {
            "the base model reads": 30 / 50,
            "instruction-tuned model": 10 / 50,
            "also where a noun itself is not named": (40 - 10) / 120,
        }
    )
    assert len(records.used) == 6


def test_the_brittle_model_reads_less(tmp_path: Path) -> None:
    """The base model reads 40 of 60 mixtures, the instruction-tuned 10, then all 60."""
    write_readings(tmp_path, "base", read=range(40), known=range(60))
    write_readings(tmp_path, "small", read=range(10), known=range(60))
    judgement = judged(
        claims.test_instruction_tuning_makes_brittle(Records(tmp_path)), "instruction_tuning_makes_brittle"
    )
    assert (judgement.verdict, judgement.n, judgement.estimate) == ("holds", 60, pytest.approx(0.5))
    assert estimates(judgement) == pytest.approx(
        {
            "the base model reads": 40 / 60,
            "instruction-tuned model": 10 / 60,
            "also where a noun itself is not named": 30 / 120,
        }
    )
    write_readings(tmp_path, "small", read=range(60), known=range(60))
    judgement = judged(
        claims.test_instruction_tuning_makes_brittle(Records(tmp_path)), "instruction_tuning_makes_brittle"
    )
    assert judgement.verdict == "refuted"


@pytest.mark.parametrize(
    ("read", "known", "why"),
    [
        (range(10), range(39), r"^39 pairs of nouns .* at least 40 are needed"),
        (range(30), range(60), "differ by the same on every pair"),
    ],
)
def test_the_claim_does_not_apply_without_a_mean_to_judge(
    tmp_path: Path, read: range, known: range, why: str
) -> None:
    """Too few nouns that both models name, or no difference anywhere, is neither a verdict nor an error."""
    write_readings(tmp_path, "base", read=range(30), known=range(60))
    write_readings(tmp_path, "small", read=read, known=known)
    with pytest.raises(NotApplicable, match=why):
        claims.test_instruction_tuning_makes_brittle(Records(tmp_path))


def write_share(folder: Path, model: ModelReference, share: float, blend: float) -> None:
    retained = make_claim(
        claims.RETAINED, "It is pruned", "Is it?", less(than=0.5), comparisons=[claims.BLEND]
    )
    own, of_blend = ([Trial(f"{i}", value=mean + i % 2) for i in range(40)] for mean in (share, blend))
    record = judged_record(retained, Evidence(own, {claims.BLEND: of_blend}), model)
    write_record(record, folder / "records")


def test_pruning_is_compared_by_series(tmp_path: Path) -> None:
    """In six series the largest of three models keeps least; in one of them a pair of another kind does not agree."""
    for i in range(6):
        for size, share in ((100, -0.2), (300, 0.9), (900, -0.4)):
            name = f"series-{i}-{size}"
            model = MODELS["small"].model_copy(
                update={"name": name, "series": f"series-{i}", "parameters": size}
            )
            write_share(tmp_path, model, share, blend=size / 100)
        if i == 4:
            with pytest.raises(RecordsUnavailable, match="on two sizes of 6 series, has 5"):
                claims.test_pruning_grows_with_size(Records(tmp_path))
    judgement = judged(claims.test_pruning_grows_with_size(Records(tmp_path)), "pruning_grows_with_size")
    assert (judgement.verdict, judgement.estimate, judgement.n) == ("holds", 1, 6)
    assert estimates(judgement) == {"geometric blend": 0}
    for size, share in ((100, 0.1), (900, 0.2)):
        base = MODELS["base"].model_copy(
            update={"name": f"base-{size}", "series": "series-5", "parameters": size}
        )
        write_share(tmp_path, base, share, blend=0.5)
    evidence = claims.test_pruning_grows_with_size(Records(tmp_path))
    assert len(evidence.trials) == 7
    judgement = judged(evidence, "pruning_grows_with_size")
    assert (judgement.verdict, judgement.estimate, judgement.n) == ("inconclusive", 5.5 / 6, 6)
    assert (evidence.trials[0].inputs or {})["share on the larger"] == pytest.approx(-0.4 + 0.5)


def test_verdicts_that_differ_by_quantisation_are_counted_by_question(tmp_path: Path) -> None:
    """Of 24 questions of two claims 12 change, 6 of them to refuted; identities and claims on one form do not count."""
    for i in range(24):
        for j in range(2):
            claim = make_claim(f"claim_{i}_{j}", f"Claim {i} {j}", f"Question {i}", rate(above=0.5))
            write(tmp_path, claim, "small", successes(38))
            write(tmp_path, claim, "q4", successes(2 if i < 6 else 20 if i < 12 else 38))
    for model in ("small", "q4"):
        write(tmp_path, make_claim("law", "Law", "Law", always()), model, successes(300, 300))
    write(tmp_path, make_claim("lone", "Lone", "Lone", rate(above=0.5)), "small", successes(38))
    judgement = judged(
        claims.test_quantised_weights_change_verdicts(Records(tmp_path)), "quantised_weights_change_verdicts"
    )
    assert (judgement.verdict, judgement.estimate, judgement.n) == ("holds", 12 / 24, 24)
    assert estimates(judgement) == {"turned round": 6 / 24}
    for path in (tmp_path / "records" / "small").glob("claim_[0-4]_*.json"):
        path.unlink()
    with pytest.raises(RecordsUnavailable) as error:
        claims.test_quantised_weights_change_verdicts(
            Records(tmp_path, lambda difference: f"measure {difference}")
        )
    assert error.value.reason == "needs records on 20 questions of both forms of a model, has 19"
    assert error.value.command == f"measure {QUANTISATION}"

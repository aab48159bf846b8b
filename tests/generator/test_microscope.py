"""The microscope shows what the writers write, and a run leaves a file of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.architectures import tiny
from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.reading.microscope import (
    PROMPTS,
    STEPS,
    look,
    microscope_record,
)
from vsg_core.generator.writing.writers import write_concepts
from vsg_core.records.microscope import Microscope, read_microscopes, write_microscope
from vsg_core.records.record import ModelReference, Run

# Short enough for the tiny models' contexts of 40 tokens
WORDS = ["w3 w4 w5", "w9", "w20 w7"]
# All weight on the most probable token, so that both paths coincide.
SHARP = Mixing(top_k=1)


def test_the_soft_path_is_what_the_concept_writer_writes() -> None:
    """Tokens, weights and entropies are those of write_concepts with the same mixing."""
    lm, mixing = tiny("llama"), Mixing(top_k=8)
    for shown, trace in zip(
        look(lm, WORDS, 3, mixing),
        write_concepts(lm, [lm.tokenize(w) for w in WORDS], 3, mixing),
        strict=True,
    ):
        for step, concept in zip(shown["soft"], trace.steps, strict=True):
            tokens, weights = zip(*step["tokens"], strict=True)
            expected_tokens, expected = zip(*concept.mixture.spelled(lm, 6), strict=True)
            assert tokens == expected_tokens
            # The two do not compute in the same batches.
            assert weights == pytest.approx(expected, abs=1e-5)
        assert [step["entropy"] for step in shown["soft"]] == pytest.approx([c.entropy for c in trace.steps])
        for step in shown["soft"]:
            assert sum(weight for _, weight in step["tokens"]) + step["rest"] == pytest.approx(1)
            assert step["rest"] > 0, "two of the eight are left out"


def test_the_greedy_path_is_what_generate_writes() -> None:
    lm = tiny("llama")
    written = lm.generate([lm.tokenize(w) for w in WORDS], max_new_tokens=4)
    for shown, generation in zip(look(lm, WORDS, 4), written, strict=True):
        assert [step["token"] for step in shown["greedy"]] == [lm.token(i) for i in generation.ids]
        assert all(0 < step["probability"] <= 1 for step in shown["greedy"])


def test_a_sharp_mixture_stays_with_greedy_decoding_and_is_its_own_nearest_token() -> None:
    """With all weight on one token, the paths never diverge unless greedy decoding ends."""
    for shown in look(tiny("llama"), WORDS, 4, SHARP):
        assert shown["parts_at"] in (None, len(shown["greedy"]))
        for soft, greedy in zip(shown["soft"], shown["greedy"], strict=False):
            assert soft["nearest"] == soft["tokens"][0][0] == greedy["token"]
            assert soft["distance"] == pytest.approx(0, abs=1e-4)


def test_the_paths_part_where_the_heaviest_token_first_differs_from_the_greedy_one() -> None:
    """Flat mixtures of a random model soon diverge; the tokens agree before that step and differ at it."""
    parted = 0
    for shown in look(tiny("llama"), [f"w{i} w{i + 1}" for i in range(4, 30)], 6, Mixing(temperature=5.0)):
        at = shown["parts_at"]
        pairs = [
            (soft["tokens"][0][0], greedy["token"])
            for soft, greedy in zip(shown["soft"], shown["greedy"], strict=False)
        ]
        assert all(heaviest == token for heaviest, token in pairs[:at])
        if at is not None and at < len(pairs):
            assert pairs[at][0] != pairs[at][1]
            parted += 1
    assert parted


def test_a_record_is_plain_json() -> None:
    record = microscope_record(tiny("gpt2"))
    assert json.loads(json.dumps(record)) == record
    assert [shown["prompt"] for shown in record["prompts"]] == list(PROMPTS)
    assert all(len(shown["soft"]) <= STEPS for shown in record["prompts"])
    assert record["mixing"]["top_k"] == 50


def seen_by(name: str) -> Microscope:
    """Return a stored microscope record of a tiny model, under the given name."""
    run = Run(started=datetime(2026, 1, 1, tzinfo=UTC), forward_passes=3)
    return Microscope.of(microscope_record(tiny("gpt2")), ModelReference(name=name), run)


def test_a_microscope_record_is_written_and_read_back(tmp_path: Path) -> None:
    assert read_microscopes(tmp_path) == []
    path = write_microscope(seen_by("tiny"), tmp_path)
    assert path == tmp_path / "microscope" / "tiny.json"
    assert read_microscopes(tmp_path) == [seen_by("tiny")]


def test_an_unreadable_file_or_name_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="cannot name a file"):
        write_microscope(seen_by("../up"), tmp_path)
    (tmp_path / "microscope").mkdir()
    (tmp_path / "microscope" / "bad.json").write_text("{")
    with pytest.raises(VsgError, match=r"damaged .*bad\.json"):
        read_microscopes(tmp_path)
    (tmp_path / "microscope" / "bad.json").write_text('{"schema": 99}')
    with pytest.raises(VsgError, match=r"damaged .*bad\.json: schema 99, and this version reads 1 and 2"):
        read_microscopes(tmp_path)


def test_a_run_leaves_one_microscope_record_per_model(suite) -> None:
    suite.claims(suite.rate_claim(38) + suite.rate_claim(2, name="two"))
    suite.run().assert_outcomes(passed=2)
    (path,) = (suite.reports / "microscope").iterdir()
    stored = json.loads(path.read_text())
    assert stored["model"]["name"] == "tiny-random"
    assert stored["run"]["forward_passes"] >= 1 + (STEPS - 1), (
        "a pass over the prompts, and steps of both paths"
    )
    page = (suite.reports / "claims.html").read_text()
    assert page.count('class="under"') == len(PROMPTS)


def test_a_failing_microscope_costs_no_verdict(suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("vsg_core.generator.reading.microscope.look", fail)
    suite.claims(suite.rate_claim(38))
    result = suite.run()
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*no look at the concept tokens of tiny-random: RuntimeError: out of memory"]
    )

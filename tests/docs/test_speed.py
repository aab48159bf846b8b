"""The measurement of how cost grows counts the positions that pass, and its page and plot show every point."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth, passes
from benchmarks.growth import VARIED, Judging, Timed, Writing, at_best, in_turn, points, seconds_of
from benchmarks.growth_plot import DARK, plot
from tests.conftest import WORDS
from tools import doc_tables
from vsg_core import LanguageModel, load_model, presets
from vsg_core.generator.engine.forward import PaddedEngine

SVG = "{http://www.w3.org/2000/svg}"
MODELS = ("first", "second", "third")
RATES = {"first": [{"prompts": 90.0, "steps": 30.0}, {"prompts": 110.0, "steps": 50.0}]} | {
    name: [{"prompts": 10.0, "steps": 5.0}] for name in MODELS[1:]
}


def run(job: Writing | Judging) -> Timed:
    """Stand in for a measurement: every amount takes a time of its own."""
    if isinstance(job, Writing):
        positions = job.positions()
        return Timed(0.01 + sum(positions.values()) / 77, {"first": positions})
    counts = {name: {"prompts": 10.0 * job.claims, "steps": 5.0} for name in MODELS[: job.models]}
    return Timed(5.003 * job.models + job.claims, counts)


@pytest.fixture
def found() -> dict[str, Any]:
    jobs = list(dict.fromkeys(job for work in VARIED.values() for job in work.values()))
    timed = in_turn(jobs, run, rounds=2)
    measured = [vars(point) for point in points(timed, RATES)]
    return {"machine": "a machine", "torch": "2.0", "claims": ["one"], "rates": RATES, "points": measured}


@pytest.mark.parametrize("job", [Writing(3, 1, 5), Writing(3, 4, 5), Writing(40, 3, 2)])
def test_the_positions_of_writing_are_those_that_pass(job, tiny_llama, monkeypatch):
    # The counter replaces it.
    monkeypatch.setattr(PaddedEngine, "forward", PaddedEngine.forward)
    monkeypatch.setattr(presets, "STUDY", replace(presets.STUDY, top_k=len(WORDS)))
    with load_model(tiny_llama) as lm:
        endless = LanguageModel(lm.engine, lm.tokenizer, end_ids=())
        passes.TOTALS.clear()
        passes.pytest_collection_finish()
        seconds_of(job, endless)
    counted = {kind: total["positions"] for kind, total in passes.TOTALS[""].items()}
    passes.TOTALS.clear()
    assert {"prompts": 0, "steps": 0} | counted == job.positions()


def test_the_positions_of_a_run_are_counted_by_model(suite, other_llama, tmp_path, monkeypatch):
    """Each model of a run has those of its self-check and of its claims; a claim across models has none."""
    suite.claims("""
@claim("It works", rule=rate(above=0.5), **ABOUT)
def test_one(lm):
    lm.next_logits(["the cat sat", "a dog"] * (2 if "other" in lm.name else 1))
    return trials(40)
""")
    monkeypatch.setenv("PASSES", str(tmp_path / "passes.json"))
    suite.run_apart("-p", "benchmarks.passes", "--model", other_llama).assert_outcomes(passed=2)
    counted = json.loads((tmp_path / "passes.json").read_text())
    own, other = (counted[path.name]["prompts"]["positions"] for path in (suite.model, other_llama))
    assert other - own == 5
    assert own > 5


def test_the_line_adds_up_models_and_kinds_at_their_own_rates():
    positions = {"first": {"prompts": 200, "steps": 80}, "second": {"prompts": 30}}
    rates = {"first": {"prompts": 100, "steps": 40}, "second": {"prompts": 10, "steps": 5}}
    assert at_best(positions, rates) == 200 / 100 + 80 / 40 + 30 / 10


def test_points_are_medians_and_the_line_has_the_mean_of_the_rates():
    counts = {"first": {"prompts": 100.0, "steps": 40.0}}
    timed = {VARIED["prompts"][4]: [Timed(seconds, counts) for seconds in (7.0, 1.0, 2.0)]}
    (point,) = points(timed, RATES)
    assert (point.varied, point.amount, point.seconds, point.at_best) == ("prompts", 4, 2.0, 2.0)


def test_writing_is_done_in_every_round_and_a_run_of_claims_in_one():
    jobs: list[Writing | Judging] = [Writing(1), Writing(2), *(Judging(n) for n in (1, 2, 3, 4))]
    timed = in_turn(jobs, run, rounds=3)
    assert [len(timed[job]) for job in jobs] == [3, 3, 1, 1, 1, 1]


def test_the_page_shows_every_point(found, tmp_path, monkeypatch):
    results = tmp_path / "speed.json"
    results.write_text(json.dumps(found))
    monkeypatch.setattr(doc_tables, "SPEED", results)
    page = growth.page(growth.PAGE.read_text(encoding="utf-8"))
    for point in found["points"]:
        (table,) = (part for part in page.split("\n\n") if f"\n| {point['varied']} |" in part)
        (cells,) = re.findall(rf"^\| {point['amount']} \| (.*) \|$", table, re.MULTILINE)
        seconds, best, ratio = map(float, cells.split(" | "))
        assert (seconds, best) == (
            pytest.approx(point["seconds"], rel=0.05),
            pytest.approx(point["at_best"], rel=0.05),
        )
        assert ratio == pytest.approx(point["seconds"] / point["at_best"], abs=0.006)


def test_the_plot_has_every_point_and_is_the_same_each_time(found):
    drawn = plot(found)
    assert drawn == plot(found)
    assert {varied: len(marked) for varied, marked in marks(drawn).items()} == {
        varied: len(work) for varied, work in VARIED.items()
    }
    assert {"measured", "at the best batched rate", "seconds", *VARIED} <= words(drawn)


def marks(svg: str) -> dict[str, list[float]]:
    """Return the vertical places of the points of each panel."""
    found = {}
    for group in ElementTree.fromstring(svg).iterfind(".//*[@id]"):
        if group.attrib["id"].startswith("measured "):
            found[group.attrib["id"].removeprefix("measured ")] = [
                float(use.attrib["y"]) for use in group.iter(f"{SVG}use")
            ]
    return found


def words(svg: str) -> set[str]:
    return {text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")}


def test_each_colour_of_the_plot_has_one_for_dark_pages(found):
    drawn = plot(found).partition("</style>")[2]
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn)) <= set(DARK)


def test_the_plot_in_docs_is_that_of_the_results():
    """After a change of the drawing, `python -m benchmarks.growth --draw` draws it again."""
    own = growth.PLOT.read_text(encoding="utf-8")
    drawn = plot(json.loads(growth.RESULTS.read_text(encoding="utf-8")))
    assert words(own) == words(drawn)
    # The last digits depend on the processor.
    assert marks(own) == {varied: pytest.approx(places, abs=0.1) for varied, places in marks(drawn).items()}


def test_results_are_written_whole(found, tmp_path, monkeypatch):
    """A plot that fails leaves the files before."""
    for name in ("RESULTS", "PLOT", "PAGE"):
        path = tmp_path / Path(getattr(growth, name)).name
        path.write_text("before")
        monkeypatch.setattr(growth, name, path)
    monkeypatch.setattr(growth, "plot", lambda found: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        growth.write(found)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"before"}

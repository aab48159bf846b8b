"""Text that a model produced is shown literally: to a parser, and in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.support.page_reading import Element, read
from tests.support.report_records import (
    EMPTY,
    SAME_LOGITS,
    looks,
    measured,
    provenance,
    successes,
)
from vsg_core.judge.trials import Trial
from vsg_core.markup.literal import visible
from vsg_core.records.making import not_run_record
from vsg_core.records.microscope import Microscope, SoftStep, write_microscope
from vsg_core.records.record import ModelReference, NotRun, Record
from vsg_core.report import report_of, terminal_summary, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

SCRIPT = (resources.files("vsg_core.report.page") / "page.js").read_text(encoding="utf-8")

# What a model may produce, and what the page must show for it.
HOSTILE = {
    "<script>document.title = 'owned'</script>": "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">": "<img src=x onerror=\"document.title = 'owned'\">",
    "--></style></svg></dd></details><h1 id=owned>": "--></style></svg></dd></details><h1 id=owned>",
    "</textarea><![CDATA[ ]]><!-- ": "</textarea><![CDATA[ ]]><!-- ",
    "{{ 7 * 7 }} {% raw %} {# note #}": "{{ 7 * 7 }} {% raw %} {# note #}",
    "&lt;b&gt; &amp; &#x202e;": "&lt;b&gt; &amp; &#x202e;",
    "abc\u202egnp.exe\u202c \u2066x\u2069 \u200fend": "abc\\u202egnp.exe\\u202c \\u2066x\\u2069 \\u200fend",
    "zero\u200bwidth\u200d\u2060\ufeff\xad\u3164.": "zero\\u200bwidth\\u200d\\u2060\\ufeff\\xad\\u3164.",
    "nul\x00 bell\x07 esc\x1b[31m del\x7f c1\x9b": "nul\\x00 bell\\x07 esc\\x1b[31m del\\x7f c1\\x9b",
    "half \ud83d and \udc00, tag \U000e0041": "half \\ud83d and \\udc00, tag \\U000e0041",
    "two\r\nlines\n": "two\\r↵\nlines↵\n",
    "line\u2028sep\x85nel": "line\\u2028sep\\x85nel",
    "": "(empty)",
    " \n ": "·↵\n·",
    "שלום עולם": "שלום עולם",
    "x" * 10_000: "x" * 10_000,
    "👩‍🔬"[:1] + "é" + "日本語": "👩é日本語",
}


def hostile_records() -> list[Record]:
    """Records with hostile text in every field that a model, a claim's author or another machine can fill."""
    texts = list(HOSTILE)
    trials = successes(40)
    records = []
    for i in range(0, len(texts), 4):
        four = (texts[i : i + 4] + texts[:3])[:4]
        shown = [
            Trial(
                text,
                output=text,
                success=place < 2,
                mixture=[(text, 0.7), ("\x00", 0.3)],
                inputs={"note": text, "nested": [text]},
                outputs={text or "other": text},
            )
            for place, text in enumerate(four)
        ]
        evidence = [*shown, *trials[4:]]
        fields: dict[str, Any] = dict.fromkeys(
            ("source", "reported", "docstring", "rule_text", "statement"), texts[i] or "-"
        )
        fields |= {"id": f"claim_{i}", "link": "javascript:alert(1)"}
        arms = {"sliced by the prompt length": shown + trials}
        record = measured(EMPTY, 0, evidence, arms, run=provenance(machine=texts[i]), **fields)
        records.append(with_sentences(record, texts[i]))
    model = ModelReference(
        name="<b onmouseover=alert(1)>\u202e\\ud800",
        family="'\"><i>",
        kind="\x00",
        form="<i>\u202e",
        quantised=True,
    )
    reason = NotRun(
        cause="error",
        reason="<script>alert('\x1b\u202e')</script>",
        command="<script>alert('\u202e')</script>",
    )
    records.append(not_run_record(SAME_LOGITS, model, reason, provenance()))
    return records


def with_sentences(record: Record, text: str) -> Record:
    """The same record with that text as the sentence of every arm."""
    arms = tuple(arm.model_copy(update={"sentence": text}) for arm in record.evidence.arms)
    return record.model_copy(update={"evidence": record.evidence.model_copy(update={"arms": arms})})


def hostile_looks() -> list[Microscope]:
    """A look at a model whose prompts and tokens are hostile."""
    (one, *_) = looks()
    # Files hold no lone surrogates; records keep their escapes.
    texts = [text.encode("utf-8", "backslashreplace").decode("utf-8") for text in HOSTILE]
    shown = one.prompts[0]
    prompts = tuple(
        shown.model_copy(
            update={
                "prompt": text,
                "soft": (_hostile_step(shown.soft[0], text),) * 2,
                "greedy": (shown.greedy[0].model_copy(update={"token": text}),) * 2,
                "parts_at": 1,
            }
        )
        for text in texts
    )
    return [one.model_copy(update={"prompts": prompts, "mixing": {texts[0]: 0.5}})]


def _hostile_step(step: SoftStep, text: str) -> SoftStep:
    return step.model_copy(update={"tokens": ((text, 0.9), ("</ol>", 0.05)), "nearest": text})


def write_hostile(folder: Path) -> Path:
    """A report of all that."""
    for look in hostile_looks():
        write_microscope(look, folder)
    return write_report(report_of(hostile_records()), folder)


def from_file(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def from_chromium(path: Path) -> str:
    """The page's DOM, written out as HTML once everything in it has had its chance to run."""
    profile = path.parent / "profile"
    profile.mkdir()
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)


@pytest.fixture(
    params=[
        pytest.param(from_file, id="parser"),
        pytest.param(from_chromium, id="chromium", marks=needs_browser),
    ],
    scope="module",
)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Element:
    load: Callable[[Path], str] = request.param
    return read(load(write_hostile(tmp_path_factory.mktemp("report"))))


def test_nothing_that_was_produced_became_an_element(page: Element) -> None:
    assert not [e.tag for e in page.all() if e.tag in ("img", "textarea", "b!", "iframe")]
    assert [e.raw for e in page.all("script")] == [SCRIPT]
    assert len(page.all("h1")) == 1
    assert page.all("title")[0].text.startswith("Claim report: ")
    assert not [e for e in page.all() if e.attributes.get("id") == "owned"]
    assert not [name for e in page.all() for name in e.attributes if name.startswith("on")]
    assert not [a for a in page.all("a") if a.attributes["href"].startswith("javascript")]


def test_every_output_is_shown_as_it_is(page: Element) -> None:
    produced = [element.raw for element in page.all("dd", "produced")]
    for shown in HOSTILE.values():
        # Each as the output of a trial, and as that of the trial's other arm.
        assert produced.count(shown) >= 2, shown[:60]


def test_prompts_and_mixtures_are_shown_as_they_are(page: Element) -> None:
    texts = [element.raw for element in page.all("dd", "text")]
    tokens = [element.raw for element in page.all("span", "token")]
    looked_at = [element.raw for element in page.all("h4", "text")]
    for shown in HOSTILE.values():
        assert shown in texts
        assert shown in tokens
        assert shown in looked_at


def test_nothing_hidden_is_left_in_the_page(page: Element) -> None:
    attributes = "".join(value for e in page.all() for value in e.attributes.values())
    # The page itself joins a number and its percent sign with a no-break space.
    shown = re.sub(r"(?<=\d)\xa0(?=%)", " ", page.raw.replace("\n", ""))
    assert visible(shown) == shown
    assert visible(attributes) == attributes


def test_a_long_text_is_clipped_with_the_rest_at_hand(page: Element) -> None:
    rest = [d for d in page.all("details", "rest") if "9,400 more characters" in d.all("summary")[0].text]
    assert rest
    assert all(d.raw == "x" * 9_400 for d in rest)


def test_a_models_name_is_shown_as_it_is(page: Element) -> None:
    assert "<b onmouseover=alert(1)>\\u202e\\ud800" in page.all("table", "matrix")[0].text


def test_the_terminal_gets_no_control_characters() -> None:
    text = terminal_summary(report_of(hostile_records()))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>alert('\\x1b\\u202e')</script>" in text
    text.encode("utf-8")

"""`verify`: a ledger as a confirming run writes it has no fault; whatever is changed in it is named."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from tests.support.registered import MODELS, NONCE, confirm, confirming_record, freeze, write_project
from vsg_core.errors import VsgError, WrongUse
from vsg_core.judge.claims import load_claims
from vsg_core.projects import CLAIMS
from vsg_core.records.files import record_text
from vsg_core.records.ledger import BEGINNING, Line, digest_of, kept_record, line_text, read_ledger
from vsg_core.records.record import Record
from vsg_core.records.registered import Registration, read_registration
from vsg_core.registration.confirmation import Confirmation
from vsg_core.registration.verifying import Verification, verify

MODEL = MODELS[0]
CELLS, PLACEBOS = 3, 20


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose freeze was confirmed."""
    root = write_project(tmp_path_factory.mktemp("whole") / "project")
    confirm(root, freeze(root, targets=[MODEL]))
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of the project, to be changed."""
    copytree(whole / CLAIMS, tmp_path / CLAIMS)
    return tmp_path


def registration(root: Path) -> Registration:
    return read_registration(root / CLAIMS / "registered", "first")


def faults(root: Path, nonce: str | None = NONCE) -> list[str]:
    return list(verify(registration(root), nonce).faults)


def test_a_ledger_as_it_was_written_has_no_fault(whole: Path) -> None:
    found = verify(registration(whole), NONCE)
    assert found.faults == []
    assert found.seeded
    kinds = [line.kind for line in found.lines]
    assert (kinds.count("confirmation"), kinds.count("placebo")) == (CELLS, PLACEBOS)
    assert {line.verdict for line in found.lines if line.kind == "confirmation"} == {"holds"}
    assert not verify(registration(whole)).seeded


def test_a_freeze_without_lines_has_nothing_to_check(root: Path) -> None:
    registration(root).ledger.unlink()
    rmtree(registration(root).records)
    assert verify(registration(root), NONCE) == Verification([], [], seeded=True)


def test_another_nonce_is_refused(root: Path) -> None:
    with pytest.raises(WrongUse, match="--nonce: its sha256 is"):
        faults(root, "another nonce")


# Changes that leave the chain broken, each with the line that it is found at.
def a_digit(texts: list[str]) -> None:
    value = json.loads(texts[3])["p_value"]
    texts[3] = texts[3].replace(repr(value), repr(value * 2))


def two_swapped(texts: list[str]) -> None:
    texts[4], texts[5] = texts[5], texts[4]


def one_dropped(texts: list[str]) -> None:
    del texts[10]


def one_doubled(texts: list[str]) -> None:
    texts.insert(7, texts[6])


@pytest.mark.parametrize(
    ("change", "line"), [(a_digit, 5), (two_swapped, 5), (one_dropped, 11), (one_doubled, 8)]
)
def test_a_change_inside_the_ledger_breaks_the_chain(
    change: Callable[[list[str]], None], line: int, root: Path
) -> None:
    ledger = registration(root).ledger
    texts = ledger.read_text().splitlines()
    change(texts)
    ledger.write_text("".join(f"{text}\n" for text in texts))
    (fault,) = faults(root)
    assert f"line {line}: the chain is broken" in fault


def test_a_line_that_is_cut_off_is_named(root: Path) -> None:
    ledger = registration(root).ledger
    ledger.write_text(ledger.read_text()[:-20])
    (fault,) = faults(root)
    assert "its last line is cut off" in fault


def rewritten(root: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change lines, and chain them anew as a forger would."""
    ledger = registration(root).ledger
    lines = [json.loads(text) for text in ledger.read_text().splitlines()]
    change(lines)
    before, texts = BEGINNING, []
    for number, fields in enumerate(lines, 1):
        texts.append(
            line_text(Line.model_validate_json(json.dumps(fields | {"number": number, "before": before})))
        )
        before = digest_of(texts[-1])
    ledger.write_text("".join(f"{text}\n" for text in texts))


def first_of(lines: list[dict[str, Any]], kind: str, claim: str = "mean") -> dict[str, Any]:
    return next(line for line in lines if (line["kind"], line["claim"]) == (kind, claim))


def setting(of: str, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(lines: list[dict[str, Any]]) -> None:
        first_of(lines, of).update(fields)

    return change


def without_last(lines: list[dict[str, Any]]) -> None:
    del lines[-1]


def without_a_cell(lines: list[dict[str, Any]]) -> None:
    lines[:] = [line for line in lines if line["claim"] != "seen"]


def twice(lines: list[dict[str, Any]]) -> None:
    lines.append(first_of(lines, "confirmation"))


def repeated_at_once(lines: list[dict[str, Any]]) -> None:
    first_of(lines, "confirmation")["kind"] = "repeat"


def copied_as_repeat(lines: list[dict[str, Any]]) -> None:
    lines.append(first_of(lines, "confirmation") | {"kind": "repeat"})


def other_claim(lines: list[dict[str, Any]]) -> None:
    first_of(lines, "confirmation")["claim"] = "often"


def another_verdict(lines: list[dict[str, Any]]) -> None:
    # What a placebo says follows from the freeze's commit, which is another one each time.
    line = first_of(lines, "placebo")
    line["verdict"] = "refuted" if line["verdict"] == "holds" else "holds"


FORGERIES: dict[str, tuple[Callable[[list[dict[str, Any]]], None], str]] = {
    "a verdict": (setting("confirmation", verdict="refuted"), "its verdict is refuted, that of its record holds"),
    "an estimate": (setting("confirmation", estimate=9.0), "its estimate is 9.0, that of its record 0."),
    "an interval": (setting("confirmation", interval=[8.0, 10.0]), "its interval is (8.0, 10.0), that of its record"),
    "a number of units": (setting("confirmation", n=999), "its n is 999, that of its record 120"),
    "a p-value": (setting("confirmation", p_value=0.5), "its p-value is 0.5, that of its record 1e-12"),
    "a reason": (setting("confirmation", reason="it is so"), "its reason is it is so, that of its record"),
    "an engine": (setting("confirmation", engine="llama.cpp"), "its engine is llama.cpp, that of its record"),
    "a time": (setting("confirmation", time="2026-12-02T09:26:00Z"), "its time is 2026-12-02"),
    "a commit": (setting("confirmation", commit="0" * 40), f"its commit is {'0' * 40}, that of its record"),
    "a seed": (setting("confirmation", seed="ab" * 32), "its seed abababababab is not what the freeze and the nonce"),
    "a claim": (other_claim, "its claim is often, that of its record mean"),
    "a placebo on a model that is not registered": (
        setting("placebo", model="gpt2"), "the freeze does not register this claim on this model",
    ),
    "a model that is not registered": (
        setting("confirmation", model="gpt2"), "the freeze does not register this claim on this model",
    ),
    "a record that is not kept": (setting("confirmation", record="a/b.json.gz"), "cannot read its record"),
    "another digest": (setting("confirmation", digest="0" * 64), "the line names 000000000000"),
    "a placebo's verdict": (another_verdict, "of 120, judged again: "),
    "a placebo's estimate": (setting("placebo", estimate=0.5), "it says [0.5, "),
    "a placebo's p-value": (setting("placebo", p_value=1e-5), "p 1e-05; judged again"),
    "a placebo's number": (setting("placebo", placebo=2), "placebo 2 is not made from this claim"),
    "a placebo without a number": (setting("placebo", placebo=None), "a placebo with the placebo number None"),
    "a placebo as a repeat": (setting("placebo", kind="repeat"), "a repeat with the placebo number 1"),
    "a second confirmation": (twice, "a confirmation, but a verdict is there already"),
    "a repeat before any": (repeated_at_once, "a repeat, but no verdict is there yet"),
    "a repeat that is a copy": (copied_as_repeat, "it names the record of an earlier line"),
    "no last line": (without_last, "placebo 18 of seen on smollm2-135m-instruct is missing"),
    "no line of a cell": (without_a_cell, "seen on smollm2-135m-instruct has no verdict yet"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGERIES)
def test_a_ledger_that_was_chained_anew_does_not_fit_its_records(case: str, root: Path) -> None:
    change, fault = FORGERIES[case]
    rewritten(root, change)
    assert any(fault in each for each in faults(root)), faults(root)


def test_a_ledger_that_is_gone_leaves_its_records(root: Path) -> None:
    registration(root).ledger.unlink()
    found = faults(root)
    assert len(found) == CELLS
    assert all("no line names the record" in fault for fault in found)


def test_a_record_that_is_damaged_is_a_fault_of_its_line(root: Path) -> None:
    line = read_ledger(registration(root).ledger)[0]
    path = registration(root).records / line.record
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert any("restore it from git" in fault for fault in faults(root))


def test_a_copy_of_a_freeze_is_refused(root: Path) -> None:
    folder = root / CLAIMS / "registered"
    (folder / "second.toml").write_bytes((folder / "first.toml").read_bytes())
    with pytest.raises(VsgError, match="is a copy of the freeze first"):
        read_registration(folder, "second")


def test_a_nonce_that_is_not_text_is_refused(root: Path) -> None:
    with pytest.raises(WrongUse, match="is not UTF-8"):
        faults(root, "\udcff")


def test_a_removed_line_leaves_a_record_that_no_line_names(root: Path) -> None:
    rewritten(root, without_a_cell)
    (fault,) = [each for each in faults(root) if each.startswith("no line names")]
    assert "no line names the record smollm2-135m-instruct/seen-" in fault


def test_a_line_is_named_with_its_claim_and_model(root: Path) -> None:
    rewritten(root, another_verdict)
    (fault,) = faults(root)
    assert re.match(
        r"line 2 \(placebo 1 of mean on smollm2-135m-instruct\): it says \w+ of 120, judged again", fault
    )


def test_an_edited_record_is_named(root: Path) -> None:
    line = read_ledger(registration(root).ledger)[0]
    path = registration(root).records / line.record
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(text.replace('"value":0.', '"value":1.', 1).encode()))
    assert f"{path} has the digest" in faults(root)[0]
    path.write_bytes(b"nothing")
    assert "cannot read its record" in faults(root)[0]


def replaced(root: Path, change: Callable[[Record], Record]) -> None:
    """Change the record of the first line, and all lines that name it, as a forger would."""
    found = registration(root)
    line = read_ledger(found.ledger)[0]
    record = change(kept_record(found, line))
    text = record_text(record)
    (found.records / line.record).write_bytes(gzip.compress(text.encode()))

    def rename(lines: list[dict[str, Any]]) -> None:
        for fields in lines:
            if fields["digest"] == line.digest:
                fields["digest"] = digest_of(text)
        given = record.evidence.model_dump(
            mode="json", include={"n", "verdict", "estimate", "interval", "p_value"}
        )
        lines[0].update(given | {"reason": record.reason})

    rewritten(root, rename)


def evidence(record: Record, **fields: Any) -> Record:
    return record.model_copy(update={"evidence": record.evidence.model_copy(update=fields)})


def a_better_verdict(record: Record) -> Record:
    return evidence(record, estimate=1.0, interval=(0.9, 1.1))


def fewer_trials(record: Record) -> Record:
    return evidence(record, trials=record.evidence.trials[:100])


def other_values(record: Record) -> Record:
    trials = tuple(
        each.model_copy(update={"value": (each.value or 0) - 1}) for each in record.evidence.trials
    )
    return evidence(record, trials=trials)


def of_claim(record: Record, **fields: Any) -> Record:
    return record.model_copy(update={"claim": record.claim.model_copy(update=fields)})


def of_key(record: Record, **parts: str) -> Record:
    assert record.key is not None
    key = record.key.model_copy(update={"parts": record.key.parts | parts})
    return record.model_copy(update={"key": key})


def other_rule(record: Record) -> Record:
    rule = record.claim.rule
    return of_claim(record, rule=type(rule)(kind="difference", side="above", limit=0.01, matters=0.2))


RECORD_FORGERIES: dict[str, tuple[Callable[[Record], Record], str]] = {
    "a better verdict": (a_better_verdict, "judged again: [0."),
    "fewer trials": (fewer_trials, "it says holds of 120, judged again: holds of 100"),
    "other values": (other_values, "judged again: refuted of 120"),
    "another rule": (other_rule, "the rules, digested again, of its record"),
    "another digest of rules": (lambda record: of_claim(record, rules_digest="ab"), "the rules of its record: ab"),
    "another sentence": (lambda record: of_claim(record, statement="It is"), "the statement of its record: It is"),
    "another seed": (lambda record: of_claim(record, seed=1), "its claim's seed is"),
    "more trials chosen": (lambda record: evidence(record, chosen_trials=500), "the trials of its record: 500"),
    "another dtype": (lambda record: evidence(record, dtype="float16"), "the dtype of its record: float16"),
    "other weights": (
        lambda record: record.model_copy(update={"model": record.model.model_copy(update={"sha256": "ab"})}),
        "the weights of its record: ab, frozen",
    ),
    "another fixture": (lambda record: of_key(record, **{"fixture draw_words": "ab"}), "fixture draw_words of its"),
    "another library": (lambda record: of_key(record, torch="1.0"), "torch of its record: 1.0, frozen"),
    "no key": (lambda record: record.model_copy(update={"key": None}), "its record has no key"),
}  # fmt: skip


@pytest.mark.parametrize("case", RECORD_FORGERIES)
def test_a_record_that_was_exchanged_does_not_fit_the_judge_or_the_freeze(case: str, root: Path) -> None:
    change, fault = RECORD_FORGERIES[case]
    replaced(root, change)
    assert any(fault in each for each in faults(root)), faults(root)


def test_a_freeze_that_was_changed_gives_another_seed(root: Path) -> None:
    path = registration(root).path
    path.write_text(path.read_text().replace('note = ""', 'note = "changed"'))
    found = faults(root)
    assert len(found) == CELLS + PLACEBOS
    assert all(
        "is not what the freeze and the nonce give: the freeze or the ledger was changed" in each
        for each in found
    )


def test_a_freeze_with_another_number_of_trials_does_not_fit_even_without_the_nonce(root: Path) -> None:
    path = registration(root).path
    path.write_text(path.read_text().replace("trials = 120", "trials = 110"))
    assert all("the trials of its record: 120, frozen: 110" in each for each in faults(root, None))
    assert len(faults(root, None)) == 1


def test_a_repeat_has_a_record_of_its_own(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    copytree(whole, root)
    found = registration(root)
    claims = {claim.id: claim for claim in load_claims(root / CLAIMS)}
    lines = read_ledger(found.ledger)
    again = Confirmation(found, found.seed(NONCE), lines[0].commit, claims, lines)
    again.add(confirming_record(root, found, "mean", found.freeze.models[0], 121))
    assert read_ledger(found.ledger)[-1].kind == "repeat"
    assert faults(root) == []

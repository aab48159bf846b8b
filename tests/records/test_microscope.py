"""Microscope records on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.judging import MODEL, RUN
from vsg_core.errors import VsgError, WrongUse
from vsg_core.records.microscope import (
    GreedyStep,
    Microscope,
    SeenPrompt,
    SoftStep,
    read_microscopes,
    write_microscope,
)

SOFT = SoftStep(tokens=((" a", 0.6), ("\n", 0.4)), rest=0.0, entropy=1.0, likely=((" a", 0.6),), nearest=" a",
                distance=0.5)  # fmt: skip
PROMPT = SeenPrompt(
    prompt="The", soft=(SOFT,), greedy=(GreedyStep(token=" a", probability=0.6, entropy=1.0),), parts_at=None
)
SEEN = Microscope(model=MODEL, mixing={"temperature": 1.0}, prompts=(PROMPT,), dtype="float32", run=RUN)


def test_it_is_read_back_equal(tmp_path: Path) -> None:
    path = write_microscope(SEEN, tmp_path)
    assert path == tmp_path / "microscope" / "tiny.json"
    assert read_microscopes(tmp_path) == [SEEN]
    assert read_microscopes(tmp_path / "nowhere") == []


def test_schema_1_is_upgraded(tmp_path: Path) -> None:
    values = json.loads(write_microscope(SEEN, tmp_path).read_text())
    run, dtype = values.pop("run"), values.pop("dtype")
    old = values | {"schema": 1, "provenance": run | {"dtype": dtype, "engine": "transformers"}}
    (tmp_path / "microscope" / "tiny.json").write_text(json.dumps(old))
    (seen,) = read_microscopes(tmp_path)
    assert seen.model_copy(update={"model": MODEL}) == SEEN
    assert seen.model.sha256 == "ab12"


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"schema": 3}', '{"schema": 2}', '{"schema": 1}', '{"schema": 2, "rest": NaN}']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = write_microscope(SEEN, tmp_path)
    path.write_text(content)
    with pytest.raises(VsgError) as error:
        read_microscopes(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_that_cannot_name_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="cannot name a file"):
        write_microscope(
            SEEN.model_copy(update={"model": MODEL.model_copy(update={"name": "../a"})}), tmp_path
        )

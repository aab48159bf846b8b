"""The sweep's recorded outcomes are without a fault, cover every entry, and a sample of them is judged again."""

from __future__ import annotations

import re

import pytest

from tests.sweep.building import names
from tests.sweep.run import FAULTS, outcome_of, recorded

# Popular models, in which a change would be met first.
POPULAR = (
    "llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "gemma2", "gemma3_text",
    "gemma3n_text", "gemma4_text", "phi3", "phi3 longrope", "gpt2", "gpt_oss", "opt projected", "bloom", "falcon_h1",
    "granite multipliers", "granitemoehybrid", "mamba", "mamba2", "rwkv", "recurrent_gemma", "lfm2", "jamba",
    "llama4_text", "minimax", "deepseek_v3", "bart encoder-decoder", "marian encoder-decoder scaled", "t5",
)  # fmt: skip
OTHERS = [name for name in names() if name not in POPULAR]
# Of the others, one in this many is judged again by `make test`; `make sweep` judges all.
SHARE = 12


@pytest.mark.parametrize("name", [*POPULAR, *OTHERS[::SHARE]])
def test_an_architecture_is_still_judged_as_recorded(name: str) -> None:
    """The outcome is the one in docs/sweep.json; if it should change, run `make sweep` and look at the difference."""
    found, expected = outcome_of(name), recorded()[name]
    assert found.kind not in FAULTS, found.note
    assert (found.kind, without_numbers(found.note)) == (expected.kind, without_numbers(expected.note))
    assert found.without == expected.without


def without_numbers(note: str) -> str:
    """Drop by how much something is off, which depends on the processor."""
    return re.sub(r"off by [\d.e+-]+", "off by", note)


def test_no_architecture_is_wrong_or_ends_in_a_traceback() -> None:
    faults = {name: outcome.note for name, outcome in recorded().items() if outcome.kind in FAULTS}
    assert not faults


def test_every_entry_has_an_outcome() -> None:
    """A new version of transformers brings new architectures: `make sweep` judges them."""
    assert sorted(recorded()) == sorted(names())


def test_a_refusal_is_one_line() -> None:
    for name, outcome in recorded().items():
        assert outcome.note.strip(), name
        assert "\n" not in outcome.note, name

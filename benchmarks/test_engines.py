"""Speed of llama.cpp next to transformers: with the same float32 weights, and with the quantised file as it is.

As it is, the file is computed with kernels of its own, which is different arithmetic: less work and other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from vsg_core import LanguageModel, load_model
from vsg_core.generator.llama_cpp.library import INSTALL
from vsg_core.weights.registry import DEFAULT_MODEL

pytestmark = pytest.mark.skipif(find_spec("llama_cpp") is None, reason=f"llama.cpp is missing: {INSTALL}")
# Positions written after each prompt.
NEW = 16


@pytest.fixture(scope="module")
def engines(endless: LanguageModel) -> Iterator[dict[str, LanguageModel]]:
    """Load the embedded model on each engine, without end tokens, with the same number of threads."""
    with (
        load_model(DEFAULT_MODEL, engine="llama.cpp") as exact,
        load_model(DEFAULT_MODEL, engine="llama.cpp", weights="as-is") as as_is,
    ):
        yield {
            "transformers, float32": endless,
            "llama.cpp, float32": LanguageModel(exact.engine, exact.tokenizer, end_ids=()),
            "llama.cpp, as it is": LanguageModel(as_is.engine, as_is.tokenizer, end_ids=()),
        }


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_writing(engines, open_prompts, race, batch):
    """Time the engines on the same prompts and number of new positions, greedy."""
    prompts = open_prompts[:batch]
    contestants = {name: lambda lm=lm: written(lm, prompts) for name, lm in engines.items()}
    race(f"engines, batch {batch}", contestants, rounds=5)


def test_reading(engines, open_prompts, race):
    """Time the engines on reading: prompts of about a dozen tokens, of each of which the last logits are kept."""
    contestants = {name: lambda lm=lm: read(lm, open_prompts) for name, lm in engines.items()}
    race(f"engines, {len(open_prompts)} prompts read", contestants, rounds=5)


def written(lm: LanguageModel, prompts: list[str]) -> int:
    return sum(len(reply.ids) for reply in lm.generate(prompts, NEW))


def read(lm: LanguageModel, prompts: list[str]) -> int:
    lm.next_logits(prompts)
    return sum(len(lm.tokenize(prompt)) for prompt in prompts)

"""Hypothesis strategies for the tests of the generator: token sequences, batches, distributions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.support.architectures import TOKENS
from vsg_core import LanguageModel


def property_test(examples: int = 12) -> settings:
    """Return the settings of a property test: the same examples each run, without a time limit."""
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


@dataclass(frozen=True)
class Drawn:
    """A sequence before it is bound to a model: its token ids, and the form in which the model gets them."""

    ids: tuple[int, ...]
    # "ids"; "embeddings" of the ids; or "mixtures" of each id with the one before it.
    form: str

    def tensor(self, lm: LanguageModel) -> torch.Tensor:
        """Return ids [seq] or embeddings [seq, hidden]."""
        ids = torch.tensor(self.ids)
        if self.form == "ids":
            return ids
        if self.form == "embeddings":
            return lm.embed(ids)
        weights = torch.nn.functional.one_hot(torch.stack([ids, ids.roll(1)]), lm.engine.vocab_size)
        return lm.mix(0.7 * weights[0] + 0.3 * weights[1])


token_ids = st.integers(0, TOKENS - 1)
forms = st.sampled_from(["ids", "embeddings", "mixtures"])


def sequences(longest: int = 24) -> st.SearchStrategy[Drawn]:
    """Draw a sequence of 1 to `longest` positions."""
    return st.builds(Drawn, st.lists(token_ids, min_size=1, max_size=longest).map(tuple), forms)


def batches(longest: int = 24, most: int = 5) -> st.SearchStrategy[list[Drawn]]:
    """Draw 1 to `most` sequences of any lengths and forms, probably some short and some long."""
    return st.lists(sequences(longest), min_size=1, max_size=most)


def logit_rows(vocab: int, bound: float = 30.0) -> st.SearchStrategy[torch.Tensor]:
    """Draw logits [batch, vocab] of 1 to 3 rows, often with equal entries, sometimes with -inf, never all of a row."""
    entry = st.one_of(st.floats(-bound, bound, width=32), st.sampled_from([0.0, 1.0]), st.just(float("-inf")))
    row = st.lists(entry, min_size=vocab, max_size=vocab).filter(lambda values: max(values) > float("-inf"))
    return st.lists(row, min_size=1, max_size=3).map(torch.tensor)


def distributions(vocab: int) -> st.SearchStrategy[torch.Tensor]:
    """Draw a probability row [vocab], float64, with some entries 0 and some tiny."""
    weight = st.one_of(st.floats(0, 1, width=32), st.just(0.0), st.floats(0, 1e-30))
    row = st.lists(weight, min_size=vocab, max_size=vocab).filter(lambda values: sum(values) > 1e-3)
    return row.map(lambda values: torch.tensor(values, dtype=torch.float64) / sum(values))

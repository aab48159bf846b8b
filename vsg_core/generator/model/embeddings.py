"""The embedding table of a language model: ids and weights to vectors, and what is measured of the table."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import VsgError
from vsg_core.generator.engine import head_table, position_table
from vsg_core.generator.engine.placement import device_text
from vsg_core.generator.model.text import Text

GATHERED = 256  # with more components than this a product with the whole table is faster, and much smaller
PARTS = (
    4  # the whole table is summed in so many parts side by side: a product of few columns keeps one core busy
)


class Embeddings(Text):
    """What a LanguageModel does with embeddings."""

    @property
    def device(self) -> torch.device:
        return self.engine.device

    @property
    def device_name(self) -> str:
        """As a record names it: mps, cpu (AVX512), or cuda:0 (NVIDIA H100 80GB HBM3)."""
        return device_text(self.device)

    @property
    def dtype(self) -> torch.dtype:
        return self.engine.dtype

    @property
    def meter(self) -> Any:
        return self.engine.meter

    @cached_property
    def embedding_table(self) -> Tensor:
        """[vocab, hidden] each token's embedding as the model itself gives it, padded rows included."""
        return self.engine.table()

    @cached_property
    def embedding_norms(self) -> Tensor:
        """[vocab] float32 L2 norm of each row of the table."""
        return self.embedding_table.float().norm(dim=-1)

    @cached_property
    def is_token(self) -> Tensor:
        """[vocab] bool: False for rows that only pad the table (a GGUF names those [PAD123])."""
        known = torch.zeros(self.engine.vocab_size, dtype=torch.bool)
        vocabulary = self.tokenizer.get_vocab()
        ids = [i for token, i in vocabulary.items() if i < len(known) and token != f"[PAD{i}]"]
        known[ids] = True
        return known.to(self.device)

    @cached_property
    def _padding(self) -> Tensor:
        """Ids of the rows that only pad the table."""
        return (~self.is_token).nonzero().flatten()

    @property
    def position_table(self) -> Tensor | None:
        """[positions, hidden] learned absolute position embeddings; None where the model has none."""
        return position_table(self.engine.model)

    @property
    def head_table(self) -> Tensor:
        """[vocab, hidden] the rows of the head that a last hidden state is multiplied with for its logits.

        Raises:
            NotApplicable: the model's head is no table.
        """
        return head_table(self.engine.model)

    @cached_property
    def embedding_std(self) -> float:
        """Standard deviation of the entries of the embedding table."""
        return self.embedding_table[self.is_token].float().std().item()

    @cached_property
    def embedding_norm(self) -> float:
        """Mean L2 norm of a token embedding."""
        return self.embedding_norms[self.is_token].mean().item()

    def embed(self, input_ids: Tensor) -> Tensor:
        """Ids [batch, seq] or [seq] -> embeddings [..., hidden], as the model itself does."""
        return self.engine.embed(input_ids)

    def embed_text(self, text: str) -> Tensor:
        """Text -> embeddings [seq, hidden]."""
        return self.embed(self.tokenize(text))

    def join(self, *parts: str | Tensor) -> Tensor:
        """Text, ids [n] and vectors [n, hidden], one after another -> one sequence of embeddings [seq, hidden].

        Where the first part is text, what the model expects around a text (BOS; </s> at the end for T5) is put
        around the whole.
        """
        pieces = [
            self.tokenize(part, special=place == 0) if isinstance(part, str) else part
            for place, part in enumerate(parts)
        ]
        if isinstance(parts[0], str):
            end = len(pieces[0]) - self._closing
            pieces = [pieces[0][:end], *pieces[1:], pieces[0][end:]]
        embedded = [piece if piece.is_floating_point() else self.embed(piece) for piece in pieces]
        return torch.cat([piece.to(self.device, self.dtype) for piece in embedded])

    def mix(self, weights: Tensor, ids: Tensor | None = None) -> Tensor:
        """[batch, vocab] weights -> [batch, hidden]: the weighted sum of the token embeddings.

        With `ids` [batch, k] the weights are those of these tokens only, [batch, k].

        Raises:
            VsgError: NaN or negative weights, or weight on a row that is no token.
        """
        weights = weights.to(self.device)
        if not (weights >= 0).all():  # NaN compares False
            raise VsgError("mixture weights contain NaN or a negative number: give probabilities")
        padding = weights[:, self._padding] if ids is None else weights.masked_fill(self.is_token[ids], 0)
        if padding.any():
            raise VsgError("mixture weights on rows that only pad the embedding table: give 0 there")
        if ids is None:
            most = int(weights.count_nonzero(-1).max())
            if most > GATHERED:
                parts = math.gcd(PARTS, weights.shape[-1])
                weights = (
                    weights.float().unflatten(-1, (parts, -1)).transpose(0, 1)
                )  # [parts, batch, vocab / parts]
                table = self.embedding_table.float().unflatten(
                    0, (parts, -1)
                )  # [parts, vocab / parts, hidden]
                return torch.bmm(weights, table).sum(0).to(self.dtype)
            weights, ids = weights.topk(max(most, 1))  # [batch, most]; the rest has no weight
        rows = self.embedding_table[ids].float()  # [batch, k, hidden]
        return torch.bmm(weights.float().unsqueeze(1), rows).squeeze(1).to(self.dtype)

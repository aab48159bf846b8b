"""The embedding table of a language model: ids, weights and noise to vectors, and statistics of the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator import engine
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.model.tokenizing import Tokenizing
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# Above this number of components, a product with the whole table is faster and needs less memory.
GATHERED = 256
# Split the table into this many blocks: a single narrow matrix product would use only one core.
PARTS = 4


class Embeddings(Tokenizing):
    """The part of a LanguageModel that deals with embeddings."""

    @property
    def device(self) -> torch.device:
        """The device of the weights; that of the embedding table where they are on several."""
        return self.engine.device

    @property
    def device_name(self) -> str:
        """The devices as records name them: mps, cpu (AVX512), or cuda:0 (NVIDIA H100 80GB HBM3), cuda:1 (...)."""
        return self.engine.device_name

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return self.engine.dtype

    @property
    def meter(self) -> engine.Meter:
        """Counts forward passes, their seconds and their positions."""
        return self.engine.meter

    @cached_property
    def embedding_table(self) -> Tensor:
        """[vocab, hidden] each token's embedding as the model computes it; includes rows that only pad the table."""
        return self.engine.table()

    @cached_property
    def embedding_norms(self) -> Tensor:
        """[vocab] float32 L2 norm of each row of the table."""
        norms: Tensor = self.embedding_table.float().norm(dim=-1)
        return norms

    @cached_property
    def is_token(self) -> Tensor:
        """[vocab] bool; False for rows that only pad the table (a GGUF names those [PAD123])."""
        rows = self.vocab_size
        known = torch.zeros(rows, dtype=torch.bool)
        vocabulary = self.tokenizer.get_vocab()
        ids = [i for token, i in vocabulary.items() if i < rows and token != f"[PAD{i}]"]
        known[ids] = True
        return known.to(self.device)

    @cached_property
    def token_ids(self) -> list[int]:
        """The ids of all tokens, in order; rows that only pad the table are left out."""
        ids: list[int] = self.is_token.nonzero().flatten().tolist()
        return ids

    @cached_property
    def _padding(self) -> Tensor:
        """The ids of rows that only pad the table."""
        return (~self.is_token).nonzero().flatten()

    @property
    def position_table(self) -> Tensor | None:
        """[positions, hidden] learned absolute position embeddings; None if the model has none.

        Raises:
            NotApplicable: the engine does not give it.
        """
        return engine.capability(self.engine, engine.PositionTable).position_table()

    @property
    def head_table(self) -> Tensor:
        """[vocab, hidden] the rows of the head, whose products with a last hidden state are the logits.

        Raises:
            NotApplicable: the model's head is not a table, or the engine does not give it.
        """
        return engine.capability(self.engine, engine.HeadTable).head_table()

    @cached_property
    def embedding_std(self) -> float:
        """The standard deviation of the entries of the tokens' embeddings."""
        return self.embedding_table[self.is_token].float().std().item()

    @cached_property
    def embedding_norm(self) -> float:
        """The mean L2 norm of a token embedding."""
        return self.embedding_norms[self.is_token].mean().item()

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed ids [batch, seq] or [seq] as the model itself does -> [..., hidden]."""
        return self.engine.embed(engine.as_ids(self.engine, input_ids))

    def embed_text(self, text: str) -> Tensor:
        """Tokenize and embed a text -> [seq, hidden]."""
        return self.embed(self.tokenize(text))

    def join(self, *parts: str | Tensor) -> Tensor:
        """Concatenate text, ids [n] and vectors [n, hidden] into one sequence of embeddings [seq, hidden].

        If the first part is text, the special tokens that the model expects around a text (BOS; </s> at the end for
        T5) surround the whole.
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

    @overload
    def mix(self, weights: Sequence[Mixture]) -> Tensor: ...

    @overload
    def mix(self, weights: Tensor, ids: Tensor | None = None) -> Tensor: ...

    def mix(self, weights: Tensor | Sequence[Mixture], ids: Tensor | None = None) -> Tensor:
        """Compute weighted sums of token embeddings: weights [batch, vocab] -> [batch, hidden].

        Args:
            weights: for all tokens [batch, vocab], for the tokens `ids` [batch, k], or as mixtures of any sizes.
                Each mixture is summed on its own, so that its vector does not depend on the others.
            ids: [batch, k] the tokens that the weights belong to.

        Raises:
            VsgError: NaN or negative weights, or weight on a row that is not a token.
        """
        if not isinstance(weights, torch.Tensor):
            vectors = [
                self.mix(torch.tensor([mixture.weights]), torch.tensor([mixture.token_ids], dtype=torch.long))
                for mixture in weights
            ]
            return torch.cat(vectors) if vectors else self.embedding_table[:0]
        weights = weights.to(self.device)
        if weights.dim() != 2 or (ids is None and weights.shape[-1] != self.vocab_size):
            shape, vocab = list(weights.shape), self.vocab_size
            raise WrongUse(f"mixture weights have shape {shape}: give [batch, {vocab}], or ids with them")
        self._check_weights(weights, ids)
        if ids is None:
            # A card multiplies with the whole table sooner than it is asked. Else the first row is counted first: in
            # most batches it decides.
            if engine.is_put_off(weights.device) or int(weights[:1].count_nonzero()) > GATHERED:
                return self._mix_all(weights)
            most = int(weights.count_nonzero(-1).max())
            if most > GATHERED:
                return self._mix_all(weights)
            weights, ids = weights.topk(max(most, 1))  # [batch, most]; all other weights are 0
        rows = self.embedding_table[ids].float()  # [batch, k, hidden]
        return torch.bmm(weights.float().unsqueeze(1), rows).squeeze(1).to(self.dtype)

    def noise(self, *shape: int, generator: torch.Generator | None = None, scale: float = 1.0) -> Tensor:
        """Draw Gaussian vectors [*shape, hidden] whose entries are spread like those of the embedding table.

        Args:
            generator: a CPU generator; by default a new one with seed 0.
            scale: the entries' standard deviation, in standard deviations of the table's entries.
        """
        drawn = torch.randn(*shape, self.embedding_table.shape[-1], generator=generator or _generator())
        return (drawn * (scale * self.embedding_std)).to(self.device, self.dtype)

    def noise_like(self, vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw Gaussian vectors [..., hidden] with the norms of the given ones, in their dtype and on their device.

        Args:
            generator: a CPU generator; by default a new one with seed 0.
        """
        drawn = torch.randn(vectors.shape, generator=generator or _generator()).to(vectors)
        # In place, since the vectors may be a whole embedding table
        return drawn.mul_(vectors.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True))

    def random_tokens(self, *shape: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ids [*shape] uniformly from all tokens, special ones included.

        Args:
            generator: a CPU generator; by default a new one with seed 0.
        """
        ids = torch.tensor(self.token_ids)
        return ids[torch.randint(len(ids), shape, generator=generator or _generator())].to(self.device)

    def _check_weights(self, weights: Tensor, ids: Tensor | None) -> None:
        """Refuse weights that are not a mixture of tokens."""
        if ids is not None and ids.shape != weights.shape:
            raise WrongUse(
                f"mixture weights {list(weights.shape)} do not fit ids {list(ids.shape)}: give one weight per id"
            )
        # The minimum of numbers with NaN is NaN, which compares False.
        if weights.numel():
            engine.demand(
                weights.amin() >= 0,
                lambda: VsgError("mixture weights contain NaN or a negative number: give probabilities"),
            )
        padding = weights[:, self._padding] if ids is None else weights.masked_fill(self.is_token[ids], 0)
        engine.demand(
            ~padding.any(),
            lambda: VsgError("mixture weights on rows that only pad the embedding table: give 0 there"),
        )

    def _mix_all(self, weights: Tensor) -> Tensor:
        """Multiply weights [batch, vocab] with the whole table, in PARTS blocks -> [batch, hidden]."""
        parts = math.gcd(PARTS, weights.shape[-1])
        # blocks [parts, batch, vocab / parts], table [parts, vocab / parts, hidden]
        blocks = weights.float().reshape(len(weights), parts, -1).transpose(0, 1)
        table = self.embedding_table.float().reshape(parts, weights.shape[-1] // parts, -1)
        return torch.bmm(blocks, table).sum(0).to(self.dtype)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)

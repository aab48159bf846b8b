"""A language model as the claims see it: text, ids, embeddings, mixtures, next-token logits, generation."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsg_core.batching import check_sequences, left_padded_batches
from vsg_core.decode import decode
from vsg_core.engine import Engine, State, open_model, open_tokenizer
from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.mixture import Mixing
from vsg_core.placement import as_device, as_dtype
from vsg_core.writers import TokenWriter

GATHERED = 256  # with more components than this a product with the whole table is faster, and much smaller
# What ends an answer, whichever of these a vocabulary knows: a GGUF file names only one of them.
END_TOKENS = ("<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<end_of_turn>", "<eos>", "</s>")


@dataclass(frozen=True)
class Generation:
    """What a model wrote after one sequence: the new tokens only."""

    ids: list[int]
    text: str
    stopped: str  # "end" at an end token (left out), "length", or "context" at the model's last position


class LanguageModel:
    """A transformers model and its tokenizer.

    A *sequence* is ids [seq] or embeddings [seq, hidden]; several go through together, left-padded, and
    each gives what it would give alone.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "model",
        family: str = "",
        kind: str | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine = Engine(model)
        self.tokenizer = tokenizer
        self.name, self.family = name, family
        self.kind = kind or ("instruct" if self.has_chat else "base")
        self.identity = dict(identity or {})

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, dtype: str | torch.dtype | None = None, device: str = "auto", **about: Any
    ) -> LanguageModel:
        """Load safetensors and tokenizer from a folder.

        Args:
            dtype: float32 unless told: the claims measure the model, not its rounding.
            device: auto takes CUDA, then MPS, then the CPU.
            about: name, family, kind and identity, as for the constructor.
        """
        model = open_model(Path(folder), as_dtype(dtype), as_device(device))
        return cls(model, open_tokenizer(Path(folder)), **about)

    # Text

    @property
    def has_chat(self) -> bool:
        return bool(getattr(self.tokenizer, "chat_template", None))

    def chat(self, text: str, system: str | None = None) -> str:
        """A user's message in the model's own chat format, up to where the answer begins.

        Raises:
            NotApplicable: the model has no chat template.
        """
        if not self.has_chat:
            raise NotApplicable(f"{self.name} has no chat template")
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": text})
        return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def tokenize(self, text: str, special: bool = True) -> Tensor:
        """Text -> ids [seq]; with `special`, what the model expects around a text (BOS, say), once.

        Raises:
            WrongUse: no token comes of it.
        """
        ids = self.tokenizer(text, add_special_tokens=special).input_ids
        if ids[:2] == [self.tokenizer.bos_token_id] * 2:  # the chat template wrote one too
            ids = ids[1:]
        if not ids:
            raise WrongUse(f"the text {text!r} has no token: give at least one word")
        return torch.tensor(ids, device=self.device)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Ids -> text, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        """One token as text, special or not."""
        return self.tokenizer.decode([token_id])

    # Embeddings

    @property
    def device(self) -> torch.device:
        return self.engine.device

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

    @cached_property
    def _closing(self) -> int:
        """How many tokens the tokenizer puts after a text: T5's </s>, none for most."""
        bare, whole = (self.tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
        return next(n for n in range(len(whole)) if whole[: len(whole) - n][-len(bare) :] == bare)

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
                return (weights.float() @ self.embedding_table.float()).to(self.dtype)
            weights, ids = weights.topk(max(most, 1))  # [batch, most]; the rest has no weight
        rows = self.embedding_table[ids].float()  # [batch, k, hidden]
        return torch.einsum("bk,bkh->bh", weights.float(), rows).to(self.dtype)

    # Next tokens

    def next_logits(self, sequences: Sequence[Tensor]) -> Tensor:
        """Sequences -> [batch, vocab] float32 logits of the token after each; -inf on rows that are no token."""
        logits = torch.empty(len(sequences), self.engine.vocab_size, device=self.device)
        for rows, state in self.prefill(sequences, keep_cache=False):
            logits[rows] = state.logits
        return logits

    def prefill(
        self, sequences: Sequence[Tensor], room: int = 0, keep_cache: bool = True
    ) -> Iterator[tuple[Tensor, State]]:
        """The states after each sequence, batch by batch: (which sequences [batch], their state).

        Sequences of like length share a batch. `room` is how many further positions each will need.

        Raises:
            WrongUse: no sequence, an empty one, or one longer than the model's context.
        """
        check_sequences(self.engine, self.name, sequences)
        for rows, inputs, attention_mask in left_padded_batches(self.engine, sequences, room):
            yield rows, self._masked(self.engine.start(inputs, attention_mask, keep_cache))

    def step(self, state: State, inputs: Tensor) -> State:
        """Feed ids [batch] or vectors [batch, hidden] as the next position; changes `state` and returns it."""
        inputs = inputs.to(self.device, self.dtype if inputs.is_floating_point() else torch.long)
        return self._masked(self.engine.step(state, inputs.unsqueeze(1)))

    def select(self, state: State, rows: Tensor) -> State:
        """A copy of the named rows of a state, to branch from."""
        return self.engine.select(state, rows)

    def generate(
        self,
        sequences: Sequence[Tensor],
        max_new_tokens: int = 20,
        sampling: Mixing | None = None,
        generator: torch.Generator | None = None,
    ) -> list[Generation]:
        """Continue each sequence, greedily unless `sampling` is given.

        Returns:
            For each sequence its new tokens only: ids, text, and why it stopped
            ("end" at an end token, which is left out; "length"; "context").
        """
        draws = None
        if sampling is not None:
            generator = generator or torch.Generator().manual_seed(0)
            draws = torch.rand(len(sequences), max(max_new_tokens, 0), generator=generator)
        traces = decode(self, sequences, TokenWriter(self, sampling, draws), max_new_tokens)
        return [Generation(trace.steps, self.decode(trace.steps), trace.stopped) for trace in traces]

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Ids that end an answer: the model's own and whichever of END_TOKENS its vocabulary knows."""
        own = self.engine.model.generation_config.eos_token_id
        named = [self.tokenizer.get_vocab().get(token) for token in END_TOKENS]
        ids = [self.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own]), *named]
        return frozenset(i for i in ids if i is not None)

    def context_left(self, state: State, row: int) -> int:
        """Positions that a row of a state may still take; a large number where the model sets no bound."""
        return sys.maxsize if self.engine.context is None else self.engine.context - state.lengths[row]

    def close(self) -> None:
        """Drop the weights: memory is free for the next model."""
        self.__dict__.pop("embedding_table", None)
        self.engine.model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _masked(self, state: State) -> State:
        """Rule out the rows of the table that are no token: they never receive weight."""
        state.logits.index_fill_(-1, self._padding, -torch.inf)
        return state

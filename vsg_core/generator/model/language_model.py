"""A language model as the claims see it: text, ids, embeddings, mixtures, next-token logits, generation."""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import NotEnoughMemory, VsgError
from vsg_core.generator import engine
from vsg_core.generator.engine import Engine, State
from vsg_core.generator.engine.batching import check_sequences, left_padded_batches, states_after
from vsg_core.generator.engine.memory import check_memory
from vsg_core.generator.engine.placement import as_device, as_dtype
from vsg_core.generator.mixing.mixture import Mixing
from vsg_core.generator.model.embeddings import Embeddings
from vsg_core.generator.writing.decoding import decode
from vsg_core.generator.writing.writers import TokenWriter


@dataclass(frozen=True)
class Generation:
    """What a model wrote after one sequence: the new tokens only."""

    ids: list[int]
    text: str
    stopped: str  # "end" at an end token (left out), "length", or "context" at the model's last position


class LanguageModel(Embeddings):
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
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine = Engine(model)
        self.tokenizer = tokenizer
        self.name, self.family = name, family
        self.kind = kind or ("instruct" if self.has_chat else "base")
        self.identity = dict(identity or {})
        self.initial = initial

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, dtype: str | torch.dtype | None = None, device: str = "auto", **about: Any
    ) -> LanguageModel:
        """Load safetensors and tokenizer from a folder.

        Args:
            dtype: float32 unless told: the claims measure the model, not its rounding.
            device: auto takes CUDA, then MPS, then the CPU.
            about: name, family, kind, identity and initial, as for the constructor.
        """
        model = engine.open_model(Path(folder), as_dtype(dtype), as_device(device))
        return cls(model, engine.open_tokenizer(Path(folder)), **about)

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

        Sequences of like length share a batch, and what all of a batch begin with is gone through once. `room`
        is how many further positions each will need.

        Raises:
            WrongUse: no sequence, an empty one, or one longer than the model's context.
        """
        check_sequences(self.engine, self.name, sequences)
        for rows, state in states_after(self.engine, sequences, room, keep_cache):
            yield rows, self._masked(state)

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

    def library_scores(self, sequences: Sequence[Tensor], **options: Any) -> Tensor:
        """[batch, vocab] float32: from what transformers' own generate takes its first token, with its `options` only.

        Sequences of one length go through together: padding would count as text for some options.
        """
        check_sequences(self.engine, self.name, sequences)
        found = [torch.empty(0)] * len(sequences)
        alike = defaultdict(list)
        for row, sequence in enumerate(sequences):
            alike[sequence.shape, sequence.dtype].append(row)
        for rows in alike.values():
            inputs = torch.stack([sequences[row] for row in rows])  # [batch, seq] or [batch, seq, hidden]
            for row, scores in zip(rows, engine.library_scores(self.engine, inputs, **options), strict=True):
                found[row] = scores
        return torch.stack(found)

    def hidden_states(self, sequences: Sequence[Tensor]) -> Tensor:
        """Sequences -> [batch, layers + 1, hidden] float32 at their last position, on the CPU.

        The embedding comes first; the last is as the head sees it, after the final norm.

        Raises:
            NotApplicable: an encoder-decoder.
        """
        check_sequences(self.engine, self.name, sequences)
        found: list[Tensor] = [torch.empty(0)] * len(sequences)
        for rows, inputs, attention_mask in left_padded_batches(self.engine, sequences):
            states = engine.last_hidden_states(self.engine, inputs, attention_mask).cpu()
            for row, layers in zip(rows.tolist(), states, strict=True):
                found[row] = layers
        return torch.stack(found)

    def lens(self, hidden_states: Tensor) -> Tensor:
        """Hidden states [..., hidden] of any layer but the last -> [..., vocab] float32 logits: the logit lens.

        Raises:
            NotApplicable: the model has no final norm that we know of.
        """
        logits = engine.lens(self.engine.model, hidden_states)
        return logits.index_fill(-1, self._padding, -torch.inf)

    def untrained(self, seed: int = 0) -> LanguageModel:
        """The same architecture with random weights, whose passes count as this model's; close it after use.

        They are drawn as the configuration says, with what `initial` puts right in it: a GGUF has no spread of
        the first weights, and keeps apart what was tied.
        """
        model = engine.untrained(self.engine.model, seed, self.initial or {})
        twin = LanguageModel(model, self.tokenizer, name=f"{self.name}, untrained", kind=self.kind)
        twin.engine.meter = self.engine.meter
        return twin

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """Compute in float64 within, as far as the architecture does: what two ways to the same numbers still differ
        by is then hardly rounding.

        Raises:
            VsgError: the machine cannot hold the weights in float64. No NotEnoughMemory, for that would pass for a
                model that cannot be had.
        """
        bytes_more = sum(each.numel() * (8 - each.itemsize) for each in self.engine.model.parameters())
        try:
            check_memory(f"{self.name} in float64", bytes_more, str(self.device))
        except NotEnoughMemory as error:
            raise VsgError(str(error)) from None
        self._forget()  # what is kept is of the weights, and where the weights are, as they are now
        try:
            with engine.float64(self.engine.model):
                yield
        finally:
            self._forget()

    def _forget(self) -> None:
        """Drop what was made of the weights, to be made again."""
        for name in ("embedding_table", "embedding_norms", "is_token", "_padding"):
            self.__dict__.pop(name, None)

    def context_left(self, state: State, row: int) -> int:
        """Positions that a row of a state may still take; a large number where the model sets no bound."""
        return sys.maxsize if self.engine.context is None else self.engine.context - state.lengths[row]

    def close(self) -> None:
        """Drop the weights: memory is free for the next model."""
        self._forget()
        self.engine.model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _masked(self, state: State) -> State:
        """Rule out the rows of the table that are no token: they never receive weight."""
        state.logits.index_fill_(-1, self._padding, -torch.inf)
        return state

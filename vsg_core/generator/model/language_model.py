"""A language model as claims use it: text, ids, embeddings, mixtures, next-token logits, generation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator import engine
from vsg_core.generator.mixing.presets import Mixing
from vsg_core.generator.model.embeddings import Embeddings
from vsg_core.generator.model.special_tokens import special_tokens
from vsg_core.generator.writing.decoding import Prompt, as_list, decode
from vsg_core.generator.writing.writers import TokenWriter
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Generation:
    """The text that a model wrote after one sequence.

    Args:
        ids: the new tokens only.
        text: the same as text, without special tokens.
        stopped: "end" at an end token, which is left out; "length"; or "context" at the model's last position.
        after_reasoning: what the text says after its reasoning, empty if that does not end; None if it has none.
    """

    ids: list[int]
    text: str
    stopped: str
    after_reasoning: str | None = None

    @property
    def answer(self) -> str:
        """The text without its reasoning."""
        return self.text if self.after_reasoning is None else self.after_reasoning

    @property
    def is_empty(self) -> bool:
        """Return whether the answer is empty or only white space."""
        return not self.answer.strip()


class LanguageModel(Embeddings):
    """A model on its engine, and the model's tokenizer.

    A *sequence* (`Prompt`) is text, ids [seq] (a list or an array too) or embeddings [seq, hidden]; text is
    tokenized with special tokens.
    Several sequences run together, and each gives what it would give alone.

    As a context manager it closes itself: `with lm.untrained() as twin:`.

    Args:
        model: a transformers model, causal or encoder-decoder; or any `Engine`.
        tokenizer: its tokenizer.
        name: as reports show it.
        family: the model's family in the registry, such as "qwen".
        kind: "base" or "instruct"; by default "instruct" if there is a chat template.
        identity: facts about the weights for the records, such as their digest.
        initial: settings that an untrained twin needs in its configuration (see `untrained`).
        end_ids: tokens that end an answer; by default those that tokenizer, configuration and chat template name.
        paths: the ways of computing that are exact for a transformers model; by default a self-check finds them. An
            engine knows its own.
        thinking: let `chat` turn reasoning on or off where its caller does not say; by default it is off.

    Raises:
        VsgError: the self-check finds no exact way, or NaN in the weights; or the tokenizer gives ids that the
            embedding table lacks.
        WrongUse: it is neither a language model of transformers nor an engine, or an engine that is given paths.
        NotApplicable: its chat format cannot do what `thinking` asks for.
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
        end_ids: Iterable[int] | None = None,
        paths: engine.Paths | None = None,
        thinking: bool | None = None,
    ) -> None:
        if not hasattr(tokenizer, "get_vocab"):
            raise WrongUse(
                f"the tokenizer is a {type(tokenizer).__name__}: give the model's tokenizer of transformers"
            )
        own = None if isinstance(model, engine.Engine) else _engine_of(model, paths, tokenizer)
        if own is None and paths is not None:
            raise WrongUse("paths are for a transformers model, and an engine is given: leave them out")
        self.engine: engine.Engine = model if own is None else own
        self.tokenizer = tokenizer
        self.name, self.family = name, family
        self.thinking = thinking
        self._check_thinking()
        self.kind = kind or ("instruct" if self.has_chat else "base")
        self.identity = dict(identity or {})
        self.initial = initial
        self.end_ids = self._known_end_ids() if end_ids is None else frozenset(end_ids)
        self._check_table()
        if own is not None and paths is None:
            own.check(self.token_ids, self.tokenizer.all_special_ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        dtype: str | torch.dtype | None = None,
        device: str = "auto",
        weights: engine.Packing | None = None,
        adapter: str | Path | None = None,
        **about: Any,
    ) -> LanguageModel:
        """Load safetensors and tokenizer from a folder.

        Args:
            dtype: float32 by default, since claims measure the model and not its rounding.
            device: auto prefers CUDA, then MPS, then the CPU; a model that no card holds is placed over all cards.
            weights: pack the weights with bitsandbytes while loading: "nf4" or "int8".
            adapter: a folder with a PEFT adapter of the model; its tokenizer is used if it has one.
            about: the constructor's other arguments.
        """
        model = engine.open_model(Path(folder), engine.as_dtype(dtype), device, weights)
        if adapter is None:
            return cls(model, engine.open_tokenizer(Path(folder)), **about)
        own = (Path(adapter) / "tokenizer_config.json").is_file()
        tokenizer = engine.open_tokenizer(Path(adapter if own else folder))
        return cls(engine.with_adapter(model, Path(adapter)), tokenizer, **about)

    def next_logits(self, sequences: Sequence[Prompt]) -> Tensor:
        """Logits [batch, vocab] float32 of the token after each sequence; -inf on rows that are not tokens."""
        tensors = self._as_tensors(sequences)
        logits = torch.empty(len(tensors), self.vocab_size, device=self.device)
        for rows, state in self.prefill(tensors, keep_cache=False):
            logits[rows] = state.logits
        return logits

    def prefill(
        self, sequences: Sequence[Prompt], room: int = 0, keep_cache: bool = True
    ) -> Iterator[tuple[Tensor, engine.State]]:
        """Compute the state after each sequence, batch by batch: (the sequences' numbers [batch], their state).

        Args:
            room: number of further positions that each sequence will need.
            keep_cache: False if only the logits are needed.

        Raises:
            WrongUse: no sequence, an empty one, or one longer than the model's context.
        """
        tensors = self._as_tensors(sequences)
        for rows, state in self.engine.start(tensors, room, keep_cache):
            yield rows, self._masked(state)

    def step(self, state: engine.State, inputs: Tensor) -> engine.State:
        """Feed ids [batch] or vectors [batch, hidden] as the next position; changes `state` and returns it."""
        return self._masked(self.engine.step(state, engine.as_inputs(self.engine, state, inputs)))

    def select(self, state: engine.State, rows: Tensor) -> engine.State:
        """Copy the given rows of a state, to branch from."""
        return self.engine.select(state, engine.as_rows(state, rows))

    def logits_after(self, state: engine.State, rows: Tensor, inputs: Tensor) -> Tensor:
        """Logits [n, vocab] after a next position of each of the given rows of a state, which stays as it is.

        Args:
            rows: [n], repeated where one row has several branches.
            inputs: ids [n] or vectors [n, hidden].
        """
        size = self.engine.max_rows(max(state.lengths) + 1)
        parts = [slice(begin, begin + size) for begin in range(0, len(rows), size)]
        return torch.cat([self.step(self.select(state, rows[some]), inputs[some]).logits for some in parts])

    def gradients_after(
        self,
        state: engine.State,
        rows: Tensor,
        inputs: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The losses [n] of the next logits after further vectors, and their gradients [n, positions, hidden].

        Each gradient is that of the own row's loss. State and weights stay as they are.

        Args:
            rows: [n] rows of the state, as in `logits_after`.
            inputs: vectors [n, positions, hidden].
            loss: from logits [some, vocab] and the numbers [some] of their inputs, 0 to n - 1, to losses [some]. Logits
                of rows that are not tokens are -inf.

        Raises:
            WrongUse: the vectors do not fit the rows or the model.
            NotApplicable: the model changes in place what gradients are computed from, or the engine gives none.
        """
        able = engine.capability(self.engine, engine.Gradients)
        width = self.engine.hidden_size
        if inputs.dim() != 3 or len(inputs) != len(rows) or inputs.shape[2] != width:
            raise WrongUse(
                f"inputs have shape {list(inputs.shape)}: give vectors [{len(rows)}, positions, {width}]"
            )
        size = self.engine.max_rows(max(state.lengths) + engine.KEPT * inputs.shape[1])
        losses, gradients = [], []
        for some in torch.split(torch.arange(len(rows)), size):

            def own(after: engine.State, some: Tensor = some) -> Tensor:
                return loss(self._masked(after).logits, some)

            branches = self.select(state, rows[some])
            fed = inputs[some].to(self.device, self.dtype)
            found = able.gradients_after(branches, fed, own)
            losses.append(found[0])
            gradients.append(found[1])
        return torch.cat(losses), torch.cat(gradients)

    def gather(self, pieces: Sequence[tuple[engine.State, Tensor]]) -> engine.State:
        """Copy the given rows of several states into one batch, if `most_rows` allows it; one state's rows always."""
        if len(pieces) == 1:
            return self.select(*pieces[0])
        return self.engine.gather([(state, engine.as_rows(state, rows)) for state, rows in pieces])

    def most_rows(self, state: engine.State, room: int) -> int:
        """Number of rows that a batch may have in which a state's rows go on for `room` positions.

        Returns:
            0 if rows of other states cannot join them.
        """
        positions = max(state.lengths) + room
        return self.engine.max_rows(positions) if self.engine.joins(positions) else 0

    def generate(
        self,
        sequences: Sequence[Prompt],
        max_new_tokens: int = 20,
        sampling: Mixing | None = None,
        generator: torch.Generator | None = None,
    ) -> list[Generation]:
        """Continue each sequence, greedily unless `sampling` is given.

        Args:
            sampling: the weights that tokens are sampled from.
            generator: of the samples; by default a new one with seed 0.
        """
        draws = None
        if sampling is not None:
            generator = generator or torch.Generator().manual_seed(0)
            draws = torch.rand(len(sequences), max(max_new_tokens, 0), generator=generator)
        traces = decode(self, sequences, TokenWriter(self, sampling, draws), max_new_tokens)
        return [
            Generation(
                trace.steps, self.decode(trace.steps), trace.stopped, self.answer_of(prompt, trace.steps)
            )
            for prompt, trace in zip(sequences, traces, strict=True)
        ]

    def library_scores(self, sequences: Sequence[Prompt], **options: Any) -> Tensor:
        """The scores [batch, vocab] float32 from which transformers' `generate` picks its first token.

        Only the given options of `generate` are set. Sequences of different lengths run apart, because some options
        would treat padding as text.

        Raises:
            NotApplicable: the model or its engine has no `generate`.
        """
        able = engine.capability(self.engine, engine.LibraryScores)
        tensors = self._as_tensors(sequences)
        alike = defaultdict(list)  # by shape and dtype: the sequences' numbers
        for row, sequence in enumerate(tensors):
            alike[sequence.shape, sequence.dtype].append(row)
        by_row: dict[int, Tensor] = {}
        for rows in alike.values():
            inputs = torch.stack([tensors[row] for row in rows])  # [batch, seq] or [batch, seq, hidden]
            by_row |= zip(rows, able.library_scores(inputs, **options), strict=True)
        return torch.stack([by_row[row] for row in range(len(tensors))])

    def hidden_states(self, sequences: Sequence[Prompt]) -> Tensor:
        """Hidden states [batch, layers + 1, hidden] float32 at each sequence's last position, on the CPU.

        The embedding comes first; the last is as the head sees it, after the final norm.

        Raises:
            NotApplicable: an encoder-decoder, or an engine that gives none.
        """
        able = engine.capability(self.engine, engine.LayerStates)
        return able.last_hidden_states(self._as_tensors(sequences))

    def final_states(self, sequences: Sequence[Prompt]) -> Tensor:
        """Hidden states [batch, hidden] float32 at each sequence's last position before the final norm, on the CPU.

        `lens` turns them, and blends of them, into logits.

        Raises:
            NotApplicable: the architecture's final norm is not known, or the engine gives no lens.
        """
        return engine.capability(self.engine, engine.LogitLens).final_states(self._as_tensors(sequences))

    def lens(self, hidden_states: Tensor) -> Tensor:
        """The logit lens: hidden states [..., hidden] of any layer but the last -> logits [..., vocab] float32.

        Raises:
            NotApplicable: the architecture's final norm is not known, or the engine gives no lens.
        """
        able = engine.capability(self.engine, engine.LogitLens)
        width = self.engine.hidden_size
        if not hidden_states.dim() or hidden_states.shape[-1] != width:
            raise WrongUse(f"hidden states have shape {list(hidden_states.shape)}: give [..., {width}]")
        return able.lens(hidden_states).index_fill_(-1, self._padding, -torch.inf)

    def untrained(self, seed: int = 0) -> LanguageModel:
        """Build the same architecture with random weights; close it after use. Its passes count as this model's.

        The weights are drawn as the configuration says, with the corrections of `initial`: a GGUF does not keep the
        initial standard deviation, and unties tied weights.

        Raises:
            NotApplicable: the engine cannot.
        """
        twin = engine.capability(self.engine, engine.UntrainedTwin).untrained(seed, self.initial or {})
        return LanguageModel(
            twin,
            self.tokenizer,
            name=f"{self.name}, untrained",
            kind=self.kind,
            thinking=self.thinking,
        )

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """Run the model in float64 inside the block, as far as its architecture allows.

        Any difference that remains between two computations is then unlikely to be rounding.

        Raises:
            VsgError: the machine cannot hold the weights in float64.
            NotApplicable: the engine cannot.
        """
        able = engine.capability(self.engine, engine.Float64)
        # Cached tensors have the old dtype and device.
        self._forget()
        try:
            with able.in_float64():
                yield
        finally:
            self._forget()

    @contextmanager
    def rounded(self, bits: int) -> Iterator[None]:
        """Round the weights to `bits` bits inside the block: to nearest, in blocks of 32 that share a scale.

        Norms and biases stay as they are. Afterwards all weights are as before, bit for bit.

        Raises:
            WrongUse: fewer than 2 bits, or more than 16.
            NotApplicable: the weights are packed already, or partly outside memory; or the engine cannot.
            VsgError: the machine cannot hold the weights twice, as in `in_float64`.
        """
        if not 2 <= bits <= 16:
            raise WrongUse(f"weights are to be rounded to {bits} bits: give 2 to 16")
        able = engine.capability(self.engine, engine.RoundedWeights)
        self._forget()
        try:
            with able.rounded(bits):
                yield
        finally:
            self._forget()

    def _forget(self) -> None:
        """Drop all cached properties, which were computed from the weights as they are now."""
        for owner in type(self).__mro__:
            for name, member in vars(owner).items():
                if isinstance(member, cached_property):
                    self.__dict__.pop(name, None)

    def context_left(self, state: engine.State, row: int) -> int:
        """Number of positions that a row of a state can still take; very large if the model has no limit."""
        return self.engine.context_left(state, row)

    def close(self) -> None:
        """Drop the weights, to free memory for the next model."""
        self._forget()
        self.engine.close()

    def _as_tensors(self, sequences: Sequence[Prompt]) -> list[Tensor]:
        """Tokenize the texts among the sequences, and refuse what the model cannot take."""
        tokenized = [self.tokenize(each) if isinstance(each, str) else each for each in as_list(sequences)]
        return engine.as_sequences(self.engine, self.name, tokenized)

    def _masked(self, state: engine.State) -> engine.State:
        """Exclude the rows of the table that are not tokens, so that they never receive weight."""
        logits = state.logits
        # A sum is the cheapest look at all of them; rows that are not tokens may be infinite.
        predicted = self.engine.predicted
        if engine.is_put_off(logits.device):
            finite = logits[:, :predicted].isfinite() | ~self.is_token[:predicted]
            engine.demand(finite.all(), self._not_finite)
        elif (
            not logits.sum().isfinite()
            and not logits[:, :predicted][:, self.is_token[:predicted]].isfinite().all()
        ):
            raise self._not_finite()
        logits.index_fill_(-1, self._padding, -torch.inf)
        return state

    def _not_finite(self) -> VsgError:
        return VsgError(f"the logits of {self.name} contain NaN or infinity: no claim is judged on it")


def _engine_of(model: Any, paths: engine.Paths | None, tokenizer: Any) -> engine.TransformersEngine:
    return engine.TransformersEngine(model, paths, special_tokens(tokenizer).values())

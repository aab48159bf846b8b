"""Forward passes of a batch from ids or embeddings, with a cache where it is exact."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.generator.engine.cache import growing_cache, selected
from vsg_core.generator.engine.configuration import borders, context_of, embedding_scale
from vsg_core.generator.engine.head import on_all_cores
from vsg_core.generator.engine.metering import Meter
from vsg_core.generator.engine.paths import Paths
from vsg_core.generator.engine.split import device_of, devices_of, is_split
from vsg_core.generator.engine.static import Runners, step_in_place
from vsg_core.generator.engine.transfers import sent
from vsg_core.generator.engine.wrapping import head_of, unwrapped


@dataclass
class PaddedState:
    """A batch of sequences after their last position.

    A step changes the cache in place: to branch, copy the state with `PaddedEngine.select` first.

    Args:
        logits: [batch, vocab] float32, of the next token.
        hidden: [batch, hidden] the last hidden state, as the model's head saw it.
        cache: transformers' key-value cache, or a HeldCache; None if steps compute the whole sequence again.
        attention_mask: [batch, past], None if nothing is padded; of the encoder's input for an encoder-decoder.
        lengths: positions of each row without padding, prompt included; the position id of the next input.
        fed: ids [batch, past] or embeddings [batch, past, hidden] so far, where there is no cache; those of the
            decoder for an encoder-decoder.
        encoded: [batch, seq, hidden] the encoder's output of an encoder-decoder.
        written: positions that the decoder of an encoder-decoder has read.
    """

    logits: Tensor
    hidden: Tensor
    cache: Any
    attention_mask: Tensor | None
    lengths: list[int]
    fed: Tensor | None = None
    encoded: Tensor | None = None
    written: int = 0

    def release(self) -> None:
        """Drop all tensors."""
        self.logits = self.hidden = torch.empty(0)
        self.cache = self.attention_mask = self.fed = self.encoded = None


class PaddedEngine:
    """Runs a transformers model, causal or encoder-decoder, on left-padded batches of ids or embeddings.

    For an encoder-decoder, sequences go to the encoder and `feed` feeds the decoder.

    Args:
        model: the model; one wrapped by torch.compile, DataParallel or PEFT is unwrapped.
        paths: the ways of computing it may take; by default all, until a self-check says more.

    Raises:
        WrongUse: it is not a language model of transformers, or part of it is not in memory.
    """

    def __init__(self, model: Any, paths: Paths | None = None) -> None:
        self.model: PreTrainedModel = unwrapped(model).eval()
        # Whether its parts are on several devices, or partly outside memory.
        self.split = is_split(self.model)
        self.paths = paths or Paths()
        self.meter = Meter()
        if not isinstance(getattr(self.embedding, "weight", None), Tensor):
            kind = type(self.embedding).__name__
            raise WrongUse(
                f"the input embeddings of {type(self.model).__name__} are a {kind}, which has no table"
            )
        self.is_encoder_decoder = bool(self.model.config.is_encoder_decoder)
        accepted = inspect.signature(self.model.forward).parameters
        # Some models silently ignore an unknown keyword: pass only those that are declared.
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        # Number of positions the model was built for; None if it has no limit (relative positions).
        self.context = context_of(self.model)
        self._scale = embedding_scale(self.model)
        self.hidden_size = self.embed(torch.zeros(1, dtype=torch.long)).shape[-1]
        self._borders = borders(self.model)
        # Tokens that the model predicts: its head may have fewer rows than its table.
        self.predicted = self.vocab_size
        self._encoder_output: type[Any] = BaseModelOutput
        self._seen: Tensor | None = None  # the head's last input [batch, hidden]
        self.runners = Runners()
        # Whether passes keep what gradients are computed from: see `gradients`.
        self.differentiable = False
        modules = list(self.model.modules())
        # The hooks of each module, those that are added later too.
        self.hooks = [each for m in modules for each in (m._forward_hooks, m._forward_pre_hooks)]
        head_of(self.model).register_forward_pre_hook(self._look)

    def _look(self, head: Any, inputs: tuple[Tensor, ...]) -> None:
        if inputs and inputs[0].dim() == 3:
            # Where layers are on several devices, this is the last one's.
            self._seen = inputs[0][:, -1].detach().to(self.device)  # [batch, hidden]

    @property
    def device(self) -> torch.device:
        """The device of the weights; that of the embedding table where they are on several."""
        return device_of(self.embedding) if self.split else torch.device(self.model.device)

    @property
    def devices(self) -> list[torch.device]:
        """The devices on which the model computes, that of its inputs first."""
        return devices_of(self.model) if self.split else [self.device]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def embedding(self) -> Any:
        """The model's own embedding module. Call it instead of indexing its weight: some scale inside it (Gemma)."""
        return self.model.get_input_embeddings()

    @property
    def vocab_size(self) -> int:
        """Number of rows of the embedding table, including rows that only pad it."""
        return int(self.embedding.weight.shape[0])

    def context_left(self, state: PaddedState, row: int) -> int:
        """Number of positions that a row of a state can still take; very large if the model has no limit."""
        if self.context is None:
            return sys.maxsize
        return self.context - (state.written if self.is_encoder_decoder else state.lengths[row])

    def can_share(self, positions: int) -> bool:
        """Return whether sequences of up to `positions` positions can share a common beginning, and join in a batch.

        Padding then comes after that beginning, so the model must take position ids and have no border (of a window,
        of a chunk) within `positions`, because it would count the padding.
        """
        paths = self.paths
        if not (paths.shared and paths.cached and paths.batches == "padded"):
            return False
        return positions <= self.padded_positions and self._takes_positions and not self.is_encoder_decoder

    @property
    def padded_positions(self) -> int:
        """Positions, padding included, up to the first border: of a window, a chunk, the context, what was checked."""
        limits = (*self._borders, self.context, self.paths.limit)
        return min((limit for limit in limits if limit is not None), default=sys.maxsize)

    def bytes_per_position(self) -> int:
        """Bytes for one more position of one sequence: keys, values, and the activations of a layer."""
        config = self.model.config.get_text_config()
        layers = getattr(config, "num_hidden_layers", 24) * (2 if self.is_encoder_decoder else 1)
        hidden = getattr(config, "hidden_size", self.hidden_size)
        return int((2 * layers + 8) * hidden * self.dtype.itemsize)

    @contextmanager
    def metered(self, positions: int) -> Iterator[None]:
        """Count the block as one forward pass over that many positions; without gradients unless they are wanted."""
        with torch.set_grad_enabled(self.differentiable), self.meter.measured(self.devices, positions):
            yield

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed ids [batch, seq] as the model itself does -> [batch, seq, hidden]."""
        with torch.no_grad():
            embeddings: Tensor = self.embedding(input_ids.to(self.device)).to(self.device)
        return embeddings if self._scale == 1 else embeddings * self._scale

    def table(self) -> Tensor:
        """[vocab, hidden] the embedding of every id; the weight itself if the module only looks rows up."""
        module, some = self.embedding, torch.arange(min(self.vocab_size, 64))
        # A hook, or a forward of the caller's own, may change what is looked up; max_norm changes the rows themselves.
        looks_up = type(module) is torch.nn.Embedding and not module.weight.is_meta
        if looks_up and self._scale == 1 and module.max_norm is None:
            table: Tensor = module.weight.detach()
            if self.embed(some).equal(table[: len(some)]):
                return table
        return self.embed(torch.arange(self.vocab_size))

    def begin(
        self, inputs: Tensor, attention_mask: Tensor | None, keep_cache: bool = True, room: int = 0
    ) -> PaddedState:
        """Run one pass over a left-padded batch.

        Args:
            inputs: ids [batch, seq] or embeddings [batch, seq, hidden].
            attention_mask: [batch, seq], 0 at padding; None if nothing is padded, and the model counts by itself.
            keep_cache: False if only the logits are needed.
            room: number of further positions that each sequence will need.
        """
        batch, seq = inputs.shape[:2]
        lengths = [seq] * batch if attention_mask is None else attention_mask.sum(-1).tolist()
        if self.is_encoder_decoder:
            return self._start_decoder(inputs, attention_mask, lengths, room)
        steps = keep_cache and self.steps_cached(seq + room)
        cache = growing_cache(self.model.config) if steps else None
        output = self.forward(inputs, attention_mask, cache=cache)
        fed = inputs if keep_cache and not steps else None
        return PaddedState(
            self.last_logits(output.logits), self.last_seen(batch), cache, attention_mask, lengths, fed
        )

    def steps_cached(self, positions: int) -> bool:
        """Return whether a sequence that grows to that many positions may use the cache."""
        return self.paths.cached and self.paths.allow(positions)

    def feed(self, state: PaddedState, inputs: Tensor, attention_mask: Tensor | None = None) -> PaddedState:
        """Feed the next ids [batch, n] or embeddings [batch, n, hidden]; change `state` in place and return it.

        Args:
            attention_mask: [batch, n] of the new positions, if some of them are padding on the left.
        """
        if self.paths.batches == "single" and len(inputs) > 1:
            return self._feed_each(state, inputs)
        new = inputs.shape[1]
        # What runs in place writes over what gradients are computed from.
        if not self.differentiable and step_in_place(self, state, inputs, attention_mask):
            return state
        if state.fed is not None:
            inputs = state.fed = self._continued(state.fed, inputs)
        if self.is_encoder_decoder:
            state.logits = self._decode(state, inputs)
        else:
            state.logits = self.last_logits(self.extend(state, inputs, new, attention_mask).logits)
        state.hidden = self.last_seen(len(inputs))
        return state

    def _feed_each(self, state: PaddedState, inputs: Tensor) -> PaddedState:
        """Step each row of a state without a cache alone: branches, in a model whose rows affect each other."""
        each = [
            self.feed(self.select(state, torch.tensor([row])), inputs[row : row + 1])
            for row in range(len(inputs))
        ]
        state.logits = torch.cat([row.logits for row in each])
        state.hidden = torch.cat([row.hidden for row in each])
        state.fed = torch.cat([row.fed for row in each if row.fed is not None])
        state.lengths, state.written = [row.lengths[0] for row in each], each[0].written
        return state

    def extend(
        self,
        state: PaddedState,
        inputs: Tensor,
        n: int,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> Any:
        """Feed a causal model `n` next inputs, after all others without a cache; return the pass's output.

        Logits and hidden state of `state` stay as they are. `options` are the model's.
        """
        position_ids = None
        if state.attention_mask is not None:
            past = state.attention_mask.sum(-1, keepdim=True)  # [batch, 1]
            new = past.new_ones(len(inputs), n) if attention_mask is None else attention_mask
            # The mask must cover the past too.
            state.attention_mask = torch.cat([state.attention_mask, new], dim=1)
            if state.cache is not None:
                position_ids = past + (new.cumsum(-1) - 1).clamp(min=0)  # [batch, n]
        output = self.forward(inputs, state.attention_mask, position_ids, state.cache, **options)
        # Counted without asking the device, which would wait for the pass.
        more = [n] * len(inputs) if attention_mask is None else attention_mask.sum(-1).tolist()
        state.lengths = [length + own for length, own in zip(state.lengths, more, strict=True)]
        return output

    def _continued(self, past: Tensor, inputs: Tensor) -> Tensor:
        """Append inputs [batch, n, ...] to those of the past; ids become embeddings next to embeddings."""
        if past.is_floating_point() != inputs.is_floating_point():
            past, inputs = (each if each.is_floating_point() else self.embed(each) for each in (past, inputs))
        return torch.cat([past, inputs.to(past.dtype)], dim=1)

    def select(self, state: PaddedState, rows: Tensor) -> PaddedState:
        """Copy the given rows, repeated ones several times: for branching, and for dropping finished rows."""
        places = sent(rows, self.device)
        cache = None if state.cache is None else selected(state.cache, places)

        def chosen(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[places]

        return PaddedState(
            state.logits[places],
            state.hidden[places],
            cache,
            chosen(state.attention_mask),
            [state.lengths[row] for row in rows.tolist()],
            chosen(state.fed),
            chosen(state.encoded),
            state.written,
        )

    def forward(
        self,
        inputs: Tensor,
        attention_mask: Tensor | None,
        position_ids: Tensor | None = None,
        cache: Any = None,
        **options: Any,
    ) -> Any:
        """Run one metered pass of a causal model; return its output, with logits of the last position only if it can.

        Args:
            inputs: ids [batch, n] or embeddings [batch, n, hidden].
            attention_mask: [batch, past + n]; None if nothing is padded.
            position_ids: [batch, n]; counted from the mask by default.
        """
        arguments: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            arguments["cache"] = cache
        if attention_mask is not None:
            arguments["attention_mask"] = attention_mask
            if self._takes_positions:
                if position_ids is None:
                    position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)  # [batch, n]
                arguments["position_ids"] = position_ids
        if self._takes_logits_to_keep:
            arguments["logits_to_keep"] = 1
        self._seen = None
        with self.metered(inputs.shape[0] * inputs.shape[1]), on_all_cores(head_of(self.model)):
            return self.model(**{keyword(inputs): inputs}, **arguments, **options)

    def pass_in_place(
        self, embeddings: Tensor, attention_mask: Tensor, position_ids: Tensor, cache: Any
    ) -> tuple[Tensor, Tensor | None]:
        """Run one pass of a causal model that a graph can hold, neither metered nor read back.

        Args:
            embeddings: [batch, 1, hidden].
            attention_mask: [batch, length] of all columns of the cache.
            position_ids: [batch, 1].

        Returns:
            Logits [batch, 1, predicted], and what the head saw [batch, hidden].
        """
        keep = {"logits_to_keep": 1} if self._takes_logits_to_keep else {}
        self._seen = None
        output: Any = self.model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=True,
            **keep,
        )
        seen, self._seen = self._seen, None
        return output.logits, seen

    def last_logits(self, logits: Tensor) -> Tensor:
        """Take the last position of [batch, seq, predicted] -> [batch, vocab] float32."""
        return self.fitted(logits[:, -1].float())

    def fitted(self, logits: Tensor) -> Tensor:
        """Fit logits [..., predicted] to the rows of the embedding table [..., vocab].

        Rows that the head lacks get -inf; what it has beyond the table is not a token that could be fed, and is cut.
        """
        self.predicted = min(logits.shape[-1], self.vocab_size)
        missing = self.vocab_size - logits.shape[-1]
        return logits if not missing else torch.nn.functional.pad(logits, (0, missing), value=-torch.inf)

    def last_seen(self, batch: int) -> Tensor:
        """[batch, hidden] what the head saw at the last position of the last pass; NaN where that is unknown."""
        return self.hidden_of(self._seen, batch)

    def hidden_of(self, seen: Tensor | None, batch: int) -> Tensor:
        """Return what the head saw [batch, hidden] where that is known to be the last hidden state, else NaN."""
        if self.paths.hidden and seen is not None and len(seen) == batch:
            return seen
        return torch.full((batch, self.hidden_size), torch.nan, device=self.device)

    def _start_decoder(
        self, inputs: Tensor, attention_mask: Tensor | None, lengths: list[int], room: int
    ) -> PaddedState:
        batch = inputs.shape[0]
        with self.metered(inputs.shape[0] * inputs.shape[1]):
            encoder = self.model.get_encoder()
            output = encoder(**{keyword(inputs): inputs}, attention_mask=attention_mask)
        # The decoder takes the encoder's own kind of output.
        self._encoder_output = type(output)
        encoded = output.last_hidden_state.to(self.device)
        first = torch.full((batch, 1), self.decoder_start, device=self.device)
        state = PaddedState(torch.empty(0), torch.empty(0), None, attention_mask, lengths, None, encoded)
        if self.steps_cached(room + 1):
            config = self.model.config
            state.cache = EncoderDecoderCache(growing_cache(config), growing_cache(config))
        else:
            state.fed = first[:, :0]
        return self.feed(state, first)

    @property
    def decoder_start(self) -> int:
        """The token that starts the decoder of an encoder-decoder.

        Raises:
            NotApplicable: the configuration names none.
        """
        configs = (self.model.config, self.model.generation_config)
        names = ("decoder_start_token_id", "bos_token_id")
        found = (getattr(config, name, None) for name in names for config in configs)
        start = next((token for token in found if token is not None), None)
        if start is None:
            raise NotApplicable(
                f"the configuration of {type(self.model).__name__} names no decoder_start_token_id: add it"
            )
        return int(start)

    def _decode(self, state: PaddedState, inputs: Tensor) -> Tensor:
        """Run one metered pass of the decoder -> logits [batch, vocab] float32 of the last position."""
        options = {} if state.cache is None else {"cache": state.cache}
        self._seen = None
        with self.metered(inputs.shape[0] * inputs.shape[1]):
            output = self.model(
                **{f"decoder_{keyword(inputs)}": inputs},
                encoder_outputs=self._encoder_output(last_hidden_state=state.encoded),
                attention_mask=state.attention_mask,
                use_cache=state.cache is not None,
                **options,
            )
        state.written = inputs.shape[1] + (state.written if state.fed is None else 0)
        return self.last_logits(output.logits)


def keyword(inputs: Tensor) -> str:
    """Name the keyword under which a model takes these ids or embeddings."""
    return "inputs_embeds" if inputs.is_floating_point() else "input_ids"

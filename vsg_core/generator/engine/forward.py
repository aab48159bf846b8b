"""Forward passes of a batch from ids or embeddings, with a cache."""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import EncoderDecoderCache, PreTrainedModel

from vsg_core.generator.engine.cache import growing_cache


@dataclass
class Meter:
    """The cost of forward passes: seconds inside the model, number of passes, token positions fed."""

    forward_seconds: float = 0.0
    passes: int = 0
    tokens: int = 0

    def reset(self) -> None:
        """Set all counts to 0."""
        self.forward_seconds, self.passes, self.tokens = 0.0, 0, 0


@dataclass
class State:
    """A batch of sequences after their last position.

    A step changes the cache in place: to branch, copy the state with `Engine.select` first.

    Args:
        logits: [batch, vocab] float32, of the next token.
        hidden: [batch, hidden] the last hidden state, as the model's head saw it.
        cache: transformers' key-value cache.
        attention_mask: [batch, past]; of the encoder's input for an encoder-decoder.
        lengths: positions of each row without padding, prompt included; the position id of the next input.
        encoded: [batch, seq, hidden] the encoder's output of an encoder-decoder.
    """

    logits: Tensor
    hidden: Tensor
    cache: Any
    attention_mask: Tensor
    lengths: list[int]
    encoded: Tensor | None = None


class Engine:
    """Runs a transformers model, causal or encoder-decoder, on ids or embeddings.

    For an encoder-decoder, sequences go to the encoder and `step` feeds the decoder.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model.eval()
        self.meter = Meter()
        self.is_encoder_decoder = bool(model.config.is_encoder_decoder)
        accepted = inspect.signature(model.forward).parameters
        # Some models silently ignore an unknown keyword: pass only those that are declared.
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted
        self._seen = torch.empty(0)  # the head's last input [batch, hidden]
        model.get_output_embeddings().register_forward_pre_hook(self._look)

    def _look(self, head: Any, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0][:, -1].detach()  # [batch, hidden]

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.device
        return device

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

    @property
    def context(self) -> int | None:
        """Number of positions the model was built for; None if it has no limit (relative positions)."""
        if self.is_encoder_decoder:
            return None
        return getattr(self.model.config, "max_position_embeddings", None)

    def can_share(self, positions: int) -> bool:
        """Return whether sequences of up to `positions` positions can share the cache of a common beginning.

        Padding then comes after that beginning, so the model must take position ids and have no attention window
        shorter than `positions`, because a window would count the padding.
        """
        config = self.model.config.get_text_config()
        windows = [getattr(config, name, None) for name in ("sliding_window", "window_size")]
        fits = all(window is None or positions <= window for window in windows)
        return fits and self._takes_positions and not self.is_encoder_decoder

    def bytes_per_position(self) -> int:
        """Bytes for one more position of one sequence: keys, values, and the activations of a layer."""
        config = self.model.config.get_text_config()
        layers = config.num_hidden_layers * (2 if self.is_encoder_decoder else 1)
        return int((2 * layers + 8) * config.hidden_size * self.dtype.itemsize)

    @contextmanager
    def metered(self, positions: int) -> Iterator[None]:
        """Count the block as one forward pass over that many positions, and run it without gradients."""
        began = time.perf_counter()
        with torch.no_grad():
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize()
        self.meter.forward_seconds += time.perf_counter() - began
        self.meter.passes += 1
        self.meter.tokens += positions

    def embed(self, input_ids: Tensor) -> Tensor:
        """Embed ids [batch, seq] as the model itself does -> [batch, seq, hidden]."""
        with torch.no_grad():
            embeddings: Tensor = self.embedding(input_ids.to(self.device))
        return embeddings

    def table(self) -> Tensor:
        """[vocab, hidden] the embedding of every id; the weight itself if the module only looks rows up."""
        module = self.embedding
        if type(module) is torch.nn.Embedding:
            return module.weight.detach()
        return self.embed(torch.arange(self.vocab_size))

    def start(self, inputs: Tensor, attention_mask: Tensor, keep_cache: bool = True) -> State:
        """Run one pass over a left-padded batch.

        Args:
            inputs: ids [batch, seq] or embeddings [batch, seq, hidden].
            attention_mask: [batch, seq], 0 at padding.
            keep_cache: False if only the logits are needed.
        """
        lengths = attention_mask.sum(-1).tolist()
        if self.is_encoder_decoder:
            return self._start_decoder(inputs, attention_mask, lengths)
        cache = growing_cache(self.model.config) if keep_cache else None
        output = self.forward(inputs, attention_mask, cache=cache)
        return State(_last(output.logits), self._seen, cache, attention_mask, lengths)

    def step(self, state: State, inputs: Tensor, attention_mask: Tensor | None = None) -> State:
        """Feed the next ids [batch, n] or embeddings [batch, n, hidden]; change `state` in place and return it.

        Args:
            attention_mask: [batch, n] of the new positions, if some of them are padding on the left.
        """
        if self.is_encoder_decoder:
            state.logits, state.hidden = self._decode(inputs, state), self._seen
            return state
        new = state.attention_mask.new_ones(inputs.shape[:2]) if attention_mask is None else attention_mask
        past = torch.tensor(state.lengths, device=self.device).unsqueeze(1)  # [batch, 1]
        position_ids = past + (new.cumsum(-1) - 1).clamp(min=0)  # [batch, n]
        # The mask must cover the past too.
        state.attention_mask = torch.cat([state.attention_mask, new], dim=1)
        output = self.forward(inputs, state.attention_mask, position_ids, state.cache)
        state.logits, state.hidden = _last(output.logits), self._seen
        state.lengths = (past.squeeze(1) + new.sum(-1)).tolist()
        return state

    def select(self, state: State, rows: Tensor) -> State:
        """Copy the given rows, repeated ones several times: for branching, and for dropping finished rows."""
        cache = copy.deepcopy(state.cache)
        cache.batch_select_indices(rows.to(self.device))
        return State(
            state.logits[rows],
            state.hidden[rows],
            cache,
            state.attention_mask[rows],
            [state.lengths[row] for row in rows.tolist()],
            None if state.encoded is None else state.encoded[rows],
        )

    def forward(
        self,
        inputs: Tensor,
        attention_mask: Tensor,
        position_ids: Tensor | None = None,
        cache: Any = None,
        **options: Any,
    ) -> Any:
        """Run one metered pass of a causal model; return its output, with logits of the last position only if it can.

        Args:
            inputs: ids [batch, n] or embeddings [batch, n, hidden].
            attention_mask: [batch, past + n].
            position_ids: [batch, n]; counted from the mask by default.
        """
        arguments: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            arguments["cache"] = cache
        if self._takes_positions:
            if position_ids is None:
                position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)  # [batch, n]
            arguments["position_ids"] = position_ids
        if self._takes_logits_to_keep:
            arguments["logits_to_keep"] = 1
        with self.metered(inputs.shape[0] * inputs.shape[1]):
            return self.model(
                **{keyword(inputs): inputs}, attention_mask=attention_mask, **arguments, **options
            )

    def _start_decoder(self, inputs: Tensor, attention_mask: Tensor, lengths: list[int]) -> State:
        batch = inputs.shape[0]
        with self.metered(inputs.shape[0] * inputs.shape[1]):
            encoder = self.model.get_encoder()
            encoded = encoder(**{keyword(inputs): inputs}, attention_mask=attention_mask).last_hidden_state
        cache = EncoderDecoderCache(growing_cache(self.model.config), growing_cache(self.model.config))
        first = self.model.config.decoder_start_token_id
        state = State(torch.empty(0), torch.empty(0), cache, attention_mask, lengths, encoded)
        return self.step(state, torch.full((batch, 1), first, device=self.device))

    def _decode(self, inputs: Tensor, state: State) -> Tensor:
        """Run one metered pass of the decoder -> logits [batch, vocab] float32 of the last position."""
        with self.metered(inputs.shape[0] * inputs.shape[1]):
            output = self.model(
                **{f"decoder_{keyword(inputs)}": inputs},
                encoder_outputs=(state.encoded,),
                attention_mask=state.attention_mask,
                cache=state.cache,
                use_cache=True,
            )
        return _last(output.logits)


def _last(logits: Tensor) -> Tensor:
    """Take the last position [batch, vocab] of [batch, seq, vocab], in float32."""
    return logits[:, -1].float()


def keyword(inputs: Tensor) -> str:
    """Name the keyword under which a model takes these ids or embeddings."""
    return "inputs_embeds" if inputs.is_floating_point() else "input_ids"

"""The one module that talks to transformers' model classes.

Everything an architecture may do differently with embeddings is settled here: position ids, attention masks,
caches, embedding scale, padded vocabulary rows, encoder and decoder. Nothing else knows about it.
"""

from __future__ import annotations

import copy
import inspect
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DynamicCache,
    EncoderDecoderCache,
    GgufConfig,
    PreTrainedModel,
)
from transformers.utils.logging import disable_progress_bar, enable_progress_bar


@dataclass
class Meter:
    """What the forward passes cost: seconds inside the model, passes, token positions fed."""

    forward_seconds: float = 0.0
    passes: int = 0
    tokens: int = 0

    def reset(self) -> None:
        self.forward_seconds, self.passes, self.tokens = 0.0, 0, 0


@dataclass
class State:
    """Where a batch of sequences stands.

    A step changes the cache in place, so whoever branches calls `Engine.select` first, which copies.
    """

    logits: Tensor  # [batch, vocab] float32, of the next token
    cache: Any
    attention_mask: Tensor  # [batch, past]; of the encoder's input for an encoder-decoder
    lengths: list[int]  # real positions a row has taken, prompt included: the position id of the next input
    encoded: Tensor | None = None  # [batch, seq, hidden] the encoder's output, where there is one


class Engine:
    """A transformers model, causal or encoder-decoder, that takes ids or embeddings alike.

    For an encoder-decoder the sequences go to the encoder and `step` feeds the decoder.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model.eval()
        self.meter = Meter()
        self.is_encoder_decoder = bool(model.config.is_encoder_decoder)
        accepted = inspect.signature(model.forward).parameters
        # A keyword that a model does not know is ignored silently by some: pass only what it declares.
        self._takes_positions = "position_ids" in accepted
        self._takes_logits_to_keep = "logits_to_keep" in accepted

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def embedding(self) -> Any:
        """The model's own embedding module. Call it: some scale inside it (Gemma)."""
        return self.model.get_input_embeddings()

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table, padded ones included."""
        return self.embedding.weight.shape[0]

    @property
    def context(self) -> int | None:
        """Positions the model was built for; None where it sets no bound (relative positions)."""
        if self.is_encoder_decoder:
            return None
        return getattr(self.model.config, "max_position_embeddings", None)

    def bytes_per_position(self) -> int:
        """Memory one more position of one sequence takes: keys, values and the float32 logits of a step."""
        config = self.model.config.get_text_config()
        layers = config.num_hidden_layers * (2 if self.is_encoder_decoder else 1)
        return (
            2 * layers * config.hidden_size * self.dtype.itemsize
            + 8 * config.hidden_size * self.dtype.itemsize
        )

    @contextmanager
    def _metered(self, positions: int) -> Iterator[None]:
        began = time.perf_counter()
        with torch.no_grad():
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize()
        self.meter.forward_seconds += time.perf_counter() - began
        self.meter.passes += 1
        self.meter.tokens += positions

    def embed(self, input_ids: Tensor) -> Tensor:
        """[batch, seq] ids -> [batch, seq, hidden], as the model itself embeds them."""
        with torch.no_grad():
            return self.embedding(input_ids.to(self.device))

    def table(self) -> Tensor:
        """[vocab, hidden] what the embedding module gives for every id: the weight itself where that is the same."""
        if type(self.embedding) is torch.nn.Embedding:
            return self.embedding.weight.detach()
        return self.embed(torch.arange(self.vocab_size))

    def start(self, inputs: Tensor, attention_mask: Tensor, keep_cache: bool = True) -> State:
        """One pass over a left-padded batch.

        Args:
            inputs: ids [batch, seq] or embeddings [batch, seq, hidden].
            attention_mask: [batch, seq], 1 where a position is real.
            keep_cache: False where only the logits are wanted.
        """
        lengths = attention_mask.sum(-1).tolist()
        if self.is_encoder_decoder:
            return self._start_decoder(inputs, attention_mask, lengths)
        position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)  # [batch, seq]
        cache = DynamicCache(config=self.model.config) if keep_cache else None
        logits = self._forward(inputs, attention_mask, position_ids, cache)
        return State(logits, cache, attention_mask, lengths)

    def step(self, state: State, inputs: Tensor) -> State:
        """Feed the next ids [batch, n] or embeddings [batch, n, hidden]; changes `state` in place and returns it."""
        if self.is_encoder_decoder:
            state.logits = self._decode(inputs, state)
            return state
        batch, n = inputs.shape[:2]
        next_ids = torch.tensor(state.lengths, device=self.device).unsqueeze(1)  # [batch, 1]
        position_ids = next_ids + torch.arange(n, device=self.device)  # [batch, n]
        new = state.attention_mask.new_ones(batch, n)
        state.attention_mask = torch.cat([state.attention_mask, new], dim=1)  # must cover the past too
        state.logits = self._forward(inputs, state.attention_mask, position_ids, state.cache)
        state.lengths = [length + n for length in state.lengths]
        return state

    def select(self, state: State, rows: Tensor) -> State:
        """A copy of the given rows, each as often as it is named: for branching, and for dropping finished rows."""
        cache = copy.deepcopy(state.cache)
        cache.batch_select_indices(rows.to(self.device))
        return State(
            state.logits[rows],
            cache,
            state.attention_mask[rows],
            [state.lengths[row] for row in rows.tolist()],
            None if state.encoded is None else state.encoded[rows],
        )

    def _forward(self, inputs: Tensor, attention_mask: Tensor, position_ids: Tensor, cache: Any) -> Tensor:
        """One metered pass of a causal model -> logits [batch, vocab] float32 of the last position."""
        arguments: dict[str, Any] = {
            _name(inputs): inputs,
            "attention_mask": attention_mask,
            "use_cache": cache is not None,
        }
        if cache is not None:
            arguments["cache"] = cache
        if self._takes_positions:
            arguments["position_ids"] = position_ids
        if self._takes_logits_to_keep:
            arguments["logits_to_keep"] = 1
        with self._metered(inputs.shape[0] * inputs.shape[1]):
            return self.model(**arguments).logits[:, -1].float()

    def _start_decoder(self, inputs: Tensor, attention_mask: Tensor, lengths: list[int]) -> State:
        batch = inputs.shape[0]
        with self._metered(inputs.shape[0] * inputs.shape[1]):
            encoder = self.model.get_encoder()
            encoded = encoder(**{_name(inputs): inputs}, attention_mask=attention_mask).last_hidden_state
        cache = EncoderDecoderCache(
            DynamicCache(config=self.model.config), DynamicCache(config=self.model.config)
        )
        first = self.model.config.decoder_start_token_id
        state = State(torch.empty(0), cache, attention_mask, lengths, encoded)
        state.logits = self._decode(torch.full((batch, 1), first, device=self.device), state)
        return state

    def _decode(self, inputs: Tensor, state: State) -> Tensor:
        """One metered pass of the decoder -> logits [batch, vocab] float32 of the last position."""
        with self._metered(inputs.shape[0] * inputs.shape[1]):
            output = self.model(
                **{f"decoder_{_name(inputs)}": inputs},
                encoder_outputs=(state.encoded,),
                attention_mask=state.attention_mask,
                cache=state.cache,
                use_cache=True,
            )
        return output.logits[:, -1].float()


def _name(inputs: Tensor) -> str:
    return "inputs_embeds" if inputs.is_floating_point() else "input_ids"


def open_model(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Load safetensors from a local folder; never remote code, never pickles."""
    disable_progress_bar()  # a local load takes a second
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    return model.to(device)


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer saved beside the weights."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise a GGUF file once: float32 safetensors and the tokenizer, saved into `folder`.

    The weights stay what the file's bytes say: untied heads stay untied, nothing is rounded again.
    """
    enable_progress_bar()  # this one takes half a minute
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    # save_pretrained refuses a model that still carries its quantizer, though every weight is dense by now.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

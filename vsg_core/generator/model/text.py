"""The tokenizer's side of a language model: text to ids and back, the chat format, what ends an answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.generator.engine import Engine

# What ends an answer, whichever of these a vocabulary knows: a GGUF file names only one of them.
END_TOKENS = ("<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<end_of_turn>", "<eos>", "</s>")


class Text:
    """What a LanguageModel does with text."""

    name: str
    engine: Engine
    tokenizer: Any

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
            WrongUse: no token comes of it, or it is no whole text.
        """
        try:
            text.encode()
        except UnicodeEncodeError:
            raise WrongUse(
                f"the text {text!r} holds half a character (a lone surrogate): give UTF-8"
            ) from None
        ids = self.tokenizer(text, add_special_tokens=special).input_ids
        if ids[:2] == [self.tokenizer.bos_token_id] * 2:  # the chat template wrote one too
            ids = ids[1:]
        if not ids:
            raise WrongUse(f"the text {text!r} has no token: give at least one word")
        return torch.tensor(ids, device=self.engine.device)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Ids -> text, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        """One token as text, special or not."""
        return self.tokenizer.decode([token_id])

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Ids that end an answer: the model's own and whichever of END_TOKENS its vocabulary knows."""
        own = self.engine.model.generation_config.eos_token_id
        named = [self.tokenizer.get_vocab().get(token) for token in END_TOKENS]
        ids = [self.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own]), *named]
        return frozenset(i for i in ids if i is not None)

    @cached_property
    def _closing(self) -> int:
        """How many tokens the tokenizer puts after a text: T5's </s>, none for most."""
        bare, whole = (self.tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
        return next(n for n in range(len(whole)) if whole[: len(whole) - n][-len(bare) :] == bare)

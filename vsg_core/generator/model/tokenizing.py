"""The tokenizer's part of a language model: text to ids and back, the chat format, end tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vsg_core.errors import NotApplicable, WrongUse
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.engine import Engine

# Tokens that end an answer, if the vocabulary has them: a GGUF file names only one of them.
END_TOKENS = ("<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<end_of_turn>", "<eos>", "</s>")


class Tokenizing:
    """The part of a LanguageModel that deals with text."""

    name: str
    engine: Engine
    tokenizer: Any

    @property
    def has_chat(self) -> bool:
        """Return whether the tokenizer has a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def chat(self, text: str, system: str | None = None) -> str:
        """Put a user's message into the model's chat format, up to where the answer begins.

        Raises:
            NotApplicable: the model has no chat template.
        """
        if not self.has_chat:
            raise NotApplicable(f"{self.name} has no chat template")
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": text})
        formatted: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return formatted

    def tokenize(self, text: str, special: bool = True) -> Tensor:
        """Turn text into ids [seq], with the special tokens that the model expects around a text (such as BOS) once.

        Args:
            special: False leaves these tokens out.

        Raises:
            WrongUse: the text has no token, or contains a lone surrogate.
        """
        try:
            text.encode()
        except UnicodeEncodeError:
            raise WrongUse(
                f"the text {text!r} contains half a character (a lone surrogate): give UTF-8"
            ) from None
        ids = self.tokenizer(text, add_special_tokens=special).input_ids
        if ids[:2] == [self.tokenizer.bos_token_id] * 2:  # the chat template wrote one too
            ids = ids[1:]
        if not ids:
            raise WrongUse(f"the text {text!r} has no token: give at least one word")
        return torch.tensor(ids, device=self.engine.device)

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Turn ids into text without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def token(self, token_id: int) -> str:
        """Spell one token, special or not."""
        text: str = self.tokenizer.decode([token_id])
        return text

    def _known_end_ids(self) -> frozenset[int]:
        """Collect the model's own end tokens and those of END_TOKENS that its vocabulary has."""
        own = self.engine.model.generation_config.eos_token_id
        named = [self.tokenizer.get_vocab().get(token) for token in END_TOKENS]
        ids = [self.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own]), *named]
        return frozenset(i for i in ids if i is not None)

    @cached_property
    def _closing(self) -> int:
        """Count the tokens that the tokenizer puts after a text: 1 for T5 (</s>), 0 for most."""
        bare, whole = (self.tokenizer("a", add_special_tokens=special).input_ids for special in (False, True))
        return next(n for n in range(len(whole)) if whole[: len(whole) - n][-len(bare) :] == bare)

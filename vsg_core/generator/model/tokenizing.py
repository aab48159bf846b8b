"""The tokenizer's part of a language model: text to ids and back, the chat format, end tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vsg_core.errors import NotApplicable, VsgError, WrongUse
from vsg_core.generator.model.chat_format import ChatFormat
from vsg_core.generator.model.rendering import DATE
from vsg_core.generator.model.special_tokens import Around, around, end_ids, ids_of, special_tokens
from vsg_core.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from vsg_core.generator.engine import Engine

# Tokens that a message names at most.
NAMED = 4


class Tokenizing:
    """The part of a LanguageModel that deals with text."""

    name: str
    engine: Engine
    tokenizer: Any
    end_ids: frozenset[int] = frozenset()
    # What `chat` does where its caller does not say; None leaves reasoning off.
    thinking: bool | None = None

    @property
    def vocab_size(self) -> int:
        """Number of rows of the embedding table, including rows that only pad it."""
        return self.engine.vocab_size

    @property
    def is_encoder_decoder(self) -> bool:
        """Return whether sequences go to an encoder, and what is written to a decoder."""
        return self.engine.is_encoder_decoder

    @property
    def has_chat(self) -> bool:
        """Return whether the tokenizer has a chat template that can format a question."""
        return self._chat_format.works

    @cached_property
    def _chat_format(self) -> ChatFormat:
        return ChatFormat(getattr(self, "name", "the model"), self.tokenizer)

    @cached_property
    def _around(self) -> Around:
        """The ids that the tokenizer puts before and after a text."""
        return around(self.tokenizer)

    def chat(self, text: str, system: str | None = None, thinking: bool | None = None) -> str:
        """Put a user's message into the model's chat format, up to where the answer begins.

        Args:
            thinking: let the model reason before it answers, where its format leaves the choice. By default it does as
                the model was loaded, and does not reason if that was left open; a format without the choice is used as
                it is.

        Raises:
            NotApplicable: the model has no chat template, or one that fails, that does not keep the text, or that
                cannot think when `thinking` asks for it.
        """
        return self._chat_format.write(text, system, bool(self.thinking) if thinking is None else thinking)

    def _check_thinking(self) -> None:
        """Refuse a choice that the chat format does not leave; a model without a chat format never gets to it.

        Raises:
            NotApplicable: there is nothing to turn on, or the reasoning cannot be turned off.
        """
        if self.thinking is None or not self.has_chat:
            return
        switches, reasoning = self._chat_format.facts.switches, self._chat_format.reasoning
        if self.thinking and not switches and reasoning is None:
            raise NotApplicable(
                f"the chat format of {self.name} has no thinking to turn on: leave the choice out"
            )
        if not self.thinking and not switches and reasoning is not None:
            raise NotApplicable(
                f"the chat format of {self.name} has no switch that turns its thinking off: leave the choice out"
            )

    @property
    def text_notes(self) -> tuple[str, ...]:
        """List what is done to the text, for provenance: tokens left out, a date fixed, reasoning turned off."""
        before, after = self._around
        notes = []
        if after and not self.is_encoder_decoder:
            notes.append(f"prompts lack the {self._spelled(after)} that the tokenizer puts after a text")
        if before.count(self.tokenizer.bos_token_id) > 1:
            notes.append(
                f"prompts begin with one {self._spelled(before[:1])} of the tokenizer's {len(before)}"
            )
        if self.has_chat:
            notes += self._chat_notes()
        if beyond := self._beyond:
            notes.append(f"{_listed(beyond)} {_has(beyond)} no row in the embedding table and cannot be used")
        return tuple(notes)

    def _chat_notes(self) -> list[str]:
        facts, reasoning = self._chat_format.facts, self._chat_format.reasoning
        notes = []
        if facts.parts:
            notes.append("chat messages are lists of parts")
        if facts.dated:
            notes.append(f"the date in the chat format is always {DATE:%d %b %Y}")
        if facts.switches:
            how = {None: "off, unless asked for", False: "off, as chosen", True: "on, as chosen"}[
                self.thinking
            ]
            notes.append(f"the chat format turns reasoning {how}")
        elif reasoning is not None:
            notes.append("the chat format leaves reasoning to the model; answers are read after it")
        return notes

    def tokenize(self, text: str, special: bool = True) -> Tensor:
        """Turn text into ids [seq], with the special tokens that the model expects around a text (such as BOS) once.

        The prompt of a causal model goes on: what its tokenizer puts after a text (EOS, SEP) is left out. A special
        token that the text itself spells stays.

        Args:
            special: False leaves these tokens out.

        Raises:
            WrongUse: the text has no token, contains a lone surrogate, or spells a token without a row in the
                embedding table.
        """
        _check_text(text)
        ids = ids_of(self.tokenizer, text, special and self.is_encoder_decoder)
        if special and not self.is_encoder_decoder:
            ids = self._begun(ids)
        bos = self.tokenizer.bos_token_id
        # Where BOS also ends a text (GPT-2), two of them are an empty text between two others.
        while bos is not None and ids[:2] == [bos] * 2 and bos not in self.end_ids:
            ids = ids[1:]
        if not ids:
            raise WrongUse(f"the text {text[:60]!r} has no token: give at least one word")
        if beyond := {self._spelled([i]): i for i in ids if i >= self.vocab_size}:
            raise WrongUse(
                f"the text {text[:60]!r} has {_listed(beyond)}, beyond the {self.vocab_size} rows of "
                f"the embedding table of {self.name}: leave it out, or give the tokenizer of these weights"
            )
        return torch.tensor(ids, device=self.engine.device)

    def _begun(self, ids: list[int]) -> list[int]:
        """Put the tokenizer's special tokens before a text, unless it begins with them (a chat template wrote them)."""
        before = list(self._around.before)
        if ids[: len(before)] == before:
            return ids
        bos = self.tokenizer.bos_token_id
        return [*before, *(ids[1:] if bos in before and ids[:1] == [bos] else ids)]

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """Turn ids into text without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def token(self, token_id: int) -> str:
        """Spell one token, special or not."""
        text: str = self.tokenizer.decode([token_id])
        return text

    def answer_of(self, prompt: Any, ids: Sequence[int]) -> str | None:
        """Return what a reply says after its reasoning, as text; None if it has no reasoning, empty if only that.

        Args:
            prompt: text, ids [seq] or embeddings [seq, hidden], which may have opened the reasoning.
            ids: of the reply.
        """
        marks = self._chat_format.reasoning
        if marks is None:
            return None
        reply = str(self.tokenizer.decode(ids, skip_special_tokens=False))
        rest = marks.after(reply, self._has_opened(prompt))
        if rest is None:
            return None
        for token in special_tokens(self.tokenizer):  # which the text of a reply lacks too
            rest = rest.replace(token, "")
        return rest

    def _has_opened(self, prompt: Any) -> bool:
        """Return whether a prompt, in any form, ends in the mark that opens reasoning."""
        marks = self._chat_format.reasoning
        if marks is None:
            return False
        if isinstance(prompt, str):
            return marks.is_open(prompt)
        prompt = torch.as_tensor(prompt)
        if not prompt.is_floating_point():
            return marks.is_open(str(self.tokenizer.decode(prompt[-32:], skip_special_tokens=False)))
        return any(
            prompt[-len(tail) :].equal(self.engine.embed(tail).to(prompt)) for tail in self._open_tails
        )

    @cached_property
    def _open_tails(self) -> list[Tensor]:
        """The ids [n] at the end of the chat format's prompts, from the mark that opens reasoning."""
        marks = self._chat_format.reasoning
        prompts = self._chat_format.prompts() if marks is not None and self.has_chat else ()
        return [
            self._last_with(marks.opening, prompt) for prompt in prompts if marks and marks.is_open(prompt)
        ]

    def _last_with(self, mark: str, prompt: str) -> Tensor:
        """The last ids [n] of a prompt that spell `mark`."""
        ids = self.tokenize(prompt, special=False)
        for n in range(1, len(ids)):
            if mark in str(self.tokenizer.decode(ids[-n:], skip_special_tokens=False)):
                return ids[-n:]
        return ids

    def _known_end_ids(self) -> frozenset[int]:
        """Collect the tokens that end an answer and have a row in the embedding table."""
        turn = self._chat_format.end_of_turn if self.has_chat else None
        found = end_ids(self.tokenizer, self.engine.end_ids, turn)
        return frozenset(i for i in found if i < self.vocab_size)

    @cached_property
    def _beyond(self) -> dict[str, int]:
        """The tokens whose ids have no row in the embedding table."""
        rows = self.vocab_size
        return {str(token): i for token, i in self.tokenizer.get_vocab().items() if i >= rows}

    def _check_table(self) -> None:
        """Refuse a tokenizer that gives ids without a row in the embedding table.

        A token that only its own spelling can bring (an added [PAD]) is left to `tokenize`, unless the chat format
        writes it, or the tokenizer puts it around texts or ends answers with it.

        Raises:
            VsgError: it gives such an id; the message names the tokens.
        """
        beyond = self._beyond
        if not beyond:
            return
        added = getattr(self.tokenizer, "added_tokens_encoder", {})
        written = {self.tokenizer.eos_token_id, *self._around.before, *self._chat_ids()}
        wrong = {token: i for token, i in beyond.items() if token not in added or i in written}
        if wrong:
            raise VsgError(
                f"the tokenizer of {self.name} has {_listed(wrong)}, beyond the {self.vocab_size} rows of the "
                "embedding table: give the tokenizer that belongs to these weights"
            )

    def _chat_ids(self) -> set[int]:
        """The ids of a question in the chat format, none if there is no format."""
        try:
            return set(ids_of(self.tokenizer, self.chat("Why?"), special=False))
        except NotApplicable:
            return set()

    @cached_property
    def _closing(self) -> int:
        """Count the tokens that `tokenize` puts after a text: 1 for T5 (</s>), 0 for causal models."""
        return len(self._around.after) if self.is_encoder_decoder else 0

    def _spelled(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, self.tokenizer.convert_ids_to_tokens(list(ids))))


def _check_text(text: str) -> None:
    """Refuse what is not text, and text that UTF-8 cannot hold."""
    if not isinstance(text, str):
        raise WrongUse(f"{text!r:.60} is a {type(text).__name__}, not text: give a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = max(error.start - 30, 0)
        excerpt = text[place : error.start + 30]
        raise WrongUse(
            f"the text {excerpt!r} contains half a character (a lone surrogate): give UTF-8"
        ) from None


def _listed(tokens: dict[str, int]) -> str:
    """Name tokens with their ids, the first NAMED of them."""
    some = sorted(tokens.items(), key=lambda item: item[1])
    named = ", ".join(f"{token!r} ({i})" for token, i in some[:NAMED])
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    return f"the token{'s' if len(some) > 1 else ''} {named}{more}"


def _has(tokens: dict[str, int]) -> str:
    return "have" if len(tokens) > 1 else "has"

"""A model's chat format, probed before it is used: the question must be in it, and it must not change by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from vsg_core.errors import NotApplicable
from vsg_core.generator.model import reasoning
from vsg_core.generator.model.reasoning import Reasoning
from vsg_core.generator.model.rendering import DATE, Template
from vsg_core.generator.model.special_tokens import special_tokens

# A question, an answer, a thought and a system message that no template contains
QUESTION, ANSWER, THOUGHT = "Zqx why five Quinces wobble", "Vwk nine Jackdaws hum", "Jyp four Ospreys doze"
SYSTEM = "Kfz two Walnuts roll"
# Variables by which templates turn reasoning on and off
SWITCHES = ("enable_thinking", "thinking")
# Every part of a date differs from that of DATE.
ANOTHER_DATE = datetime(2031, 2, 3, 4, 5, 6)
SEEDS = range(8)


@dataclass(frozen=True)
class Facts:
    """The results of probing a template.

    Args:
        parts: messages are lists of parts ({"type": "text", "text": ...}) in it, not texts.
        switches: the variables that turn reasoning on and off.
        dated: it writes the present date.
    """

    parts: bool
    switches: tuple[str, ...]
    dated: bool


class ChatFormat:
    """The chat format of a model.

    Args:
        name: of the model, for messages.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name, self.tokenizer = name, tokenizer
        self._fault: NotApplicable | None = None
        self._frames: dict[tuple[tuple[str, ...], bool], str] = {}

    @property
    def works(self) -> bool:
        """Return whether there is a template that can format a question."""
        try:
            return self.facts is not None
        except NotApplicable:
            return False

    @cached_property
    def template(self) -> Template:
        """The template.

        Raises:
            NotApplicable: there is none.
        """
        return Template(self.name, self.tokenizer)

    @property
    def facts(self) -> Facts:
        """Probe the template, once.

        Raises:
            NotApplicable: it cannot format a question, drops it, or writes something random.
        """
        if self._fault is not None:
            raise self._fault
        try:
            return self._facts
        except NotApplicable as error:
            self._fault = error  # it may have taken seconds
            raise

    @cached_property
    def _facts(self) -> Facts:
        parts = self._takes_parts()
        self._check_fixed(parts)
        switches = tuple(key for key in SWITCHES if self._reacts(parts, key))
        probes = self._probes(parts)
        dated = self.template.has_clock and any(
            self._or_none(messages) != self._or_none(messages, date=ANOTHER_DATE) for messages in probes
        )
        return Facts(parts, switches, dated)

    def write(self, text: str, system: str | None = None, thinking: bool = False) -> str:
        """Put a user's message into the format, up to where the answer begins.

        Raises:
            NotApplicable: there is no template, or it fails, or does not keep the texts, or cannot think.
        """
        facts = self.facts
        switches: dict[str, Any] = dict.fromkeys(facts.switches, thinking)
        if thinking and not facts.switches and self.reasoning is None:
            raise NotApplicable(f"the chat template of {self.name} has no thinking: leave thinking out")
        said = {"system": system, "user": text} if system else {"user": text}
        formatted = self.template.render(messages_of(said, facts.parts), **switches)
        for role, kept in said.items():
            # A short text may also occur in what the template writes around it.
            words, around = kept.strip(), self._around(tuple(said), thinking)
            if words and formatted.count(words) <= around.count(words):
                raise NotApplicable(
                    f"the chat template of {self.name} drops or changes the {role}'s text {kept[:60]!r}"
                )
        return formatted

    def _around(self, roles: tuple[str, ...], thinking: bool) -> str:
        """Return what the template writes around messages of these roles."""
        if (roles, thinking) not in self._frames:
            stand_ins = {role: _STAND_INS[role] for role in roles}
            switches: dict[str, Any] = dict.fromkeys(self.facts.switches, thinking)
            written = self.template.render(messages_of(stand_ins, self.facts.parts), **switches)
            for text in stand_ins.values():
                written = written.replace(text, "\0")
            self._frames[roles, thinking] = written
        return self._frames[roles, thinking]

    @cached_property
    def end_of_turn(self) -> str | None:
        """The special token that the template writes after an answer; None if there is none."""
        tokens = sorted(special_tokens(self.tokenizer), key=len, reverse=True)
        # What comes between turns counts where nothing special ends a conversation.
        for more in ({}, {"user": QUESTION}):
            turns = [*self._asked_and_answered(), *messages_of(more, self._parts)]
            written = self._or_none(turns, prompt=False) or ""
            rest = written.rpartition(ANSWER)[2].lstrip()
            if ANSWER in written and (found := next(filter(rest.startswith, tokens), None)):
                return found
        return None

    @cached_property
    def reasoning(self) -> Reasoning | None:
        """The marks around reasoning, as the template writes a past one or by their spelling; None without any."""
        added = getattr(self.tokenizer, "added_tokens_encoder", {})
        try:
            text = self.template.text
        except NotApplicable:
            return reasoning.spelled([" ".join(added)])
        if found := self._marked() or reasoning.spelled([" ".join(added), text]):
            return found
        return reasoning.opened(self.prompts()) if self.works else None

    def prompts(self) -> Iterator[str]:
        """Yield what the template writes after a question to begin an answer, without and with thinking."""
        for thinking in (False, True):
            switches: dict[str, Any] = dict.fromkeys(self.facts.switches, thinking)
            yield self._after_question(messages_of({"user": QUESTION}, self._parts), **switches)

    def _marked(self) -> Reasoning | None:
        asked = self._asked_and_answered()
        reasoned = [asked[0], {**asked[1], "reasoning_content": THOUGHT}]
        before, found, rest = self._after_question(reasoned, prompt=False).partition(THOUGHT)
        if not found or ANSWER not in rest:
            return None
        prompt = self._after_question(asked[:1])
        plain = self._after_question(asked, prompt=False).partition(ANSWER)[0]
        direct = plain[len(prompt) :] if plain.startswith(prompt) else ""
        return reasoning.marked(before, rest.partition(ANSWER)[0], prompt, direct)

    def _after_question(self, messages: list[dict[str, Any]], **options: Any) -> str:
        return (self._or_none(messages, **options) or "").rpartition(QUESTION)[2]

    def _asked_and_answered(self) -> list[dict[str, Any]]:
        return messages_of({"user": QUESTION, "assistant": ANSWER}, self._parts)

    @property
    def _parts(self) -> bool:
        return self.works and self.facts.parts

    def _takes_parts(self) -> bool:
        """Find the form of messages in which the template keeps the question; the text itself is tried first."""
        fault: NotApplicable | None = None
        for parts in (False, True):
            try:
                written = self.template.render(messages_of({"user": QUESTION}, parts))
            except NotApplicable as error:
                fault = fault or error
                continue
            # A template for texts writes a list of parts as Python or JSON does.
            if QUESTION in written and not (parts and "'type'" in written.replace('"', "'")):
                return parts
            fault = fault or NotApplicable(
                f"the chat template of {self.name} drops or changes the user's text: it has no place for a question"
            )
        assert fault is not None
        raise fault

    def _check_fixed(self, parts: bool) -> None:
        """Refuse a template that writes something random."""
        for messages in self._probes(parts):
            if len({self._or_none(messages, seed=seed) for seed in SEEDS}) > 1:
                raise NotApplicable(
                    f"the chat template of {self.name} writes something random: evidence would differ each time"
                )

    def _reacts(self, parts: bool, switch: str) -> bool:
        """Return whether a variable of the template changes what it writes."""
        settings: list[dict[str, Any]] = [{switch: value} for value in (True, False)]
        on, off = (
            [self._or_none(messages, **setting) for messages in self._probes(parts)] for setting in settings
        )
        return any(
            without is not None and with_it != without for with_it, without in zip(on, off, strict=True)
        )

    def _probes(self, parts: bool) -> list[list[dict[str, Any]]]:
        return [
            messages_of(said, parts) for said in ({"user": QUESTION}, {"system": SYSTEM, "user": QUESTION})
        ]

    def _or_none(self, messages: list[dict[str, Any]], date: datetime = DATE, **options: Any) -> str | None:
        try:
            return self.template.render(messages, date=date, **options)
        except NotApplicable:
            return None


_STAND_INS = {"system": SYSTEM, "user": QUESTION}


def messages_of(said: dict[str, str], parts: bool) -> list[dict[str, Any]]:
    """One message per role, its text as it is or as a list of one part."""
    return [
        {"role": role, "content": [{"type": "text", "text": text}] if parts else text}
        for role, text in said.items()
    ]

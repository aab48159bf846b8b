"""Chat templates rendered safely: within a time limit, at a fixed date, each failure as one line."""

from __future__ import annotations

import ctypes
import random
import string
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vsg_core.errors import NotApplicable, first_line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# The date that a template which writes today's gets; it is the one that Llama 3's templates have as their default.
DATE = datetime(2024, 7, 26, 12)
# Seconds, far above the milliseconds that templates take: loops that never end exist.
LIMIT = 5.0

Message = Mapping[str, Any]


class TemplateTooSlow(Exception):
    """Raised inside a template that has run for LIMIT seconds."""


class Template:
    """A tokenizer's chat template.

    Args:
        name: of the model, for messages.

    Raises:
        NotApplicable: there is none, or only named ones without a default.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name, self.tokenizer = name, tokenizer
        given = getattr(tokenizer, "chat_template", None)
        if not given:
            raise NotApplicable(f"{name} has no chat template")
        if not isinstance(given, str) and "default" not in given:
            raise NotApplicable(
                f"{name} has only chat templates by name ({', '.join(sorted(given))}): "
                "save its tokenizer with one chat_template"
            )
        self._endless = False
        self.text: str = given if isinstance(given, str) else given["default"]

    @property
    def has_clock(self) -> bool:
        """Return whether the template can ask for the date."""
        return "strftime_now" in self.text

    def render(
        self,
        messages: Sequence[Message],
        *,
        prompt: bool = True,
        date: datetime = DATE,
        seed: int | None = None,
        **switches: Any,
    ) -> str:
        """Write the messages in the model's format.

        Args:
            prompt: end with what begins an answer.
            date: what the template gets as the present.
            seed: of random choices in the template; they are left alone without it.
            switches: the template's own variables, such as enable_thinking.

        Raises:
            NotApplicable: the template fails, with its own message, or does not end.
        """
        if self._endless:
            raise self._fault(None)
        if self.has_clock:
            switches["chat_template"] = f"{_clock(date)}\n{self.text}"
        done: dict[str, Any] = {}

        def work() -> None:
            try:
                with _seeded(seed):
                    done["text"] = self.tokenizer.apply_chat_template(
                        list(messages), tokenize=False, add_generation_prompt=prompt, **switches
                    )
            # A template is a program of strangers, which can fail in any way.
            except BaseException as error:
                done["error"] = error

        _within(work)
        if isinstance(done.get("text"), str):
            return str(done["text"])
        raise self._fault(done.get("error"))

    def _fault(self, error: BaseException | None) -> NotApplicable:
        """The template's own message in one line; None stands for one that did not end."""
        reason = f"{type(error).__name__}: {first_line_of(error)}" if error is not None else ""
        if error is None or isinstance(error, TemplateTooSlow):
            self._endless = True  # not tried again
            reason = f"it does not end within {LIMIT:g} seconds"
        return NotApplicable(f"the chat template of {self.name} fails: {reason}")


def _within(work: Any) -> None:
    """Run `work` in a thread of its own, and stop it after LIMIT seconds."""
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(LIMIT)
    if worker.is_alive() and worker.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(worker.ident), ctypes.py_object(TemplateTooSlow)
        )
        worker.join(1)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed Python's random numbers inside the block, and restore their state after it."""
    if seed is None:
        yield
        return
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _clock(date: datetime) -> str:
    """A macro that stands in for strftime_now, whose present is `date`.

    The template must be changed for this: transformers passes no functions to it.
    """
    codes = [
        *(
            (f"%{flag}{letter}", _as_text(date, letter, bare=True))
            for letter in string.ascii_letters
            for flag in "-#"
        ),
        *((f"%{letter}", _as_text(date, letter)) for letter in string.ascii_letters),
        ("%%", "%"),
    ]
    return (
        "{% macro strftime_now(format) %}{% set now = namespace(text=format) %}"
        f"{{% for code, value in {codes!r} %}}{{% set now.text = now.text.replace(code, value) %}}{{% endfor %}}"
        "{{ now.text }}{% endmacro %}"
    )


def _as_text(date: datetime, letter: str, bare: bool = False) -> str:
    """A part of the date, as strftime writes it; `bare` without zeros before it."""
    text = date.strftime(f"%{letter}")
    return text.lstrip("0") or "0" if bare else text

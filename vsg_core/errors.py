"""What can go wrong, each as one clear line: what is wrong, with the value, and what to do."""

from __future__ import annotations


class VsgError(Exception):
    """A fault the user can act on. Its message is one line and is shown without a traceback."""


class WrongUse(VsgError):
    """The call itself is wrong: an unknown model, a value outside its range (exit code 2)."""


class Unavailable(VsgError):
    """What is needed is not here now.

    Args:
        message: what was tried, or looked for, and how that went.
        command: the command that would change it.
    """

    def __init__(self, message: str, command: str) -> None:
        super().__init__(f"{message}; to get them: {command}" if command else message)
        self.command = command


class WeightsUnavailable(Unavailable):
    """The weights cannot be had now."""


class RecordsUnavailable(Unavailable):
    """The records that a claim across models rests on are not there."""


class NotEnoughMemory(VsgError):
    """This machine cannot hold the model: the message carries the numbers."""


class NotApplicable(VsgError):
    """A claim that this model cannot be asked, with the reason."""

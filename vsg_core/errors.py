"""The errors a user can meet, each one clear line: what is wrong, with the value, and what to do."""

from __future__ import annotations

from typing import ClassVar

from vsg_core.vocabulary import Cause


def first_line_of(error: BaseException) -> str:
    """The first line of an exception's message, or its type's name."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class VsgError(Exception):
    """A fault the user can act on. Its message is one line and is shown without a traceback.

    Attributes:
        cause: why a claim that met this error was not run.
        reason: the message without the command.
        command: the command that would change it; empty where there is none.
    """

    cause: ClassVar[Cause] = "error"

    def __init__(self, reason: str, command: str = "") -> None:
        super().__init__(f"{reason}; to get them: {command}" if command else reason)
        self.reason = reason
        self.command = command


class WrongUse(VsgError):
    """The call itself is wrong: an unknown model, a value outside its range (exit code 2)."""


class Unavailable(VsgError):
    """Something needed is not on this machine; the command gets it."""


class WeightsUnavailable(Unavailable):
    """The weights are not on this machine and could not be fetched."""

    cause = "weights"


class RecordsUnavailable(Unavailable):
    """The records that a claim across models rests on are missing."""

    cause = "records"


class NotEnoughMemory(VsgError):
    """The memory of the machine cannot hold the model; the message has the numbers."""

    cause = "memory"


class WorkerLost(VsgError):
    """The worker process of the claim is gone, and so was the one that tried again."""

    cause = "worker"


class NotApplicable(VsgError):
    """The claim does not apply to this model; the message says why."""

    cause = "not applicable"

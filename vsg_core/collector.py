"""Pauses of Python's garbage collector while many objects are made that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause the garbage collector: it would look at each of a million new objects many times, and free none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                # Moves all objects to the oldest generation, else the next collection would look at the new ones.
                gc.freeze()
                gc.unfreeze()
            gc.enable()

"""The work of a task of Ray on its node: look at the machine, or run one shard as a child process.

Ray's own process imports nothing heavy: the child does, and ends with it.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vsg_core.errors import VsgError
from vsg_core.runs.cards import VISIBLE, cards_of
from vsg_core.runs.child import GAVE_UP, Child
from vsg_core.runs.events import Ended, Event, as_line
from vsg_core.runs.shards import Shard

# Ray keeps results above 100 KB on the node that made them, and loses them with it; smaller ones are sent at once.
PIECE = 64_000
# Begins the name of a worker's folder, and the file in it that is locked.
PREFIX, LOCK = "vsg-", "lock"


@dataclass(frozen=True)
class Order:
    """The task of one shard, as plain data.

    Args:
        shard: as `Shard.as_text` gives it.
        directory: the current folder of the run.
        weights: the path of the model, if it is a path; empty otherwise.
        environment: added to that of Ray's process.
    """

    shard: str
    directory: str
    weights: str
    environment: Mapping[str, str]

    def as_values(self) -> dict[str, Any]:
        """The order as JSON can hold it."""
        return asdict(self)


def look() -> dict[str, Any]:
    """The machine's name and its graphics cards, whatever Ray has assigned to this task."""
    assigned = os.environ.pop(VISIBLE, None)
    try:
        cards = cards_of("auto")
    finally:
        if assigned is not None:
            os.environ[VISIBLE] = assigned
    return {"name": platform.node(), "cards": list(cards.free.values())}


def pieces(values: Mapping[str, Any]) -> Iterator[str]:
    """The events of a shard's worker as lines, in pieces that Ray sends at once."""
    for event in _events(Order(**values)):
        line = as_line(event) + "\n"
        for start in range(0, len(line), PIECE):
            yield line[start : start + PIECE]


def _events(order: Order) -> Iterator[Event]:
    shard = Shard.from_text(order.shard)
    directory = project_folder(order.directory)
    if directory is None:
        yield Ended(shard.name, None, f"there is no folder {order.directory}")
        return
    if order.weights and not (directory / order.weights).exists():
        yield Ended(shard.name, None, f"there are no weights at {order.weights}")
        return
    try:
        folder, lock = own_folder()
    except OSError as error:
        yield Ended(shard.name, GAVE_UP, f"cannot make a temporary folder: {error.strerror or error}")
        return
    try:
        yield from _run(shard, folder, directory, order.environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def own_folder() -> tuple[Path, FileLock]:
    """Make a temporary folder for a worker, locked for as long as this process lives.

    Folders of processes that Ray has killed, with all that they had started, are removed.

    Raises:
        OSError: there is no place for it.
    """
    # A TMPDIR that is unusable is a fault of the node: /tmp may be too small.
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=os.environ.get("TMPDIR")))
    lock = FileLock(made / LOCK, blocking=False)
    lock.acquire()
    _remove_ownerless(made.parent)
    # It has its name only now: a folder of that name that is not locked has no owner.
    return made.rename(made.with_name(made.name.removeprefix("."))), lock


def _remove_ownerless(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError, Timeout), FileLock(path, blocking=False):
            shutil.rmtree(path.parent, ignore_errors=True)


def _run(shard: Shard, folder: Path, directory: Path, environment: Mapping[str, str]) -> Iterator[Event]:
    try:
        child = Child(shard, folder, directory, environment)
    except VsgError as error:
        yield Ended(shard.name, None, str(error))
        return
    try:
        yield from child.events()
    finally:
        child.close()


def project_folder(given: str) -> Path | None:
    """The folder of the run on this node: the same path, or the copy that `ray job submit --working-dir` made."""
    if Path(given).is_dir():
        return Path(given)
    here = Path.cwd()
    return here if here.name == Path(given).name else None

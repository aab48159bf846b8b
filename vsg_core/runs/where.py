"""`--on WHERE`: the executors by name, one entry each in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from vsg_core.errors import WrongUse
from vsg_core.runs.executor import Executor, Place

Maker = Callable[[Place], Executor]


def maker_of(where: str) -> Maker:
    """Find what makes the executor that `--on WHERE` names.

    Raises:
        WrongUse: there is no such executor, or it is not given what it needs.
    """
    name, _, detail = where.partition(":")
    if name not in KINDS:
        raise WrongUse(f"--on {where}: there is no {name!r}; give {' or '.join(USES)}")
    return KINDS[name](detail)


def _local(detail: str) -> Maker:
    if not (detail.isascii() and detail.isdecimal() and int(detail) > 0):
        given = f"local:{detail}" if detail else "local"
        raise WrongUse(f"--on {given}: give the number of processes, say --on local:4")

    def make(place: Place) -> Executor:
        from vsg_core.runs.local import LocalExecutor

        return LocalExecutor(int(detail), place)

    return make


def _ray(detail: str) -> Maker:
    if detail.startswith("ray://"):
        raise WrongUse(
            f"--on ray:{detail}: a client of Ray cannot follow a run: start it on a node of the cluster with "
            "--on ray:auto, or with ray job submit"
        )
    if find_spec("ray") is None:
        raise WrongUse("--on ray needs Ray: pip install 'vector-space-generation[ray]'")

    def make(place: Place) -> Executor:
        from vsg_core.runs.ray_cluster import RayExecutor

        return RayExecutor(detail, place)

    return make


# Each takes what follows the colon, checks it, and imports nothing heavy before an executor is made.
KINDS: dict[str, Callable[[str], Maker]] = {"local": _local, "ray": _ray}
USES = ("local:N", "ray", "ray:ADDRESS")

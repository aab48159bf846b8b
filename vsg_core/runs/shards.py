"""A shard: the claims of one model that one worker process runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """The task of one worker process.

    Args:
        name: unique in a run and fit for a folder: the model's name, with a number if the model has several shards.
        model: the name under which the model is recorded.
        claims: the node ids of its claims, in the order in which they run.
        options: further arguments of the worker's pytest: --model, --dtype and the like.
        memory: bytes that the loaded model takes; 0 where that is not known.
        seconds: estimated duration, from earlier records; 0 where that is not known.
    """

    name: str
    model: str
    claims: tuple[str, ...]
    options: tuple[str, ...] = ()
    memory: int = 0
    seconds: float = 0.0

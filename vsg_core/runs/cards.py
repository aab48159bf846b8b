"""The graphics cards of this machine, shared out among workers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY = ("nvidia-smi", "--query-gpu=index,memory.free", "--format=csv,noheader,nounits")
# nvidia-smi counts in mebibytes.
UNIT = 2**20


@dataclass
class Cards:
    """Cards with the bytes that are free on each, and which shards are on them.

    Args:
        free: by the card's number.
        taken: bytes by card, by shard.
    """

    free: Mapping[str, int]
    taken: dict[str, dict[str, int]] = field(default_factory=dict)

    def fit(self, memory: int) -> dict[str, int]:
        """Choose cards for that many bytes: the emptiest one that has room, else as many unused ones as it takes.

        Returns:
            The bytes on each; empty if there is no room now.
        """
        used = {card: sum(each.get(card, 0) for each in self.taken.values()) for card in self.free}
        shards = {card: sum(card in each for each in self.taken.values()) for card in self.free}
        for card in sorted(self.free, key=lambda card: (shards[card], used[card])):
            if used[card] + memory <= self.free[card]:
                return {card: memory}
        chosen: dict[str, int] = {}
        for card in (card for card in self.free if not shards[card]):
            chosen[card] = self.free[card]
            if sum(chosen.values()) >= memory:
                return chosen
        return {}

    @property
    def total(self) -> int:
        return sum(self.free.values())


def cards_of(device: str) -> Cards:
    """The cards that workers of a run with this --device may use; none where it names one, or there are none."""
    if device not in ("auto", "cuda") or not shutil.which(QUERY[0]):
        return Cards({})
    try:
        found = subprocess.run(QUERY, capture_output=True, text=True, check=True, timeout=30).stdout
        free = {index.strip(): int(size) * UNIT for index, _, size in map(_halves, found.splitlines())}
    except (OSError, ValueError, subprocess.SubprocessError):
        return Cards({})
    if VISIBLE in os.environ:
        named = [name.strip() for name in os.environ[VISIBLE].split(",")]
        free = {name: free[name] for name in named if name in free}
    return Cards(free)


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition(",")

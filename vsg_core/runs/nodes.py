"""The machines of a cluster, and which part of which machine a shard gets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rich.filesize import decimal

from vsg_core.wording import count_text


@dataclass(frozen=True)
class Node:
    """A machine.

    Args:
        name: unique in the cluster.
        cpus: cores that tasks may use.
        memory: bytes that tasks may use.
        cards: bytes of each graphics card.
        fault: why no shard can run on it, in one line; empty for none.
    """

    id: str
    name: str
    cpus: int
    memory: int
    cards: tuple[int, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Slot:
    """A part of a node.

    Args:
        node: its id.
        memory: bytes of the node's memory; 0 where the cards hold the model.
        cards: a fraction of one card, or a whole number of cards.
        on: which cards, by their place among the node's.
    """

    node: str
    cpus: int
    memory: int = 0
    cards: float = 0
    on: tuple[int, ...] = ()


def slot_of(node: Node, memory: int, alone: bool = False) -> Slot | None:
    """The part of an idle node that a shard gets: of the cores the same share as of the memory or of the cards.

    Args:
        memory: bytes of the model; 0 where that is not known.
        alone: the shard gets all of the node.

    Returns:
        None if the node is too small.
    """
    room = sum(node.cards) if node.cards else node.memory
    if node.cpus < 1 or memory > room:
        return None
    cards = _cards(node, memory, alone)
    if cards is None:
        return None
    share = cards / len(node.cards) if node.cards else memory / max(node.memory, 1)
    cpus = node.cpus if alone else min(node.cpus, max(1, int(node.cpus * share)))
    own = (node.memory if alone else memory) if not node.cards else 0
    return Slot(node.id, cpus, own, cards)


def _cards(node: Node, memory: int, alone: bool) -> float | None:
    """The cards that hold that many bytes: hundredths of one, or several whole ones; None if there are too few."""
    if not node.cards:
        return 0
    smallest = min(node.cards)
    if alone or not smallest:
        return len(node.cards) if alone else 1
    if not memory:
        return 1
    if memory <= smallest:
        return math.ceil(100 * memory / smallest) / 100
    needed = math.ceil(memory / smallest)
    return needed if needed <= len(node.cards) else None


@dataclass
class Nodes:
    """Nodes, and the slots that are taken.

    Args:
        device: as given to --device. `auto` is a graphics card as soon as one node has one: evidence from cards and
            from cores may differ, and a shard that is tried again must not change between them.
        known: the nodes by their id, in the order in which they came.
        avoided: nodes that get no further shard if there are others, with the reason.
        taken: slots by task.
    """

    device: str = "auto"
    known: dict[str, Node] = field(default_factory=dict)
    avoided: dict[str, str] = field(default_factory=dict)
    taken: dict[int, Slot] = field(default_factory=dict)

    def update(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes by those that are alive now."""
        found = list(nodes)
        names = [node.name for node in found]
        self.known = {
            node.id: replace(node, name=f"{node.name}-{node.id[:6]}") if names.count(node.name) > 1 else node
            for node in found
        }

    @property
    def usable(self) -> list[Node]:
        """The nodes that may get a shard, with the cards that it may use."""
        sound = [node for node in self.known.values() if not node.fault and node.cpus]
        sound = [node for node in sound if node.id not in self.avoided] or sound
        if self.device == "auto":
            on_cards = any(node.cards for node in self.known.values())
        else:
            on_cards = self.device.startswith("cuda")
        if on_cards:
            return [node for node in sound if node.cards]
        return [replace(node, cards=()) for node in sound]

    @property
    def number(self) -> int:
        """The number of shards that run at a time if each takes a card, or else a core; at least 1."""
        return max(1, sum(len(node.cards) or node.cpus for node in self.usable))

    def fitting(self, memory: int, without: Iterable[str] = ()) -> list[Node]:
        """The nodes that hold a model when they are idle.

        Args:
            without: ids of nodes that are left out.
        """
        left_out = set(without)
        return [node for node in self.usable if node.id not in left_out and slot_of(node, memory)]

    def place(self, memory: int, alone: bool = False, without: Iterable[str] = ()) -> Slot | None:
        """The slot of a shard that can start now: on the node of which most is free; None if there is none."""
        free = []
        for node in self.fitting(memory, without):
            slot = slot_of(node, memory, alone)
            placed = self._fit(node, slot) if slot else None
            if placed:
                free.append((self._used(node).cpus / node.cpus, placed))
        return min(free, key=lambda each: each[0])[1] if free else None

    def misfit(self, model: str, memory: int) -> str:
        """Why a model fits on no node, with the numbers; empty if it fits on one."""
        if self.fitting(memory):
            return ""
        if not self.usable:
            faults = "; ".join(
                f"node {node.name}: {node.fault}" for node in self.known.values() if node.fault and node.cpus
            )
            kind = "graphics card" if self.device.startswith("cuda") else "core"
            return faults or f"no node with a {kind} is left in the cluster"
        largest = max(self.usable, key=lambda node: (sum(node.cards), node.memory, node.cpus))
        return (
            f"{model} takes {decimal(memory)}, and the largest of {count_text(len(self.usable), 'node')}, "
            f"{largest.name}, has {_size(largest)}: take a smaller --dtype or a larger node"
        )

    def _used(self, node: Node) -> Slot:
        slots = [slot for slot in self.taken.values() if slot.node == node.id]
        return Slot(node.id, sum(slot.cpus for slot in slots), sum(slot.memory for slot in slots))

    def _fit(self, node: Node, slot: Slot) -> Slot | None:
        """The slot, with its cards chosen, if there is room for it now."""
        used = self._used(node)
        if used.cpus + slot.cpus > node.cpus or used.memory + slot.memory > node.memory:
            return None
        if not slot.cards:
            return slot
        loads = [0.0] * len(node.cards)
        for other in self.taken.values():
            for card in other.on if other.node == node.id else ():
                loads[card] += min(other.cards, 1)
        share = min(slot.cards, 1)
        # The fullest that has room, so that whole cards stay free for larger models.
        free = sorted(
            (card for card in range(len(loads)) if loads[card] + share <= 1 + 1e-9),
            key=lambda card: -loads[card],
        )
        count = math.ceil(slot.cards)
        return replace(slot, on=tuple(free[:count])) if len(free) >= count else None


def _size(node: Node) -> str:
    if not node.cards:
        return f"{count_text(node.cpus, 'core')} and {decimal(node.memory)} of memory"
    return f"{count_text(len(node.cards), 'graphics card')} with {decimal(min(node.cards))} each"

"""Placement of shards on the machines of a cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsg_core.runs.nodes import Node, Nodes, Slot, slot_of

GB = 10**9
CORES = Node("a", "plain", cpus=16, memory=64 * GB)
CARDS = Node("b", "cards", cpus=32, memory=256 * GB, cards=(80 * GB,) * 4)


def nodes(*known: Node, device: str = "auto") -> Nodes:
    found = Nodes(device)
    found.update(known)
    return found


@pytest.mark.parametrize(
    ("node", "memory", "slot"),
    [
        (CORES, 0, Slot("a", cpus=1)),
        (CORES, 1 * GB, Slot("a", cpus=1, memory=1 * GB)),
        (CORES, 32 * GB, Slot("a", cpus=8, memory=32 * GB)),
        (CORES, 65 * GB, None),
        (CARDS, 0, Slot("b", cpus=8, cards=1)),
        (CARDS, 1 * GB, Slot("b", cpus=1, cards=0.02)),
        (CARDS, 20 * GB, Slot("b", cpus=2, cards=0.25)),
        (CARDS, 80 * GB, Slot("b", cpus=8, cards=1)),
        (CARDS, 81 * GB, Slot("b", cpus=16, cards=2)),
        (CARDS, 321 * GB, None),
    ],
)
def test_a_slot_is_a_share_of_a_node(node, memory, slot):
    """Fractions of a card for small models, several cards for large ones, and the same share of the cores."""
    assert slot_of(node, memory) == slot


def test_alone_is_the_whole_node():
    assert slot_of(CORES, 1 * GB, alone=True) == Slot("a", cpus=16, memory=64 * GB)
    assert slot_of(CARDS, 1 * GB, alone=True) == Slot("b", cpus=32, cards=4)
    known = nodes(CORES)
    known.taken[1] = Slot("a", cpus=1)
    assert known.place(1 * GB, alone=True) is None


def test_one_kind_of_device_in_a_run():
    """With a card anywhere in the cluster, `auto` means cards, because evidence may differ between kinds."""
    both = nodes(CORES, CARDS)
    assert [node.name for node in both.usable] == ["cards"]
    assert both.number == 4
    on_cores = nodes(CORES, CARDS, device="cpu")
    assert [(node.name, node.cards) for node in on_cores.usable] == [("plain", ()), ("cards", ())]
    assert on_cores.number == 48


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            nodes(CARDS),
            "big takes 400.0 GB, and the largest of 1 node, cards, has 4 graphics cards with 80.0 GB each: "
            "take a smaller --dtype or a larger node",
        ),
        (
            nodes(CORES),
            "big takes 400.0 GB, and the largest of 1 node, plain, has 16 cores and 64.0 GB of memory: "
            "take a smaller --dtype or a larger node",
        ),
        (nodes(CORES, device="cuda"), "no node with a graphics card is left in the cluster"),
        (nodes(), "no node with a core is left in the cluster"),
        (nodes(Node("a", "x", 1, GB, fault="there is no folder /f")), "node x: there is no folder /f"),
    ],
    ids=["cards", "cores", "no card", "no node", "a fault"],
)
def test_a_misfit_has_the_numbers(found, message):
    assert found.misfit("big", 400 * GB) == message


def test_a_model_that_fits_is_no_misfit():
    assert nodes(CARDS).misfit("small", GB) == ""


def test_nodes_that_call_themselves_the_same_have_names_of_their_own():
    same = nodes(Node("abcdefgh", "vm", 1, GB), Node("bcdefghi", "vm", 1, GB))
    assert [node.name for node in same.known.values()] == ["vm-abcdef", "vm-bcdefg"]


def test_avoided_nodes_are_used_only_if_there_is_no_other():
    known = nodes(CORES, Node("c", "other", 1, GB))
    known.avoided["c"] = "it runs other code"
    assert [node.name for node in known.usable] == ["plain"]
    known.avoided["a"] = "it is full"
    assert [node.name for node in known.usable] == ["plain", "other"]


@given(st.lists(st.integers(0, 200 * GB), max_size=30), st.integers(1, 4), st.booleans())
def test_no_node_is_given_more_than_it_has(sizes, count, on_cards):
    """Whatever the sizes: cores, memory and every card stay within what the node has."""
    kind = CARDS if on_cards else CORES
    known = nodes(*(Node(str(i), f"n{i}", kind.cpus, kind.memory, kind.cards) for i in range(count)))
    for task, memory in enumerate(sizes):
        slot = known.place(memory)
        if slot is not None:
            known.taken[task] = slot
            assert known.misfit("it", memory) == ""
    for node in known.known.values():
        slots = [slot for slot in known.taken.values() if slot.node == node.id]
        assert sum(slot.cpus for slot in slots) <= node.cpus
        assert sum(slot.memory for slot in slots) <= node.memory
        for card in range(len(node.cards)):
            assert sum(min(slot.cards, 1) for slot in slots if card in slot.on) <= 1 + 1e-9
            whole = [slot for slot in slots if card in slot.on and slot.cards >= 1]
            assert len(whole) <= 1

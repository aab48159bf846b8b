"""The head's product in blocks: the same logits, and only where the head is simply linear."""

from __future__ import annotations

import pytest
import torch

from vsg_core.generator.engine.head import NARROW, PARTS, on_all_cores


@pytest.fixture(autouse=True)
def two_threads():
    """A head is only divided where there are several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def linear_head(rows: int, bias: bool = False, dtype: torch.dtype | None = None) -> torch.nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Linear(96, rows, bias=bias, dtype=dtype)


@pytest.mark.parametrize("positions", [1, 3, 8, NARROW, NARROW + 1])
def test_a_divided_head_gives_the_same_logits_bit_for_bit(positions):
    """For one position and many, narrow enough to be divided or not."""
    head, hidden = linear_head(PARTS * 600), torch.randn(positions, 1, 96)
    with torch.no_grad():
        whole = head(hidden)
        with on_all_cores(head):
            assert torch.equal(head(hidden), whole)


def test_a_head_is_itself_again_afterwards():
    """Also after an error, so that the caller's own use of the model is as before."""
    head = linear_head(PARTS * 4)
    with on_all_cores(head):
        assert "forward" in vars(head)
    assert "forward" not in vars(head)
    with pytest.raises(RuntimeError, match="95"), on_all_cores(head):
        head(torch.zeros(1, 95))
    assert "forward" not in vars(head)


@pytest.mark.parametrize(
    "head",
    [
        linear_head(PARTS * 4, bias=True),
        linear_head(PARTS * 4 + 1),
        linear_head(PARTS * 4, dtype=torch.bfloat16),
        torch.nn.Sequential(linear_head(PARTS * 4)),
    ],
    ids=["bias", "rows that do not divide", "bfloat16", "not linear"],
)
def test_other_heads_are_left_alone(head):
    with on_all_cores(head):
        assert "forward" not in vars(head)


def test_a_replaced_forward_is_left_alone():
    """Hooks that load a layer replace its forward."""
    head = linear_head(PARTS * 4)
    own = vars(head)["forward"] = lambda hidden: hidden
    with on_all_cores(head):
        assert head.forward is own
    assert head.forward is own

"""Vectors taken apart, compared with SciPy's least squares and with a greedy reader in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from tests.support.architectures import ROWS, TOKENS, tiny
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.reading import decomposition
from vsg_core.generator.reading.decomposition import decompose

HIDDEN = 24
COARSE = pytest.mark.parametrize("coarse", [False, True], ids=["float32", "bfloat16"])


def random_table(seed: int) -> torch.Tensor:
    """Draw a table [ROWS, HIDDEN] whose rows share a direction, as the rows of real tables do."""
    drawn = torch.randn(ROWS + 1, HIDDEN, generator=torch.Generator().manual_seed(seed))
    return drawn[1:] + drawn[0]


def mixed(found: Mixture, table: torch.Tensor) -> np.ndarray:
    """Sum the rows of a mixture [HIDDEN] in float64."""
    return np.array(found.weights) @ table[list(found.token_ids)].double().numpy()


def greedily(target: np.ndarray, table: np.ndarray, most: int, tolerance: float) -> dict[int, float]:
    """Take a vector apart by the definition: every cosine in float64, every solution from nothing."""
    units = table / np.linalg.norm(table, axis=-1, keepdims=True)
    weights: dict[int, float] = {}
    while len(weights) < most:
        residual = target - sum((weight * table[i] for i, weight in weights.items()), np.zeros_like(target))
        if np.linalg.norm(residual) <= tolerance * np.linalg.norm(target):
            break
        tokens = [*weights, int((units @ residual).argmax())]
        solved = nnls(table[tokens].T, target)[0]
        weights = {i: weight for i, weight in zip(tokens, solved, strict=True) if weight > 0}
    return weights


@pytest.fixture(autouse=True)
def multiplies(monkeypatch, request):
    """Scan the table in the dtype that `coarse` names, whatever the processor of the tests has."""
    if "coarse" in request.fixturenames:
        coarse = request.getfixturevalue("coarse")
        monkeypatch.setattr(decomposition, "_multiplies_bfloat16", lambda _: coarse)


@COARSE
def test_rounding_of_the_scan_does_not_change_what_is_chosen(coarse):
    """Cosines that differ by less than bfloat16 can tell: the same tokens and weights as in float64 throughout."""
    table = random_table(0)
    # Every second row is the one before it, turned by about a thousandth
    table[1::2] = table[::2] + 1e-3 * torch.randn(
        ROWS // 2, HIDDEN, generator=torch.Generator().manual_seed(1)
    )
    draws = torch.rand(40, 8, generator=torch.Generator().manual_seed(2))
    ids = torch.stack(
        [torch.randperm(TOKENS, generator=torch.Generator().manual_seed(i))[:8] for i in range(40)]
    )
    targets = (draws.unsqueeze(-1) * table[ids]).sum(1)
    found = decompose(tiny("llama"), targets, most=12, table=table)
    rows = table[:TOKENS].double().numpy()
    for target, one in zip(targets.double().numpy(), found, strict=True):
        assert one.by_token() == pytest.approx(greedily(target, rows, 12, 1e-3), abs=1e-9)


@COARSE
def test_without_a_limit_no_weights_of_any_tokens_are_nearer(coarse):
    """The Karush-Kuhn-Tucker conditions hold over the whole table; the distance is that of SciPy's least squares."""
    # Inside, across and outside the cone of the rows
    for seed, direction in enumerate((1.0, 0.0, -1.0)):
        table = random_table(seed)
        noise = torch.randn(10, HIDDEN, generator=torch.Generator().manual_seed(9))
        targets = noise + direction * 3 * table[:TOKENS].mean(0)
        found = decompose(tiny("llama"), targets, most=4 * ROWS, tolerance=1e-7, table=table)
        rows = table[:TOKENS].double().numpy()
        for target, one in zip(targets.double().numpy(), found, strict=True):
            residual = target - mixed(one, table)
            assert (rows @ residual).max() <= 1e-5 * np.linalg.norm(target)
            assert abs(mixed(one, table) @ residual) <= 1e-5 * np.linalg.norm(target)
            assert np.linalg.norm(residual) == pytest.approx(nnls(rows.T, target)[1], abs=1e-5)


def test_of_equal_rows_the_one_with_the_lowest_id_is_found():
    """Tokens that share an embedding are common in real tables; the answer does not depend on the batch."""
    table = random_table(3)
    table[[20, 40, 50]] = table[10].clone()
    targets = 0.7 * table[[50, 40, 20, 10]] + 0.3 * table[5]
    together = decompose(tiny("llama"), targets, table=table)
    alone = [decompose(tiny("llama"), target.unsqueeze(0), table=table)[0] for target in targets]
    for one in (*together, *alone):
        assert one.by_token() == pytest.approx({10: 0.7, 5: 0.3}, abs=1e-6)


def test_nothing_is_found_in_a_vector_that_no_token_is_aligned_with():
    """The zero vector, a vector with NaN, and one opposite to every row have no tokens."""
    table = random_table(4).abs()
    targets = torch.stack([torch.zeros(HIDDEN), torch.full((HIDDEN,), torch.nan), -torch.ones(HIDDEN)])
    assert decompose(tiny("llama"), targets, table=table) == [Mixture((), ())] * 3


def test_each_vector_can_have_its_own_number_of_tokens():
    """The numbers hold for each vector, and do not change what the others give."""
    table = random_table(5)
    targets = table[:30].reshape(3, 10, HIDDEN).sum(1)
    found = decompose(tiny("llama"), targets, most=[2, 20, 5], table=table)
    assert [len(one.token_ids) for one in found][::2] == [2, 5]
    for target, most, one in zip(targets, (2, 20, 5), found, strict=True):
        (alone,) = decompose(tiny("llama"), target.unsqueeze(0), most=most, table=table)
        assert one.by_token() == pytest.approx(alone.by_token(), abs=1e-9)


def test_nearly_dependent_rows_are_solved_from_the_rows_themselves():
    """Their products alone would lose the digits in which they differ."""
    first, other = np.eye(HIDDEN)[:2]
    rows = [first, first + 1e-9 * other]
    pursuit = decomposition._Pursuit(first + 0.5e-9 * other, most=5, tolerance=0.0)
    for token, row in enumerate(rows):
        pursuit.add(token, row)
    assert mixed(pursuit.mixture, torch.tensor(np.stack(rows))) == pytest.approx(pursuit.target, abs=1e-15)

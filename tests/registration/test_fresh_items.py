"""Items that a confirming run deals: of no share that was dealt before, of no other owner, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Hashable
from dataclasses import astuple
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.draws import Draw
from fixtures.pools.all_pools import POOLS
from fixtures.pools.noun_pairs import NOUN_PAIRS, NounPair
from fixtures.pools.openings import OPENINGS
from fixtures.pools.pool import SHARES, Pool, share_number
from fixtures.thoughts import shared_facts
from fixtures.worked import draw_halves, takes_one_operation
from vsg_core.errors import NotApplicable
from vsg_core.judge.rules import more
from vsg_core.plugin.drawing import Dealing

ROOT = Path(__file__).parents[2]
SIXTEEN = tuple(f"claim_{number}" for number in range(16))
# About as many as the project has claims, so that a fifth of the shares were dealt before.
EXPLORED = tuple((f"explored_{number}", 0) for number in range(80))
FEW = EXPLORED[:3]
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


def squares(size: int, shared: tuple[tuple[str, int], ...] = ()) -> Pool[int]:
    """A pool of whole numbers from 0, in which n and size - 1 - n are one trial; those below 3 are listed."""
    return Pool(
        name="numbers",
        population="whole numbers",
        items=lambda: range(size),
        identity=lambda number: min(number, size - 1 - number),
        listed=lambda: {0, 1, 2},
        shared=shared,
    )


@given(
    size=st.integers(SHARES, 1500),
    owners=st.lists(names, min_size=1, max_size=20, unique=True).map(tuple),
    seed=st.text("0123456789abcdef", min_size=1, max_size=8),
    explored=st.lists(st.tuples(names, st.integers(0, 3)), max_size=60).map(tuple),
    asked=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_every_fresh_trial_is_dealt_to_one_owner(
    size: int,
    owners: tuple[str, ...],
    seed: str,
    explored: tuple[tuple[str, int], ...],
    asked: Any,
) -> None:
    """In whatever order they ask, and for however many items; what is left out is listed or explored."""
    shared = (("of several claims", 0), ("of several claims", 1))
    pool = squares(size, shared)
    all_owners = list({*owners, "of several claims"})
    asked.shuffle(all_owners)
    for owner in all_owners:
        list(islice(pool.fresh(owner, owners, seed, explored), asked.randint(0, 9)))
    dealt = {owner: list(pool.fresh(owner, owners, seed, explored)) for owner in all_owners}
    identities = [pool.identity(item) for items in dealt.values() for item in items]
    before = {pool.identity(item) for share in (*explored, *shared) for item in pool.share(*share)}
    assert len(set(identities)) == len(identities)
    assert set(identities) == {pool.identity(item) for item in range(size)} - before - set(pool.listed())
    # Another object with the same lists asks in another order.
    again = squares(size, shared)
    assert all(
        list(again.fresh(owner, owners, seed, explored)) == items for owner, items in reversed(dealt.items())
    )


def test_another_seed_deals_other_items_to_another_owner() -> None:
    pool = squares(4000)
    first, second = (list(pool.fresh("claim_0", SIXTEEN, seed, ())) for seed in ("a", "b"))
    assert first != second
    assert {*first} != {*second}
    with pytest.raises(KeyError, match="claim_16"):
        next(pool.fresh("claim_16", SIXTEEN, "a", ()))


@pytest.mark.parametrize("pool", [OPENINGS, NOUN_PAIRS], ids=lambda pool: pool.name)
def test_sixteen_claims_get_400_fresh_trials_each(pool: Pool[Any]) -> None:
    identities: list[Hashable] = [
        pool.identity(item)
        for owner in SIXTEEN
        for item in islice(pool.fresh(owner, SIXTEEN, "5eed", EXPLORED), 400)
    ]
    assert len(identities) == len(set(identities)) == 16 * 400
    assert not {*identities} & {*pool.listed()}
    explored = {pool.identity(item) for share in (*EXPLORED, *pool.shared) for item in pool.share(*share)}
    assert not {*identities} & explored


def digest(pool: Pool[Any]) -> str:
    some = [list(islice(pool.fresh(owner, SIXTEEN, "5eed", FEW), 5)) for owner in SIXTEEN]
    return sha256(repr(some).encode()).hexdigest()


def test_another_process_deals_the_same_items() -> None:
    """Pairs of nouns are known by a set, whose order differs between these processes."""
    code = "from tests.registration.test_fresh_items import *; print(digest(NOUN_PAIRS))"
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == digest(NOUN_PAIRS)


# Computed before there were confirming runs.
ORDINARY = {
    "openings": "40e972a78c472e83",
    "noun pairs": "6e24081a4ffdfd34",
    "facts": "23297e04b638527b",
    "word problems": "8dd55b1e5cf0ff6c",
    "paraphrases": "baec174366426c2f",
    "translations": "25260ed787d9aabc",
}


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.name)
def test_an_ordinary_run_draws_what_it_drew_before(pool: Pool[Any]) -> None:
    drawn = Draw(pool, "a_claim", 3, None)(50)
    assert sha256(repr(list(map(astuple, drawn))).encode()).hexdigest()[:16] == ORDINARY[pool.name]


def test_fixtures_that_claims_share_draw_what_they_drew_before() -> None:
    assert sha256(repr(draw_halves(50)).encode()).hexdigest()[:16] == "fde224cabd918ff1"
    assert sha256(repr(shared_facts()).encode()).hexdigest()[:16] == "5260901d949d9a28"


DEALING = Dealing("5eed", SIXTEEN, FEW, {"claim_3": 400}, {"worked_problems": 400})


def test_a_claim_draws_the_items_that_it_is_dealt() -> None:
    """As many as the freeze says, the usable ones in their order; the number of a share sets no limit."""
    draw = Draw(NOUN_PAIRS, "claim_3", 0, 400, more(matters=0.1), dealing=DEALING)
    own = list(islice(NOUN_PAIRS.fresh("claim_3", SIXTEEN, "5eed", FEW), 1000))
    assert draw(100) == draw(spread=0.2) == own[:400]

    def usable(pairs: list[NounPair]) -> list[bool]:
        return [pair.first < pair.second for pair in pairs]

    assert draw(100, usable) == [pair for pair in own if pair.first < pair.second][:400]
    assert len(Draw(OPENINGS, "claim_3", 0, 1000, dealing=DEALING)(1)) == 1000 > OPENINGS.share_size


def test_too_few_fresh_items_make_a_claim_not_applicable() -> None:
    draw = Draw(squares(4000), "claim_3", 0, 400, dealing=DEALING)
    with pytest.raises(NotApplicable, match="usable numbers dealt to claim_3, at least 400 are needed"):
        draw(1)


def test_thoughts_are_about_problems_of_their_own() -> None:
    """Half of one operation, none that was worked before; `worked_problems` is an owner without being a claim."""
    drawn = draw_halves(100, DEALING)
    assert len({*drawn}) == 100
    assert sum(map(takes_one_operation, drawn)) == 50
    assert not {*drawn} & {*draw_halves(600)}


def test_claims_with_one_share_were_explored_once() -> None:
    """Two names may have one share; it is left out, whichever is named."""
    twin = next(
        f"explored_{number}"
        for number in range(10_000)
        if share_number(f"explored_{number}", 0) == share_number("explored_0", 0) and number
    )
    first, second = (
        list(squares(4000).fresh("a", ("a",), "s", ((name, 0),))) for name in ("explored_0", twin)
    )
    assert first == second

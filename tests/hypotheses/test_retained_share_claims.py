"""The claims on retained shares, with invented fits: what a trial counts, and which arm gets which fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fixtures.retention import LENGTHS, SPECIFICATIONS, STUDYS, ConceptShares, Fitted, LighterToken
from fixtures.trained_pair import DISCRETE, LIGHTER_WEIGHTS, SUPERPOSED, PairShares
from hypotheses import test_retained_share as claims
from hypotheses import test_superposition as superposition
from vsg_core import Records


class Pair:
    """A pair of which only the weights are needed."""

    @property
    def weights(self):
        return {"superposed": "a1", "discrete": "b2"}


class Openings:
    """Draws texts that no model reads."""

    text = "It was"

    def __call__(self, trials):
        return [self] * trials


def fitted(retained, lighter=None):
    """A fit per given retained share of the second token; those of the first are 1."""
    count = len(retained)
    weights = torch.tensor([[1 - w, w] for w in lighter or [0.3] * count], dtype=torch.float64)
    shares = torch.tensor([[1.0, share] for share in retained], dtype=torch.float64)
    numbers = torch.full((count,), 0.5, dtype=torch.float64)
    prompts = [f"fork {i}" for i in range(count)]
    return Fitted(prompts, [("x", "y")] * count, weights, shares, numbers, numbers, ["z"] * count)


def concept_shares(number, spelled):
    """A mixture's fits are `number`, those of noise a tenth more, those of the geometric blend two."""
    mixture, noise, geometric = (fitted([number + part / 10] * 40) for part in range(3))
    return ConceptShares(mixture, noise, geometric, spelled)


def evidence_of(claim: Any, *arguments: Any) -> Any:
    """Call a claim with stand-ins for what it asks for."""
    return claim(*arguments)


def values(trials):
    return [trial.value for trial in trials]


@pytest.fixture
def pair_shares():
    lighter = [LIGHTER_WEIGHTS[i % len(LIGHTER_WEIGHTS)] for i in range(120)]
    kept = [0.9, 1.1, 0.8, 0.81] * 30
    return PairShares(fitted(kept, lighter), fitted([share - 0.8 for share in kept], lighter))


def test_a_fork_is_kept_if_its_lesser_branch_is_above_the_bound(tmp_path, pair_shares):
    """The lesser branch may be the heavier one, which is 1 here; a share of exactly 0.8 is not above it."""
    records = Records(tmp_path)
    evidence = evidence_of(
        claims.test_superposition_is_retained_after_training_for_it, records, Pair(), pair_shares
    )
    assert [trial.success for trial in evidence.trials[:4]] == [True, True, False, True]
    assert values(evidence.trials)[:4] == [0.9, 1.0, 0.8, 0.81]
    assert not any(trial.success for trial in evidence.arms[DISCRETE])
    assert records.weights == "discrete b2, superposed a1"
    for weight in LIGHTER_WEIGHTS:
        arm = evidence.arms[f"lighter branch at {weight:g}"]
        assert len(arm) == 30
        assert {trial.mixture[1][1] for trial in arm} == {weight}


def test_the_twins_value_is_its_lesser_branch(tmp_path, pair_shares):
    evidence = evidence_of(claims.test_twin_trained_on_tokens_prunes, Records(tmp_path), Pair(), pair_shares)
    assert values(evidence.trials)[:4] == pytest.approx([0.1, 0.3, 0, 0.01])
    assert values(evidence.arms[SUPERPOSED])[:4] == [0.9, 1.0, 0.8, 0.81]


def test_the_lighter_token_s_arms_are_its_fits(monkeypatch, pair_shares):
    arms = {name: fitted([number] * 40) for number, name in enumerate("mngf")}
    shares = LighterToken(
        arms["m"],
        arms["n"],
        arms["g"],
        arms["f"],
        {weight: fitted([weight] * 40) for weight in claims.DOSES},
        {length: fitted([float(length)] * 40) for length in LENGTHS},
    )
    monkeypatch.setattr(claims, "measure_lighter", lambda lm, prompts: shares)
    evidence = evidence_of(
        claims.test_lighter_token_keeps_less_than_half_of_its_weight, None, Openings(), pair_shares
    )
    found = {name: set(values(arm)) for name, arm in evidence.arms.items()}
    assert set(values(evidence.trials)) == {0.0}
    assert found[claims.HEAVIER] == found[claims.NOISE] == {1.0}
    assert found[claims.GEOMETRIC] == {2.0}
    assert found[claims.FINAL_STATE] == {3.0}
    assert found["weight 0.7"] == {0.7}
    assert found["3 concept tokens"] == {3.0}
    assert found[SUPERPOSED] == {0.9, 1.0, 0.8, 0.81}
    assert len(evidence.arms[SUPERPOSED]) == len(evidence.arms[DISCRETE]) == 100


def test_concept_tokens_show_all_their_tokens(monkeypatch, pair_shares):
    spelled = [[("a", 0.5), ("b", 0.3), ("c", 0.2)]] * 40
    shares = {name: concept_shares(number, spelled) for number, name in enumerate(SPECIFICATIONS)}
    monkeypatch.setattr(superposition, "measure_concepts", lambda lm, prompts: shares)
    evidence = evidence_of(
        superposition.test_concept_token_keeps_its_lesser_branches, None, Openings(), pair_shares
    )
    assert set(values(evidence.trials)) == {0.0}
    assert not any(trial.success for trial in evidence.trials)
    assert all(trial.success for trial in evidence.arms[superposition.HEAVIEST])
    assert list(evidence.trials[0].mixture) == spelled[0]
    found = {name: set(values(arm)) for name, arm in evidence.arms.items()}
    assert found[superposition.HEAVIEST] == {1.0}
    assert found[superposition.NOISE] == {0.1}
    assert found[superposition.GEOMETRIC] == {0.2}
    assert [found[name] for name in SPECIFICATIONS if name != STUDYS] == [{1.0}, {2.0}]

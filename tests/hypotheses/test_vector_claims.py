"""Tests of what the claims about vectors, paraphrases and points between words compare, on tiny models."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import torch

from fixtures import between_words
from fixtures.between_words import TwoNouns
from fixtures.capitals import SHOWN, list_capitals
from fixtures.pools.noun_pairs import NOUN_PAIRS, NounPair
from fixtures.pools.openings import Opening
from fixtures.pools.paraphrases import Paraphrase
from hypotheses import test_concept_vectors as concept_vectors
from hypotheses import test_geometry as geometry
from hypotheses import test_interpolation as interpolation
from tests.support.architectures import tiny
from vsg_core import Mixture, presets, write_concepts

if TYPE_CHECKING:
    from vsg_core import LanguageModel


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny("llama")


def drawing(items: list[Any]) -> Any:
    """Draw the first of these items that a claim can use."""

    def draw(trials: int, usable: Callable[[list[Any]], list[bool]] | None = None) -> list[Any]:
        can = [True] * len(items) if usable is None else usable(items)
        return [item for item, fits in zip(items, can, strict=True) if fits][:trials]

    return draw


def test_the_two_heaviest_tokens_change_places() -> None:
    """The others, and all weights, stay where they are."""
    exchanged = concept_vectors.with_the_two_heaviest_exchanged(Mixture((5, 3, 8), (0.45, 0.3, 0.25)))
    assert exchanged == Mixture((3, 5, 8), (0.45, 0.3, 0.25))


def test_weights_on_random_tokens_are_on_different_ones(lm: LanguageModel) -> None:
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(tuple(range(10)), (0.1,) * 10)
    scattered = concept_vectors.on_random_tokens(lm, mixture, generator)
    assert scattered.weights == mixture.weights
    assert len({*scattered.token_ids}) == 10
    assert {*scattered.token_ids} <= {*lm.token_ids}


def test_only_mixtures_without_a_half_are_asked_for_their_nearest_token(lm: LanguageModel) -> None:
    """Each arm is of the same prompts, and the exchanged mixture is asked for the token that was the heaviest."""
    openings = [Opening(f"w{i} w{i + 7}", ()) for i in range(30)]
    evidence = concept_vectors.test_nearest_token_is_the_heaviest(
        lm, drawing(openings), torch.Generator().manual_seed(0)
    )
    assert evidence.trials
    assert all(trial.mixture and trial.mixture[0][1] < 0.5 for trial in evidence.trials)
    for own, other in zip(evidence.trials, evidence.arms[concept_vectors.EXCHANGED], strict=True):
        assert own.prompt == other.prompt
        assert own.mixture
        assert other.mixture
        assert [token for token, _ in own.mixture[:2]] == [token for token, _ in other.mixture[1::-1]]
        assert own.success == (own.output == repr(own.mixture[0][0]))
        assert other.success == (other.output == repr(other.mixture[1][0]))


@pytest.fixture
def framed(monkeypatch: pytest.MonkeyPatch) -> list[NounPair]:
    """Pairs of words of the tiny model, in frames of its words."""
    monkeypatch.setattr(between_words, "_frames", lambda: ["w5 {} w9", "w7 w8 {} w6 w4"])
    return [NounPair(f"w{i}", f"w{i + 1}", ("a", "b")) for i in range(10, 110, 2)]


def test_predictions_with_two_nouns_are_those_of_the_text(lm: LanguageModel, framed: list[NounPair]) -> None:
    """Pairs with one prediction are left out; at the ends of the way it is what the nouns' own ids give."""
    found = between_words.draw_two_nouns(lm, drawing(framed), 50)
    assert found
    first, second = between_words.embeddings(lm, found)
    points = [between_words.points_between(first, second, share) for share in (0.0, 1.0)]
    tops, chances = between_words.predictions_at(lm, found, points)
    for row, one in enumerate(found):
        texts = [lm.tokenize(one.frame.format(noun)) for noun in one.nouns]
        own = lm.next_logits(texts)
        assert tuple(own.argmax(-1).tolist()) == one.ends
        assert one.ends[0] != one.ends[1]
        assert {*one.ends} <= one.nearby
        assert torch.allclose(one.chances, own.softmax(-1)[:, list(one.ends)], atol=1e-5)
        assert tuple(tops[row].tolist()) == one.ends
        assert torch.allclose(chances[row], one.chances, atol=1e-5)


def test_points_around_are_as_far_from_the_nearer_noun(lm: LanguageModel) -> None:
    """A quarter of the way from the first noun, half of it from either in turn, a quarter from the second."""
    first, second = lm.embed(torch.tensor([5, 6, 7, 8])), lm.embed(torch.tensor([15, 16, 17, 18]))
    length = (first - second).norm(dim=-1)
    nearer = {0.25: first, 0.5: torch.stack([first[0], second[1], first[2], second[3]]), 0.75: second}
    for share, noun in nearer.items():
        generator = torch.Generator().manual_seed(0)
        around = between_words.points_around(lm, first, second, share, generator)
        between = between_words.points_between(first, second, share)
        assert (around - noun).norm(dim=-1).tolist() == pytest.approx(
            (min(share, 1 - share) * length).tolist(), rel=1e-4
        )
        assert (between - noun).norm(dim=-1).tolist() == pytest.approx(
            (min(share, 1 - share) * length).tolist(), rel=1e-4
        )
        assert not torch.allclose(around, between, atol=1e-3)


def test_a_departure_is_measured_from_the_range_of_the_nouns() -> None:
    """Either token counts, at any point; inside the range there is none."""
    one = TwoNouns("{}", ("a", "b"), (3, 4), (0, 1), frozenset(), torch.tensor([[0.5, 0.1], [0.2, 0.4]]))
    points = torch.tensor([[0.7, 0.3], [0.3, 0.05], [0.4, 0.2]])
    assert one.departure(points) == (pytest.approx(0.2), pytest.approx(0.05))
    assert one.departure(points[2:]) == (0, 0)


def test_halfway_claims_compare_the_same_pairs(lm: LanguageModel, framed: list[NounPair]) -> None:
    """A departure to either side counts, and a step in a random direction is judged by the same range."""
    generator = torch.Generator().manual_seed(0)
    halfway = interpolation.test_halfway_a_model_predicts_what_it_does_at_an_end(
        lm, drawing(framed), generator
    )
    assert {len(arm) for arm in halfway.arms.values()} == {len(halfway.trials)}
    for trial in halfway.trials:
        assert trial.success == (trial.output in (trial.outputs or {}).values())
    leaving = interpolation.test_between_words_answers_leave_the_range_of_the_ends(
        lm, drawing(framed), generator
    )
    above, below = leaving.arms["above the range"], leaving.arms["below the range"]
    for trial, over, under in zip(leaving.trials, above, below, strict=True):
        assert trial.success == (over.success or under.success)
    assert [trial.prompt for trial in leaving.arms[interpolation.AROUND]] == [
        trial.prompt for trial in leaving.trials
    ]


def test_a_pair_of_nouns_keeps_its_frame() -> None:
    """About as many pairs for each of 20 frames, all with one gap after a space."""
    pairs = list(islice(NOUN_PAIRS.share("a_claim"), 600))
    frames = [between_words.frame_of(pair) for pair in pairs]
    assert frames == [between_words.frame_of(pair) for pair in pairs]
    assert len({*frames}) == 20
    assert max(map(frames.count, {*frames})) < 60
    assert all(frame.count(" {} ") == 1 for frame in frames)


def test_the_other_sentence_has_the_same_wording() -> None:
    """The next item of the wording, in a circle; an item alone in its wording has none."""
    drawn = [Paraphrase(f"p{i}", f"s{i}", other) for i, other in enumerate("abacba")]
    following = geometry.next_in_wording(drawn)
    assert [one and one.same for one in following] == ["s2", "s4", "s5", None, "s1", "s0"]


def test_paraphrases_are_compared_where_heaviest_tokens_differ(lm: LanguageModel) -> None:
    """Each value is a difference of two distances between vectors written one by one."""
    drawn = [Paraphrase(f"w{i} w9", f"w{i} w7 w4", "w3 w7 w4") for i in range(5, 105)]
    evidence = geometry.test_paraphrases_have_nearer_concept_tokens(lm, drawing(drawn))
    assert len(evidence.arms[geometry.EQUAL_TOO]) == 100
    assert [trial.prompt for trial in evidence.trials] == [
        trial.prompt for trial in evidence.arms[geometry.UNRELATED]
    ]
    for trial in evidence.trials:
        assert trial.output not in (trial.outputs or {}).values()
    row = next(row for row, one in enumerate(drawn) if evidence.trials[0].prompt.startswith(one.prompt))
    texts = [drawn[row].prompt, drawn[row].same, drawn[row + 1].same, "w3 w7 w4"]
    first, same, another, other = (
        write_concepts(lm, [text], mixing=presets.STUDY)[0].steps[0].vector for text in texts
    )
    for trials, far in ((evidence.trials, another), (evidence.arms[geometry.UNRELATED], other)):
        by = ((first - far).norm() - (first - same).norm()).item() / lm.embedding_norm
        assert trials[0].value == pytest.approx(by, abs=1e-4)


def test_capitals_are_of_one_word_and_none_is_shown() -> None:
    """France comes first, each capital once, the worked examples are left out."""
    found = list_capitals()
    assert found[0] == ("France", "Paris")
    assert len({capital for _, capital in found}) == len(found) == 88
    assert not {*found} & {*SHOWN}
    assert not any(" " in name for pair in found for name in pair)

"""What claims on concept vectors, drift and geometry measure, against cases computed by hand or step by step."""

from __future__ import annotations

import pytest
import torch

import fixtures.analogies
from fixtures.analogies import solve_analogies
from fixtures.concepts import DRIFT_AT, POINTS, interpolate, measure_drift, remoteness
from fixtures.prompts import Fact
from fixtures.words import ids_by_spelling, nearest_by_cosine, single_token
from hypotheses.test_concept_vectors import overlap, random_directions
from hypotheses.test_geometry import nearest_capitals
from hypotheses.test_mixed_tokens import STAND_INS, directions, first_named, form, like_tokens, mean_cosine
from tests.architectures import tiny
from vsg_core.errors import NotApplicable
from vsg_core.mixture import STUDY, js_divergence_bits
from vsg_core.writers import write_concepts

PROMPTS = ["w5 w9", "w7", "w11 w3 w8 w8 w20", "w4 w4"]


@pytest.fixture(scope="module")
def lm():
    return tiny("llama")


def test_remoteness_is_the_distance_in_norms_of_the_vector(lm):
    """A token lies on itself; a token at twice its length is, in a wide table, half its norm away."""
    token = lm.embedding_table[[9]].float()
    assert remoteness(lm, token).item() == pytest.approx(0, abs=1e-6)
    assert remoteness(lm, 1.01 * token).item() == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_drift_is_that_of_the_paths_fed_whole(lm):
    """What is measured step by step, batched, is what the same vectors and tokens give when fed in one go."""
    found = measure_drift(lm, PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        start = lm.tokenize(prompt)
        vectors = torch.stack([one.vector for one in write_concepts(lm, [start], n=8, mixing=STUDY)[0].steps])
        text = start
        for _ in range(8):
            text = torch.cat([text, lm.next_logits([text]).argmax(-1)])
        for column, n in enumerate(DRIFT_AT):
            greedy = text[: len(start) + n]
            after = lm.next_logits([lm.join(start, vectors[:n]), greedy]).softmax(-1)
            assert found.bits[row, column].item() == pytest.approx(
                js_divergence_bits(*after).item(), abs=1e-4
            )
            in_text = write_concepts(lm, [greedy[:-1]], mixing=STUDY)[0].steps[0].vector
            far = remoteness(lm, torch.stack([vectors[n - 1], in_text])).tolist()
            measured = [found.remoteness[row, column].item(), found.remoteness_in_text[row, column].item()]
            assert measured == pytest.approx(far, abs=2e-3)  # rounding grows over 8 vectors fed back
    assert (found.bits_drawn[:, -1] > 0).any()


def test_interpolation_begins_and_ends_with_the_words(lm):
    """At the ends it is what the words' own ids give, between what mixed embeddings give; like ends are left out."""
    pairs = [("w5 {} w9", f"w{i}", f"w{i + 1}") for i in range(10, 40, 2)] + [
        ("w5 {} w9", "w6", "w6"),
        ("w5 {} w9", "w6", "w6 w7"),
    ]
    found = interpolate(lm, pairs)
    assert found
    assert all(one.ends[0] != one.ends[1] for one in found)
    for one in found:
        texts = [lm.tokenize(one.frame.format(word)) for word in one.words]
        own = lm.next_logits(texts)
        assert tuple(own.argmax(-1).tolist()) == one.ends
        assert torch.allclose(one.chances[:2], own.softmax(-1)[:, list(one.ends)], atol=1e-5)
        a, b = (lm.embed(text) for text in texts)
        between = lm.next_logits([a + share * (b - a) for share in POINTS])
        assert between.argmax(-1).tolist() == one.top
        assert torch.allclose(one.chances[2:], between.softmax(-1)[:, list(one.ends)], atol=1e-5)


def test_overlap_is_the_shared_weight():
    """What was found is brought to a sum of 1; weight on other tokens counts nothing."""
    assert overlap([4, 7], [0.75, 0.25], {4: 1.5, 7: 0.5}) == pytest.approx(1)
    assert overlap([4, 7], [0.75, 0.25], {4: 1.0, 9: 1.0}) == pytest.approx(0.5)
    assert overlap([4, 7], [0.25, 0.75], {4: 1.5, 7: 0.5}) == pytest.approx(0.5)


def test_random_directions_keep_the_norms(lm):
    """Each row is as long as the model's own and points elsewhere."""
    table = random_directions(lm, torch.Generator().manual_seed(0))
    assert torch.allclose(table.norm(dim=-1), lm.embedding_norms, rtol=1e-5)
    assert torch.nn.functional.cosine_similarity(table, lm.embedding_table.float()).abs().mean() < 0.3


def test_what_lies_along_the_hidden_state_is_taken_off():
    """Two rows that agree in nothing else are at right angles without it; rows keep no length."""
    rows, but = torch.tensor([[3.0, 1.0, 0.0], [3.0, 0.0, 2.0]]), torch.tensor([1.0, 0.0, 0.0])
    assert directions(rows, but).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert directions(rows).norm(dim=-1).tolist() == pytest.approx([1, 1])
    assert mean_cosine(directions(rows)).item() == pytest.approx(9 / 130**0.5)


def test_mean_cosine_is_over_pairs_of_different_rows():
    """Of three unit vectors, two alike and one at right angles, one pair in three has cosine 1."""
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert mean_cosine(rows).item() == pytest.approx(1 / 3)
    assert mean_cosine(torch.stack([rows, rows[[0, 1, 0]]])).tolist() == pytest.approx([1 / 3, 1])


def test_stand_ins_have_the_form_of_their_token_and_are_none_of_the_tokens(lm):
    """A word's stand-ins are words, near it in the vocabulary."""
    assert form("Ġthe") == form("▁cat") == (True, True, False)
    assert form("The") == (False, True, True)
    assert form("Ġ12") == (True, False, False)
    ids = [20, 21, 22]
    forms = {form("w20"): list(range(3, 60))}
    drawn = like_tokens(lm, ids, forms, torch.Generator().manual_seed(0))
    assert len(drawn) == STAND_INS
    assert not {token for one in drawn for token in one} & set(ids)
    assert len({one[0] for one in drawn}) > 5


def test_the_first_answer_named_counts():
    """Answers of the relation as they are written, whole words; the subject of the prompt is none."""
    fact = Fact(
        "day", "Monday", "Tuesday", "The day after Monday is", "", ("Monday", "Tuesday", "May", "Sunday")
    )
    assert first_named(fact, " not Sunday but Tuesday") == "Sunday"
    assert first_named(fact, " Monday, or it may be Tuesdays") is None


@pytest.mark.parametrize(
    ("branch", "answer"),
    [
        (" Finnish. However, Swedish is spoken too", "Finnish"),
        (" both Swedish and Finnish", "Swedish"),
        (" ____\nA. Swedish\nB. Finnish", None),
        ("\nFinnish", None),  # a token without a letter leads to no answer of its own
        (" a language of Finland, Finnish", None),
        (" Kyoto. The capital of China is Beijing", None),
    ],
)
def test_a_branch_answers_in_its_first_clause(branch: str, answer: str | None):
    fact = Fact("language", "Finland", "Finnish", "", "", ("Finnish", "Swedish", "Beijing"))
    assert first_named(fact, branch) == answer


def test_all_that_answers_a_question_is_listed_once(facts: list[Fact]):
    answers = {fact.relation: fact.answers for fact in facts}
    assert all(len(set(found)) == len(found) for found in answers.values())
    assert (len(answers["month"]), len(answers["day"])) == (12, 7)
    assert all(fact.answer in fact.answers for fact in facts)


def test_the_nearest_token_is_never_one_left_out(lm):
    """A token's own vector gives the token back, and another once it is left out."""
    vectors = lm.embedding_table[[9, 12]].float()
    assert nearest_by_cosine(lm, 3 * vectors, [[], [12]])[0] == 9
    assert nearest_by_cosine(lm, vectors, [[9], [12]]) != [9, 12]
    assert single_token(lm, "w9") in ids_by_spelling(lm)["w9"]
    assert single_token(lm, "w9 w9") is None


def test_an_analogy_whose_vectors_add_up_is_solved(lm, monkeypatch):
    """Queen is nearest to the sum; of king alone it is another."""
    lm = lm.untrained()  # a model of this test's own, to write into
    man, woman, king, queen, other, lone = (single_token(lm, f"w{i}") for i in (9, 10, 11, 12, 20, 21))
    table = lm.engine.embedding.weight
    with torch.no_grad():
        table[woman] = table[man] + 0.8 * table[other]
        table[queen] = table[king] + 0.9 * table[other]  # the sum has 0.8 of it
        table[lone] = table[king] - 0.1 * table[other]
    monkeypatch.setattr(fixtures.analogies, "FEWEST", 1)
    pairs = {"gender": [("w9", "w10"), ("w9 w9", "w10"), ("w11", "w12"), ("w13", "w14")]}
    (found,) = solve_analogies(lm, pairs, ids_by_spelling(lm))
    assert (str(found), found.relation) == ("w11 - w9 + w10 = w12", "gender")
    assert (found.premises, found.answers) == ({man, woman, king}, {queen})
    assert found.nearest == {"nothing left out": queen, "premises left out": queen, "king alone": lone}


def test_a_verdict_rests_on_enough_analogies(lm):
    with pytest.raises(NotApplicable, match="0 analogies as single tokens, 40 are needed"):
        solve_analogies(lm, {"gender": [("w9 w9", "w10"), ("w11", "w12")]}, ids_by_spelling(lm))


def test_a_country_succeeds_where_its_own_capital_is_nearest():
    """By angle: how long a vector is does not count."""
    named = [("A", "a"), ("B", "b")]
    capitals = torch.tensor([[1.0, 0.0], [0.0, 9.0]])
    trials = nearest_capitals(named, torch.tensor([[5.0, 1.0], [3.0, 0.0]]), capitals)
    assert [(trial.output, trial.success) for trial in trials] == [("a", True), ("a", False)]

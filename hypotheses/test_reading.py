"""Can the model read mixtures of tokens?"""

from __future__ import annotations

from typing import Any

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.prompts import Nouns
from fixtures.readings import (
    ALONE,
    EVEN,
    IN_A_ROW,
    MIXTURE,
    SECOND_WEIGHTS,
    SIDE_BY_SIDE,
    WEIGHTS,
    CopyFrame,
    NounVectors,
    Readings,
    at_norm_of,
    components,
    mix_two,
    naming,
    read_both,
)
from fixtures.sources import QWEN_CODE, STUDY, WRITE_UP, study_file
from vsg_core import (
    ConceptToken,
    Dose,
    Evidence,
    LanguageModel,
    Mixture,
    Trial,
    cannot,
    claim,
    control,
    doses,
    mostly,
    presets,
    rate,
    torch,
    trials,
    write_concepts,
)

REPORTED = (
    'the space is "write-only": models make mixtures but cannot interpret them as input; a later test in completion '
    "style found the opposite, translations on the theme of the vectors"
)
HEAVIER = "heavier noun alone"
HEAVIER_ALONE = "the heavier noun at the norm of the mixture: its reply names the other noun by chance alone"
BOTH = "both nouns side by side"
ROOM_FOR_BOTH = {
    BOTH: control(mostly(), "both embeddings in a row: the reply has room for a second noun and names it")
}
NAMES_HEAVIER, NAMES_BOTH = "names the heavier noun", "names both nouns"
SECOND_AT = "lighter noun at a weight of {:g}"
SEEN_AS_WELL: dict[str, str | Dose] = {
    HEAVIER: HEAVIER_ALONE,
    NAMES_HEAVIER: "the same replies, if they mention the heavier noun",
    NAMES_BOTH: "the same replies, if they mention both nouns",
    **doses(SECOND_AT, SECOND_WEIGHTS, "weight of the lighter noun"),
}


@claim(
    "The model cannot name the lighter noun of a mixture of two, asked to copy after three examples",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=HEAVIER),
    controls=ROOM_FOR_BOTH,
    comparisons=SEEN_AS_WELL,
)
def test_mixture_cannot_be_copied(copied_nouns: Readings) -> Evidence:
    """The study's frame after three nouns that are explained by themselves, and 6 greedy tokens.

    The mixture is 0.6 of one noun's embedding and 0.4 of another's. Success: the reply mentions the second, the lighter
    one. To name the heavier noun is to copy the top token, which shows that the space is not "write-only", but not
    that the model reads a mixture; a comparison counts it. At a weight of 0.5 neither noun is the lighter one, so a
    model that copies one of them names it about half the time. The control guards *holds* only: a frame with
    room for a single noun does not show that mixtures are unreadable, but what is read in it still refutes the claim.
    """
    return lighter_noun_named(copied_nouns)


@claim(
    "The model cannot name the lighter noun of a mixture of two in the study's completion frame",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=HEAVIER),
    controls=ROOM_FOR_BOTH,
    comparisons=SEEN_AS_WELL,
)
def test_mixture_cannot_be_read_in_completion_frame(completed_nouns: Readings) -> Evidence:
    """As for copying, but in the study's frame without examples, and 15 greedy tokens.

    A reply that paraphrases the noun and does not mention it is a failure, with both nouns in a row as well.
    """
    return lighter_noun_named(completed_nouns)


@claim(
    "The model cannot name the lighter noun of a mixture of two in the study's chat frame",
    source=STUDY("qwen_concept_tokens.py, translate_vectors_instruction", QWEN_CODE),
    reported="empty output for every prompt, which slicing the reply by the prompt's length explains",
    rule=cannot(over=HEAVIER),
    kinds=["instruct"],
    controls=ROOM_FOR_BOTH,
    comparisons=SEEN_AS_WELL,
)
def test_mixture_cannot_be_read_in_chat_frame(chatted_nouns: Readings) -> Evidence:
    """As for copying, but after the study's request in the chat format, and 15 greedy tokens, none sliced off.

    The study's system message (a helpful assistant that can decode embedded messages) is left out.
    """
    return lighter_noun_named(chatted_nouns)


def lighter_noun_named(readings: Readings) -> Evidence:
    """Compare the replies to each mixture with those to its heavier noun alone and to both nouns in a row."""
    replies, pairs = readings.mixture, readings.pairs
    shown = readings.prompt.format(MIXTURE)
    return Evidence(
        readings.on_mixtures(mixture=components(pairs, WEIGHTS), outputs={HEAVIER: readings.heavier}),
        {
            HEAVIER: readings.on_heavier(),
            BOTH: readings.on_both(),
            NAMES_HEAVIER: naming(pairs, replies, shown, [pair[:1] for pair in pairs]),
            NAMES_BOTH: naming(pairs, replies, shown, pairs),
            **{SECOND_AT.format(weight): varied for weight, varied in readings.on_varied().items()},
        },
    )


HEAVIEST, SECOND_ALONE = "heaviest token alone", "second token alone"
# Of the second component, so that there is a second token to be read.
HEAVY = 0.2
# Of SmolLM2's concept tokens after the 608 openings of the share 167 have such a second component.
OWN = 100


@claim(
    "The model cannot name the second component of the study's own concept tokens among its two most probable answers, "
    "asked to copy after three examples",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=HEAVIEST),
    controls={
        SECOND_ALONE: control(
            mostly(), "the second component's own embedding in the place: it is the most probable answer"
        )
    },
    comparisons={
        HEAVIEST: "the heaviest token at the norm of the concept token: the second is an answer by its likeness alone",
        "names the heaviest token": "the same answers, if the heaviest component is one of the two",
    },
)
def test_own_concept_token_cannot_be_copied(
    lm: LanguageModel, draw_openings: Draw[Opening], copy_frame: CopyFrame
) -> Evidence:
    """The study's mixture after an opening, without that opening, in the copying frame.

    These are the vectors that the study's question was about. Only those count whose second component weighs at least
    0.2 and is a different word from the heaviest: sharpening leaves many near a single token, and naming that token
    does not show that a mixture was read. Their components are often words like "a", which any reply may contain, so
    the reader's next token counts. Success: the second component is one of the two most probable ones. The heaviest
    one can take only one of these places.
    """
    written: dict[str, ConceptToken] = {}

    def usable(openings: list[Opening]) -> list[bool]:
        texts = [opening.text for opening in openings]
        traces = write_concepts(lm, texts, n=1, mixing=presets.STUDY)
        written.update((text, trace.steps[0]) for text, trace in zip(texts, traces, strict=True))
        return [has_second_word(lm, written[text].mixture) for text in texts]

    prompts = [opening.text for opening in draw_openings(OWN, usable)]
    concepts = [written[prompt] for prompt in prompts]
    vectors = torch.stack([concept.vector for concept in concepts])  # [prompts, hidden]
    tokens = torch.tensor([concept.mixture.token_ids[:2] for concept in concepts], device=lm.device)
    heaviest, second = tokens.T

    def most_probable(rows: torch.Tensor) -> torch.Tensor:
        return lm.next_logits([copy_frame(row.unsqueeze(0)) for row in rows]).topk(2).indices  # [prompts, 2]

    def arm(answers: torch.Tensor, named: torch.Tensor, **columns: Any) -> list[Trial]:
        words = [" /".join(map(lm.token, row)) for row in answers.tolist()]
        return trials(prompts, output=words, success=named, **columns)

    answers = most_probable(vectors)
    to_heaviest = most_probable(at_norm_of(lm.embed(heaviest), vectors))
    to_second = most_probable(lm.embed(second))
    return Evidence(
        arm(
            answers,
            among(second, answers),
            mixture=[concept.mixture.spelled(lm) for concept in concepts],
            inputs={"second component": [lm.token(token) for token in second.tolist()]},
        ),
        {
            HEAVIEST: arm(to_heaviest, among(second, to_heaviest)),
            SECOND_ALONE: arm(to_second, to_second[:, 0] == second),
            "names the heaviest token": arm(answers, among(heaviest, answers)),
        },
    )


def has_second_word(lm: LanguageModel, mixture: Mixture) -> bool:
    """Return whether the second component is heavy, and no other spelling of the heaviest one."""
    if len(mixture.weights) < 2 or mixture.weights[1] < HEAVY:
        return False
    first, second = (lm.token(token).strip().lower() for token in mixture.token_ids[:2])
    return first != second


def among(tokens: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Return whether each token [n] is one of its answers [n, k]."""
    return (answers == tokens.unsqueeze(-1)).any(-1)


MIXED = "<0.5 {} + 0.5 {}>"
ASKED_FOR_BOTH = 100
ONE_ALONE = "one noun alone"


@claim(
    "A reader can name both nouns of an even mixture, shown three mixtures and what they are made of",
    source=study_file("conversations_and_artifacts/Claude-Code-1.md"),
    reported_verdict="refuted",
    reported="the opposite, in a picture: the model can blend colors but cannot unmix them; not tested",
    rule=rate(above=0.05, over=ONE_ALONE, trials=100),
    positive_controls={BOTH: control(mostly(), "both embeddings in a row, in the examples too")},
    comparisons={
        ONE_ALONE: "the first noun at the norm of the mixture: its reply names both nouns by chance alone",
        "names the first noun": "the same replies, if they mention the first noun",
        "names the second noun": "the same replies, if they mention the second noun",
    },
    no_control="the rule itself subtracts the replies to one noun alone, which have only chance to name the other",
)
def test_reader_names_both_components(lm: LanguageModel, nouns: Nouns, noun_vectors: NounVectors) -> Evidence:
    """Half of each embedding; the examples are vectors too: "The meaning of <even mixture> ... is lemon and candle".

    Success: the first line of the reply mentions both nouns, in any order. The first noun alone, in the place of the
    mixture, gives a reply one of the nouns already.
    """

    def half_of_each(ids: torch.Tensor) -> torch.Tensor:
        return mix_two(lm, ids.unsqueeze(0), EVEN)

    pairs, even = noun_vectors.pairs[:ASKED_FOR_BOTH], noun_vectors.even[:ASKED_FOR_BOTH]
    one = at_norm_of(noun_vectors.first[:ASKED_FOR_BOTH], even)
    both = torch.stack([noun_vectors.first, noun_vectors.second], dim=1)[:SIDE_BY_SIDE]
    to_even = read_both(lm, nouns, half_of_each, even.unsqueeze(1))
    to_one = read_both(lm, nouns, half_of_each, one.unsqueeze(1))
    to_both = read_both(lm, nouns, lm.embed, both)
    return Evidence(
        naming(pairs, to_even, MIXED, pairs, mixture=components(pairs, EVEN), outputs={ONE_ALONE: to_one}),
        {
            ONE_ALONE: naming(pairs, to_one, ALONE, pairs),
            BOTH: naming(pairs[:SIDE_BY_SIDE], to_both, IN_A_ROW, pairs[:SIDE_BY_SIDE]),
            "names the first noun": naming(pairs, to_even, MIXED, [pair[:1] for pair in pairs]),
            "names the second noun": naming(pairs, to_even, MIXED, [pair[1:] for pair in pairs]),
        },
    )

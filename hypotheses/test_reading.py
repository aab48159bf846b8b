"""Can the model read mixtures of tokens?"""

from __future__ import annotations

from fixtures.prompts import Nouns
from fixtures.readings import (
    ALONE,
    EVEN,
    WEIGHTS,
    Answers,
    NounVectors,
    OwnReadings,
    Readings,
    components,
    mix_two,
    naming,
    read_both,
)
from fixtures.sources import QWEN_CODE, STUDY, WRITE_UP, study_file
from vsg_core import (
    Evidence,
    LanguageModel,
    cannot,
    claim,
    control,
    mentions,
    mostly,
    rarely,
    rate,
    torch,
    trials,
)

REPORTED = (
    'the space is "write-only": models make mixtures but cannot interpret them as input; a later test in completion '
    "style found the opposite, translations on the theme of the vectors"
)
NOISE = "norm-matched noise"
IN_NOISE = {NOISE: "Gaussian noise of the vector's norm in its place"}
FIRST = "first noun alone"
FIRST_ALONE = {FIRST: control(mostly(), "the first noun's own embedding in the place of the mixture")}


@claim(
    "The model cannot name either noun of a mixture of two, asked to copy after three examples",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=NOISE),
    controls=FIRST_ALONE,
    comparisons=IN_NOISE,
)
def test_mixture_cannot_be_copied(copied_nouns: Readings) -> Evidence:
    """The study's frame after three nouns that are explained by themselves, and 6 greedy tokens.

    The mixture is 0.6 of one noun's embedding and 0.4 of another's: known words, both heavy, so that a reader of the
    heavier one and a reader of both succeed alike. Success: the reply mentions one of the two. The control guards
    *holds* only: a model that cannot name a noun alone does not show that mixtures are unreadable, but what it does
    read in mixtures still refutes the claim.
    """
    return either_noun_named(copied_nouns)


@claim(
    "The model cannot name either noun of a mixture of two in the study's completion frame",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=NOISE),
    controls=FIRST_ALONE,
    comparisons=IN_NOISE,
)
def test_mixture_cannot_be_read_in_completion_frame(completed_nouns: Readings) -> Evidence:
    """As for copying, but in the study's frame without examples, and 15 greedy tokens.

    A reply that paraphrases the nouns and mentions neither is a failure, for the noun alone as well.
    """
    return either_noun_named(completed_nouns)


@claim(
    "The model cannot name either noun of a mixture of two in the study's chat frame",
    source=STUDY("qwen_concept_tokens.py, translate_vectors_instruction", QWEN_CODE),
    reported="empty output for every prompt, which slicing the reply by the prompt's length explains",
    rule=cannot(over=NOISE),
    kinds=["instruct"],
    controls=FIRST_ALONE,
    comparisons=IN_NOISE,
)
def test_mixture_cannot_be_read_in_chat_frame(chatted_nouns: Readings) -> Evidence:
    """As for copying, but after the study's request in the chat format, and 15 greedy tokens, none sliced off.

    The study's system message (a helpful assistant that can decode embedded messages) is left out.
    """
    return either_noun_named(chatted_nouns)


def either_noun_named(readings: Readings) -> Evidence:
    """Compare the replies to each mixture with those to noise in its place and to the first noun alone."""
    replies, pairs = readings.mixture, readings.pairs
    mixtures = readings.trials_on_mixtures(
        mixture=components(pairs, WEIGHTS),
        inputs={
            f"names the {which}": [
                mentions(reply.answer, [pair[place]]) for reply, pair in zip(replies, pairs, strict=True)
            ]
            for place, which in enumerate(("first", "second"))
        },
        outputs={NOISE: readings.noise},
    )
    return Evidence(mixtures, {NOISE: readings.trials_on_noise(), FIRST: readings.trials_on_first_nouns()})


@claim(
    "The model cannot name a heavy component of the study's own concept tokens, asked to copy after three examples",
    source=WRITE_UP("5.1"),
    reported=REPORTED,
    rule=cannot(over=NOISE),
    controls={"heaviest token alone": control(mostly(), "its embedding in the place of the concept token")},
    comparisons=IN_NOISE,
)
def test_own_concept_token_cannot_be_copied(own_readings: OwnReadings) -> Evidence:
    """The study's mixture after each of 100 open prompts, without the prompt, in the copying frame.

    These are the vectors that the study's question was about. Their components are often words like "a", which any
    reply may contain, so only the reader's most probable next token counts. Success: it is the heaviest component,
    or one with a weight of at least 0.2. Sharpening leaves many vectors near a single token.
    """
    mixtures = [concept.mixture for concept in own_readings.concepts]
    heavy = [
        {token for token, weight in mixture.by_token().items() if weight >= 0.2} or {mixture.heaviest}
        for mixture in mixtures
    ]

    def named(answers: Answers) -> list[bool]:
        return [token in tokens for token, tokens in zip(answers.tokens, heavy, strict=True)]

    prompts, vector, noise = own_readings.prompts, own_readings.alone.vector, own_readings.alone.noise
    return Evidence(
        trials(prompts, output=vector.words, success=named(vector), mixture=own_readings.components),
        {
            NOISE: trials(prompts, output=noise.words, success=named(noise)),
            "heaviest token alone": own_readings.trials_on_heaviest(),
        },
    )


MIXED, SIDE_BY_SIDE = "<0.5 {} + 0.5 {}>", "<{}> <{}>"
BOTH_ALONE = "the two nouns side by side"
OTHER_SECOND = "with another pair's second noun"


@claim(
    "A reader can name both nouns of an even mixture, shown three mixtures and what they are made of",
    source=study_file("conversations_and_artifacts/Claude-Code-1.md"),
    reported_verdict="refuted",
    reported="the opposite, in a picture: the model can blend colors but cannot unmix them; not tested",
    rule=rate(above=0.05, over=NOISE, trials=100),
    controls={OTHER_SECOND: control(rarely(trials=100), "named with the first noun, in the same replies")},
    positive_controls={BOTH_ALONE: control(mostly(), "both embeddings in a row, in the examples too")},
    comparisons={**IN_NOISE, "names one of them": "the same replies, if they mention either noun"},
)
def test_reader_names_both_components(lm: LanguageModel, nouns: Nouns, noun_vectors: NounVectors) -> Evidence:
    """Half of each embedding; the examples are vectors too: "The meaning of <even mixture> ... is lemon and candle".

    Success: the first line of the reply mentions both nouns, in any order.
    """

    def half_of_each(ids: torch.Tensor) -> torch.Tensor:
        return mix_two(lm, ids.unsqueeze(0), EVEN)

    pairs, even, noise = noun_vectors.pairs, noun_vectors.even, lm.noise_like(noun_vectors.even)
    others = [(first, second) for (first, _), (_, second) in zip(pairs, pairs[1:] + pairs[:1], strict=True)]
    both = torch.stack([noun_vectors.first, noun_vectors.second], dim=1)[:ALONE]
    to_even = read_both(lm, nouns, half_of_each, even.unsqueeze(1))
    to_noise = read_both(lm, nouns, half_of_each, noise.unsqueeze(1))
    to_both = read_both(lm, nouns, lm.embed, both)
    return Evidence(
        naming(pairs, to_even, MIXED, all, mixture=components(pairs, EVEN)),
        {
            NOISE: naming(pairs, to_noise, SIDE_BY_SIDE, all),
            OTHER_SECOND: naming(others, to_even, SIDE_BY_SIDE, all),
            BOTH_ALONE: naming(pairs[:ALONE], to_both, SIDE_BY_SIDE, all),
            "names one of them": naming(pairs, to_even, MIXED),
        },
    )

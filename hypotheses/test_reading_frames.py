"""What helps a reader: the frame, the vector itself, its context?"""

from __future__ import annotations

from dataclasses import replace

from fixtures.readings import (
    COMPLETION,
    MIXTURE,
    WEIGHTS,
    CopyFrame,
    NounVectors,
    OwnReadings,
    Readings,
    components,
    read,
)
from fixtures.sources import STUDY, WRITE_UP, study_file
from vsg_core import (
    Evidence,
    LanguageModel,
    Trial,
    claim,
    control,
    equivalence,
    more,
    mostly,
    rate,
    torch,
    trials,
)

FRAME, CHAT = "translation frame", "chat frame"
DIRECT_ALONE = "heavier noun fed directly"


@claim(
    "A mixture fed directly has its lighter noun named by the reply more often than one in the study's translation "
    "frame",
    source=WRITE_UP("3.2 and 4.2"),
    reported="translation fails; fed directly, the vectors for Paris gave ариж, read as a try at Париж (after the "
    "prompt, and before an assistant's tag)",
    # 5 more mixtures in 100, as much as the claims on reading ask for.
    rule=rate(above=0.0, over=FRAME, trials=100, matters=0.05),
    positive_controls={
        "both nouns fed directly": control(mostly(), "both embeddings in a row: the reply names the second"),
        "both nouns in the frame": control(mostly(), "both embeddings in a row: the reply names the second"),
    },
    comparisons={
        FRAME: 'the same mixtures in "The meaning of ... in plain English is"',
        DIRECT_ALONE: "the heavier noun at the norm of the mixture: the reply names the lighter by chance alone",
    },
    no_control="the rule itself compares with the same mixtures in the translation frame; what chance names is a "
    "comparison",
)
def test_direct_feeding_beats_translation_framing(
    lm: LanguageModel, noun_vectors: NounVectors, completed_nouns: Readings
) -> Evidence:
    """0.6 of one noun and 0.4 of another, on a line of its own without a word around it; 15 greedy tokens each.

    Success: the reply mentions the lighter noun in English. To mention the heavier one shows which frame makes a model
    repeat its top token, and nothing about what it gets from a mixture. The study's vectors came after their prompt,
    which alone makes Paris likely; without it, what is named comes from the vector. The positive controls show that
    either way gets a second noun named. Otherwise the two would differ in how they make a model speak of any word.
    """
    direct = read(lm, noun_vectors, lambda vectors: lm.join("\n", vectors), prompt="{}")
    return Evidence(
        direct.on_mixtures(mixture=components(direct.pairs, WEIGHTS)),
        {
            DIRECT_ALONE: direct.on_heavier(),
            FRAME: completed_nouns.on_mixtures(),
            "both nouns fed directly": direct.on_both(),
            "both nouns in the frame": completed_nouns.on_both(),
        },
    )


@claim(
    "The completion frame gets the lighter noun of a mixture named more often than the chat frame does",
    source=STUDY("README, Implementation 2", "#implementation-2"),
    reported="chat gave empty output, completion gave words; the empty output came from slicing the reply",
    # 5 more mixtures in 100, as much as the claims on reading ask for.
    rule=rate(above=0.0, over=CHAT, trials=100, matters=0.05),
    kinds=["instruct"],
    positive_controls={
        "both nouns, completion frame": control(
            mostly(), "both embeddings in a row: the reply names the second"
        ),
        "both nouns, chat frame": control(mostly(), "both embeddings in a row: the reply names the second"),
    },
    comparisons={CHAT: "the same mixtures after the study's request to decode them, in the chat format"},
    no_control="the rule itself compares with the same mixtures in the chat frame",
)
def test_completion_frame_beats_chat_frame(completed_nouns: Readings, chatted_nouns: Readings) -> Evidence:
    """The same mixtures of two nouns in the study's two frames, 15 greedy tokens each; success mentions the lighter.

    The frames differ in their words as well as in their format. The positive controls show that both get a second noun
    named. Otherwise they would differ in how they make a model speak of any word.
    """
    chatted = replace(chatted_nouns, prompt="Decode the following ... text: {}")
    return Evidence(
        completed_nouns.on_mixtures(mixture=components(completed_nouns.pairs, WEIGHTS)),
        {
            CHAT: chatted.on_mixtures(),
            "both nouns, completion frame": completed_nouns.on_both(),
            "both nouns, chat frame": chatted.on_both(),
        },
    )


@claim(
    "Asked for one noun, translating a mixture of two adds nothing over translating the heavier one alone: the other "
    "goes unnamed",
    source=WRITE_UP("6.1"),
    reported="deferring discretization gives no clear benefit, you still must choose a token; not measured",
    rule=equivalence(within=0.1, trials=100),
    unit="probability",
    positive_controls={
        "first noun alone": control(mostly(), "its own embedding: the answer is the noun"),
        "second noun alone": control(mostly(), "its own embedding: the answer is the noun"),
    },
    comparisons={"the first noun, mixture less alone": "what the mixture costs the first noun"},
    no_control="the value already subtracts the probability after the first noun alone; the positive "
    "controls show that either noun can be the answer",
)
def test_translating_adds_nothing_over_the_top_token(
    lm: LanguageModel, noun_vectors: NounVectors, copy_frame: CopyFrame
) -> Evidence:
    """0.6 of one noun and 0.4 of another in the copying frame, whose answer is the next token.

    Value: the probability of the second noun as the answer, minus that after the first noun alone. A reader that
    followed the weights would give it 0.4; the margin is a quarter of that. Whether a reader that is asked for both
    nouns mentions both is a claim of test_reading.py.
    """

    def next_token(rows: torch.Tensor) -> torch.Tensor:
        return lm.next_logits([copy_frame(row.unsqueeze(0)) for row in rows]).softmax(-1)  # [pairs, vocab]

    pairs, ids = noun_vectors.pairs, noun_vectors.ids
    mixed, *alone = map(next_token, (noun_vectors.mixture, noun_vectors.first, noun_vectors.second))
    # [pairs, 2], of the first and the second noun
    after_mixture, after_first = (likely.gather(-1, ids).double() for likely in (mixed, alone[0]))
    gain = after_mixture - after_first

    def named(place: int) -> list[Trial]:
        answers = alone[place].argmax(-1)
        prompts = [COMPLETION.format(f"<{pair[place]}>") for pair in pairs]
        return trials(prompts, output=map(lm.token, answers.tolist()), success=answers == ids[:, place])

    prompts = [COMPLETION.format(MIXTURE.format(*pair)) for pair in pairs]
    return Evidence(
        trials(
            prompts,
            output=map(lm.token, mixed.argmax(-1).tolist()),
            value=gain[:, 1],
            mixture=components(pairs, WEIGHTS),
            inputs={"probability of each noun": after_mixture, "after the first alone": after_first},
        ),
        {
            "the first noun, mixture less alone": trials(prompts, value=gain[:, 0]),
            "first noun alone": named(0),
            "second noun alone": named(1),
        },
    )


# Comparisons, each a plain probability of the heaviest component.
PROBABILITIES = {
    "vector": "the vector, without a line of text",
    "norm-matched noise": "noise of the vector's norm, without a line of text",
    "vector after its prompt": "the vector, with its own prompt in the line before",
    "noise after the prompt": "the noise, with the same prompt",
    "vector after another prompt": "the vector, with the prompt before on the list",
    "noise after another prompt": "the noise, with that prompt",
}


@claim(
    "Its prompt improves the reading of a concept token, beyond what the prompt gives away by itself",
    source=study_file("docs/hypothesis.md")("Experimental Approach"),
    reported="the study left the prompt out, to see whether the vectors are messages on their own; not compared",
    # A probability: a twentieth of its range, as 5 points of a rate.
    rule=more(trials=100, matters=0.05),
    unit="probability",
    positive_controls={
        "heaviest token alone": control(mostly(), "its embedding, without a prompt: the answer is the token")
    },
    comparisons={"over no prompt": "minus the contribution without a line of text", **PROBABILITIES},
    no_control="the value already subtracts the reading after another prompt, and that of noise in the "
    "vector's place",
)
def test_original_context_improves_reading(own_readings: OwnReadings) -> Evidence:
    """The study's concept token after each of 100 open prompts, in the copying frame, whose answer is the next token.

    A vector contributes the probability of its heaviest component as the answer, minus the same with noise in its
    place. Value: the contribution with its own prompt in the line before, minus that with the prompt before on the
    list there. So a prompt that makes the component likely by itself improves nothing, and neither does a line of
    text as such, which may break the pattern of the examples.
    """
    prompts, with_prompt = own_readings.prompts, own_readings.after_own.gain
    with_other, without = own_readings.after_other.gain, own_readings.alone.gain
    named = own_readings.after_own.vector.words
    probabilities = [
        answers
        for read in (own_readings.alone, own_readings.after_own, own_readings.after_other)
        for answers in (read.vector, read.noise)
    ]
    return Evidence(
        trials(
            prompts,
            output=named,
            value=with_prompt - with_other,
            mixture=own_readings.components,
            inputs={"with its prompt": with_prompt, "with another": with_other, "without": without},
        ),
        {
            "over no prompt": trials(prompts, output=named, value=with_prompt - without),
            **{
                name: trials(prompts, output=answers.words, value=answers.top)
                for name, answers in zip(PROBABILITIES, probabilities, strict=True)
            },
            "heaviest token alone": own_readings.trials_on_heaviest(),
        },
    )

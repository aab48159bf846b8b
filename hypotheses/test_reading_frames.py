"""What helps a reader: the frame, the vector itself, its context?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fixtures.draws import Draw
from fixtures.pools.noun_pairs import NounPair
from fixtures.pools.openings import Opening
from fixtures.readings import (
    COMPLETION,
    MIXTURE,
    WEIGHTS,
    CopyFrame,
    Frame,
    NounVectors,
    Readings,
    at_norm_of,
    components,
    embed_pairs,
    read,
    read_own,
)
from fixtures.sources import STUDY, WRITE_UP, study_file
from vsg_core import (
    Evidence,
    LanguageModel,
    Source,
    Trial,
    claim,
    control,
    less,
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
    direct = read(lm, noun_vectors, lambda vectors: lm.join("\n", vectors), prompt="{}", weights=())
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


SAME_ANSWER = 0.02
NOISE = "noise in the lighter noun's place, minus the noun"
LIGHTER_GAIN, HEAVIER_GAIN = "gain of the lighter noun", "gain of the heavier noun"


@claim(
    "Asked for one noun, the lighter noun of a mixture changes nothing in the model's answer: the total variation "
    "distance to the answer to the heavier noun alone is below 0.02",
    source=WRITE_UP("6.1"),
    reported="deferring discretization gives no clear benefit, you still must choose a token; not measured",
    rule=less(than=SAME_ANSWER, trials=100),
    unit="probability",
    positive_controls={
        "heavier noun alone": control(
            mostly(), "its embedding at the norm of the mixture: the answer is the noun"
        ),
        "lighter noun alone": control(
            mostly(), "its embedding at the norm of the mixture: the answer is the noun"
        ),
    },
    controls={
        NOISE: control(
            less(trials=100),
            "the distance with Gaussian noise in the place of the lighter noun, at the same norms, minus the distance "
            "with the noun: what the lesser weight of the heavier noun changes is not due to the lighter one",
            protects="refuted",
        )
    },
    comparisons={
        LIGHTER_GAIN: "its probability after the mixture, minus that after the heavier noun alone",
        HEAVIER_GAIN: "its probability after the mixture, minus that after the heavier noun alone",
        "the norm": "the distance from the answer to the heavier noun alone at its own norm",
    },
)
def test_translating_adds_nothing_over_the_top_token(
    lm: LanguageModel, noun_vectors: NounVectors, copy_frame: CopyFrame
) -> Evidence:
    """0.6 of one noun and 0.4 of another in the copying frame, whose answer is the next token.

    Value, 0 to 1: half the sum of the absolute differences between the next-token probabilities after the mixture and
    after its heavier noun alone, at the norm of the mixture. It is at least as large as what either noun gains or loses
    by the mixture, both of which are comparisons; a reader that followed the weights would be at 0.4. Whether a
    reader that is asked for both nouns mentions both is a claim of test_reading.py.
    """

    def next_token(rows: torch.Tensor) -> torch.Tensor:
        logits = lm.next_logits([copy_frame(row.unsqueeze(0)) for row in rows])
        return logits.softmax(-1)  # [pairs, vocab]

    def answers(likely: torch.Tensor) -> list[str]:
        return [lm.token(token) for token in likely.argmax(-1).tolist()]

    pairs, ids = noun_vectors.pairs, noun_vectors.ids
    heavier = next_token(noun_vectors.heavier)
    mixed = next_token(noun_vectors.mixture)
    shift = (mixed.gather(-1, ids).double() - heavier.gather(-1, ids).double()).cpu()  # [pairs, 2]
    distance = total_variation(mixed, heavier)
    noisy = WEIGHTS[0] * noun_vectors.first + WEIGHTS[1] * lm.noise_like(noun_vectors.second)
    with_noise = total_variation(next_token(at_norm_of(noisy, noun_vectors.mixture)), heavier)
    own_norm = total_variation(next_token(noun_vectors.first), heavier)
    lighter = next_token(at_norm_of(noun_vectors.second, noun_vectors.mixture))

    def named(likely: torch.Tensor, place: int) -> list[Trial]:
        prompts = [COMPLETION.format(f"<{pair[place]}>") for pair in pairs]
        return trials(prompts, output=answers(likely), success=likely.argmax(-1) == ids[:, place])

    prompts = [COMPLETION.format(MIXTURE.format(*pair)) for pair in pairs]
    return Evidence(
        trials(
            prompts,
            output=answers(mixed),
            value=distance,
            mixture=components(pairs, WEIGHTS),
            inputs={LIGHTER_GAIN: shift[:, 1], HEAVIER_GAIN: shift[:, 0]},
            outputs={"heavier noun alone": answers(heavier)},
        ),
        {
            NOISE: trials(prompts, value=with_noise - distance),
            LIGHTER_GAIN: trials(prompts, value=shift[:, 1]),
            HEAVIER_GAIN: trials(prompts, value=shift[:, 0]),
            "the norm": trials(prompts, value=own_norm),
            "heavier noun alone": named(heavier, 0),
            "lighter noun alone": named(lighter, 1),
        },
    )


def total_variation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The total variation distance [n] float64, on the CPU, between distributions [n, vocab]."""
    return ((first - second).abs().sum(-1, dtype=torch.float64) / 2).cpu()


PATCHSCOPES = Source(
    "Ghandeharioun et al., Patchscopes, arXiv 2401.06102", "https://arxiv.org/abs/2401.06102"
)
IDENTITY_FRAME = "cat -> cat\n1135 -> 1135\nhello -> hello\n"
# Nouns in the examples of either frame.
IN_EXAMPLES = frozenset({"cat", "lemon", "candle", "tiger"})
IN_IDENTITY, IN_COPYING = "gain in the identity frame", "gain in the copying frame"
HEAVIER_MORE = "the heavier noun, identity minus copying"


@claim(
    "In Patchscopes' identity frame the lighter noun of a mixture gains more probability as the answer than in the "
    "study's frame after three examples",
    source=PATCHSCOPES("section 1, figure 1"),
    reported="from hidden states that are patched into this frame, the next token is predicted better than by "
    "projections to the vocabulary; neither mixtures of embeddings nor the study's frame were tried",
    # A twentieth of the range of a probability.
    rule=more(trials=100, matters=0.05),
    unit="probability",
    positive_controls={
        "lighter noun alone, identity": control(
            mostly(), "its embedding in the frame: the answer is the noun"
        ),
        "lighter noun alone, copying": control(
            mostly(), "its embedding in the frame: the answer is the noun"
        ),
    },
    comparisons={
        IN_IDENTITY: "the probability of the lighter noun over that after the heavier one alone",
        IN_COPYING: "the same in the study's frame after three examples",
        HEAVIER_MORE: "the difference of its probability after the mixture",
    },
    no_control="the value already subtracts the probability after the heavier noun alone in the same frame, and what "
    "the mixture gains in the other frame",
)
def test_identity_frame_reads_more_than_copying(
    lm: LanguageModel, draw_noun_pairs: Draw[NounPair], copy_frame: CopyFrame
) -> Evidence:
    """0.6 of one noun and 0.4 of another after "cat -> cat", "1135 -> 1135" and "hello -> hello", before " ->".

    A mixture gains the probability of its lighter noun as the next token, minus that after the heavier noun alone at
    the norm of the mixture. Value: this gain in the identity frame minus that in the copying frame. Patchscopes
    replaces hidden states of a layer; here the mixture is an embedding, before all layers.
    """

    def identity_frame(vectors: torch.Tensor) -> torch.Tensor:
        return lm.join(IDENTITY_FRAME, vectors, " ->")

    # The standard deviation is a guess: gains of at most 0.4 in either frame.
    drawn = draw_noun_pairs(
        spread=0.2, usable=lambda some: [IN_EXAMPLES.isdisjoint(pair.nouns) for pair in some]
    )
    pairs = [pair.nouns for pair in drawn]
    vectors = embed_pairs(lm, pairs)

    in_identity = answers_in(lm, identity_frame, vectors)
    in_copying = answers_in(lm, copy_frame, vectors)
    own, copied = (answers.mixture - answers.heavier for answers in (in_identity, in_copying))  # [pairs, 2]
    prompts = [f"... hello -> hello / {MIXTURE.format(*pair)} ->" for pair in pairs]

    def alone(answers: FrameAnswers, frame: str) -> list[Trial]:
        named = [lm.token(token) for token in answers.named_alone]
        success = [
            token == noun for token, noun in zip(answers.named_alone, vectors.ids[:, 1].tolist(), strict=True)
        ]
        return trials([frame.format(f"<{noun}>") for _, noun in pairs], output=named, success=success)

    return Evidence(
        trials(
            prompts,
            output=[lm.token(token) for token in in_identity.named],
            value=own[:, 1] - copied[:, 1],
            mixture=components(pairs, WEIGHTS),
            inputs={
                "in the identity frame": in_identity.mixture,
                "in the copying frame": in_copying.mixture,
            },
            outputs={"copying frame": [lm.token(token) for token in in_copying.named]},
        ),
        {
            IN_IDENTITY: trials(prompts, value=own[:, 1]),
            IN_COPYING: trials(prompts, value=copied[:, 1]),
            HEAVIER_MORE: trials(prompts, value=in_identity.mixture[:, 0] - in_copying.mixture[:, 0]),
            "lighter noun alone, identity": alone(in_identity, "... hello -> hello / {} ->"),
            "lighter noun alone, copying": alone(in_copying, COMPLETION),
        },
    )


@dataclass(frozen=True)
class FrameAnswers:
    """Probabilities and tokens that follow the vectors of pairs of nouns in one frame.

    Args:
        mixture: [pairs, 2] float64, the probabilities of both nouns after the mixture.
        heavier: the same after the heavier noun alone, at the norm of the mixture.
        named: the most probable token after each mixture.
        named_alone: the same after each lighter noun alone.
    """

    mixture: torch.Tensor
    heavier: torch.Tensor
    named: list[int]
    named_alone: list[int]


def answers_in(lm: LanguageModel, frame: Frame, vectors: NounVectors) -> FrameAnswers:
    """Compute what follows the mixtures and either noun alone in a frame."""

    def next_token(rows: torch.Tensor) -> torch.Tensor:
        return lm.next_logits([frame(row.unsqueeze(0)) for row in rows]).softmax(-1)  # [pairs, vocab]

    mixed, heavier, lighter = map(next_token, (vectors.mixture, vectors.heavier, vectors.second))
    after_mixture, after_heavier = (
        likely.gather(-1, vectors.ids).double().cpu() for likely in (mixed, heavier)
    )
    return FrameAnswers(after_mixture, after_heavier, mixed.argmax(-1).tolist(), lighter.argmax(-1).tolist())


OPENINGS = 100
# Comparisons, each a plain probability of the heaviest component.
PROBABILITIES = {
    "vector": "the vector, without a line of text",
    "norm-matched noise": "noise of the vector's norm, without a line of text",
    "vector after its prompt": "the vector, with its own prompt in the line before",
    "noise after the prompt": "the noise, with the same prompt",
    "vector after another prompt": "the vector, with the prompt drawn before its own",
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
def test_original_context_improves_reading(
    lm: LanguageModel, draw_openings: Draw[Opening], copy_frame: CopyFrame
) -> Evidence:
    """The study's concept token after each of 100 openings, in the copying frame, whose answer is the next token.

    A vector contributes the probability of its heaviest component as the answer, minus the same with noise in its
    place. Value: the contribution with its own prompt in the line before, minus that with the prompt drawn before it
    there. So a prompt that makes the component likely by itself improves nothing, and neither does a line of
    text as such, which may break the pattern of the examples.
    """
    prompts = [opening.text for opening in draw_openings(OPENINGS)]
    own = read_own(lm, prompts, copy_frame)
    with_prompt = own.after_own.gain
    with_other, without = own.after_other.gain, own.alone.gain
    named = own.after_own.vector.words
    probabilities = [
        answers
        for read in (own.alone, own.after_own, own.after_other)
        for answers in (read.vector, read.noise)
    ]
    return Evidence(
        trials(
            prompts,
            output=named,
            value=with_prompt - with_other,
            mixture=own.components,
            inputs={"with its prompt": with_prompt, "with another": with_other, "without": without},
        ),
        {
            "over no prompt": trials(prompts, output=named, value=with_prompt - without),
            **{
                name: trials(prompts, output=answers.words, value=answers.top)
                for name, answers in zip(PROBABILITIES, probabilities, strict=True)
            },
            "heaviest token alone": own.trials_on_heaviest(),
        },
    )

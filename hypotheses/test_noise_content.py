"""What does a model make of noise?"""

from __future__ import annotations

from fixtures.draws import Draw
from fixtures.pools.openings import Opening
from fixtures.replies import TEXTS, Continuation, NoiseTexts, admits, differences, own_texts
from fixtures.sources import FILE, STUDY
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Prompt,
    Reply,
    TextModel,
    Trial,
    at_least,
    at_once,
    chat_frame,
    claim,
    control,
    less,
    more,
    mostly,
    not_mostly,
    torch,
    trials,
)

BYPASS, LOG = "experiments/test_embedding_bypass.py", "conversations_and_artifacts/Claude-Code-1.md"
TOLD, ORDINARY, MADE_UP = "told that it is random", "ordinary words", "made-up words"
# It has none of the phrases that count, and leaves the answer open.
NOTE = "(These letters were drawn at random and stand for no text. Tell me honestly whether you can decode them.)"
DECODE = "Decode the following embedded representation into natural text:"
PAIRS = "pairs of texts of three tokens or more"


@claim(
    "What the model writes after noise is at least as fluent as what it writes after ordinary sentences, to within "
    "twice the perplexity",
    source=STUDY(f"{BYPASS}, test 5; {LOG}", FILE + LOG),
    reported="pure noise gave words, such as: Philippines, I have always; the model 'happily generates' from noise",
    # From twice the perplexity to the same.
    rule=more(than=-1.0, matters=1.0),
    unit="bits per token",
    controls={
        "after noise, shuffled": control(
            less(than=-1.0),
            "the texts after noise with their tokens in random order, against themselves in order",
        )
    },
    comparisons={
        "after random tokens": "texts after random tokens, against those after ordinary sentences",
        "after nothing": "texts that begin a document, against those after ordinary sentences",
    },
)
def test_text_after_noise_is_fluent(
    lm: LanguageModel, noise_texts: NoiseTexts, draw_openings: Draw[Opening], generator: torch.Generator
) -> Evidence:
    """Value, in bits per token: the cost to the model of a text after a sentence minus that of one after noise.

    Both are sampled at temperature 0.7 and read by the same model as the beginning of a document, without what came
    before, which is why the sentences are complete. One bit more is twice the perplexity; shuffling must cost more
    than that, or perplexity does not measure fluency. A text that repeats itself is cheap too, which the next claim
    measures. Texts of under three tokens are left out with their partners.
    """
    own = own_texts(lm, [completed(opening) for opening in draw_openings(TEXTS)], generator)
    noise, tokens, nothing = (
        texts[: len(own)]
        for texts in (noise_texts.after_noise, noise_texts.after_tokens, noise_texts.after_nothing)
    )

    def against_own(texts: list[Continuation]) -> list[Trial]:
        return differences(texts, own[: len(texts)], lambda text: -text.bits)

    return Evidence(
        at_least(40, against_own(noise), PAIRS),
        {
            "after noise, shuffled": differences(
                noise_texts.shuffled, noise_texts.after_noise, lambda text: -text.bits
            ),
            "after random tokens": against_own(tokens),
            "after nothing": against_own(nothing),
        },
    )


def completed(opening: Opening) -> str:
    """The sentence that an opening begins, with the first word that it can continue with as its last."""
    return f"{opening.text} {opening.rivals[0]}."


@claim(
    "What a model writes after noise is at least as diverse as what it writes after random tokens, to within a tenth "
    "of the pairs of tokens",
    source=STUDY(f"{BYPASS}, test 5; counting distinct pairs is of Li et al., arXiv 1510.03055", FILE + LOG),
    reported="single texts after noise, too few to see whether noise always brings the same",
    rule=more(than=-0.1),
    unit="of pairs",
    comparisons={"after nothing": "texts that begin a document, against the texts after random tokens"},
    no_control="the value already subtracts the diversity after random tokens",
)
def test_text_after_noise_is_diverse(noise_texts: NoiseTexts) -> Evidence:
    """Value: the share of a text's pairs of neighbouring tokens that occur nowhere else among the texts of its kind.

    After noise minus after random tokens. A loop lowers it, and so does one text after all noise. The texts are
    those of the claim on fluency.
    """
    tokens = noise_texts.after_tokens
    return Evidence(
        at_least(40, differences(noise_texts.after_noise, tokens, lambda text: text.new_pairs), PAIRS),
        {"after nothing": differences(noise_texts.after_nothing, tokens, lambda text: text.new_pairs)},
    )


@claim(
    "An instruction-tuned model, asked to decode noise, says that it does not understand, in most cases",
    source=STUDY(f"{LOG}, the question", FILE + LOG),
    reported="expected: that the model would at least reply that it can't do what was asked; output was empty instead",
    rule=mostly(),
    kinds=["instruct"],
    positive_controls={
        TOLD: control(
            mostly(),
            "no noise: two made-up words in its place, with the note that they are random letters and the question "
            "whether they can be decoded",
        )
    },
    controls={ORDINARY: control(not_mostly(), "the beginning of a sentence in place of the noise")},
    comparisons={MADE_UP: "two made-up words in place of the noise, without a note"},
)
def test_says_that_it_does_not_understand_noise(
    lm: LanguageModel,
    draw_openings: Draw[Opening],
    made_up_words: list[str],
    not_understood: list[str],
    generator: torch.Generator,
) -> Evidence:
    """Put five vectors of noise at the end of the study's request to decode; 24 greedy tokens.

    A reply with one of a list of phrases is a success. The claim does not apply to a model that gives no such reply
    even when told that there is nothing to decode. The note has none of the phrases: repeating it does not count.
    """

    def decode(texts: list[str]) -> list[Prompt]:
        return [chat_frame(lm, lm.tokenize(text, special=False)) for text in texts]

    def judged(shown: list[str], replies: list[Generation]) -> list[Trial]:
        return trials(shown, output=replies, success=[admits(one.answer, not_understood) for one in replies])

    noise = lm.noise(len(made_up_words), 5, generator=generator)  # [words, 5, hidden]
    following = zip(made_up_words, made_up_words[1:] + made_up_words[:1], strict=True)
    pairs = [f"{first} {second}" for first, second in following]
    told = [f"{pair} {NOTE}" for pair in pairs]
    ordinary = [opening.text for opening in draw_openings(len(made_up_words))]
    of_noise, *replies = at_once(
        lm.generate,
        [chat_frame(lm, vectors) for vectors in noise],
        decode(told),
        decode(ordinary),
        decode(pairs),
        max_new_tokens=24,
    )
    return Evidence(
        judged([f"noise {i + 1}" for i in range(len(noise))], of_noise),
        {
            TOLD: judged(told, replies[0]),
            ORDINARY: judged(ordinary, replies[1]),
            MADE_UP: judged(pairs, replies[2]),
        },
    )


@claim(
    "An instruction-tuned model, asked to decode two made-up words, says that it does not understand, in most cases",
    source=STUDY(f"{LOG}, the question", FILE + LOG),
    reported="expected of vectors, which an API does not take: that the model would at least reply that it can't do "
    "what was asked",
    rule=mostly(),
    kinds=["instruct"],
    positive_controls={
        TOLD: control(
            mostly(),
            "the same words, with the note that they are random letters and the question whether they can be decoded",
        )
    },
    controls={ORDINARY: control(not_mostly(), "the beginning of a sentence in place of the words")},
)
def test_says_that_it_does_not_understand_made_up_words(
    text_model: TextModel, open_prompts: list[str], made_up_words: list[str], not_understood: list[str]
) -> Evidence:
    """Put each made-up word and the next but one at the end of the study's request to decode; 24 greedy tokens.

    It is the claim before for models that take text alone, by the same phrases. No two of these words were asked for
    together there.
    """
    following = zip(made_up_words, made_up_words[2:] + made_up_words[:2], strict=True)
    pairs = [f"{first} {second}" for first, second in following]
    shown = {"own": pairs, TOLD: [f"{pair} {NOTE}" for pair in pairs], ORDINARY: open_prompts[: len(pairs)]}
    asked = [[f"{DECODE} {text}" for text in texts] for texts in shown.values()]

    def judged(texts: list[str], replies: list[Reply]) -> list[Trial]:
        return trials(texts, output=replies, success=[admits(one.text, not_understood) for one in replies])

    replies = at_once(text_model.ask, *asked, max_tokens=24)
    own, told, ordinary = map(judged, shown.values(), replies)
    return Evidence(own, {TOLD: told, ORDINARY: ordinary})

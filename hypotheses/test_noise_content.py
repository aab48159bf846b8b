"""What does a model make of noise?"""

from __future__ import annotations

from vsg_core import Evidence, NotApplicable, Trial, chat_frame, claim, difference, rate

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
BYPASS = "abstractionlair/vector-space-generation, experiments/test_embedding_bypass.py"
CHAT_LOG = f"{REPO}/conversations_and_artifacts/Claude-Code-1.md"
NOISE, TOKENS, NOTHING = "after noise", "after random tokens", "after nothing"  # kinds of texts
SHUFFLED = "after noise, shuffled"
REPLY = 24  # greedy tokens in which a model must say that it does not understand


@claim(
    "What a model writes after noise is at least as fluent as what it writes after random tokens, to within twice the "
    "perplexity",
    source=f"{BYPASS}, test 5; conversations_and_artifacts/Claude-Code-1.md",
    link=CHAT_LOG,
    reported="pure noise gave words, such as: Philippines, I have always; the model 'happily generates' from noise",
    rule=difference(above=-1.0),
    controls={SHUFFLED: difference(below=-1.0)},
    comparisons=[NOTHING],
)
def test_text_after_noise_is_fluent(noise_texts):
    """Value, in bits a token: what a text after random tokens costs the model, minus what one after noise costs it.

    Both sampled at temperature 0.7 and read by the same model as the beginning of a document, without what came
    before. A bit more is twice the perplexity. A text that repeats itself is cheap too: the next claim looks at
    that. Texts of under three tokens are left out with their partners. Control: shuffled, the very texts after
    noise must cost over a bit more than as they were, else perplexity does not tell fluent from not.
    """
    trials = enough(against(noise_texts, NOISE, TOKENS, lambda text: text.bits))
    arms = {
        SHUFFLED: against(noise_texts, SHUFFLED, NOISE, lambda text: text.bits),
        NOTHING: against(noise_texts, NOTHING, TOKENS, lambda text: text.bits),
    }
    return Evidence(trials, arms)


@claim(
    "What a model writes after noise is at least as diverse as what it writes after random tokens, to within a tenth "
    "of the pairs of tokens",
    source=f"{BYPASS}, test 5; counting distinct pairs is of Li et al., arXiv 1510.03055",
    link=CHAT_LOG,
    reported="single texts after noise, too few to see whether noise always brings the same",
    rule=difference(above=-0.1),
    comparisons=[NOTHING],
)
def test_text_after_noise_is_diverse(noise_texts):
    """Value: the share of a text's pairs of neighbouring tokens that stand nowhere else among the 64 texts of its kind.

    After noise minus after random tokens. A loop, and one text for all noise, both lower it. The same texts, and
    the same ones left out, as in the claim on fluency.
    """
    trials = enough(against(noise_texts, NOISE, TOKENS, lambda text: -text.new_pairs))
    return Evidence(trials, {NOTHING: against(noise_texts, NOTHING, TOKENS, lambda text: -text.new_pairs)})


def against(texts, kind, other, cost):
    """Texts of one kind, each with its partner of another kind: by how much less it costs."""
    return [
        Trial(text.beginning, text.text, value=cost(partner) - cost(text), outputs={other: partner.text})
        for text, partner in zip(texts[kind], texts[other], strict=True)
        if text.bits is not None and partner.bits is not None
    ]


def enough(trials):
    """The trials, where they are as many as the rules need.

    Raises:
        NotApplicable: too many texts ended at once.
    """
    if len(trials) < 40:
        raise NotApplicable(f"{len(trials)} pairs of texts of three tokens or more, below 40")
    return trials


@claim(
    "An instruction-tuned model, asked to decode noise, says that it does not understand, in most cases",
    source="abstractionlair/vector-space-generation, conversations_and_artifacts/Claude-Code-1.md, the question",
    link=CHAT_LOG,
    reported="expected: that the model would at least reply that it can't do what was asked; output was empty instead",
    rule=rate(above=0.5),
    kinds=["instruct"],
    positive_controls={"told to say so": rate(above=0.5)},
    controls={"ordinary words": rate(below=0.5)},
    comparisons=["made-up words"],
)
def test_says_that_it_does_not_understand_noise(lm, open_prompts, made_up_words, not_understood, generator):
    """Five vectors of noise at the end of the study's request to decode, 24 greedy tokens; judged by a list of phrases.

    At the same place stand ordinary words in the control, which must not bring such replies in most cases, and
    made-up words. Positive control: the model is told to say that it does not understand a made-up word, and does.
    """
    noise = lm.noise(len(made_up_words), 5, generator=generator)  # [words, 5, hidden]
    ordinary, made_up = open_prompts[: len(noise)], [f"{a} {b}" for a, b in pairs_round(made_up_words)]

    def decode(shown, vectors):
        replies = lm.generate([chat_frame(lm, each) for each in vectors], max_new_tokens=REPLY)
        return judge(shown, replies)

    def judge(shown, replies):
        return [
            Trial(prompt, reply.text, success=admits(reply.text, not_understood))
            for prompt, reply in zip(shown, replies, strict=True)
        ]

    def embed(texts):
        return [lm.embed(lm.tokenize(text, special=False)) for text in texts]

    told = [f"{word!r} is not a word. Say that you do not understand it." for word in made_up_words]
    replies = lm.generate([lm.chat(request) for request in told], max_new_tokens=REPLY)
    return Evidence(
        decode([f"noise {i + 1}" for i in range(len(noise))], noise),
        {
            "told to say so": judge(told, replies),
            "ordinary words": decode(ordinary, embed(ordinary)),
            "made-up words": decode(made_up, embed(made_up)),
        },
    )


def pairs_round(words):
    """Each word with the one after it, the last with the first."""
    return zip(words, [*words[1:], words[0]], strict=True)


def admits(text, phrases):
    """Whether one of the phrases stands in the text, whatever its apostrophes and capitals."""
    plain = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return any(phrase in plain for phrase in phrases)

"""Can the model read mixtures of tokens?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, few_shot_frame, first_line, mentions, rate, torch

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
WRITE_ONLY = (
    "abstractionlair/vector-space-generation, ai-generated-notes/vector-space-write-up-claude.md, 5.1"
)
WRITE_ONLY_LINK = f"{REPO}/ai-generated-notes/vector-space-write-up-claude.md"
REPORTED = (
    'the space is "write-only": models make mixtures but cannot interpret them as input; a later test in completion '
    "style found the opposite, translations on the theme of the vectors"
)
NOISE, ALONE = "norm-matched noise", "first noun alone"
# Cannot: the rate is less than 0.05 above that of noise of the same length in the same place.
CANNOT = rate(below=0.05, over=NOISE, trials=100)


@claim(
    "The model cannot name either noun of a mixture of two, asked to copy after three examples",
    source=WRITE_ONLY,
    link=WRITE_ONLY_LINK,
    reported=REPORTED,
    rule=CANNOT,
    controls={ALONE: rate(above=0.5)},
    comparisons=[NOISE],
)
def test_mixture_cannot_be_copied(noun_vectors, copied_nouns):
    """The study's frame, shown three nouns that it explains by themselves, and 6 greedy tokens.

    The mixture is 0.6 of one noun's embedding and 0.4 of another's: known words, both heavy, so that a reader
    of the heavier one and a reader of both succeed alike. Success: the reply mentions one of the two. The control has
    the first noun's own embedding in the place: a model that cannot name that cannot testify that mixtures are
    unreadable, and so guards *holds* only; what it does read in mixtures refutes all the same.
    """
    return told_apart(noun_vectors, copied_nouns, "The meaning of {} in plain English is")


@claim(
    "The model cannot name either noun of a mixture of two in the study's completion frame",
    source=WRITE_ONLY,
    link=WRITE_ONLY_LINK,
    reported=REPORTED,
    rule=CANNOT,
    controls={ALONE: rate(above=0.5)},
    comparisons=[NOISE],
)
def test_mixture_cannot_be_read_in_completion_frame(noun_vectors, completed_nouns):
    """As for copying, but in the study's frame without examples, and 15 greedy tokens.

    A reply that paraphrases the nouns and mentions neither counts as none, for the noun alone as well.
    """
    return told_apart(noun_vectors, completed_nouns, "The meaning of {} in plain English is")


@claim(
    "The model cannot name either noun of a mixture of two in the study's chat frame",
    source="abstractionlair/vector-space-generation, qwen_concept_tokens.py, translate_vectors_instruction",
    link=f"{REPO}/src/qwen_concept_tokens.py",
    reported="empty output for every prompt, which slicing the reply by the prompt's length explains",
    rule=CANNOT,
    kinds=["instruct"],
    controls={ALONE: rate(above=0.5)},
    comparisons=[NOISE],
)
def test_mixture_cannot_be_read_in_chat_frame(noun_vectors, chatted_nouns):
    """As for copying, but after the study's request in the chat format, and 15 greedy tokens, none sliced off.

    The study's system message (a helpful assistant that can decode embedded messages) is left out.
    """
    return told_apart(
        noun_vectors, chatted_nouns, "Decode the following embedded representation into natural text: {}"
    )


def told_apart(vectors, readings, frame):
    """The reply to each mixture, to noise in its place, and to the first noun alone."""
    trials, noise = [], []
    for (first, second), mixed, random in zip(vectors.pairs, readings.mixture, readings.noise, strict=True):
        prompt = frame.format(f"<0.6 {first} + 0.4 {second}>")
        inputs = {
            "mixture": [[first, 0.6], [second, 0.4]],
            "names the first": mentions(mixed.text, [first]),
            "names the second": mentions(mixed.text, [second]),
        }
        either = mentions(mixed.text, [first, second])
        outputs = {NOISE: random.text}
        trials.append(Trial(prompt, mixed.text, success=either, inputs=inputs, outputs=outputs))
        noise.append(
            Trial(frame.format("<noise>"), random.text, success=mentions(random.text, [first, second]))
        )
    alone = [
        Trial(frame.format(f"<{first}>"), reply.text, success=mentions(reply.text, [first]))
        for (first, _), reply in zip(vectors.pairs, readings.alone, strict=False)
    ]
    return Evidence(trials, {NOISE: noise, ALONE: alone})


@claim(
    "The model cannot name a heavy component of the study's own concept tokens, asked to copy after three examples",
    source=WRITE_ONLY,
    link=WRITE_ONLY_LINK,
    reported=REPORTED,
    rule=CANNOT,
    controls={"heaviest token alone": rate(above=0.5)},
    comparisons=[NOISE],
)
def test_own_concept_token_cannot_be_copied(lm, own_readings):
    """The study's mixture after each of 100 open prompts, without the prompt, in the copying frame.

    These are the vectors the study asked about. Their components are often words like "a", which any reply may
    have, so only the reader's likeliest next token counts: success is that it is the heaviest component, or any
    with a weight of 0.2 or more. Sharpening leaves many of them near a single token; each trial has the weights.
    """
    from fixtures.readings import ALONE_TOP, VECTOR

    trials, noise, alone = [], [], []
    for one in own_readings:
        heavy = [i for i, w in one.concept.mixture.by_token().items() if w >= 0.2] or [one.concept.token_id]
        inputs = {"mixture": one.concept.mixture.spelled(lm)}
        named = {arm: lm.token(i) for arm, i in one.named.items()}
        trials.append(Trial(one.prompt, named[VECTOR], success=one.named[VECTOR] in heavy, inputs=inputs))
        noise.append(Trial(one.prompt, named[NOISE], success=one.named[NOISE] in heavy))
        alone.append(Trial(one.prompt, named[ALONE_TOP], success=one.named[ALONE_TOP] == heavy[0]))
    return Evidence(trials, {NOISE: noise, ALONE_TOP: alone})


BOTH_ALONE = "the two nouns side by side"
OTHER_SECOND = "with another pair's second noun"


@claim(
    "A reader can name both nouns of an even mixture, shown three mixtures and what they are made of",
    source="abstractionlair/vector-space-generation, conversations_and_artifacts/Claude-Code-1.md",
    link=f"{REPO}/conversations_and_artifacts/Claude-Code-1.md",
    reported_verdict="refuted",
    reported="the opposite, in a picture: the model can blend colors but cannot unmix them; not tested",
    rule=rate(above=0.05, over=NOISE, trials=100),
    controls={OTHER_SECOND: rate(below=0.1, trials=100)},
    positive_controls={BOTH_ALONE: rate(above=0.5)},
    comparisons=[NOISE, "names one of them"],
)
def test_reader_names_both_components(lm, nouns, noun_vectors):
    """Half of each embedding; the examples are vectors too: "The meaning of <even mixture> ... is lemon and candle".

    Success: the reply's first line mentions both, in any order. Control: the first noun with the second of the next
    pair, which it must not name. Positive control: both embeddings one after the other, the examples alike.
    """
    from fixtures.readings import mix_two

    example_ids = [
        torch.cat([lm.tokenize(f" {noun}", special=False) for noun in pair]) for pair in nouns.example_pairs
    ]
    meanings = [f"{a} and {b}" for a, b in nouns.example_pairs]
    mixed = [mix_two(lm, ids.unsqueeze(0), (0.5, 0.5)) for ids in example_ids]
    apart = [lm.embed(ids) for ids in example_ids]

    def replies(shown, rows):
        examples = list(zip(shown, meanings, strict=True))
        found = lm.generate([few_shot_frame(lm, examples, row) for row in rows], max_new_tokens=8)
        return [first_line(reply.text) for reply in found]

    def named(pairs, lines):
        return [
            Trial(f"<{a}> <{b}>", line, success=mentions(line, [a]) and mentions(line, [b]))
            for (a, b), line in zip(pairs, lines, strict=True)
        ]

    pairs = noun_vectors.pairs
    lines = replies(mixed, noun_vectors.even.unsqueeze(1))
    others = [(first, pairs[(i + 1) % len(pairs)][1]) for i, (first, _) in enumerate(pairs)]
    noise = replies(mixed, lm.noise_like(noun_vectors.even).unsqueeze(1))
    side_by_side = replies(apart, torch.stack([noun_vectors.first, noun_vectors.second], dim=1)[:60])
    trials = [
        Trial(f"<0.5 {a} + 0.5 {b}>", line, success=trial.success, inputs={"mixture": [[a, 0.5], [b, 0.5]]})
        for (a, b), line, trial in zip(pairs, lines, named(pairs, lines), strict=True)
    ]
    one = [
        Trial(f"<0.5 {a} + 0.5 {b}>", line, success=mentions(line, [a, b]))
        for (a, b), line in zip(pairs, lines, strict=True)
    ]
    return Evidence(
        trials,
        {
            NOISE: named(pairs, noise),
            OTHER_SECOND: named(others, lines),
            BOTH_ALONE: named(pairs[:60], side_by_side),
            "names one of them": one,
        },
    )

"""What helps a reader: the frame, the vector itself, its context?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, difference, equivalence, mentions, rate

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
FRAME, CHAT = "translation frame", "chat frame"
COMPLETED, CHATTED = "The meaning of {} in plain English is", "Decode the following ... text: {}"
MIXTURE, NOUN = "<0.6 {} + 0.4 {}>", "<{}>"  # as a trial shows them
BETTER = "120 pairs: 25 % over 10 % is seen in 87 % of runs, 70 % over 50 % in 89 %"


@claim(
    "A mixture fed directly is named by the reply more often than one in the study's translation frame",
    source="abstractionlair/vector-space-generation, ai-generated-notes/vector-space-write-up-claude.md, 3.2 and 4.2",
    link=f"{REPO}/ai-generated-notes/vector-space-write-up-claude.md",
    reported="translation fails; fed directly, the vectors for Paris gave ариж, read as a try at Париж (after the "
    "prompt, and before an assistant's tag)",
    rule=rate(above=0.0, over=FRAME, trials=100),
    positive_controls={
        "first noun fed directly": rate(above=0.5),
        "first noun in the frame": rate(above=0.5),
    },
    controls={"noise fed directly": rate(below=0.1, trials=100)},
    comparisons=[FRAME],
)
def test_direct_feeding_beats_translation_framing(lm, noun_vectors, completed_nouns):
    """0.6 of one noun and 0.4 of another, on a line of its own without a word around it; 15 greedy tokens each.

    Success: the reply mentions one of the nouns in English. The study's vectors came after their prompt, which
    alone makes Paris likely; without it, what is named comes from the vector. To go on from a noun, or to define
    it, is not to name it. Positive control: either way gets the first noun's own embedding named, else the two
    differ in how they make a model speak of any word, and not in what they get from a mixture.
    """

    def fed(rows):
        return lm.generate([lm.join("\n", row.unsqueeze(0)) for row in rows], max_new_tokens=15)

    pairs = noun_vectors.pairs
    return Evidence(
        naming(pairs, fed(noun_vectors.mixture), MIXTURE),
        {
            "noise fed directly": naming(pairs, fed(noun_vectors.noise), "<noise>"),
            FRAME: naming(pairs, completed_nouns.mixture, COMPLETED.format(MIXTURE)),
            "first noun fed directly": naming(pairs, fed(noun_vectors.first[:60]), NOUN, both=False),
            "first noun in the frame": naming(
                pairs, completed_nouns.alone, COMPLETED.format(NOUN), both=False
            ),
        },
    )


@claim(
    "The completion frame gets a mixture named more often than the chat frame does",
    source="abstractionlair/vector-space-generation, README, Implementation 2",
    link="https://github.com/abstractionlair/vector-space-generation#implementation-2",
    reported="chat gave empty output, completion gave words; the empty output came from slicing the reply",
    rule=rate(above=0.0, over=CHAT, trials=100),
    kinds=["instruct"],
    positive_controls={
        "first noun, completion frame": rate(above=0.5),
        "first noun, chat frame": rate(above=0.5),
    },
    comparisons=[CHAT],
)
def test_completion_frame_beats_chat_frame(noun_vectors, completed_nouns, chatted_nouns):
    """The same mixtures of two nouns in the study's two frames, 15 greedy tokens each; success mentions one of them.

    The frames differ in their words as well as in their format. Positive control: both get the noun alone named,
    else they differ in how they make a model speak of any word.
    """
    pairs = noun_vectors.pairs
    return Evidence(
        naming(pairs, completed_nouns.mixture, COMPLETED.format(MIXTURE)),
        {
            CHAT: naming(pairs, chatted_nouns.mixture, CHATTED.format(MIXTURE)),
            "first noun, completion frame": naming(
                pairs, completed_nouns.alone, COMPLETED.format(NOUN), both=False
            ),
            "first noun, chat frame": naming(pairs, chatted_nouns.alone, CHATTED.format(NOUN), both=False),
        },
    )


def naming(pairs, replies, shown, both=True):
    """A trial for each reply to a pair: does it name one of the two nouns, or, unless `both`, the first?"""
    return [
        Trial(shown.format(a, b), reply.text, success=mentions(reply.text, [a, b] if both else [a]))
        for (a, b), reply in zip(pairs, replies, strict=False)
    ]


@claim(
    "Asked for one noun, translating a mixture of two adds nothing over translating the heavier one alone: the other "
    "goes unnamed",
    source="abstractionlair/vector-space-generation, ai-generated-notes/vector-space-write-up-claude.md, 6.1",
    link=f"{REPO}/ai-generated-notes/vector-space-write-up-claude.md",
    reported="deferring discretization gives no clear benefit, you still must choose a token; not measured",
    rule=equivalence(within=0.1, trials=100),
    positive_controls={"first noun alone": rate(above=0.5), "second noun alone": rate(above=0.5)},
    comparisons=["the first noun, mixture less alone"],
)
def test_translating_adds_nothing_over_the_top_token(lm, noun_vectors, copy_frame):
    """0.6 of one noun and 0.4 of another in the copying frame, whose answer is the next token.

    Value: how probable the second noun is as the answer, less what it is after the first noun alone. A reader
    that went by the weights would give it 0.4; the margin is a quarter of that. What the mixture costs the first
    noun is shown beside it. Whether a reader that is asked for both mentions both is a claim of test_reading.py.
    """

    def answers(rows):
        return lm.next_logits([copy_frame(row.unsqueeze(0)) for row in rows]).softmax(-1)  # [pairs, vocab]

    pairs, ids = noun_vectors.pairs, noun_vectors.ids
    mixed = answers(noun_vectors.mixture)
    said, chosen = (
        mixed.gather(-1, ids).tolist(),
        mixed.argmax(-1).tolist(),
    )  # of the first and the second noun
    alone = [answers(rows) for rows in (noun_vectors.first, noun_vectors.second)]
    said_alone = alone[0].gather(-1, ids).tolist()
    trials, first = [], []
    for (a, b), with_both, with_first, answer in zip(pairs, said, said_alone, chosen, strict=True):
        prompt = f"The meaning of <0.6 {a} + 0.4 {b}> in plain English is"
        inputs = {
            "mixture": [[a, 0.6], [b, 0.4]],
            "probability of each noun": with_both,
            "after the first alone": with_first,
        }
        trials.append(Trial(prompt, lm.token(answer), value=with_both[1] - with_first[1], inputs=inputs))
        first.append(Trial(prompt, value=with_both[0] - with_first[0]))
    controls = {"the first noun, mixture less alone": first}
    for place, name in enumerate(("first noun alone", "second noun alone")):
        controls[name] = [
            Trial(
                f"The meaning of <{pair[place]}> in plain English is",
                lm.token(answer),
                success=answer == noun,
            )
            for pair, answer, noun in zip(
                pairs, alone[place].argmax(-1).tolist(), ids[:, place].tolist(), strict=True
            )
        ]
    return Evidence(trials, controls)


@claim(
    "Its prompt improves the reading of a concept token, beyond what the prompt gives away by itself",
    source="abstractionlair/vector-space-generation, docs/hypothesis.md, Experimental Approach",
    link=f"{REPO}/docs/hypothesis.md",
    reported="the study left the prompt out, to see whether the vectors are messages on their own; not compared",
    rule=difference(above=0.0, trials=100),
    positive_controls={"heaviest token alone": rate(above=0.5)},
    comparisons=[
        "over no prompt",
        "vector",
        "norm-matched noise",
        "vector after its prompt",
        "noise after the prompt",
        "vector after another prompt",
        "noise after another prompt",
    ],
)
def test_original_context_improves_reading(lm, own_readings):
    """The study's concept token after each of 100 open prompts, in the copying frame, whose answer is the next token.

    What a vector contributes is the probability of its heaviest component as the answer, less the same with noise
    in its place. Value: what it contributes with its prompt in the line before, less what it does with the prompt
    before on the list there. So a prompt that makes the component likely by itself improves nothing, and neither
    does a line of text as such, which may break the pattern of the examples: "over no prompt" leaves the line out
    instead. The other comparisons are plain probabilities.
    """
    from fixtures.readings import NOISE, NOISE_WITH_OTHER, NOISE_WITH_PROMPT, VECTOR, WITH_OTHER, WITH_PROMPT

    trials, over_none, alone = [], [], []
    kinds = (VECTOR, NOISE, WITH_PROMPT, NOISE_WITH_PROMPT, WITH_OTHER, NOISE_WITH_OTHER)
    arms: dict[str, list[Trial]] = {arm: [] for arm in kinds}
    for one in own_readings:
        with_prompt = one.top[WITH_PROMPT] - one.top[NOISE_WITH_PROMPT]
        with_other = one.top[WITH_OTHER] - one.top[NOISE_WITH_OTHER]
        without = one.top[VECTOR] - one.top[NOISE]
        inputs = {
            "mixture": one.concept.mixture.spelled(lm),
            "with its prompt": with_prompt,
            "with another": with_other,
            "without": without,
        }
        answer = lm.token(one.named[WITH_PROMPT])
        trials.append(Trial(one.prompt, answer, value=with_prompt - with_other, inputs=inputs))
        over_none.append(Trial(one.prompt, answer, value=with_prompt - without))
        for arm, found in arms.items():
            found.append(Trial(one.prompt, lm.token(one.named[arm]), value=one.top[arm]))
        named = one.named["heaviest token alone"]
        alone.append(Trial(one.prompt, lm.token(named), success=named == one.concept.token_id))
    return Evidence(trials, {"over no prompt": over_none, **arms, "heaviest token alone": alone})

"""Can the model do on ordinary tokens what is asked of vectors?"""

from __future__ import annotations

from vsg_core import Evidence, NotApplicable, Trial, claim, first_line, mentions, rate

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
CONVERSATION = "abstractionlair/vector-space-generation, conversations_and_artifacts/Claude-Code-1.md"
CONVERSATION_LINK = f"{REPO}/conversations_and_artifacts/Claude-Code-1.md"
WITHOUT, COPIES = "the same sentence without examples", "copies a word after three examples"
MOST_FOUND = 30  # words of 120 that a model finds which cannot translate
SHUFFLED, REAL_WORD, OTHER = "shuffled pairs", "the word itself", "another placeholder's words"


@claim(
    "Three examples do not help a model that cannot translate: with them it finds less than 5 in 100 words more",
    source=f"{CONVERSATION}; experiments/test_translation_capability.py",
    link=CONVERSATION_LINK,
    reported="few-shot doesn't help: even with examples GPT-2 doesn't learn the pattern; one word was tried, sol",
    rule=rate(below=0.05, over=WITHOUT, trials=100),
    positive_controls={COPIES: rate(above=0.5)},
    comparisons=[WITHOUT],
)
def test_examples_do_not_help_where_translation_fails(lm, spanish_words, translation_examples):
    """The study's three examples and its sentence, "The meaning of 'gato' in plain English is", against the same
    sentence without examples, for the same words.

    A model that finds more than 30 of the 120 without examples can translate, and the claim is not about it. All
    words count, found or not: of those missed, whoever asks again finds some. 8 greedy tokens each, an answer in
    the first line counts. Positive control: the examples' frame, with copies in place of translations.
    """
    sentence = "The meaning of '{}' in plain English is"
    without = translations(lm, spanish_words, sentence)
    found = sum(bool(trial.success) for trial in without)
    if found > MOST_FOUND:
        raise NotApplicable(f"it can translate: {found} of {len(without)} words without examples")
    shown = "".join(f"{sentence.format(a)} {b}.\n" for a, b in translation_examples)
    copied = "".join(f"The copy of '{a}' is {a}.\n" for a, _ in translation_examples)
    copies = [(word, [word]) for word, _ in spanish_words[:60]]
    return Evidence(
        translations(lm, spanish_words, f"Examples of translations:\n{shown}{sentence}"),
        {
            WITHOUT: without,
            COPIES: translations(lm, copies, f"Examples of copies:\n{copied}The copy of '{{}}' is"),
        },
    )


def translations(lm, words, question):
    """A trial for each word: has the first line of the reply one of its answers?"""
    prompts = [question.format(word) for word, _ in words]
    replies = lm.generate(prompts, max_new_tokens=8)
    return [
        Trial(
            prompt, reply.text, success=mentions(first_line(reply.text), answers), inputs={"answers": answers}
        )
        for prompt, (_, answers), reply in zip(prompts, words, replies, strict=True)
    ]


@claim(
    "Placeholders such as [UNKNOWN] are mostly read literally: the reply takes up the word in the brackets",
    source=f"{CONVERSATION}; experiments/qwen_translation_test.py",
    link=CONVERSATION_LINK,
    reported="Qwen takes [UNKNOWN] or [VECTOR] literally rather than as things to translate; GPT-2 makes something up",
    rule=rate(above=0.5),
    controls={OTHER: rate(below=0.2)},
    positive_controls={REAL_WORD: rate(above=0.5)},
    comparisons=["names the word", "speaks of the brackets"],
)
def test_placeholders_are_read_literally(lm, placeholders):
    """The study's frame, "The meaning of [UNKNOWN] in plain English is", and 15 greedy tokens.

    Success: the reply has the placeholder's word, or one of a few that an explanation of the word would use,
    listed beforehand; the placeholder itself, in its capitals, is taken out first, as to repeat it is not to read
    it. A model that filled in something else, or translated, would have neither. Control: the
    same replies with the words of another placeholder. Positive control: the word itself, lower case, no brackets.
    """

    def asked(shown):
        prompts = [f"The meaning of {shown(word)} in plain English is" for word, _ in placeholders]
        replies = lm.generate(prompts, max_new_tokens=15)
        return list(zip(prompts, replies, strict=True))

    def judged(answered, words):
        return [
            Trial(
                prompt,
                reply.text,
                success=mentions(reply.text.replace(word.upper(), ""), senses),
                inputs={"words that count": senses},
            )
            for (prompt, reply), (word, _), senses in zip(answered, placeholders, words, strict=True)
        ]

    literal = asked(lambda word: f"[{word.upper()}]")
    senses = [[word, *others] for word, others in placeholders]
    half = len(senses) // 2
    brackets = [["placeholder", "bracket", "variable", "blank", "fill in", "filled in"]] * len(senses)
    return Evidence(
        judged(literal, senses),
        {
            OTHER: judged(literal, senses[half:] + senses[:half]),
            REAL_WORD: judged(asked(str), senses),
            "names the word": judged(literal, [[word] for word, _ in placeholders]),
            "speaks of the brackets": judged(literal, brackets),
        },
    )


@claim(
    "Chat-tuned models translate most common Spanish words in their chat format",
    source="abstractionlair/vector-space-generation, docs/qwen-implementation.md and README, Implementation 2",
    link="https://github.com/abstractionlair/vector-space-generation#implementation-2",
    reported="taken for granted when the study moved to an instruction-tuned model; translation was tried in "
    "completion style only",
    rule=rate(above=0.5, trials=100),
    kinds=["instruct"],
    controls={SHUFFLED: rate(below=0.1, trials=100)},
)
def test_chat_models_translate_in_chat_format(lm, spanish_words):
    """Asked as ordinary tokens: "What does the Spanish word 'gato' mean in English?" Then 20 greedy tokens.

    Success: one of the English answers stands in the reply. Control: the same replies with the answers of a word
    half the list away.
    """
    questions = [f"What does the Spanish word '{word}' mean in English?" for word, _ in spanish_words]
    replies = lm.generate([lm.chat(question) for question in questions], max_new_tokens=20)
    answers = [found for _, found in spanish_words]
    half = len(answers) // 2

    def judged(counted):
        return [
            Trial(
                question,
                reply.text,
                success=mentions(reply.text, right),
                inputs={"answers that count": right},
            )
            for question, reply, right in zip(questions, replies, counted, strict=True)
        ]

    return Evidence(judged(answers), {SHUFFLED: judged(answers[half:] + answers[:half])})

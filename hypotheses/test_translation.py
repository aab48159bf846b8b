"""Can the model translate Spanish words into English?"""

from __future__ import annotations

from functools import partial
from typing import Any

from fixtures.prompts import FewShot, Glossary
from fixtures.sources import STUDY
from vsg_core import (
    Evidence,
    Reply,
    TextModel,
    Trial,
    at_once,
    cannot,
    claim,
    control,
    first_line,
    mostly,
    trials,
)

cannot_translate = partial(
    claim,
    source=STUDY("README, Implementation 1; test_translation_capability.py", "#implementation-1"),
    headline=True,
    reported="GPT-2 could not be made to translate, not even Spanish to English; on Qwen2.5-1.5B completion style "
    "did work",
    rule=cannot(over="shuffled pairs"),
    positive_controls={
        "copies a word": control(mostly(), "60 of the words, to be repeated and not translated")
    },
    # It guards *holds* only: a model that translates has shown that the frame works.
    controls={
        "answer given in the prompt": control(
            mostly(),
            "60 of the words, asked again right after their answer: a model that fails ignores the frame",
        )
    },
    comparisons={
        "shuffled pairs": "the same replies, compared with the answers of another word: what chance reaches"
    },
)


@cannot_translate(
    "The model cannot translate common Spanish words into English in completion style, within 10 tokens"
)
def test_cannot_translate_in_completion_style(text_model: TextModel, spanish_words: Glossary) -> Evidence:
    """Ask in the study's sentence, "The Spanish word 'gato' in English is", for 10 greedy tokens, as the study did.

    A reply that talks about the word and gives no translation in 10 tokens counts as none.
    """
    question = "The Spanish word '{word}' in English is"
    given = f"{question} {{answer}}. {question}"
    return translate(
        text_model, spanish_words, question, given, copy="Repeat the word: {word}, {word}, {word},"
    )


@cannot_translate(
    "The model cannot translate common Spanish words into English after three examples, within 10 tokens"
)
def test_cannot_translate_few_shot(
    text_model: TextModel, spanish_words: Glossary, few_shot: FewShot
) -> Evidence:
    """Give the study's three examples, casa, libro and agua, in its sentence, then the word; 10 greedy tokens.

    In the control the word's own answer is a fourth example.
    """
    given = f"{few_shot.translate} {{answer}}.\n{few_shot.sentence}"
    return translate(text_model, spanish_words, few_shot.translate, given, few_shot.copy)


def translate(model: TextModel, words: Glossary, question: str, given: str, copy: str) -> Evidence:
    """Ask for every word's translation; for the first 60 also after the answer is `given`, and for a `copy`."""
    some = words.head(60)
    prompts = [words.prompts(question), some.prompts(given), some.prompts(copy)]
    replies, after_answers, copies = at_once(model.complete, *prompts, max_tokens=10)
    return Evidence(
        judged(prompts[0], replies, words, {"word": words.words, "answers that count": words.answers}),
        {
            "copies a word": judged(prompts[2], copies, some.copied()),
            "answer given in the prompt": judged(prompts[1], after_answers, some),
            "shuffled pairs": judged(prompts[0], replies, words.shuffled()),
        },
    )


def judged(
    prompts: list[str],
    replies: list[Reply],
    words: Glossary,
    inputs: dict[str, list[Any]] | None = None,
) -> list[Trial]:
    """Count the replies with one of the word's answers in their first line, in any case."""
    found = words.found((first_line(reply.text) for reply in replies), plural=False)
    return trials(prompts, output=replies, success=found, inputs=inputs)

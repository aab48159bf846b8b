"""Does the instruction format fail with embeddings?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fixtures.measured import SAME, ChatReplies, probability_gaps
from fixtures.sources import QWEN_CODE, STUDY
from vsg_core import (
    Evidence,
    Generation,
    LanguageModel,
    Trial,
    always,
    attack,
    claim,
    control,
    mentions,
    mostly,
    nearly_always,
    rarely,
    rate,
    torch,
    trials,
)
from vsg_core import strategies as st

if TYPE_CHECKING:
    from torch import Tensor

SPEAKS, OF_ANOTHER, FROM_IDS = "speaks to the question", "speaks to another question", "from input_ids"
CHAT = STUDY("README, Implementation 2; debug_instruction_embeds.py", "#implementation-2")
LONGER = "replies of up to 64 tokens, sliced"
LONGER_QUESTIONS = 24


@claim(
    "Chat-formatted prompts passed as embeddings give empty output",
    source=CHAT,
    headline=True,
    reported="instruction mode could not be made to work with vectors; the saved outputs are empty",
    rule=mostly(),
    kinds=["instruct"],
    positive_controls={
        SPEAKS: control(
            rate(above=0.1, over=OF_ANOTHER),
            "the replies to the same prompts as input_ids have a word of four letters or more of their question: more "
            "often than one of another question, so that the model can answer in its chat format",
        )
    },
    comparisons={
        OF_ANOTHER: "the same replies, searched for the words of the question before on the list",
        FROM_IDS: "the same prompts as input_ids",
    },
    no_control="only a model that says nothing in its chat format could give empty output for another reason, and the "
    "positive control leaves it out",
)
def test_chat_embeddings_give_empty_output(open_questions: list[str], chat_replies: ChatReplies) -> Evidence:
    """The phenomenon itself: 20 greedy tokens after the embedded prompt, new tokens only; white space is empty."""
    replies, from_ids = chat_replies.from_embeddings, chat_replies.from_ids

    def empty(of: list[Generation], **columns: Any) -> list[Trial]:
        return trials(open_questions, output=of, success=[reply.is_empty for reply in of], **columns)

    def speaking(of: list[str]) -> list[Trial]:
        said = [
            mentions(reply.answer, re.findall(r"[A-Za-z]{4,}", question))
            for reply, question in zip(from_ids, of, strict=True)
        ]
        return trials(open_questions, output=from_ids, success=said, inputs={"words of": of})

    return Evidence(
        empty(replies, outputs={"same prompt as input_ids": from_ids}),
        {
            SPEAKS: speaking(open_questions),
            OF_ANOTHER: speaking(open_questions[-1:] + open_questions[:-1]),
            FROM_IDS: empty(from_ids),
        },
    )


@claim(
    "A prompt gives the same next-token probabilities as input_ids and as embeddings, chat format included if any",
    source=CHAT,
    headline=True,
    reported="the model needs to see <|im_start|> and <|im_end|> as tokens; their embeddings did not work",
    identity=True,
    rule=always(),
    controls={
        "one embedding swapped": control(
            rarely(trials=100), "12 tokens, one embedded as another; it must show"
        )
    },
)
def test_ids_and_embeddings_give_the_same_probabilities(
    lm: LanguageModel, generator: torch.Generator
) -> Evidence:
    """Attacked with random token sequences, special tokens included.

    If the model has a chat format, half of them are a message in it; each trial shows which. The ids go through
    the model's own embedding lookup, the embeddings through inputs_embeds. A prompt is a counterexample when any
    token's probability differs by more than 1e-4; that would be too wide if a swapped embedding did not show.
    """
    formats = st.booleans() if lm.has_chat else st.just(False)
    prompts = st.tuples(formats, st.lists(st.sampled_from(lm.token_ids), min_size=1, max_size=12))

    def check(cases: list[tuple[bool, list[int]]]) -> list[Trial]:
        sequences = [as_sequence(lm, chat, ids) for chat, ids in cases]
        embedded = [lm.embed(sequence) for sequence in sequences]
        return compare(lm, sequences, embedded, chat=[chat for chat, _ in cases])

    drawn = lm.random_tokens(100, 13, generator=generator)  # [100, 13]
    places = torch.randint(12, (100,), generator=generator)  # [100]
    ids, others = drawn[:, :12], drawn[:, 12:]
    swapped = ids.scatter(1, places.unsqueeze(1).to(lm.device), others)  # [100, 12]
    unlike = compare(lm, list(ids), list(lm.embed(swapped)), swapped=places)
    return Evidence(attack(prompts, check, batch=40).trials, {"one embedding swapped": unlike})


def as_sequence(lm: LanguageModel, chat: bool, ids: list[int]) -> Tensor:
    """The ids themselves, or the ids of a chat-formatted message with their text: [seq]."""
    return lm.tokenize(lm.chat(lm.tokenizer.decode(ids))) if chat else torch.tensor(ids)


def compare(lm: LanguageModel, sequences: list[Tensor], embedded: list[Tensor], **inputs: Any) -> list[Trial]:
    """One trial per sequence of ids and its embeddings: success when no probability differs by more than 1e-4."""
    gaps = probability_gaps(lm.next_logits(sequences), lm.next_logits(embedded))
    return trials(map(lm.tokenizer.decode, sequences), success=gaps <= SAME, value=gaps, inputs=inputs)


@claim(
    "Slicing by the prompt length, as the study's code did, empties the chat replies of 20 tokens from embeddings",
    source=STUDY("qwen_concept_tokens.py: generated_ids = outputs[0, seq_len:]", QWEN_CODE),
    headline=True,
    reported="several saved translations come back empty; a later review names the slice as the cause",
    identity=True,
    rule=nearly_always(),
    kinds=["instruct"],
    controls={"not sliced": control(rarely(), "the same replies whole, which must not be empty")},
    comparisons={LONGER: "the first 24 questions; of replies longer than their prompts the rest is left"},
)
def test_emptiness_comes_from_slicing(
    lm: LanguageModel, open_questions: list[str], chat_replies: ChatReplies
) -> Evidence:
    """The artifact: the replies of the claim on empty output, with as many tokens cut off as the prompt has.

    Given embeddings, `generate` returns new tokens only, so the slice discards answers, and all of one that is no
    longer than its prompt. That is arithmetic, which the study took for a finding about models.
    """
    replies, lengths = chat_replies.from_embeddings, chat_replies.prompt_lengths
    whole = trials(open_questions, output=replies, success=[reply.is_empty for reply in replies])
    few = open_questions[:LONGER_QUESTIONS]
    longer = lm.generate([lm.embed_text(lm.chat(question)) for question in few], max_new_tokens=64)
    return Evidence(
        slice_off(lm, open_questions, lengths, replies),
        {"not sliced": whole, LONGER: slice_off(lm, few, lengths[:LONGER_QUESTIONS], longer)},
    )


def slice_off(
    lm: LanguageModel, asked: list[str], lengths: list[int], replies: list[Generation]
) -> list[Trial]:
    """Each reply without as many tokens as its prompt has; success when nothing is left."""
    sliced = [lm.decode(reply.ids[length:]) for reply, length in zip(replies, lengths, strict=True)]
    return trials(
        asked,
        output=sliced,
        success=[not text.strip() for text in sliced],
        inputs={"prompt tokens": lengths, "new tokens": [len(reply.ids) for reply in replies]},
        outputs={"not sliced": replies},
    )

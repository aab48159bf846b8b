"""Does the instruction format fail with embeddings?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, always, attack, claim, rate, torch
from vsg_core import strategies as st

STUDY = "abstractionlair/vector-space-generation, README, Implementation 2; debug_instruction_embeds.py"
LINK = "https://github.com/abstractionlair/vector-space-generation#implementation-2"


LONGER = "replies of up to 64 tokens, sliced"
LONGER_QUESTIONS = 24


@claim(
    "Chat-formatted prompts passed as embeddings give empty output",
    source=STUDY,
    link=LINK,
    headline=True,
    reported="instruction mode could not be made to work with vectors; the saved outputs are empty",
    rule=rate(above=0.5),
    kinds=["instruct"],
    positive_controls={"same prompts as input_ids give output": rate(above=0.5)},
)
def test_chat_embeddings_give_empty_output(open_questions, chat_replies):
    """The phenomenon itself: 20 greedy tokens after the embedded prompt, new tokens only, white space is empty."""
    trials, control = [], []
    for question, reply, plain in zip(
        open_questions, chat_replies.from_embeddings, chat_replies.from_ids, strict=True
    ):
        outputs = {"same prompt as input_ids": plain.text}
        trials.append(Trial(question, output=reply.text, success=not reply.text.strip(), outputs=outputs))
        control.append(Trial(question, output=plain.text, success=bool(plain.text.strip())))
    return Evidence(trials, {"same prompts as input_ids give output": control})


@claim(
    "A prompt gives the same next-token probabilities as input_ids and as embeddings, chat format included if any",
    source=STUDY,
    link=LINK,
    headline=True,
    reported="the model needs to see <|im_start|> and <|im_end|> as tokens; their embeddings did not work",
    rule=always(open_rate=0.01),
    controls={"one embedding swapped": rate(below=0.1, trials=100)},
)
def test_ids_and_embeddings_give_the_same_probabilities(lm, generator):
    """Attacked with random token sequences, special tokens among them; half of them inside the chat
    format where the model has one, which each trial tells.

    The ids go through the model's own embedding lookup, the embeddings through inputs_embeds. A prompt is a
    counterexample when any token's probability differs by more than 1e-4. Control: 12 random tokens, one of whose
    embeddings is swapped for another token's: that must be seen, else 1e-4 would be too wide.
    """
    formats = st.booleans() if lm.has_chat else st.just(False)
    prompts = st.tuples(formats, st.lists(st.sampled_from(lm.token_ids), min_size=1, max_size=12))

    def check(cases):
        sequences = [as_sequence(lm, chat, ids) for chat, ids in cases]
        inputs = [{"chat": chat} for chat, _ in cases]
        return compare_probabilities(lm, sequences, [lm.embed(sequence) for sequence in sequences], inputs)

    drawn = lm.random_tokens(100, 13, generator=generator)  # [100, 13]
    places = torch.randint(12, (100,), generator=generator).tolist()
    ids = drawn[:, :12]
    swapped = [
        torch.cat([row[:place], row[12:], row[place + 1 : 12]])
        for row, place in zip(drawn, places, strict=True)
    ]
    control = compare_probabilities(
        lm, list(ids), [lm.embed(s) for s in swapped], [{"swapped": p} for p in places]
    )
    return Evidence(attack(prompts, check, trials=300, batch=40).trials, {"one embedding swapped": control})


def compare_probabilities(lm, sequences, embeddings, inputs):
    """A trial for each sequence of ids and its embeddings: success when no probability differs by more than 1e-4."""
    from_ids = lm.next_logits(sequences).softmax(-1)  # [cases, vocab]
    from_embeddings = lm.next_logits(embeddings).softmax(-1)
    gaps = (from_ids - from_embeddings).abs().amax(-1).tolist()
    texts = [lm.tokenizer.decode(sequence) for sequence in sequences]
    return [
        Trial(text, success=gap <= 1e-4, value=gap, inputs=about)
        for text, gap, about in zip(texts, gaps, inputs, strict=True)
    ]


def as_sequence(lm, chat, ids):
    """The ids themselves, or the ids of a chat-formatted message with their text."""
    return lm.tokenize(lm.chat(lm.tokenizer.decode(ids))) if chat else torch.tensor(ids)


@claim(
    "Slicing by the prompt length, as the study's code did, empties the chat replies of 20 tokens from embeddings",
    source="abstractionlair/vector-space-generation, qwen_concept_tokens.py: generated_ids = outputs[0, seq_len:]",
    link="https://github.com/abstractionlair/vector-space-generation/blob/main/src/qwen_concept_tokens.py",
    headline=True,
    reported="several saved translations come back empty; a later review names the slice as the cause",
    rule=rate(above=0.9),
    kinds=["instruct"],
    controls={"not sliced": rate(below=0.1)},
    comparisons=[LONGER],
)
def test_emptiness_comes_from_slicing(lm, open_questions, chat_replies):
    """The artifact: the very replies of the claim on empty output, with as many tokens cut off as the prompt has.

    `generate` returns new tokens only when it is given embeddings, so the slice throws answers away: all of
    one that is no longer than its prompt, which is arithmetic, and which the study took for a finding about
    models. The control is the same replies unsliced, which must not be empty. Beside it, replies to the first 24
    questions that may grow longer than their prompts: what is beyond the prompt's length is left.
    """
    replies, lengths = chat_replies.from_embeddings, chat_replies.prompt_lengths
    control = [
        Trial(question, output=reply.text, success=not reply.text.strip())
        for question, reply in zip(open_questions, replies, strict=True)
    ]
    some = open_questions[:LONGER_QUESTIONS]
    longer = lm.generate([lm.embed_text(lm.chat(question)) for question in some], max_new_tokens=64)
    arms = {"not sliced": control, LONGER: slice_off(lm, some, lengths[:LONGER_QUESTIONS], longer)}
    return Evidence(slice_off(lm, open_questions, lengths, replies), arms)


def slice_off(lm, questions, lengths, replies):
    """Each reply without as many tokens as its prompt has; success when nothing is left."""
    trials = []
    for question, length, reply in zip(questions, lengths, replies, strict=True):
        sliced = lm.decode(reply.ids[length:])
        inputs = {"prompt tokens": length, "new tokens": len(reply.ids)}
        outputs = {"not sliced": reply.text}
        trials.append(
            Trial(question, output=sliced, success=not sliced.strip(), inputs=inputs, outputs=outputs)
        )
    return trials

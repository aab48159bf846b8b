"""Does the instruction format fail with embeddings?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, always, claim, rate

STUDY = "abstractionlair/vector-space-generation, README, Implementation 2; debug_instruction_embeds.py"
LINK = "https://github.com/abstractionlair/vector-space-generation#implementation-2"


@claim(
    "Chat-formatted prompts passed as embeddings give empty output",
    source=STUDY,
    link=LINK,
    reported="instruction mode could not be made to work with vectors; the saved outputs are empty",
    rule=rate(above=0.5),
    kinds=["instruct"],
    positive_controls={"same prompts as input_ids give output": rate(above=0.5)},
    power="48 prompts: holds from 32 empty, refuted up to 16; a true rate of 0.75 or 0.25 is decided in 93 %",
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
    reported="the model needs to see <|im_start|> and <|im_end|> as tokens; their embeddings did not work",
    rule=always(open_rate=0.01),
    power="300 prompts without a counterexample leave open at most 1 % at 95 % confidence",
)
def test_ids_and_embeddings_give_the_same_probabilities(lm):
    """Attacked with random token sequences, special tokens among them; half of them inside the chat
    format where the model has one, which each trial tells.

    The ids go through the model's own embedding lookup, the embeddings through inputs_embeds. A prompt is a
    counterexample when any token's probability differs by more than 1e-4.
    """
    from hypothesis import strategies as st

    from vsg_core.attack import attack

    tokens = lm.is_token.nonzero().flatten().tolist()
    formats = st.booleans() if lm.has_chat else st.just(False)
    prompts = st.tuples(formats, st.lists(st.sampled_from(tokens), min_size=1, max_size=12))

    def check(cases):
        sequences = [as_sequence(lm, chat, ids) for chat, ids in cases]
        from_ids = lm.next_logits(sequences).softmax(-1)  # [cases, vocab]
        from_embeddings = lm.next_logits([lm.embed(sequence) for sequence in sequences]).softmax(-1)
        gaps = (from_ids - from_embeddings).abs().amax(-1).tolist()
        texts = [lm.tokenizer.decode(sequence) for sequence in sequences]
        return [
            Trial(text, success=gap <= 1e-4, value=gap, inputs={"chat": chat})
            for (chat, _), text, gap in zip(cases, texts, gaps, strict=True)
        ]

    return attack(prompts, check, trials=300, batch=20)


def as_sequence(lm, chat, ids):
    """The ids themselves, or the ids of a chat-formatted message with their text."""
    import torch

    return lm.tokenize(lm.chat(lm.tokenizer.decode(ids))) if chat else torch.tensor(ids)


@claim(
    "Slicing by the prompt length, as the study's code did, empties the chat replies from embeddings",
    source="abstractionlair/vector-space-generation, qwen_concept_tokens.py: generated_ids = outputs[0, seq_len:]",
    link="https://github.com/abstractionlair/vector-space-generation/blob/main/src/qwen_concept_tokens.py",
    reported="several saved translations come back empty; a later review names the slice as the cause",
    rule=rate(above=0.9),
    kinds=["instruct"],
    controls={"not sliced": rate(below=0.1)},
    power="48 prompts: holds only if all are empty, as a slice longer than the reply makes them; refuted up to 38",
)
def test_emptiness_comes_from_slicing(lm, open_questions, chat_replies):
    """The artifact: the very replies of the claim on empty output, with as many tokens cut off as the prompt has.

    `generate` returns new tokens only when it is given embeddings, so the slice throws answers away: all of
    one that is no longer than its prompt, which is arithmetic, and which the study took for a finding about
    models. The control is the same replies unsliced, which must not be empty.
    """
    trials, control = [], []
    for question, length, reply in zip(
        open_questions, chat_replies.prompt_lengths, chat_replies.from_embeddings, strict=True
    ):
        sliced = lm.decode(reply.ids[length:])
        inputs = {"prompt tokens": length, "new tokens": len(reply.ids)}
        outputs = {"not sliced": reply.text}
        trials.append(
            Trial(question, output=sliced, success=not sliced.strip(), inputs=inputs, outputs=outputs)
        )
        control.append(Trial(question, output=reply.text, success=not reply.text.strip(), inputs=inputs))
    return Evidence(trials, {"not sliced": control})

"""Does noise still give output?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, chat_frame, claim, rate

SOURCE = "abstractionlair/vector-space-generation, experiments/test_embedding_bypass.py, test 5"
LINK = "https://github.com/abstractionlair/vector-space-generation/tree/main/experiments"
REPORTED = "5 noise vectors of the table's standard deviation gave words, such as: Philippines, I have always"
SCALES = (0.5, 1.0, 2.0, 4.0)  # times the standard deviation of the embedding table's entries
DRAWS = 25  # noise sequences a scale
VECTORS = 5  # vectors a sequence, as in the study
COMPARISONS = ["random real tokens", *(f"noise at {scale:g} std" for scale in SCALES)]


@claim(
    "Noise embeddings still give output that is not empty",
    source=SOURCE,
    link=LINK,
    headline=True,
    reported=REPORTED,
    rule=rate(above=0.9, trials=100),
    comparisons=COMPARISONS,
)
def test_noise_still_generates(lm, generator):
    """Five vectors of Gaussian noise and nothing else, not even BOS; success is 10 greedy tokens not all white space.

    It says that there is output, not that the output says anything. Random real tokens at the same place, also
    without BOS, are shown beside it.
    """
    return ask(lm, generator, frame=lambda vectors: vectors)


@claim(
    "Noise embeddings inside the chat frame still give output that is not empty",
    source="abstractionlair/vector-space-generation, conversations_and_artifacts/Claude-Code-1.md",
    link="https://github.com/abstractionlair/vector-space-generation/tree/main/conversations_and_artifacts",
    headline=True,
    reported_verdict="refuted",
    reported="the opposite, though noise was not tried there: instruction format + any vector gives empty output",
    rule=rate(above=0.9, trials=100),
    kinds=["instruct"],
    comparisons=[*COMPARISONS, "the frame alone"],
)
def test_noise_in_the_chat_frame_still_generates(lm, generator):
    """The same noise where the study's chat message has its vectors: a request to decode them.

    The words of "the frame alone", without any vector, bring a reply too, so this measures only that noise does
    not silence it.
    """
    evidence = ask(lm, generator, frame=lambda vectors: chat_frame(lm, vectors))
    (reply,) = lm.generate([chat_frame(lm, lm.embedding_table[:0])], max_new_tokens=10)
    alone = [Trial("no vector", reply.text, success=bool(reply.text.strip()))]
    return Evidence(evidence.trials, {**evidence.controls, "the frame alone": alone})


def ask(lm, generator, frame):
    """Noise at each scale, and as many sequences of random real tokens at the same place."""
    evidence: dict[str, list[Trial]] = {}
    trials = []
    for scale in SCALES:
        noise = lm.noise(DRAWS, VECTORS, generator=generator, scale=scale)
        replies = lm.generate([frame(vectors) for vectors in noise], max_new_tokens=10)
        drawn = [
            Trial(
                f"noise {i + 1} at {scale:g} std",
                reply.text,
                success=bool(reply.text.strip()),
                inputs={"scale": scale},
            )
            for i, reply in enumerate(replies)
        ]
        trials += drawn
        evidence[f"noise at {scale:g} std"] = drawn
    picks = lm.random_tokens(len(trials), VECTORS, generator=generator)  # [100, VECTORS]
    replies = lm.generate([frame(lm.embed(ids)) for ids in picks], max_new_tokens=10)
    evidence["random real tokens"] = [
        Trial(lm.tokenizer.decode(ids), reply.text, success=bool(reply.text.strip()))
        for ids, reply in zip(picks, replies, strict=True)
    ]
    return Evidence(trials, evidence)

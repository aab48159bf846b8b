"""Do mixtures make a model answer in another language?"""

from __future__ import annotations

from vsg_core import Evidence, Trial, claim, completion_frame, presets, rate, torch, write_concepts

TOP, NOISE = "their top-1 tokens", "noise of the same norms"
WRITES_CYRILLIC = "copies names in Cyrillic"


@claim(
    "Where plain English is asked for, concept tokens make replies leave the Latin script: in over 5 more replies of "
    "100 than their top-1 tokens do",
    source="abstractionlair/vector-space-generation, README, Results; its saved output",
    link="https://github.com/abstractionlair/vector-space-generation#results",
    reported="words came out, not always in English: Chinese from two concept tokens in the completion frame",
    rule=rate(above=0.05, over=TOP, trials=100),
    positive_controls={WRITES_CYRILLIC: rate(above=0.5)},
    controls={NOISE: rate(below=0.05, over=TOP, trials=100)},
    comparisons=[TOP],
)
def test_mixtures_cause_non_english_output(lm, open_prompts, copied_names, generator):
    """Two concept tokens of the study's in its frame, "The meaning of ... in plain English is", 8 greedy tokens.

    That is the frame of experiments/qwen_completion_translation.py; the saved Chinese came from one with "is:". A
    reply counts with one letter whose Unicode name is not a Latin one's, which tells Chinese or Cyrillic, not French
    from English. At the same place: each mixture's heaviest token, and noise of each mixture's norm, which must not
    do the same: else any foreign vector would, and not the mixture.

    The frame asks for English and keeps even noise to it; what mixtures do without one is not measured. The study
    sampled, under a repetition penalty, and cut its replies; greedy and uncut, the mixture alone is at work. Positive
    control: the model writes Cyrillic, after names in it, and the reader of scripts sees it.
    """
    traces = write_concepts(lm, open_prompts, n=2, mixing=presets.STUDY)
    mixtures = torch.stack([torch.stack([step.vector for step in trace.steps]) for trace in traces])
    tops = torch.tensor([[step.token_id for step in trace.steps] for trace in traces])  # [prompts, 2]
    noise = torch.nn.functional.normalize(torch.randn(mixtures.shape, generator=generator), dim=-1)
    noise = noise.to(mixtures) * mixtures.norm(dim=-1, keepdim=True)  # [prompts, 2, hidden]
    shown = [[step.mixture.spelled(lm) for step in trace.steps] for trace in traces]

    def read(vectors, inputs):
        replies = lm.generate([completion_frame(lm, two) for two in vectors], max_new_tokens=8)
        return [
            Trial(prompt, reply.text, success=bool(scripts(reply.text) - {"LATIN"}), inputs=about)
            for prompt, reply, about in zip(open_prompts, replies, inputs, strict=True)
        ]

    cyrillic = [
        Trial(prompt, reply.text, success="CYRILLIC" in scripts(reply.text))
        for name, prompt, reply in copied_names
        if "CYRILLIC" in scripts(name)
    ]
    mixed = [{"mixture": first, "second mixture": second} for first, second in shown]
    return Evidence(
        read(mixtures, mixed),
        {
            TOP: read(lm.embed(tops), [{"tokens": [lm.token(i) for i in two]} for two in tops.tolist()]),
            NOISE: read(noise, [{"norms": norms} for norms in noise.norm(dim=-1).tolist()]),
            WRITES_CYRILLIC: cyrillic,
        },
    )


def scripts(text):
    """The scripts of a text's letters, as their Unicode names begin; LATIN for every letter with that in its name."""
    import unicodedata

    names = [unicodedata.name(letter, "NAMELESS") for letter in text if letter.isalpha()]
    return {"LATIN" if "LATIN " in name else name.split()[0] for name in names}

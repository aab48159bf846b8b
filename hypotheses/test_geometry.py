"""Do concept tokens of like meaning lie alike?"""

from __future__ import annotations

from vsg_core import (
    ConceptWriter,
    Evidence,
    NotApplicable,
    Trial,
    claim,
    difference,
    presets,
    rate,
    torch,
    write_concepts,
)

FEWEST = 40  # countries that a verdict rests on
STUDY = "abstractionlair/vector-space-generation"
README = "https://github.com/abstractionlair/vector-space-generation"


@claim(
    'concept("Paris") - concept("France") + concept("Germany") is nearest to concept("Berlin"), for most countries',
    source=f"{STUDY}, conversations_and_artifacts/Claude-2.md: Test semantic arithmetic",
    link=f"{README}/blob/main/conversations_and_artifacts/Claude-2.md",
    reported="proposed there as a next step, with no definition of the concept of a word; it was not run",
    rule=rate(above=0.5),
    controls={'concept("Germany") alone': rate(below=0.5)},
    comparisons=[
        "the concept's heaviest token is the word",
        "tokens' own embeddings",
        "nearest of all tokens",
    ],
)
def test_paris_minus_france_plus_germany_is_berlin(lm, facts, spellings):
    """The concept of a word is the study's concept token where the model is about to write the word: concept("Berlin")
    after "The capital of Germany is", concept("Germany") after "Berlin is the capital of".

    Only countries of whose two concepts the word is the heaviest token; of others the model writes no concept that
    could be asked about. The first of them, France where it is one, is the premise. A country succeeds when, by
    cosine, the sum is nearest to the concept of its own capital among those of all: chance is under 3 %. The control
    leaves the premise's two out of the sum. Comparisons: the same among the embeddings of the words' first tokens;
    and whether the nearest token of the vocabulary is the capital's first, every spelling of the three premises
    left out.
    """
    from fixtures.words import nearest_by_cosine

    words = [("France", "Paris")]
    words += [(fact.subject, fact.answer) for fact in facts if fact.relation == "capital"]
    prompts = [f"The capital of {a} is" for a, _ in words] + [f"{b} is the capital of" for _, b in words]
    meant = [b for _, b in words] + [a for a, _ in words]
    first = torch.tensor([int(lm.tokenize(f" {word}", special=False)[0]) for word in meant])
    traces = write_concepts(lm, prompts, mixing=presets.STUDY)
    concepts = [trace.steps[0] for trace in traces]
    written = [
        Trial(
            prompt,
            repr(lm.token(one.token_id)),
            one.token_id == token,
            inputs={"mixture": one.mixture.spelled(lm)},
        )
        for prompt, one, token in zip(prompts, concepts, first.tolist(), strict=True)
    ]
    both = zip(written[: len(words)], written[len(words) :], strict=True)
    kept = [i for i, (capital, country) in enumerate(both) if capital.success and country.success]
    if len(kept) <= FEWEST:
        raise NotApplicable(
            f"{lm.name}'s concept tokens stand for both words of {len(kept)} countries, {FEWEST + 1} are needed"
        )
    premise, *named = [words[i] for i in kept]
    split = torch.stack([one.vector for one in concepts]).float().split(len(words))
    capitals, countries = (rows[kept] for rows in split)  # each [countries, hidden]
    sums = countries[1:] + capitals[0] - countries[0]
    own = [rows[kept] for rows in lm.embed(first).float().split(len(words))]
    premises = [[i for word in (*premise, a) for i in spellings.get(word.lower(), [])] for a, _ in named]
    nearest = nearest_by_cosine(lm, sums, premises)
    free = [
        Trial(f"{a}: {b}", repr(lm.token(token)), token == int(first[i]))
        for (a, b), token, i in zip(named, nearest, kept[1:], strict=True)
    ]
    arms = {
        "the concept's heaviest token is the word": written,
        'concept("Germany") alone': nearest_capitals(named, countries[1:], capitals[1:]),
        "tokens' own embeddings": nearest_capitals(named, own[1][1:] + own[0][0] - own[1][0], own[0][1:]),
        "nearest of all tokens": free,
    }
    return Evidence(nearest_capitals(named, sums, capitals[1:]), arms)


def nearest_capitals(named, sums, capitals):
    """A success where the sum [hidden] of a country is, by cosine, nearest to its own of the capitals' vectors."""
    directions, others = (torch.nn.functional.normalize(rows, dim=-1) for rows in (sums, capitals))
    nearest = (directions @ others.T).argmax(-1).tolist()
    return [
        Trial(f"{a}: {b}", named[near][1], near == i)
        for i, ((a, b), near) in enumerate(zip(named, nearest, strict=True))
    ]


@claim(
    "A prompt's concept token is nearer to that of a paraphrase than to that of an unrelated prompt that ends alike",
    source=f"{STUDY}, docs/hypothesis.md, Why This Would Emerge",
    link=f"{README}/blob/main/docs/hypothesis.md",
    reported="similar concepts should have similar vectors; expected, not measured",
    rule=difference(above=0.0),
    comparisons=["plain mixture", "than to any prompt"],
)
def test_paraphrases_have_nearer_concept_tokens(lm, paraphrases):
    """Value: L2 distance to the unrelated prompt's concept token minus that to the paraphrase's, in mean token norms.

    The unrelated prompt ends in the same words as the paraphrase, so that what such an ending asks for cannot
    bring the two wordings together. In "than to any prompt" it is the paraphrase of the line before instead. That
    two wordings often share the most probable word is what the claim says, not something to correct for.
    """
    prompts = [prompt for column in zip(*paraphrases, strict=True) for prompt in column]
    logits = lm.next_logits(prompts)
    study, plain = (
        ConceptWriter(lm, mixing)(logits, torch.arange(len(prompts)), 0)
        for mixing in (presets.STUDY, presets.PLAIN)
    )
    heaviest = [repr(lm.token(concept.token_id)) for concept in study.kept]

    def nearer(vectors, any_prompt=False):
        scaled = vectors.float() / lm.embedding_norm
        one, same, other = scaled.split(len(paraphrases))  # each [prompts, hidden]
        other = same.roll(1, 0) if any_prompt else other
        gaps = ((one - other).norm(dim=-1) - (one - same).norm(dim=-1)).tolist()
        return [
            Trial(
                " / ".join(triple),
                heaviest[i],
                value=gaps[i],
                outputs={"paraphrase": heaviest[i + len(gaps)], "unrelated": heaviest[i + 2 * len(gaps)]},
            )
            for i, triple in enumerate(paraphrases)
        ]

    arms = {
        "plain mixture": nearer(plain.inputs),
        "than to any prompt": nearer(study.inputs, any_prompt=True),
    }
    return Evidence(nearer(study.inputs), arms)

"""Do concept tokens of like meaning lie alike?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.prompts import Fact
from fixtures.sources import FILE, STUDY
from fixtures.words import nearest_by_cosine
from vsg_core import (
    ConceptWriter,
    Evidence,
    LanguageModel,
    Trial,
    at_least,
    claim,
    control,
    more,
    mostly,
    not_mostly,
    presets,
    torch,
    trials,
    write_concepts,
)

if TYPE_CHECKING:
    from torch import Tensor

NEXT_STEPS, HYPOTHESIS = "conversations_and_artifacts/Claude-2.md", "docs/hypothesis.md"


@claim(
    'concept("Paris") - concept("France") + concept("Germany") is nearest to concept("Berlin"), for most countries',
    source=STUDY(f"{NEXT_STEPS}: Test semantic arithmetic", FILE + NEXT_STEPS),
    reported="proposed there as a next step, with no definition of the concept of a word; it was not run",
    rule=mostly(),
    controls={
        'concept("Germany") alone': control(not_mostly(), "the country's concept, without the premise's two")
    },
    comparisons={
        "the concept's heaviest token is the word": "whether the heaviest token of each is the first of its word",
        "tokens' own embeddings": "the same sums of the embeddings of the words' first tokens",
        "nearest of all tokens": "whether the nearest token, premises left out, is the first of the capital",
    },
)
def test_paris_minus_france_plus_germany_is_berlin(
    lm: LanguageModel, facts: list[Fact], spellings: dict[str, list[int]]
) -> Evidence:
    """Add the concepts of words, each the study's concept token where the model is about to write that word.

    concept("Berlin") comes after "The capital of Germany is", concept("Germany") after "Berlin is the capital of".
    Only countries of whose two concepts the word is the heaviest token; for others the model writes no concept of
    the word. The first of them, France if it is one, is the premise. A country succeeds when, by cosine, the sum is
    nearest to the concept of its own capital among those of all: chance is under 3 %.
    """
    pairs = [("France", "Paris")]
    pairs += [(fact.subject, fact.answer) for fact in facts if fact.relation == "capital"]
    words = [b for _, b in pairs] + [a for a, _ in pairs]
    prompts = [f"The capital of {a} is" for a, _ in pairs] + [f"{b} is the capital of" for _, b in pairs]
    tokens = [int(lm.tokenize(f" {word}", special=False)[0]) for word in words]
    vectors, written = concepts_of(lm, prompts, tokens)
    both = zip(written[: len(pairs)], written[len(pairs) :], strict=True)
    kept = [row for row, (capital, country) in enumerate(both) if capital.success and country.success]
    at_least(41, kept, f"countries of which {lm.name} writes both concepts, the premise included")
    premise, *named = [pairs[row] for row in kept]
    capitals, countries, sums = kept_sums(vectors, kept)
    own_capitals, _, own_sums = kept_sums(lm.embed(torch.tensor(tokens)), kept)
    left_out = [[i for word in (*premise, a) for i in spellings.get(word.lower(), [])] for a, _ in named]
    nearest = nearest_by_cosine(lm, sums, left_out)
    arms = {
        "the concept's heaviest token is the word": written,
        'concept("Germany") alone': nearest_capitals(named, countries, capitals),
        "tokens' own embeddings": nearest_capitals(named, own_sums, own_capitals),
        "nearest of all tokens": trials(
            [f"{a}: {b}" for a, b in named],
            output=[repr(lm.token(token)) for token in nearest],
            success=[token == tokens[row] for token, row in zip(nearest, kept[1:], strict=True)],
        ),
    }
    return Evidence(nearest_capitals(named, sums, capitals), arms)


def concepts_of(lm: LanguageModel, prompts: list[str], tokens: list[int]) -> tuple[Tensor, list[Trial]]:
    """Write a concept token per prompt: vectors [prompts, hidden], and whether the heaviest tokens are those given."""
    concepts = [trace.steps[0] for trace in write_concepts(lm, prompts, mixing=presets.STUDY)]
    named = trials(
        prompts,
        output=[repr(lm.token(concept.token_id)) for concept in concepts],
        success=[concept.token_id == token for concept, token in zip(concepts, tokens, strict=True)],
        mixture=[concept.mixture.spelled(lm) for concept in concepts],
    )
    return torch.stack([concept.vector for concept in concepts]), named


def kept_sums(vectors: Tensor, kept: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """[capitals, then countries, hidden] -> capitals, countries, sums of all kept but the first, the premise."""
    capitals, countries = (rows[kept] for rows in vectors.float().split(len(vectors) // 2))
    return capitals[1:], countries[1:], countries[1:] + capitals[0] - countries[0]


def nearest_capitals(named: list[tuple[str, str]], sums: Tensor, capitals: Tensor) -> list[Trial]:
    """Compare each country's sum [hidden] with all capitals by cosine; a success is nearest to its own."""
    directions, others = (torch.nn.functional.normalize(rows, dim=-1) for rows in (sums, capitals))
    nearest = (directions @ others.T).argmax(-1).tolist()
    return trials(
        [f"{a}: {b}" for a, b in named],
        output=[named[near][1] for near in nearest],
        success=[near == row for row, near in enumerate(nearest)],
    )


@claim(
    "A prompt's concept token is nearer to that of a paraphrase than to that of an unrelated prompt that ends alike",
    source=STUDY(f"{HYPOTHESIS}, Why This Would Emerge", FILE + HYPOTHESIS),
    reported="similar concepts should have similar vectors; expected, not measured",
    # Distances are in norms of the vectors: a twentieth of one, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="token norms",
    comparisons={
        "plain mixture": "mixtures of the plain probabilities, neither cut nor sharpened, in place of the study's",
        "than to any prompt": "the paraphrase of the line before in place of the unrelated prompt",
    },
    no_control="the value already compares with the distance to an unrelated prompt that ends in the same words",
)
def test_paraphrases_have_nearer_concept_tokens(
    lm: LanguageModel, paraphrases: list[tuple[str, str, str]]
) -> Evidence:
    """Value: L2 distance to the unrelated prompt's concept token minus that to the paraphrase's, in mean token norms.

    The unrelated prompt ends in the same words as the paraphrase, so that what such an ending asks for cannot
    bring the two wordings together. That two wordings often share the most probable word is what the claim says,
    not something to correct for.
    """
    prompts = [prompt for column in zip(*paraphrases, strict=True) for prompt in column]
    logits, rows = lm.next_logits(prompts), torch.arange(len(prompts))
    study, plain = (ConceptWriter(lm, mixing)(logits, rows, 0) for mixing in (presets.STUDY, presets.PLAIN))
    heaviest = [repr(lm.token(concept.token_id)) for concept in study.kept]
    n = len(paraphrases)

    def nearer(vectors: Tensor, any_prompt: bool = False) -> list[Trial]:
        # Each [prompts, hidden]
        first, same, other = (vectors.float() / lm.embedding_norm).split(n)
        other = same.roll(1, 0) if any_prompt else other
        return trials(
            map(" / ".join, paraphrases),
            output=heaviest[:n],
            value=(first - other).norm(dim=-1) - (first - same).norm(dim=-1),
            outputs={"paraphrase": heaviest[n : 2 * n], "unrelated": heaviest[2 * n :]},
        )

    any_prompt = nearer(study.inputs, any_prompt=True)
    return Evidence(
        nearer(study.inputs), {"plain mixture": nearer(plain.inputs), "than to any prompt": any_prompt}
    )

"""Do concept tokens of like meaning lie alike?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fixtures.capitals import SHOWN
from fixtures.draws import Draw
from fixtures.pools.paraphrases import Paraphrase
from fixtures.sources import FILE, STUDY
from fixtures.words import nearest_by_cosine
from vsg_core import (
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
    lm: LanguageModel, capitals: list[tuple[str, str]], spellings: dict[str, list[int]]
) -> Evidence:
    """Add the concepts of words, each the study's concept token where the model is about to write that word.

    concept("Berlin") comes where a list of countries and their capitals has reached "Germany -", concept("Germany")
    where a list of capitals and their countries has reached "Berlin -"; each list begins with three others. Only
    countries of whose two concepts the word is the heaviest token; for others the model writes no concept of the word.
    The first of them, France if it is one, is the premise. A country succeeds when, by cosine, the sum is nearest to
    the concept of its own capital among those of all: chance is under 3 %.
    """
    words = [b for _, b in capitals] + [a for a, _ in capitals]
    shown, turned = (", ".join(f"{a} - {b}" for a, b in own) for own in (SHOWN, [(b, a) for a, b in SHOWN]))
    prompts = [f"Countries and their capitals: {shown}, {a} -" for a, _ in capitals]
    prompts += [f"Capitals and their countries: {turned}, {b} -" for _, b in capitals]
    tokens = [int(lm.tokenize(f" {word}", special=False)[0]) for word in words]
    vectors, written = concepts_of(lm, prompts, tokens)
    both = zip(written[: len(capitals)], written[len(capitals) :], strict=True)
    kept = [row for row, (capital, country) in enumerate(both) if capital.success and country.success]
    at_least(41, kept, f"countries of which {lm.name} writes both concepts, the premise included")
    premise, *named = [capitals[row] for row in kept]
    of_capitals, of_countries, sums = kept_sums(vectors, kept)
    own_capitals, _, own_sums = kept_sums(lm.embed(torch.tensor(tokens)), kept)
    left_out = [[i for word in (*premise, a) for i in spellings.get(word.lower(), [])] for a, _ in named]
    nearest = nearest_by_cosine(lm, sums, left_out)
    arms = {
        "the concept's heaviest token is the word": written,
        'concept("Germany") alone': nearest_capitals(named, of_countries, of_capitals),
        "tokens' own embeddings": nearest_capitals(named, own_sums, own_capitals),
        "nearest of all tokens": trials(
            [f"{a}: {b}" for a, b in named],
            output=[repr(lm.token(token)) for token in nearest],
            success=[token == tokens[row] for token, row in zip(nearest, kept[1:], strict=True)],
        ),
    }
    return Evidence(nearest_capitals(named, sums, of_capitals), arms)


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


UNRELATED, EQUAL_TOO = "than to an unrelated prompt", "equal heaviest tokens too"


@claim(
    "Where heaviest tokens differ, a prompt's concept token is nearer to a paraphrase's than to that of another "
    "sentence in the paraphrase's wording",
    source=STUDY(f"{HYPOTHESIS}, Why This Would Emerge", FILE + HYPOTHESIS),
    reported="similar concepts should have similar vectors; expected, not measured",
    # Distances are in norms of the vectors: a twentieth of one, as 5 points of a rate.
    rule=more(matters=0.05),
    unit="token norms",
    comparisons={
        UNRELATED: "a prompt about something else that ends in the same word, in place of the other sentence",
        EQUAL_TOO: "pairs included in which the prompt's heaviest token is that of the paraphrase or of another prompt",
    },
    no_control="the value already compares with the distance to a sentence that shares all but the meaning",
)
def test_paraphrases_have_nearer_concept_tokens(
    lm: LanguageModel, draw_paraphrases: Draw[Paraphrase]
) -> Evidence:
    """Value: L2 distance to the other sentence's concept token minus that to the paraphrase's, in mean token norms.

    The other sentence is the next one drawn with the same two wordings, about another act or person, so that neither
    the wording nor how it ends can bring a prompt and its paraphrase together. Where two prompts have the same heaviest
    token their vectors are close for that reason alone, so prompts are left out whose heaviest token is that of the
    paraphrase, of the other sentence or of the unrelated prompt.
    """
    drawn = draw_paraphrases(240)
    followed = next_in_wording(drawn)
    rows = [row for row, following in enumerate(followed) if following is not None]
    columns = [
        [drawn[row].prompt for row in rows],
        [drawn[row].same for row in rows],
        [following.same for following in followed if following is not None],
        [drawn[row].other for row in rows],
    ]
    # Each pair of wordings has one unrelated prompt, which comes again and again.
    texts = list(dict.fromkeys(text for column in columns for text in column))
    traces = write_concepts(lm, texts, mixing=presets.STUDY)
    concepts = {text: trace.steps[0] for text, trace in zip(texts, traces, strict=True)}
    spelled = [[repr(lm.token(concepts[text].token_id)) for text in column] for column in columns]
    first, same, another, other = (
        torch.stack([concepts[text].vector for text in column]).float() / lm.embedding_norm
        for column in columns
    )  # each [rows, hidden]
    by_another, by_unrelated = (
        ((first - far).norm(dim=-1) - (first - same).norm(dim=-1)).tolist() for far in (another, other)
    )
    apart = [row for row, (own, *others) in enumerate(zip(*spelled, strict=True)) if own not in others]
    shown = [" / ".join(each) for each in zip(*columns, strict=True)]

    def arm(values: list[float], rows: Iterable[int]) -> list[Trial]:
        return [
            Trial(
                shown[row],
                spelled[0][row],
                value=values[row],
                outputs={
                    "paraphrase": spelled[1][row],
                    "other sentence": spelled[2][row],
                    "unrelated": spelled[3][row],
                },
            )
            for row in rows
        ]

    at_least(40, apart, "prompts whose heaviest token is that of none of the others")
    return Evidence(
        arm(by_another, apart),
        {UNRELATED: arm(by_unrelated, apart), EQUAL_TOO: arm(by_another, range(len(shown)))},
    )


def next_in_wording(drawn: Sequence[Paraphrase]) -> list[Paraphrase | None]:
    """For each item the next one in the same two wordings, after the last one the first; None for one alone."""
    rows: dict[str, list[int]] = {}
    for row, item in enumerate(drawn):
        rows.setdefault(item.other, []).append(row)
    following: list[Paraphrase | None] = [None] * len(drawn)
    for own in rows.values():
        for row, after in zip(own, own[1:] + own[:1], strict=True):
            following[row] = drawn[after] if after != row else None
    return following

"""The claims on models that take text alone, on models whose answers are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import pytest

from fixtures.described import fits
from fixtures.nearest_text import Continued
from fixtures.pools.noun_pairs import NOUN_PAIRS
from fixtures.pools.openings import OPENINGS
from fixtures.pools.pool import Pool
from fixtures.prompts import read_data
from hypotheses import test_described_mixtures as claims
from vsg_core import Likely, NotApplicable, Reply
from vsg_core.judge.judging import Judgement, judge

if TYPE_CHECKING:
    from fixtures.draws import Draw
    from vsg_core import TextModel

KINDS = {noun: kind for kind, nouns in read_data("pool_nouns").items() for noun in nouns}


def drawing(pool: Pool[Any], keeps: Callable[[Any], bool] = lambda item: True) -> Draw[Any]:
    """Draw the first items of a share that can be used."""
    items = list(filter(keeps, pool.share("a test")))

    def draw(trials: int, usable: Callable[[list[Any]], Iterable[bool]] | None = None) -> list[Any]:
        taken = [True] * len(items) if usable is None else usable(items)
        return [item for item, can in zip(items, taken, strict=True) if can][:trials]

    return cast("Draw[Any]", draw)


class Scripted:
    """A model whose answers are functions of the text.

    Args:
        says: the reply to a question.
        lists: the next tokens after a text.
        writes: the continuation of a text, with its seed and its bias.
    """

    name, kind, most_listed = "scripted", "instruct", 20

    def __init__(
        self,
        says: Callable[[str], str] = str,
        lists: Callable[[str], Likely] = lambda text: Likely((), ()),
        writes: Callable[[str, int | None, Mapping[str, float]], str] = lambda text, seed, bias: "",
    ) -> None:
        self.says, self.lists, self.writes = says, lists, writes

    def ask(self, questions: Sequence[str], max_tokens: int = 20) -> list[Reply]:
        return [Reply(self.says(each), "end") for each in questions]

    def likely(self, prompts: Sequence[str], most: int = 20) -> list[Likely]:
        return [self.lists(each) for each in prompts]

    def complete(
        self,
        prompts: Sequence[str],
        max_tokens: int = 20,
        *,
        seed: int | None = None,
        bias: Sequence[Mapping[str, float]] | None = None,
        fresh: bool = False,
    ) -> list[Reply]:
        each = bias or [{}] * len(prompts)
        return [
            Reply(self.writes(prompt, seed, added), "length")
            for prompt, added in zip(prompts, each, strict=True)
        ]


def judged(function: Any, model: Scripted, *draws: Draw[Any]) -> Judgement:
    """The judgement of a claim on a scripted model."""
    return judge(function.claim, function(cast("TextModel", model), *draws))


def weighed(question: str) -> list[tuple[int, str]]:
    """The weights and the nouns of a question, in their order."""
    return [(int(weight), noun) for weight, noun in re.findall(r"(\d+) % (\w+)", question)]


def by_weight(question: str) -> str:
    """Name the kind of the heaviest noun."""
    return KINDS[max(weighed(question))[1]]


def by_order(question: str) -> str:
    """Name the kind of the noun that comes first, whatever its weight."""
    return KINDS[weighed(question)[0][1]]


@pytest.mark.parametrize(
    ("says", "verdict"),
    [(by_weight, "holds"), (by_order, "refuted"), (lambda question: "It depends.", "not run")],
)
def test_a_model_names_the_heavier_kind_only_if_it_uses_the_weights(
    says: Callable[[str], str], verdict: str
) -> None:
    draw = drawing(NOUN_PAIRS, fits)
    function = claims.test_described_mixture_names_its_heavier_kind
    assert judged(function, Scripted(says=says), draw).verdict == verdict


def repeated(opening: str) -> str:
    """Four copies in a row, the last one without its last word."""
    return f"{opening}. {opening}. {opening}. {opening}.".rsplit(" ", 1)[0]


def test_the_entropy_counts_by_the_end_that_hurts() -> None:
    """After openings eight tokens of 0.1: 3 bits or more; after repeated ones one of 0.99."""
    texts = {repeated(opening.text) for opening in OPENINGS.share("a test")}
    wide, sure = Likely(tuple(f" w{i}" for i in range(8)), (0.1,) * 8), Likely((" a",), (0.99,))
    function, draw = claims.test_forks_have_more_than_two_bits, drawing(OPENINGS)
    listed = Scripted(lists=lambda text: sure if text in texts else wide)
    assert judged(function, listed, draw).verdict == "holds"
    two = Likely((" a", " b"), (0.5, 0.495))
    assert judged(function, Scripted(lists=lambda text: two), draw).verdict == "refuted"
    # A fifth is not listed: one token after the openings, or a hundred thousand.
    open_ends = Likely((" a", " b"), (0.4, 0.4))
    short = Scripted(lists=lambda text: sure if text in texts else open_ends)
    assert judged(function, short, draw).verdict == "inconclusive"
    assert judged(function, Scripted(lists=lambda text: wide), draw).verdict == "inconclusive"


def test_the_entropy_cannot_be_judged_where_the_list_leaves_most_repeated_openings_open() -> None:
    """After these 0.8 are listed: with the rest on one token 1.5 bits, spread out 5.1."""
    draw = drawing(OPENINGS)
    texts = [repeated(opening.text) for opening in draw(80)]
    wide, sure = Likely(tuple(f" w{i}" for i in range(8)), (0.1,) * 8), Likely((" a",), (0.99,))

    def judgement(known: int) -> Judgement:
        lists = dict.fromkeys(texts, Likely((" a", " b"), (0.4, 0.4))) | dict.fromkeys(texts[:known], sure)
        listed = Scripted(lists=lambda text: lists.get(text, wide))
        return judged(claims.test_forks_have_more_than_two_bits, listed, draw)

    assert judgement(60).verdict == "holds"
    assert judgement(40).verdict == "inconclusive"
    with pytest.raises(
        NotApplicable, match=r"^39 of 80 repeated openings .* the 20 tokens that scripted lists"
    ):
        judgement(39)


@pytest.mark.parametrize(
    ("heavier", "lighter", "verdict"),
    [(0.9, 0.9, "holds"), (0.4, 0.9, "refuted"), (0.9, 0.2, "inconclusive")],
)
def test_the_blend_is_compared_with_the_heavier_branch(heavier: float, lighter: float, verdict: str) -> None:
    """Of 0.35 and 0.25: the heavier branch's top has 0.58 of its own, the lighter one's 0.42 of its own."""

    def lists(text: str) -> Likely:
        if text.endswith(" had"):
            return Likely((" x",), (heavier,))
        if text.endswith(" was"):
            return Likely((" y",), (lighter,))
        return Likely((" had", " was"), (0.35, 0.25))

    keeps = lambda opening: not opening.text.endswith((" had", " was"))  # noqa: E731
    function = claims.test_blend_says_what_its_heavier_branch_says
    assert judged(function, Scripted(lists=lists), drawing(OPENINGS, keeps)).verdict == verdict


@pytest.mark.parametrize(
    ("follows", "same_weights", "verdict"),
    [
        ("near", True, "holds"),
        ("prompt", True, "refuted"),
        ("near", False, "not run"),
        ("any", True, "inconclusive"),
    ],
)
def test_text_is_compared_with_what_the_weights_write_after_vectors(
    monkeypatch: pytest.MonkeyPatch, follows: str, same_weights: bool, verdict: str
) -> None:
    """A model that goes by the nearest tokens; by the opening alone; of other weights; one that says one thing."""

    def written(text: str) -> str:
        return {"near": f" after {text[-4:]}", "prompt": text, "any": " so"}[follows]

    found = [
        Continued(
            f"p{i:03}",
            f" n{i:02}",
            f" g{i:02}",
            written(f" n{i:02}"),
            written(f"p{i:03} g{i:02}"),
            [("n", 1.0)],
        )
        for i in range(80)
    ]
    monkeypatch.setattr(claims, "draw_continued", lambda *given: found)
    writes = lambda text, seed, bias: written(text) if same_weights else "other"  # noqa: E731
    function = claims.test_nearest_text_continues_like_the_vectors
    nothing = cast("Any", None)
    assert judged(function, Scripted(writes=writes), nothing, nothing).verdict == verdict


def test_a_model_that_wavers_is_told_from_one_that_does_not() -> None:
    asked: list[str] = []

    def steady(text: str, seed: int | None, bias: Mapping[str, float]) -> str:
        return f"{text} {seed}"

    def wavers(text: str, seed: int | None, bias: Mapping[str, float]) -> str:
        asked.append(text)
        return f"{text} {len(asked)}"

    function = claims.test_same_request_gives_the_same_text
    assert judged(function, Scripted(writes=steady), drawing(OPENINGS)).verdict == "holds"
    assert judged(function, Scripted(writes=wavers), drawing(OPENINGS)).verdict == "refuted"
    deaf = Scripted(writes=lambda text, seed, bias: text.lower())
    assert judged(function, deaf, drawing(OPENINGS)).verdict == "inconclusive"


def test_a_bias_is_compared_with_the_written_word() -> None:
    """A model that a bias leads to the word and that then goes on as after it; one that repeats the word."""

    def lists(text: str) -> Likely:
        if text.endswith(" had"):
            return Likely((" x",), (0.9,))
        if re.search(" w[a-p]{6}$", text):
            return Likely((" z",), (0.9,))
        # A word of each opening's own, in letters.
        digest = sha256(text.encode()).hexdigest()[:6]
        second = " w" + digest.translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))
        return Likely((" had", second), (0.35, 0.25))

    def follows(text: str, seed: int | None, bias: Mapping[str, float]) -> str:
        return "".join(bias) + " then"

    def repeats(text: str, seed: int | None, bias: Mapping[str, float]) -> str:
        return "".join(bias) * 2 if bias else " then"

    keeps = lambda opening: lists(opening.text).tokens[0] == " had"  # noqa: E731
    function = claims.test_bias_steers_like_the_word_itself
    assert (
        judged(function, Scripted(lists=lists, writes=follows), drawing(OPENINGS, keeps)).verdict == "holds"
    )
    assert (
        judged(function, Scripted(lists=lists, writes=repeats), drawing(OPENINGS, keeps)).verdict == "refuted"
    )

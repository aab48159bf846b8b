"""Are the tokens of a mixture rival answers or rival wordings?"""

from __future__ import annotations

import re

from vsg_core import Evidence, NotApplicable, Trial, claim, difference, torch

MIXED = 5  # tokens of a mixture that are looked at
STAND_INS = 20  # random tokens in the place of each
ANSWER_TOKENS = 12  # greedy tokens in which a branch must name its answer
FEWEST = 40  # prompts that a verdict on branches rests on


@claim(
    "The most probable tokens of a mixture are nearer to each other than random tokens of like frequency and form",
    source="Soft Thinking, arXiv 2505.15778, abstract",
    link="https://arxiv.org/abs/2505.15778",
    reported="each concept token is said to encapsulate multiple meanings from related discrete tokens",
    rule=difference(above=0.05),
    controls={"in the untrained twin": difference(below=0.05)},
    comparisons=["with the hidden state's direction", "over the tokens of another prompt"],
)
def test_mixed_tokens_are_related(lm, open_prompts, generator):
    """Value: mean cosine between the five most probable tokens' static embeddings, minus that of stand-ins, both
    without their component along the last hidden state.

    Where the head is the table, the most probable tokens all lie along one hidden state, and so near each other,
    whatever they mean: that direction is taken off, and shown in a comparison. A stand-in is drawn from the 100
    tokens next to the token by id among those of its form (word beginning or not, letters or not, capital or not):
    BPE ids follow the order of merges, a rough proxy of frequency. Control: the same model with random weights.
    Related means whatever embeddings hold, parts of speech included: another comparison takes off the cosine with
    another prompt's tokens.
    """
    with lm.untrained() as twin:
        untrained = relatedness(twin, open_prompts, generator)[0]
    trials, along, others = relatedness(lm, open_prompts, generator)
    arms = {"with the hidden state's direction": along, "over the tokens of another prompt": others}
    return Evidence(trials, {"in the untrained twin": untrained, **arms})


def relatedness(lm, prompts, generator):
    """Trials on the tokens of each prompt, against stand-ins: without the hidden state's direction and with it, and
    (without it) against the tokens of the prompt before.
    """
    top = lm.next_logits(prompts).topk(MIXED).indices  # [prompts, MIXED]
    forms = tokens_by_form(lm)
    stand_ins = torch.tensor([like_tokens(lm, ids, forms, generator) for ids in top.tolist()]).to(lm.device)
    hidden = torch.nn.functional.normalize(lm.hidden_states(prompts)[:, -1].to(lm.device).float(), dim=-1)
    own, drawn = (
        lm.embedding_table[ids].float() for ids in (top, stand_ins)
    )  # [prompts, (STAND_INS,) MIXED, hidden]
    with_it = mean_cosine(directions(own)) - mean_cosine(directions(drawn)).mean(-1)  # [prompts]
    own = directions(own, but=hidden[:, None])
    drawn = directions(drawn, but=hidden[:, None, None])
    within, among_drawn = mean_cosine(own), mean_cosine(drawn).mean(-1)  # each [prompts]
    across = own @ own.roll(1, 0).mT  # [prompts, MIXED, MIXED]
    different = top.unsqueeze(-1) != top.roll(1, 0).unsqueeze(-2)
    across = (across * different).sum((-1, -2)) / different.sum((-1, -2))  # [prompts]
    trials, along, others = [], [], []
    for i, prompt in enumerate(prompts):
        tokens, set_in = (names(lm, ids.tolist()) for ids in (top[i], stand_ins[i, 0]))
        inputs = {"cosine": within[i].item(), "stand-ins' cosine": among_drawn[i].item()}
        value = (within[i] - among_drawn[i]).item()
        outputs = {"one set of stand-ins": set_in}
        trials.append(Trial(prompt, output=tokens, value=value, inputs=inputs, outputs=outputs))
        along.append(Trial(prompt, output=tokens, value=with_it[i].item()))
        others.append(Trial(prompt, output=tokens, value=(within[i] - across[i]).item()))
    return trials, along, others


def directions(rows, but=None):
    """[..., hidden] vectors as unit vectors; without their component along the unit vectors `but`, if given."""
    if but is not None:
        rows = rows - (rows * but).sum(-1, keepdim=True) * but
    return torch.nn.functional.normalize(rows, dim=-1)


def mean_cosine(rows):
    """[..., n, hidden] unit vectors -> [...] mean cosine over the pairs of different rows."""
    n = rows.shape[-2]
    return (rows.sum(-2).square().sum(-1) - n) / (n * (n - 1))


def names(lm, ids):
    """Tokens as a person reads them."""
    return ", ".join(repr(lm.token(token)) for token in ids)


def form(token):
    """Whether a token of the vocabulary begins a word, is of letters, and has a capital."""
    bare = token.lstrip("Ġ▁")
    return bare != token, bare.isascii() and bare.isalpha(), bare[:1].isupper()


def tokens_by_form(lm):
    """The ids of all tokens of each form, in order."""
    forms: dict[tuple[bool, bool, bool], list[int]] = {}
    tokens = lm.tokenizer.convert_ids_to_tokens(lm.token_ids)
    for token_id, token in zip(lm.token_ids, tokens, strict=True):
        forms.setdefault(form(token), []).append(token_id)
    return forms


def like_tokens(lm, ids, forms, generator):
    """STAND_INS sets of tokens, each of the form of one of `ids` and near it by id, and none of them among `ids`."""
    import bisect

    columns = []
    for token_id, token in zip(ids, lm.tokenizer.convert_ids_to_tokens(ids), strict=True):
        peers = forms[form(token)]
        place = bisect.bisect(peers, token_id)
        near = [peer for peer in peers[max(0, place - 51) : place + 50] if peer not in ids]
        columns.append(
            [near[pick] for pick in torch.randint(len(near), (STAND_INS,), generator=generator).tolist()]
        )
    return list(zip(*columns, strict=True))


@claim(
    "The second most probable token after a factual prompt leads to a rival answer more often than to the same one",
    source="abstractionlair/vector-space-generation, README, Results",
    link="https://github.com/abstractionlair/vector-space-generation#results",
    reported="superpositions of truly different potential responses: Paris, located on a river, a popular destination; "
    "only the first of the three names an answer",
    rule=difference(above=0.0),
    comparisons=["rival answers", "the same answer again", "no answer named"],
)
def test_second_token_leads_to_a_rival_answer(lm, facts):
    """Value: 1 where the second branch names another answer than the first, -1 where it names the same, else 0.

    A branch is the prompt, its most or second most probable token, and greedy tokens up to 12 in all; its answer
    is the one that its first clause names of all answers of that kind (cities, languages, months, ...), right or
    wrong. What comes after is another sentence ("Finnish. However, Swedish"), or the options of a quiz, and no answer
    of the second token's. The study's own example counts 0: "located on a river" is no rival capital. Only prompts
    whose first branch names an answer.
    """
    prompts = [lm.tokenize(fact.prompt) for fact in facts]
    top = lm.next_logits(prompts).softmax(-1).topk(2)  # each [facts, 2]
    branches = []
    for column in range(2):
        heads = [torch.cat([p, token]) for p, token in zip(prompts, top.indices[:, [column]], strict=True)]
        replies = lm.generate(heads, max_new_tokens=ANSWER_TOKENS - 1)
        starts = top.indices[:, column].tolist()
        branches.append(
            [lm.decode([start, *reply.ids]) for start, reply in zip(starts, replies, strict=True)]
        )
    trials = []
    for fact, first, second, pair in zip(facts, *branches, top.values.tolist(), strict=True):
        answer, other = first_named(fact, first), first_named(fact, second)
        if answer is not None:
            value = 0 if other is None else -1 if other == answer else 1
            inputs = {"answer": answer, "second answer": other, "probabilities": pair}
            trials.append(
                Trial(fact.prompt, second, value=value, inputs=inputs, outputs={"first branch": first})
            )
    if len(trials) < FEWEST:
        raise NotApplicable(f"{lm.name} names an answer after {len(trials)} facts only, {FEWEST} are needed")
    arms = {"rival answers": 1, "the same answer again": -1, "no answer named": 0}
    shares = {
        name: [Trial(trial.prompt, trial.output, success=trial.value == kind) for trial in trials]
        for name, kind in arms.items()
    }
    return Evidence(trials, shares)


def first_named(fact, text):
    """The answer of the fact's relation that a text's first clause names first, the subject left out; None for none."""
    found = {}
    clause = re.split(r"[.,;:?!\n]", text, maxsplit=1)[0]
    for answer in fact.answers:
        match = re.search(rf"\b{re.escape(answer)}\b", clause)  # "may" is no month
        if match and answer != fact.subject:
            found[match.start()] = answer
    return found[min(found)] if found else None

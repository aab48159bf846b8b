"""What kind of vectors are concept tokens?"""

from __future__ import annotations

from vsg_core import (
    ConceptWriter,
    Evidence,
    Mixture,
    Trial,
    claim,
    decompose,
    difference,
    entropy_bits,
    nearest_tokens,
    presets,
    rate,
    top_k_ids,
    torch,
)

STUDY = "abstractionlair/vector-space-generation"
README = "https://github.com/abstractionlair/vector-space-generation"
OUTPUT = f"{README}/blob/main/conversations_and_artifacts"
COMPONENTS = (2, 4, 8, 16, 64, 128)  # beside the 32 of the claim
COMPARED = 20  # prompts in arms that decide nothing


@claim(
    "A mixture of 32 tokens can be taken apart into its tokens and weights, from its vector alone",
    source=f"{STUDY}, README, Results",
    link=f"{README}#results",
    reported="three tokens read off a mixture of 50: Paris, located, a; how many the vector itself keeps was not asked",
    rule=rate(above=0.9, trials=100),
    controls={"the tokens after another prompt": rate(below=0.5)},
    comparisons=[*(f"{k} tokens" for k in COMPONENTS), "32 random directions"],
)
def test_mixtures_of_32_tokens_can_be_taken_apart(lm, open_prompts, open_logits, generator):
    """A mixture succeeds when 90 % of its weight is found on the right tokens.

    Its tokens are the 32 most probable after a prompt; its weights are drawn uniformly from all that sum to 1, as
    the model's own leave nearly all to a few. The reader is greedy, so that this is the least that can be found.
    "32 random directions" are mixed from a table whose rows have the same norms and random directions: what is
    found there too is about vectors, not about the model. Control: the 32 tokens after another prompt, with their
    own weights, must not be found.
    """
    draws = torch.empty(len(open_prompts), max(COMPONENTS)).exponential_(generator=generator)
    whole = take_apart(lm, lm.embedding_table, open_prompts, open_logits, draws[:, :32])
    others = [
        Trial(trial.prompt, success=trial.inputs["share found after another prompt"] >= 0.9)
        for trial in whole
    ]
    few = open_prompts[:COMPARED], open_logits[:COMPARED]
    arms = {f"{k} tokens": take_apart(lm, lm.embedding_table, *few, draws[:COMPARED, :k]) for k in COMPONENTS}
    table = random_directions(lm, generator)
    random = take_apart(lm, table, *few, draws[:COMPARED, :32])
    return Evidence(
        whole, {"the tokens after another prompt": others, **arms, "32 random directions": random}
    )


def random_directions(lm, generator):
    """[vocab, hidden] rows of the norms of the model's table, in random directions."""
    return lm.noise_like(lm.embedding_table.float(), generator)


def take_apart(lm, table, prompts, logits, draws):
    """A trial for each prompt: its k most probable tokens, mixed with `draws` [prompts, k] for weights."""
    ids = top_k_ids(logits, draws.shape[-1])  # [prompts, k]
    weights = (draws / draws.sum(-1, keepdim=True)).sort(descending=True).values.to(lm.device)
    vectors = (weights.unsqueeze(-1) * table[ids].float()).sum(1)  # [prompts, hidden]
    read = decompose(lm, vectors, most=2 * ids.shape[-1], table=table)
    mixed = [
        Mixture(tuple(tokens), tuple(true))
        for tokens, true in zip(ids.tolist(), weights.tolist(), strict=True)
    ]
    trials = []
    for i, (prompt, true, found) in enumerate(zip(prompts, mixed, read, strict=True)):
        right, elsewhere = (one.overlap(found.normalised()) for one in (true, mixed[i - 1]))
        inputs = {
            "mixture": true.spelled(lm),
            "tokens found": len(set(found.token_ids) & set(true.token_ids)),
            "share found": right,
            "share found after another prompt": elsewhere,
        }
        named = ", ".join(f"{token!r} {weight:.3f}" for token, weight in found.spelled(lm))
        trials.append(Trial(prompt, output=named, success=right >= 0.9, inputs=inputs))
    return trials


THIRDS = ("least peaked third", "middle third", "most peaked third")


@claim(
    "The token nearest to a concept token is its heaviest one, nearly always",
    source=f"{STUDY}, README, Results; the saved output and the log in conversations_and_artifacts",
    link=OUTPUT,
    reported="so in each of the vectors whose weights are printed, from 0.52 to 0.93 on the heaviest token",
    rule=rate(above=0.9, trials=100),
    controls={"after another prompt": rate(below=0.5)},
    comparisons=[*THIRDS, "by cosine", "by centred cosine", "plain mixture"],
)
def test_nearest_token_is_the_heaviest(lm, open_prompts, open_logits):
    """By L2 distance, as in the study, with its mixing; the thirds are of the prompts by the heaviest weight.

    The control holds the token nearest to another prompt's vector against this prompt's heaviest token. The
    plain mixture is of all tokens at temperature 1, and so the least peaked.
    """
    rows = torch.arange(len(open_prompts))
    study, plain = (
        ConceptWriter(lm, mixing)(open_logits, rows, 0) for mixing in (presets.STUDY, presets.PLAIN)
    )
    nearest = nearest_tokens(lm, study.inputs)[0].tolist()
    trials = nearest_trials(lm, open_prompts, study.kept, nearest)
    by_peak = sorted(range(len(trials)), key=lambda i: study.kept[i].mixture.weights[0])
    cuts = [len(trials) * part // 3 for part in range(4)]
    arms = {name: [trials[i] for i in by_peak[cuts[n] : cuts[n + 1]]] for n, name in enumerate(THIRDS)}
    arms["after another prompt"] = nearest_trials(lm, open_prompts, study.kept, nearest[-1:] + nearest[:-1])
    for name, measure in {"by cosine": "cosine", "by centred cosine": "centred"}.items():
        by_angle = nearest_tokens(lm, study.inputs, by=measure)[0].tolist()
        arms[name] = nearest_trials(lm, open_prompts, study.kept, by_angle)
    arms["plain mixture"] = nearest_trials(
        lm, open_prompts, plain.kept, nearest_tokens(lm, plain.inputs)[0].tolist()
    )
    return Evidence(trials, arms)


def nearest_trials(lm, prompts, concepts, nearest):
    """A success where the nearest token is the heaviest."""
    return [
        Trial(prompt, repr(lm.token(near)), near == one.token_id, inputs={"mixture": one.mixture.spelled(lm)})
        for prompt, one, near in zip(prompts, concepts, nearest, strict=True)
    ]


@claim(
    "Mixtures shrink as entropy grows: of two, the one of more entropy keeps less of its tokens' norm, by more than 5 "
    "points on average",
    source=f"{STUDY}, src/qwen_concept_tokens.py: the norm is clipped at 1.5 times that of a token",
    link=f"{README}/blob/main/src/qwen_concept_tokens.py",
    reported="only norms above 1.5 token norms were expected to need care; the saved output has no norms",
    rule=difference(above=0.05),
    comparisons=["in mean token norms", "the same weights on random tokens"],
)
def test_mixtures_shrink_with_entropy(lm, open_prompts, open_logits, generator):
    """Prompts in pairs, as they follow each other in their list.

    Value: the mixture's norm over the weighted mean norm of its tokens, of the prompt with less entropy minus of
    that with more. Plain mixtures. That ratio never exceeds 1 and falls as weights spread, whatever the vectors:
    the direction is arithmetic, and only the size is the model's. It depends on how alike the mixed tokens are,
    which "the same weights on random tokens" shows. The other comparison is of the bare norm, where frequent
    tokens being short or long has a part.
    """
    weights = open_logits.softmax(-1)  # [prompts, vocab]
    tokens = lm.is_token.nonzero().flatten()
    scattered = torch.zeros_like(weights)
    scattered[:, tokens[torch.randperm(len(tokens), generator=generator).to(lm.device)]] = weights[:, tokens]
    norms = lm.mix(weights).float().norm(dim=-1)  # [prompts]
    kept = norms / (weights @ lm.embedding_norms)
    by_chance = lm.mix(scattered).float().norm(dim=-1) / (scattered @ lm.embedding_norms)
    bits = entropy_bits(open_logits)
    neighbours = zip(range(0, len(open_prompts), 2), range(1, len(open_prompts), 2), strict=True)
    pairs_by_bits = [(i, j) if bits[i] <= bits[j] else (j, i) for i, j in neighbours]

    def pairs(values):
        return [
            Trial(
                f"{open_prompts[low]} … / {open_prompts[high]} …",
                value=(values[low] - values[high]).item(),
                inputs={
                    "bits": [bits[low].item(), bits[high].item()],
                    "measured": [values[low].item(), values[high].item()],
                },
            )
            for low, high in pairs_by_bits
        ]

    arms = {
        "in mean token norms": pairs(norms / lm.embedding_norm),
        "the same weights on random tokens": pairs(by_chance),
    }
    return Evidence(pairs(kept), arms)

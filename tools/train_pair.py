"""Train the pair that calibrates retained shares: `make pair`, or `python -m tools.train_pair superposed` for one.

Both learn reachability in the same graphs (fixtures/reachability.py) with the same plan. The superposed model is fed
thoughts, mixtures of a frontier's nodes, and is supervised with the distribution of a walk after one more step, as in
arXiv 2505.23648. Its discrete twin is fed and supervised with the nodes of one sampled walk. Only training and
validation graphs are looked at.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fixtures.reachability import FIRST_NODE, FORK, PAD, VOCABULARY, Graph, Weights, graphs
from vsg_core.generator.reading.retention import retained_shares, separable
from vsg_core.weights.folders import folder_digest

FOLDER = Path(__file__).parent.parent / "fixtures" / "data" / "trained_pair"
KINDS = ("superposed", "discrete")


@dataclass(frozen=True)
class Plan:
    """Settings by which the pair is trained.

    Args:
        layers, width, heads: of a Llama.
        steps, batch: updates, and graphs in each.
        rate: highest learning rate, reached after `warmup` steps; then it falls to nearly 0 along a cosine.
        single: share of drawn thoughts that are a single node, when thoughts are mixtures.
        lightest: least weight of a node in a drawn thought.
        further: thoughts of any nodes after that of the fork.
        spread: standard deviation of the random weights.
        seed: of the weights and of the graphs.
    """

    layers: int = 2
    width: int = 64
    heads: int = 4
    steps: int = 5000
    batch: int = 64
    rate: float = 3e-3
    warmup: int = 200
    single: float = 0.25
    lightest: float = 0.1
    further: int = 6
    spread: float = 0.1
    seed: int = 0


def new_model(plan: Plan) -> LlamaForCausalLM:
    """Build a small Llama with random weights."""
    torch.manual_seed(plan.seed)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=plan.width,
        intermediate_size=4 * plan.width,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        max_position_embeddings=64,
        initializer_range=plan.spread,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=VOCABULARY.index(PAD),
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of the vocabulary, whose tokens are the words."""
    inner = Tokenizer(models.WordLevel({word: id for id, word in enumerate(VOCABULARY)}, unk_token=PAD))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token=PAD, unk_token=PAD)


def thought(nodes: list[int], plan: Plan, draws: random.Random) -> Weights:
    """Draw where a walk is among some nodes: at one of them, or at several with random weights."""
    if draws.random() < plan.single:
        return {draws.choice(nodes): 1.0}
    nodes = draws.sample(nodes, draws.randint(2, len(nodes)))
    shares = [draws.expovariate(1.0) for _ in nodes]
    room = 1 - plan.lightest * len(nodes)
    return {
        node: plan.lightest + room * share / sum(shares) for node, share in zip(nodes, shares, strict=True)
    }


def lesson(
    graph: Graph, plan: Plan, draws: random.Random, superposed: bool
) -> tuple[list[Weights], list[Weights]]:
    """Return what is fed after a prompt, and what is to be predicted from the start on.

    First the fork that the start leads to, then any nodes that have successors, which give each pass more to learn.
    """
    sources = sorted({source for source, _ in graph.edges})
    if superposed:
        fed = [thought(graph.successors(graph.start), plan, draws)]
        fed += [thought(draws.sample(sources, draws.choice(FORK)), plan, draws) for _ in range(plan.further)]
        return fed, [graph.after({graph.start: 1.0}), *map(graph.after, fed)]
    nodes = [
        draws.choice(graph.successors(graph.start)),
        *(draws.choice(sources) for _ in range(plan.further)),
    ]
    next_nodes = [nodes[0], *(draws.choice(graph.successors(node)) for node in nodes)]
    return [{node: 1.0} for node in nodes], [{node: 1.0} for node in next_nodes]


def as_rows(weights: list[list[Weights]]) -> torch.Tensor:
    """Weights of nodes -> [batch, steps, vocab] float32."""
    count, steps = len(weights), len(weights[0])
    flat = [each for one in weights for each in one]
    places = [i * len(VOCABULARY) + FIRST_NODE + node for i, step in enumerate(flat) for node in step]
    rows = torch.zeros(count * steps * len(VOCABULARY))
    rows[torch.tensor(places)] = torch.tensor([weight for step in flat for weight in step.values()])
    return rows.reshape(count, steps, len(VOCABULARY))


def next_logits(model: LlamaForCausalLM, ids: torch.Tensor, fed: torch.Tensor) -> torch.Tensor:
    """Prompts [batch, seq] and thoughts [batch, k, vocab] -> logits [batch, k + 1, vocab] from the start on."""
    table = model.get_input_embeddings().weight
    inputs = torch.cat([table[ids], fed @ table], dim=1)
    logits: torch.Tensor = model(
        inputs_embeds=inputs, use_cache=False, logits_to_keep=1 + fed.shape[1]
    ).logits
    return logits


def batches(plan: Plan, superposed: bool) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Draw prompts [batch, seq], thoughts [batch, k, vocab] and targets [batch, k + 1, vocab], without end."""
    drawn, draws = graphs("training", plan.seed), random.Random(plan.seed)
    while True:
        some = list(islice(drawn, plan.batch))
        lessons = [lesson(graph, plan, draws, superposed) for graph in some]
        ids = torch.tensor([graph.ids for graph in some])
        yield ids, as_rows([fed for fed, _ in lessons]), as_rows([targets for _, targets in lessons])


def train(plan: Plan, superposed: bool, save: Path, every: int = 500) -> LlamaForCausalLM:
    """Train one of the pair, with its weights saved and validated every `every` steps."""
    model = new_model(plan)
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01)
    rising = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / plan.warmup, total_iters=plan.warmup)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps - plan.warmup, plan.rate / 50)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimiser, [rising, falling], [plan.warmup])
    began, losses = time.perf_counter(), []
    for step, (ids, fed, targets) in enumerate(islice(batches(plan, superposed), plan.steps), 1):
        log_probabilities = next_logits(model, ids, fed).log_softmax(-1)
        loss = -(targets * log_probabilities).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own is untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        entropy = -(targets * targets.clamp(min=1e-9).log()).sum(-1).mean()
        losses.append((loss - entropy).item())
        if step % 100 == 0:
            recent = losses[-100:]
            print(
                f"{step} {time.perf_counter() - began:.0f} s, {sum(recent) / 100:.4f} nats above the targets",
                flush=True,
            )
        if step % every == 0 or step == plan.steps:
            keep(model, save)
            print(f"{step} {validate(model)}", flush=True)
    return model


def keep(model: LlamaForCausalLM, folder: Path) -> None:
    """Write a model's folder, its weights in float16."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.half().save_pretrained(folder)
    tokenizer().save_pretrained(folder)


@torch.no_grad()
def validate(model: LlamaForCausalLM, count: int = 400) -> str:
    """Describe the least retained shares on forks of validation graphs, by the weight of the lighter branch."""
    some = list(islice(graphs("validation"), count))
    ids = torch.tensor([graph.ids for graph in some])
    forks = [graph.successors(graph.start)[:2] for graph in some]
    branches = torch.stack(
        [
            next_logits(model, ids, as_rows([[{fork[side]: 1.0}] for fork in forks]))[:, -1].softmax(-1)
            for side in (0, 1)
        ],
        dim=1,
    )
    rows = separable(branches)
    words = [f"{int(rows.sum())} forks"]
    for light in (0.1, 0.2, 0.3, 0.4, 0.5):
        fed = as_rows([[{fork[0]: 1 - light, fork[1]: light}] for fork in forks])
        mixed = next_logits(model, ids, fed)[:, -1].softmax(-1)
        found = retained_shares(mixed[rows], branches[rows], torch.tensor([1 - light, light]))
        words.append(
            f"{light}: {found.least.median():.2f}, >0.8 {(found.least > 0.8).double().mean():.3f}, "
            f"<0.5 {(found.least < 0.5).double().mean():.3f}, residual {found.residual.median():.3f}"
        )
    return " | ".join(words)


def main(kinds: Sequence[str]) -> None:
    """Train the models of these kinds, both if none is named, and write their folders.

    On one thread, so that another run on the same machine gives the same weights. Write the digests that it prints
    into fixtures/trained_pair.py.
    """
    torch.set_num_threads(1)
    for kind in kinds or KINDS:
        train(Plan(), kind == "superposed", FOLDER / kind)
        print(f"{kind}: {folder_digest(FOLDER / kind)}")


if __name__ == "__main__":
    main(sys.argv[1:])

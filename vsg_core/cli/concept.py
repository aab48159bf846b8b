"""`vsg concept`: the concept tokens of a prompt as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vsg_core.cli.printing import (
    as_json,
    device,
    dtype,
    engine,
    packed,
    paragraph,
    print_json,
    print_table,
    table_width,
    thinking,
    weights,
    width,
)
from vsg_core.weights.names import DEFAULT_MODEL

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel

# The names in vsg_core.generator.mixing.presets, which takes too long to import for --help, in one line each.
PRESETS = {
    "plain": "every token by its probability, at temperature 1",
    "study": "temperature 0.8, top-k 50, sharpened by 1.5, capped norm",
    "soft-thinking": "temperature 0.6, top-k 30, top-p 0.95 (arXiv 2505.15778)",
    "dirichlet": "soft-thinking with Dirichlet weights (arXiv 2508.03440)",
    "gumbel": "soft-thinking with Gumbel-softmax weights (arXiv 2508.03440)",
    "soft-tokens": "temperature 0.5 and Gaussian noise (arXiv 2509.19170)",
}


def _epilog() -> str:
    """The presets as lines that click does not wrap."""
    return "\b\nPresets:\n" + "\n".join(f"  {name:15}{line}" for name, line in PRESETS.items())


@click.command(epilog=_epilog())
@click.argument("prompt")
@click.option(
    "--model",
    "name",
    default=DEFAULT_MODEL,
    metavar="NAME_OR_PATH",
    help="A registry name, a Hugging Face id, a folder or a .gguf file; BASE+ADAPTER.",
)
@click.option("-n", "steps", default=3, type=click.IntRange(min=1), help="Number of concept tokens to write.")
@click.option(
    "--preset",
    default="study",
    type=click.Choice(list(PRESETS)),
    help="How logits become a vector; see below.",
)
@click.option("--temperature", type=float, help="In place of the preset's temperature.")
@click.option("--top-k", type=int, help="In place of the preset's top-k.")
@click.option("--top-p", type=float, help="In place of the preset's top-p.")
@click.option("--sharpening", type=float, help="In place of the preset's sharpening.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Seed for presets that draw at random.")
@click.option("--chat", is_flag=True, help="Format the prompt as a chat message.")
@click.option(
    "--tokens", "most", default=5, type=click.IntRange(min=1), help="Tokens to show per concept token."
)
@dtype
@device
@engine
@weights
@thinking
@as_json
def concept(
    prompt: str, name: str, steps: int, preset: str, seed: int, chat: bool, most: int, dtype: str | None, device: str,
    engine: Any, weights: Any, thinking: str | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Write concept tokens after PROMPT and show the tokens that each one mixes."""
    import dataclasses

    import torch

    from vsg_core.generator.mixing import presets
    from vsg_core.generator.reading.nearest import nearest_tokens
    from vsg_core.generator.writing.writers import write_concepts
    from vsg_core.weights.loading import load_model

    changed = {option: value for option, value in given.items() if value is not None}
    mixing = dataclasses.replace(presets.PRESETS[preset], **changed)
    choice = None if thinking is None else thinking == "on"
    lm = load_model(name, dtype=dtype, device=device, weights=weights, engine=engine, thinking=choice)
    sequence = lm.tokenize(lm.chat(prompt) if chat else prompt)
    concepts = write_concepts(lm, [sequence], steps, mixing, seed=seed)[0].steps
    nearest, distances = nearest_tokens(lm, torch.stack([concept.vector for concept in concepts]))
    rows = [
        {
            "tokens": concept.mixture.spelled(lm, most),
            "entropy_bits": concept.entropy,
            "nearest_token": lm.token(token),
            "distance": distance,
        }
        for concept, token, distance in zip(concepts, nearest.tolist(), distances.tolist(), strict=True)
    ]
    if as_json:
        settings = {
            "steps": steps,
            "preset": preset,
            **dataclasses.asdict(mixing),
            "seed": seed,
            "chat": chat,
            "thinking": thinking,
        }
        print_json({"prompt": prompt, **_identity(lm), **settings, "concepts": rows})
    else:
        _print_concepts(rows, lm.embedding_norm)


def _identity(lm: LanguageModel) -> dict[str, Any]:
    """Return the model that wrote them, its weights, dtype and device, and the versions of the libraries."""
    from vsg_core.records.provenance import versions
    from vsg_core.weights.products import device_name

    return {
        "model": lm.name,
        "weights": lm.identity.get("sha256") or lm.identity.get("revision"),
        "dtype": str(lm.dtype).removeprefix("torch."),
        "device": device_name(lm),
        "versions": versions(),
    }


def _print_concepts(concepts: list[dict[str, Any]], norm: float) -> None:
    headings = ["step", "top tokens and their weights", "entropy", "nearest token", "distance"]
    rows = [
        [str(step), "", f"{row['entropy_bits']:.2f}", repr(row["nearest_token"]), f"{row['distance']:.3f}"]
        for step, row in enumerate(concepts, 1)
    ]
    # The tokens get the columns that the rest of the table leaves.
    rest = width() - table_width([*headings[:1], "", *headings[2:]], rows)
    for row, concept in zip(rows, concepts, strict=True):
        row[1] = packed([f"{token!r} {weight:.3f}" for token, weight in concept["tokens"]], rest)
    headings[1] = packed(headings[1].split(), rest).replace("  ", " ")
    print_table(headings, rows, right=["step", "entropy", "distance"])
    click.echo(
        "\n"
        + paragraph(
            "entropy: of the next-token distribution, in bits. distance: L2 distance to the embedding of the nearest "
            "token; "
            f"token embeddings have a mean norm of {norm:.3f}."
        )
    )

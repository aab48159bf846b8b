"""`vsg concept`: the concept tokens of a prompt as a table."""

from __future__ import annotations

from typing import Any

import click

from vsg_core.weights.registry import DEFAULT_MODEL

# Those of vsg_core.generator.mixing.presets, which takes too long to import for --help.
PRESET_NAMES = ["plain", "study", "soft-thinking", "dirichlet", "gumbel", "soft-tokens"]


@click.command()
@click.argument("prompt")
@click.option("--model", "name", default=DEFAULT_MODEL, help="A registry name, hub id, folder or .gguf file.")
@click.option("-n", "steps", default=3, type=click.IntRange(min=1), help="Concept tokens to write.")
@click.option("--preset", default="study", type=click.Choice(PRESET_NAMES), help="Logits to vectors.")
@click.option("--temperature", type=float, help="Instead of the preset's.")
@click.option("--top-k", type=int, help="Instead of the preset's.")
@click.option("--top-p", type=float, help="Instead of the preset's.")
@click.option("--sharpening", type=float, help="Instead of the preset's.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Of what a preset draws.")
@click.option("--chat", is_flag=True, help="Put the prompt into the model's chat format.")
@click.option("--tokens", "most", default=5, type=click.IntRange(min=1), help="Tokens to show of each.")
@click.option("--dtype", help="float32, bfloat16 or float16.")
@click.option("--device", default="auto", help="auto, cpu, cuda or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def concept(
    prompt: str, name: str, steps: int, preset: str, seed: int, chat: bool, most: int, dtype: str | None, device: str,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Write concept tokens after PROMPT and show what each is made of."""
    import dataclasses
    import json

    import torch

    from vsg_core.generator.mixing.presets import PRESETS
    from vsg_core.generator.reading.nearest import nearest_tokens
    from vsg_core.generator.writing.writers import write_concepts
    from vsg_core.weights.loading import load_model

    changed = {option: value for option, value in given.items() if value is not None}
    mixing = dataclasses.replace(PRESETS[preset], **changed)
    lm = load_model(name, dtype=dtype, device=device)
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
        click.echo(json.dumps({"prompt": prompt, "model": lm.name, "concepts": rows}, indent=1))
    else:
        _print_table(rows, lm.embedding_norm)


def _print_table(rows: list[dict[str, Any]], norm: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("step", "top tokens and their weights", box=None, header_style="bold")
    for heading in ("entropy (bits)", "nearest token", "distance"):
        table.add_column(heading, justify="left" if heading == "nearest token" else "right")
    for step, row in enumerate(rows, 1):
        tokens = "  ".join(f"{token!r} {weight:.3f}" for token, weight in row["tokens"])
        numbers = (f"{row['entropy_bits']:.2f}", escape(repr(row["nearest_token"])), f"{row['distance']:.3f}")
        table.add_row(str(step), escape(tokens), *numbers)
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(
        f"\ndistance: L2, to the nearest token's embedding; a token embedding has a mean norm of {norm:.3f}"
    )

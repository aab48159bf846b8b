"""What a model does inside, against transformers' own outputs: hidden states, lens, positions, its own generate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tests.architectures import CONTEXT, END, every_architecture, tiny
from vsg_core.errors import NotApplicable

CLOSE: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4}
SEQUENCES = [torch.arange(3, 3 + length) for length in (9, 1, 14)]
CAUSAL = pytest.mark.parametrize(
    "architecture", ["gpt2", "gpt_neox", "phi", "llama", "gemma3_text", "stablelm"]
)


@CAUSAL
def test_hidden_states_of_a_batch(architecture):
    """Every layer's hidden state at the last position is what transformers gives for each sequence alone."""
    lm = tiny(architecture)
    found = lm.hidden_states([SEQUENCES[0], lm.embed(SEQUENCES[1]), SEQUENCES[2]])
    for sequence, layers in zip(SEQUENCES, found, strict=True):
        with torch.no_grad():
            own = lm.engine.model(sequence.unsqueeze(0), output_hidden_states=True).hidden_states
        torch.testing.assert_close(layers, torch.stack([layer[0, -1] for layer in own]), **CLOSE)


@every_architecture
def test_a_state_keeps_what_the_head_saw(architecture):
    """`State.hidden`, at first and after a step, gives the state's logits when put through the head."""
    lm = tiny(architecture)
    head = lm.engine.model.get_output_embeddings()
    for rows, state in lm.prefill(SEQUENCES, room=1):
        for _ in range(2):
            torch.testing.assert_close(
                head(state.hidden).masked_fill(~lm.is_token, -torch.inf), state.logits, **CLOSE
            )
            state = lm.step(lm.select(state, torch.arange(len(rows))), torch.full((len(rows),), 7))


@CAUSAL
def test_the_lens_at_the_last_layer_is_the_model(architecture):
    """The last layer's output, before the final norm, has the model's own logits under the lens."""
    lm, seen = tiny(architecture), []
    layers = next(m for m in lm.engine.model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 2)
    handle = layers[-1].register_forward_hook(lambda _, __, output: seen.append(output))
    try:
        logits = lm.next_logits([SEQUENCES[0]])
    finally:
        handle.remove()
    last = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    torch.testing.assert_close(lm.lens(last[:, -1]), logits, **CLOSE)


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neo", "opt", "llama"])
def test_learned_positions(architecture):
    """The first row is what the model adds at the first position; a model with rotary positions has none."""
    lm = tiny(architecture)
    if architecture == "llama":
        assert lm.position_table is None
        return
    table = lm.position_table
    assert table is not None
    assert len(table) == CONTEXT
    before = lm.next_logits([torch.tensor([5])])
    kept, change = table[0].clone(), torch.linspace(-1, 1, table.shape[1])
    table[0] += change  # a view of the weights
    moved = lm.next_logits([torch.tensor([5])])
    table[0] = kept
    assert (moved - before)[:, lm.is_token].abs().max() > 1e-3


def test_untrained_weights_are_others_and_seeded():
    """The same seed gives the same model, another seed another one; shapes and the global generator stay."""
    lm, before = tiny("llama"), torch.random.get_rng_state()
    one, same, other = lm.untrained(1), lm.untrained(1), lm.untrained(2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert one.embedding_table.shape == lm.embedding_table.shape
    assert torch.equal(one.embedding_table, same.embedding_table)
    assert not torch.allclose(one.embedding_table, other.embedding_table)
    own = lm.next_logits(SEQUENCES)
    lm.meter.reset()
    assert not torch.allclose(one.next_logits(SEQUENCES), own)
    assert lm.meter.passes > 0, "the twin's passes do not count as the model's"


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "t5"])
def test_transformers_generate_and_ours_agree(architecture):
    """With no option on, transformers' generate writes what lm.generate does, from ids and from embeddings."""
    lm = tiny(architecture)
    ids = [*SEQUENCES, SEQUENCES[0] + 20, SEQUENCES[2].flip(0)]  # two pairs of one length
    ours = lm.generate(ids, 8)
    assert {reply.stopped for reply in ours} <= {"end", "length"}
    assert lm.library_generate(ids, 8) == ours
    assert lm.library_generate([lm.embed(sequence) for sequence in ids], 8) == ours


def test_the_models_own_generation_defaults_are_put_aside():
    """A penalty in the model's configuration changes nothing; given as an option it does, and only from ids."""
    lm = tiny("llama")
    plain = lm.library_generate(SEQUENCES, 8)
    own = lm.engine.model.generation_config
    lm.engine.model.generation_config = GenerationConfig(
        repetition_penalty=9.0, do_sample=True, eos_token_id=END
    )
    try:
        assert lm.library_generate(SEQUENCES, 8) == plain
        assert lm.engine.model.generation_config.repetition_penalty == 9.0
    finally:
        lm.engine.model.generation_config = own
    penalised = lm.library_generate(SEQUENCES, 8, repetition_penalty=9.0)
    from_embeddings = lm.library_generate([lm.embed(s) for s in SEQUENCES], 8, repetition_penalty=9.0)
    assert penalised != plain
    assert penalised != from_embeddings, "transformers' penalty now knows an embeddings-only prompt"


def test_an_encoder_decoder_has_no_hidden_states_at_its_prompt():
    """T5's sequence goes to the encoder: one line says so."""
    with pytest.raises(NotApplicable, match="encoder-decoder"):
        tiny("t5").hidden_states(SEQUENCES)

"""Model internals against transformers' own outputs: hidden states, logit lens, positions, and its generate."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from tests.support.architectures import CONTEXT, every_architecture, tiny
from tests.support.decoding import CLOSE
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import NotApplicable, VsgError
from vsg_core.generator.engine import memory

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
            own = engine_of(lm).model(sequence.unsqueeze(0), output_hidden_states=True).hidden_states
        torch.testing.assert_close(layers, torch.stack([layer[0, -1] for layer in own]), **CLOSE)


@CAUSAL
def test_states_after_one_beginning_share_its_pass(architecture):
    """Sequences that differ in their last position alone: each has the states that it has alone."""
    lm = tiny(architecture)
    begun = [torch.arange(3, 3 + length) for length in (12, 7, 12)]
    begun[2] = begun[2] + 5
    sequences = [torch.cat([ids, torch.tensor([last])]) for last in range(5, 11) for ids in begun]
    sequences = [*map(lm.embed, sequences[:5]), *sequences[5:]]
    for read in (lm.hidden_states, lm.final_states):
        alone = torch.cat([read([sequence]) for sequence in sequences])
        lm.meter.reset()
        together = read(sequences)
        assert lm.meter.tokens < sum(map(len, sequences)) or not engine_of(lm).can_share(13)
        torch.testing.assert_close(together, alone, **CLOSE)


@every_architecture
def test_a_state_keeps_what_the_head_saw(architecture):
    """`State.hidden`, initially and after a step, gives the state's logits when passed through the head."""
    lm = tiny(architecture)
    head = engine_of(lm).model.get_output_embeddings()
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
    layers = next(
        m for m in engine_of(lm).model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 2
    )
    handle = layers[-1].register_forward_hook(lambda _, __, output: seen.append(output))
    try:
        logits = lm.next_logits([SEQUENCES[0]])
    finally:
        handle.remove()
    last = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    torch.testing.assert_close(lm.lens(last[:, -1]), logits, **CLOSE)


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neo", "opt", "llama"])
def test_learned_positions(architecture):
    """The first row is what the model adds at the first position; a model with rotary positions has no table."""
    lm = tiny(architecture)
    if architecture == "llama":
        assert lm.position_table is None
        return
    table = lm.position_table
    assert table is not None
    assert len(table) == CONTEXT
    before = lm.next_logits([torch.tensor([5])])
    kept, change = table[0].clone(), torch.linspace(-1, 1, table.shape[1])
    # The table is a view of the weights.
    table[0] += change
    moved = lm.next_logits([torch.tensor([5])])
    table[0] = kept
    assert (moved - before)[:, lm.is_token].abs().max() > 1e-3


def test_untrained_weights_are_different_and_seeded():
    """Equal seeds give equal models, different seeds different ones; shapes and the global generator are unchanged."""
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


def test_untrained_weights_begin_with_the_published_initial_settings():
    """A GGUF leaves out the initial spread of the weights, and unties the head; `initial` restores both."""
    lm = LanguageModel(
        engine_of(tiny("qwen2")).model,
        tiny("qwen2").tokenizer,
        initial={"initializer_range": 0.5, "tie_word_embeddings": True},
    )
    twin = lm.untrained()
    model = engine_of(twin).model
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert float(twin.embedding_std) == pytest.approx(0.5, rel=0.1)
    assert engine_of(lm).model.config.initializer_range == 0.02, "the model keeps its own setting"


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "t5"])
def test_transformers_generate_and_ours_agree(architecture):
    """With no option set, transformers' generate writes what lm.generate does, from ids and from embeddings."""
    lm = tiny(architecture)
    model, encodes = engine_of(lm).model, lm.engine.is_encoder_decoder
    config = GenerationConfig(
        max_new_tokens=8,
        eos_token_id=list(lm.end_ids),
        pad_token_id=0,
        decoder_start_token_id=model.config.decoder_start_token_id if encodes else None,
        suppress_tokens=(~lm.is_token).nonzero().flatten().tolist() or None,
    )
    for ids, ours in zip(SEQUENCES, lm.generate(SEQUENCES, 8), strict=True):
        mask = torch.ones(1, len(ids), dtype=torch.long)
        for given in ({"input_ids": ids[None]}, {"inputs_embeds": lm.embed(ids)[None]}):
            (written,) = model.generate(**given, attention_mask=mask, generation_config=config).tolist()
            # From embeddings, generate returns only the new ids.
            before = 1 if encodes else len(ids) if "input_ids" in given else 0
            assert [i for i in written[before:] if i not in lm.end_ids] == ours.ids


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "t5"])
def test_scores_of_transformers_generate_are_the_logits(architecture):
    """With no option set, the model's own defaults have no effect; a penalty of 9 changes the scores of ids it saw."""
    lm = tiny(architecture)
    logits = lm.next_logits(SEQUENCES)
    own = engine_of(lm).model.generation_config
    engine_of(lm).model.generation_config = GenerationConfig(repetition_penalty=9.0, do_sample=True)
    try:
        scores = lm.library_scores(SEQUENCES)
        assert engine_of(lm).model.generation_config.repetition_penalty == 9.0
    finally:
        engine_of(lm).model.generation_config = own
    torch.testing.assert_close(scores[:, lm.is_token], logits[:, lm.is_token], atol=1e-4, rtol=1e-4)
    if architecture == "t5":
        # Its penalty applies to the decoder's tokens.
        return
    penalised = lm.library_scores(SEQUENCES, repetition_penalty=9.0)
    for ids, before, after in zip(SEQUENCES, scores, penalised, strict=True):
        expected = before.clone()
        expected[ids] = torch.where(before[ids] > 0, before[ids] / 9, before[ids] * 9)
        torch.testing.assert_close(after, expected)
    from_embeddings = lm.library_scores([lm.embed(s) for s in SEQUENCES], repetition_penalty=9.0)
    torch.testing.assert_close(from_embeddings, scores, atol=1e-4, rtol=1e-4)


def test_an_encoder_decoder_has_no_hidden_states_at_its_prompt():
    """T5's sequence goes to the encoder, which the message states in one line."""
    with pytest.raises(NotApplicable, match="encoder-decoder"):
        tiny("t5").hidden_states(SEQUENCES)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_architecture
def test_float64_leaves_no_trace(architecture, dtype):
    """Inside the block the logits are the same except for rounding; afterwards each weight and buffer is as before."""
    lm = tiny(architecture, dtype)
    model = engine_of(lm).model
    before = {name: each.clone() for name, each in [*model.named_parameters(), *model.named_buffers()]}
    plain, table = lm.next_logits(SEQUENCES), lm.embedding_table
    with lm.in_float64():
        assert lm.dtype == lm.embedding_table.dtype == torch.float64
        exact = lm.next_logits(SEQUENCES)
    tolerance = CLOSE if dtype == torch.float32 else {"atol": 0.3, "rtol": 0.1}
    torch.testing.assert_close(exact, plain, **tolerance)
    for name, each in [*model.named_parameters(), *model.named_buffers()]:
        torch.testing.assert_close(each.data, before[name], atol=0, rtol=0, equal_nan=True)
    assert torch.equal(lm.embedding_table, table)
    assert torch.equal(lm.next_logits(SEQUENCES), plain)


def test_float64_that_does_not_fit_is_not_started(monkeypatch):
    lm = tiny("llama")
    monkeypatch.setattr(memory, "available", lambda device: 0)
    with pytest.raises(VsgError, match=r"LlamaForCausalLM in float64 needs about .* free"), lm.in_float64():
        pass
    assert lm.dtype == torch.float32


def test_float64_ends_after_an_error_too():
    lm = tiny("llama")
    with pytest.raises(KeyError), lm.in_float64():
        raise KeyError
    assert lm.dtype == lm.embedding_table.dtype == torch.float32

"""The self-check: a model with a fault takes a path that avoids it, or is refused in one line."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoModel, GPT2LMHeadModel, PreTrainedModel

from tests.support.architectures import ROWS, TOKENS, reference_logits, tiny
from tests.support.decoding import CLOSE
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import NotEnoughMemory, VsgError, WrongUse
from vsg_core.generator.engine import Paths

Forward = Callable[..., Any]


def with_fault(
    fault: Callable[[PreTrainedModel, Forward], Forward], architecture: str = "llama"
) -> LanguageModel:
    """Open a copy of a tiny model whose forward pass has a fault."""
    lm = tiny(architecture)
    model = copy.deepcopy(engine_of(lm).model)
    original = model.forward
    faulty = fault(model, original)
    # The engine passes only the keywords that are declared.
    vars(faulty)["__signature__"] = inspect.signature(original)
    model.forward = faulty
    return LanguageModel(model, lm.tokenizer)


def ignores(*names: str) -> Callable[[PreTrainedModel, Forward], Forward]:
    """A forward pass that silently swallows some of its keywords."""

    def fault(model: PreTrainedModel, forward: Forward) -> Forward:
        return lambda **given: forward(**{k: v for k, v in given.items() if k not in names})

    return fault


def raises_with(name: str) -> Callable[[PreTrainedModel, Forward], Forward]:
    def fault(model: PreTrainedModel, forward: Forward) -> Forward:
        def call(**given: Any) -> Any:
            if given.get(name) is not None:
                raise AttributeError(f"no {name} here")
            return forward(**given)

        return call

    return fault


def loses_the_past(model: PreTrainedModel, forward: Forward) -> Forward:
    """A recurrent model that is decoded without its state."""
    return lambda **given: forward(**{**given, "cache": None, "use_cache": False})


def mixes_rows(model: PreTrainedModel, forward: Forward) -> Forward:
    """Capacity: what a row gets depends on the rows next to it."""

    def call(**given: Any) -> Any:
        output = forward(**given)
        output.logits = output.logits + 0.1 * output.logits.mean(0, keepdim=True) * (len(output.logits) > 1)
        return output

    return call


@pytest.mark.parametrize(
    ("fault", "paths"),
    [
        (ignores("position_ids", "attention_mask"), Paths("equal", shared=False)),
        (raises_with("attention_mask"), Paths("equal", shared=False)),
        (raises_with("cache"), Paths("padded", cached=False, shared=False)),
        (loses_the_past, Paths("padded", cached=False, shared=False)),
        (mixes_rows, Paths("single", cached=False, shared=False)),
    ],
    ids=["mask ignored", "mask refused", "cache refused", "past lost", "rows mixed"],
)
def test_a_fault_is_avoided_by_a_slower_path(fault, paths) -> None:
    """Whatever is wrong, prompts, steps of ids and vectors, and branches give what one pass gives."""
    lm = with_fault(fault, "llama tied")
    assert engine_of(lm).paths == paths
    sequences = [torch.arange(3, 12), torch.arange(4, 8), torch.arange(9, 18), lm.embed(torch.arange(5, 10))]
    alone = torch.stack([reference_logits(lm, sequence) for sequence in sequences])
    torch.testing.assert_close(lm.next_logits(sequences), alone, **CLOSE)
    fed = torch.tensor([20, 30])
    for rows, state in lm.prefill(sequences, room=3):
        state = lm.step(state, fed[:1].expand(len(rows)))
        branch = lm.select(state, torch.zeros(2, dtype=torch.long))
        state = lm.step(state, lm.embed(fed[1:]).expand(len(rows), -1))
        branch = lm.step(branch, torch.tensor([7, 8]))
        for logits, row in zip(state.logits, rows, strict=True):
            torch.testing.assert_close(logits, reference_logits(lm, sequences[row], list(fed)), **CLOSE)
        for logits, last in zip(branch.logits, (7, 8), strict=True):
            expected = reference_logits(lm, sequences[rows[0]], [fed[0], torch.tensor(last)])
            torch.testing.assert_close(logits, expected, **CLOSE)


def looks_ahead(model: PreTrainedModel, forward: Forward) -> Forward:
    def call(**given: Any) -> Any:
        output = forward(**given)
        output.logits = output.logits + output.logits.mean(1, keepdim=True)
        return output

    return call


def scales_ids_only(model: PreTrainedModel, forward: Forward) -> Forward:
    """As BART's kin did: the embedding of ids is scaled, the caller's vectors are not."""
    table = model.get_input_embeddings()

    def call(**given: Any) -> Any:
        if given.get("input_ids") is not None:
            given["inputs_embeds"] = 2 * table(given.pop("input_ids"))
        return forward(**given)

    return call


def looks_vectors_up(model: PreTrainedModel, forward: Forward) -> Forward:
    """As Gemma 4 does, which needs the ids that vectors are embeddings of, for its per-layer embeddings."""
    table = model.get_input_embeddings().weight

    def call(**given: Any) -> Any:
        if given.get("inputs_embeds") is not None:
            found = (given.pop("inputs_embeds")[:, :, None] == table).all(-1).nonzero()
            given["input_ids"] = found[:, 2].reshape(1, -1)
        return forward(**given)

    return call


def gives_nan(model: PreTrainedModel, forward: Forward) -> Forward:
    def call(**given: Any) -> Any:
        output = forward(**given)
        output.logits[..., 5] = torch.nan
        return output

    return call


def is_random(model: PreTrainedModel, forward: Forward) -> Forward:
    generator = torch.Generator().manual_seed(0)

    def call(**given: Any) -> Any:
        output = forward(**given)
        output.logits = output.logits + torch.randn(output.logits.shape, generator=generator)
        return output

    return call


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            looks_ahead,
            r"is not causal, a later token changes earlier logits \(off by .* standard deviations\)",
        ),
        (scales_ids_only, r"from the embeddings of tokens something else than from their ids \(off by"),
        (looks_vectors_up, r"takes only vectors that are embeddings of tokens \("),
        (
            raises_with("inputs_embeds"),
            r"something else than from their ids \(AttributeError: no inputs_embeds",
        ),
        (gives_nan, "the logits of LlamaForCausalLM contain NaN or infinity"),
        (is_random, "gives different logits the second time"),
    ],
)
def test_a_fault_without_a_way_around_is_refused(fault, says: str) -> None:
    with pytest.raises(VsgError, match=says) as raised:
        with_fault(fault)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    """The message names the first such weight."""
    lm = tiny("llama")
    model = copy.deepcopy(engine_of(lm).model)
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] = value
    with pytest.raises(VsgError, match=r"contain NaN or infinity \(model\.layers\.1\.mlp\.up_proj\.weight\)"):
        LanguageModel(model, lm.tokenizer)


def test_logits_that_become_nan_later_end_in_an_error() -> None:
    """Each pass is checked, so that no claim gets a verdict from them."""
    lm = tiny("llama")
    model = copy.deepcopy(engine_of(lm).model)
    opened = LanguageModel(model, lm.tokenizer, name="fragile")
    model.lm_head.weight.data[4] = torch.nan
    with pytest.raises(VsgError, match="the logits of fragile contain NaN or infinity"):
        opened.next_logits([torch.arange(4)])
    model.lm_head.weight.data[4] = 0
    model.lm_head.weight.data[ROWS - 1] = torch.nan
    assert opened.next_logits([torch.arange(4)])[0, :TOKENS].isfinite().all(), "that row is not a token"


def test_a_check_costs_no_metered_pass_and_depends_on_nothing_global() -> None:
    """Two checks find the same, and leave torch's generator alone."""
    lm = tiny("gemma3_text")
    state = torch.random.get_rng_state()
    opened = LanguageModel(engine_of(lm).model, lm.tokenizer)
    assert opened.meter.passes == 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert engine_of(opened).paths == engine_of(lm).paths == Paths()


def test_a_model_in_training_mode_with_dropout_is_evaluated() -> None:
    lm = tiny("gpt2")
    model = copy.deepcopy(engine_of(lm).model).train()
    torch.testing.assert_close(
        LanguageModel(model, lm.tokenizer).next_logits([torch.arange(5)]), lm.next_logits([torch.arange(5)])
    )


class Wrapped(torch.nn.Module):
    """A wrapper as DataParallel is: a module that passes everything on."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *given: Any, **named: Any) -> Any:
        return self.module(*given, **named)


@pytest.mark.parametrize("wrap", [Wrapped, lambda model: torch.compile(model, backend="eager")])
def test_a_wrapped_model_gives_what_the_model_gives(wrap: Callable[[Any], Any]) -> None:
    """The signature of a wrapper does not declare position ids, without which batches of GPT-2 are wrong."""
    lm = tiny("gpt2")
    opened = LanguageModel(wrap(copy.deepcopy(engine_of(lm).model)), lm.tokenizer)
    sequences = [torch.arange(3), torch.arange(9)]
    torch.testing.assert_close(opened.next_logits(sequences), lm.next_logits(sequences))
    assert engine_of(opened).paths == Paths()


class Biased(Wrapped):
    """A wrapper with a mind of its own."""

    def forward(self, *given: Any, **named: Any) -> Any:
        output = self.module(*given, **named)
        output.logits = output.logits * 1.5
        return output


class Silent(Wrapped):
    """A wrapper that gives something other than logits."""

    def forward(self, *given: Any, **named: Any) -> Any:
        return None


@pytest.mark.parametrize("wrapper", [Biased, Silent])
def test_a_wrapper_that_computes_something_else_is_refused(wrapper: type[Wrapped]) -> None:
    """The model inside it would be another one."""
    lm = tiny("gpt2")
    says = f"{wrapper.__name__} computes something else than the GPT2LMHeadModel inside it"
    with pytest.raises(WrongUse, match=says):
        LanguageModel(wrapper(copy.deepcopy(engine_of(lm).model)), lm.tokenizer)


def test_what_is_not_a_language_model_is_refused() -> None:
    lm = tiny("gpt2")
    with pytest.raises(
        WrongUse, match="GPT2Model has no language-model head: load it with AutoModelForCausalLM"
    ):
        LanguageModel(AutoModel.from_config(engine_of(lm).model.config), lm.tokenizer)
    with pytest.raises(WrongUse, match="the tokenizer is a NoneType: give the model's tokenizer"):
        LanguageModel(engine_of(lm).model, None)
    with pytest.raises(WrongUse, match="Linear is not a language model of transformers"):
        LanguageModel(torch.nn.Linear(2, 2), lm.tokenizer)
    with torch.device("meta"):
        offloaded = GPT2LMHeadModel(engine_of(lm).model.config)
    with pytest.raises(
        WrongUse, match=r"GPT2LMHeadModel is not whole: transformer\.wte\.weight is on the meta device"
    ):
        LanguageModel(offloaded, lm.tokenizer)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_lens_applies_the_scale_of_the_logits(factor: float) -> None:
    """Granite divides its logits; the lens of what enters the final norm is what the model says."""
    from transformers import GraniteConfig, GraniteForCausalLM

    plain = engine_of(tiny("llama")).model.config
    config = GraniteConfig(
        vocab_size=ROWS, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=plain.max_position_embeddings, logits_scaling=factor,
        initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lm = LanguageModel(GraniteForCausalLM(config), tiny("llama").tokenizer)
    assert engine_of(lm).paths.lens
    seen: list[torch.Tensor] = []
    engine_of(lm).model.model.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, -1]))
    logits = lm.next_logits([torch.arange(5)])
    torch.testing.assert_close(lm.lens(seen[-1]), logits)


@pytest.mark.parametrize("rows", [TOKENS - 5, ROWS + 8])
def test_a_head_with_fewer_or_more_rows_than_the_table_is_fitted(rows: int) -> None:
    """Rows that it lacks are never predicted; rows beyond the table are not tokens that could be fed."""
    lm = tiny("llama")
    model = copy.deepcopy(engine_of(lm).model)
    head = torch.nn.Linear(32, rows, bias=False)
    common = min(rows, ROWS)
    head.weight.data[:common] = model.lm_head.weight.data[:common]
    model.lm_head = head.requires_grad_(False)
    opened = LanguageModel(model, lm.tokenizer)
    found, whole = (each.next_logits([torch.arange(5)])[0] for each in (opened, lm))
    kept = min(rows, TOKENS)
    assert found.shape == whole.shape
    torch.testing.assert_close(found[:kept], whole[:kept])
    assert found[kept:].eq(-torch.inf).all()
    assert engine_of(opened).paths.lens


def test_tokens_that_stand_for_images_are_not_fed() -> None:
    """A model that takes images refuses their tokens without one, which says nothing about text."""
    lm = tiny("llama")
    model = copy.deepcopy(engine_of(lm).model)
    model.config.image_token_id = 17
    forward = model.forward

    def call(**given: Any) -> Any:
        assert not (given.get("input_ids") is not None and (given["input_ids"] == 17).any())
        return forward(**given)

    vars(call)["__signature__"] = inspect.signature(forward)
    model.forward = call
    assert LanguageModel(model, lm.tokenizer).engine.paths == Paths()


def test_a_lack_of_memory_is_not_taken_for_a_fault_of_the_model() -> None:
    """Otherwise a slower path would be kept for weights that need none."""

    def full(model: PreTrainedModel, forward: Forward) -> Forward:
        def call(**given: Any) -> Any:
            if given.get("cache") is not None:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")
            return forward(**given)

        return call

    with pytest.raises(NotEnoughMemory):
        with_fault(full)


def test_a_context_of_a_few_positions_is_enough() -> None:
    lm = tiny("gpt2")
    config = copy.deepcopy(engine_of(lm).model.config)
    config.n_positions = 7
    with torch.random.fork_rng():
        torch.manual_seed(0)
        short = LanguageModel(GPT2LMHeadModel(config), lm.tokenizer)
    assert (short.engine.context, engine_of(short).paths) == (7, Paths())


def test_a_model_that_a_short_pass_changes_is_refused() -> None:
    """BigBird gives up its sparse attention for good after one short input."""

    def fault(model: PreTrainedModel, forward: Forward) -> Forward:
        model.model.attention_type = "block_sparse"

        def call(**given: Any) -> Any:
            model.model.attention_type = "original_full"
            return forward(**given)

        return call

    with pytest.raises(VsgError, match=r"a short pass changes .* \(model\.attention_type was block_sparse\)"):
        with_fault(fault)


def test_positions_that_count_the_padding_beyond_a_border_are_found() -> None:
    """Llama 4 scales its attention by the place in the batch, in steps of floor_scale positions."""
    from transformers import Llama4ForCausalLM, Llama4TextConfig

    config = Llama4TextConfig(
        vocab_size=ROWS, hidden_size=32, intermediate_size=48, intermediate_size_mlp=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, max_position_embeddings=64, num_local_experts=2,
        attention_chunk_size=60, attn_temperature_tuning=True, floor_scale=16, attn_scale=0.9, no_rope_layers=[0, 0],
        initializer_range=0.3, bos_token_id=0, eos_token_id=2, pad_token_id=71,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lm = LanguageModel(Llama4ForCausalLM(config), tiny("llama").tokenizer)
    sequences = [torch.arange(length) % TOKENS for length in (18, 16, 13, 20)]
    alone = torch.stack([reference_logits(lm, sequence) for sequence in sequences])
    torch.testing.assert_close(lm.next_logits(sequences), alone, **CLOSE)


def test_the_table_is_what_the_module_gives() -> None:
    """A hook on the embedding changes tokens and mixtures alike."""
    lm = tiny("llama")
    model = copy.deepcopy(engine_of(lm).model)
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output * 1.5)
    hooked = LanguageModel(model, lm.tokenizer)
    weights = torch.zeros(1, ROWS)
    weights[0, 5] = 1
    torch.testing.assert_close(hooked.mix(weights)[0], hooked.embed(torch.tensor([5]))[0])

"""Judge a model through `LanguageModel` as users get it, against single passes of transformers itself.

The truth is what one pass over one sequence alone gives: from ids, without a batch, a mask or a cache. The model that
computes it is a copy that the suite never sees.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.support.architectures import TOKENS, tokenizer
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import NotApplicable, VsgError

# Largest difference that is rounding, in standard deviations of the true logits.
ROUNDING = 1e-3
LENGTHS = (3, 14, 7, 9)
STEPS = 12
# Of the shared beginning: 4 others save more positions than a pass is worth.
BEGINNING, TAILS = 24, (1, 4, 2, 7, 3)
LONGEST = 160
Pairs = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Outcome:
    """The outcome for one architecture.

    Args:
        kind: "right", "slower" (right, on a slower path), "partly" (right, but a measurement is refused after opening),
            "refused", "unbuilt" (transformers cannot run it tiny), "wrong" or "traceback".
        note: the path of a right one, the line of a refusal, else what went wrong.
        without: the measurements that do not apply to it.
    """

    kind: str
    note: str
    without: tuple[str, ...] = ()


@dataclass
class Truth:
    """Logits of sequences alone, each from one pass over ids, or vectors where there are some.

    Args:
        model: a copy that nothing but this class calls.
    """

    model: PreTrainedModel
    known: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def logits(self, sequence: Sequence[int], fed: Sequence[int] = ()) -> Tensor:
        """Logits [tokens] after ids, and ids fed in steps (to the decoder of an encoder-decoder)."""
        key = (*sequence, -1, *fed)
        if key not in self.known:
            self.known[key] = self.run(torch.tensor(sequence), torch.tensor(fed, dtype=torch.long)).logits[
                0, -1
            ]
        return self.known[key][:TOKENS].double()

    def run(self, sequence: Tensor, fed: Tensor) -> Any:
        """Run one pass over ids [seq] or vectors [seq, hidden]."""
        name = "inputs_embeds" if sequence.is_floating_point() else "input_ids"
        model = self.model
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                answer = torch.cat([torch.tensor([_start(model)]), fed])[None]
                return model(**{name: sequence[None]}, decoder_input_ids=answer, use_cache=False)
            return model(**{name: torch.cat([sequence, fed])[None]}, use_cache=False)


def _start(model: PreTrainedModel) -> Any:
    start = getattr(model.config, "decoder_start_token_id", None)
    return getattr(model.config, "bos_token_id", None) if start is None else start


def judge(model: PreTrainedModel) -> Outcome:
    """Open a model as users do, and compare everything that `LanguageModel` computes with the truth."""
    truth = Truth(copy.deepcopy(model).eval())
    try:
        lm = LanguageModel(model, tokenizer(), name="tiny")
    except VsgError as error:
        return _refusal(str(error))
    except Exception as error:
        return Outcome("traceback", f"opening: {_place(error)}")
    without, late = list[str](), list[str]()
    for name, check in CHECKS.items():
        try:
            off = worst(check(lm, truth))
            if off > ROUNDING:
                off = _exactly(lm, truth, check, off)
        except NotApplicable:
            without.append(name)
            continue
        except VsgError as error:
            # One line, but late: what was computed before is right.
            late.append(f"{name}: {error}")
            continue
        except Exception as error:
            return Outcome("traceback", f"{name}: {_place(error)}")
        if not off <= ROUNDING:
            return Outcome("wrong", f"{name}: off by {off:.2g} standard deviations ({engine_of(lm).paths})")
    paths = engine_of(lm).paths
    if late:
        return Outcome("partly", "; ".join(late), tuple(without))
    return Outcome("right" if paths.is_fast else "slower", str(paths), tuple(without))


def _refusal(line: str) -> Outcome:
    if "\n" in line or not line.strip():
        return Outcome("traceback", f"the refusal is not one line: {line!r}")
    return Outcome("refused", line)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = (str(error).splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {line} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"


def _exactly(lm: LanguageModel, truth: Truth, check: Callable[..., Pairs], off: float) -> float:
    """Compare again in float64, where a remaining difference is not rounding."""
    exact = Truth(copy.deepcopy(truth.model).double())
    try:
        with lm.in_float64():
            return worst(check(lm, exact))
    except NotApplicable:
        raise
    except Exception:
        # Some architectures cannot compute in float64.
        return off


def worst(pairs: Pairs) -> float:
    """Return the largest difference of pairs [..., tokens], in standard deviations; NaN counts as infinite."""
    worst = 0.0
    for found, expected in pairs:
        found, expected = found[..., :TOKENS].double(), expected[..., :TOKENS].double()
        off = ((found - expected).abs().max() / expected.std()).item()
        worst = max(worst, off if off == off else float("inf"))
    return worst


def ids(length: int, seed: int) -> Any:
    """Draw ordinary tokens."""
    generator = torch.Generator().manual_seed(1000 * length + seed)
    return torch.randint(3, TOKENS, (length,), generator=generator).tolist()


def sequences(lm: LanguageModel, longest: int = 0) -> Any:
    """Draw ids of several lengths; `longest` gives one of more positions."""
    return [ids(length, 0) for length in (*LENGTHS, *([longest] if longest else []))]


def batch_of_ids(lm: LanguageModel, truth: Truth) -> Pairs:
    whole = sequences(lm, 26)
    found = lm.next_logits([torch.tensor(each) for each in whole])
    yield from zip(found, map(truth.logits, whole), strict=True)


def batch_of_vectors(lm: LanguageModel, truth: Truth) -> Pairs:
    whole = sequences(lm, 26)
    found = lm.next_logits([lm.embed(torch.tensor(each)) for each in whole])
    yield from zip(found, map(truth.logits, whole), strict=True)


def batch_of_both(lm: LanguageModel, truth: Truth) -> Pairs:
    whole = sequences(lm)
    mixed = [lm.embed(torch.tensor(each)) if i % 2 else each for i, each in enumerate(whole)]
    yield from zip(lm.next_logits(mixed), map(truth.logits, whole), strict=True)


def steps_of_ids(lm: LanguageModel, truth: Truth) -> Pairs:
    yield from _steps(lm, truth, lambda step: False)


def steps_of_vectors(lm: LanguageModel, truth: Truth) -> Pairs:
    yield from _steps(lm, truth, lambda step: True)


def steps_of_both(lm: LanguageModel, truth: Truth) -> Pairs:
    yield from _steps(lm, truth, lambda step: step % 3 == 1)


def _steps(lm: LanguageModel, truth: Truth, is_vector: Callable[[int], bool]) -> Pairs:
    whole = sequences(lm)
    fed = torch.tensor([ids(STEPS, seed) for seed in range(len(whole))])
    for rows, state in lm.prefill([torch.tensor(each) for each in whole], room=STEPS):
        for step in range(STEPS):
            inputs = fed[rows, step]
            state = lm.step(state, lm.embed(inputs) if is_vector(step) else inputs)
            for row, logits in zip(rows.tolist(), state.logits, strict=True):
                yield logits, truth.logits(whole[row], fed[row, : step + 1].tolist())


def branches(lm: LanguageModel, truth: Truth) -> Pairs:
    """Select repeated rows, continue the branches and the state itself, which they must not change."""
    whole = sequences(lm)
    for rows, state in lm.prefill(whole, room=8):
        state = lm.step(state, torch.full((len(rows),), 5))
        order = torch.tensor([len(rows) - 1, 0, 0, len(rows) - 1])
        branch = lm.select(state, order)
        fed = [[5], [5], [5], [5]]
        for step in range(5):
            more = torch.tensor(ids(4, step))
            branch = lm.step(branch, more if step % 2 else lm.embed(more))
            fed = [[*each, token] for each, token in zip(fed, more.tolist(), strict=True)]
            state = lm.step(state, torch.full((len(rows),), 9))
        again = lm.select(branch, torch.tensor([1, 1]))
        again = lm.step(again, torch.tensor([7, 8]))
        for number, logits in enumerate(branch.logits):
            yield logits, truth.logits(whole[rows[order[number]]], fed[number])
        for row, logits in zip(rows.tolist(), state.logits, strict=True):
            yield logits, truth.logits(whole[row], [5] + [9] * 5)
        for last, logits in zip((7, 8), again.logits, strict=True):
            yield logits, truth.logits(whole[rows[order[1]]], [*fed[1], last])


def shared_beginning(lm: LanguageModel, truth: Truth) -> Pairs:
    """Sequences that share their first positions, long and short, as ids and as vectors, and further steps."""
    for beginning, tails in ((BEGINNING, TAILS), (4, (1, 2) * 9)):
        common = ids(beginning, 1)
        whole = [common + ids(length, i) for i, length in enumerate(tails)]
        given = [torch.tensor(each) for each in whole]
        for inputs in (given, [lm.embed(each) for each in given]):
            for rows, state in lm.prefill(inputs, room=3):
                for row, logits in zip(rows.tolist(), state.logits.clone(), strict=True):
                    yield logits, truth.logits(whole[row])
                for token in (11, 12):
                    state = lm.step(state, torch.full((len(rows),), token))
                for row, logits in zip(rows.tolist(), state.logits, strict=True):
                    yield logits, truth.logits(whole[row], [11, 12])


def mixture(lm: LanguageModel, truth: Truth) -> Pairs:
    """A mixture in the middle, alone and in a batch, equals one pass over the vectors alone."""
    start = ids(6, 2)
    weights = torch.zeros(1, lm.engine.vocab_size, dtype=torch.float32)
    weights[0, 4], weights[0, 17] = 0.4, 0.6
    vector = lm.mix(weights)
    whole = torch.cat([lm.embed(torch.tensor(start)), vector.to(lm.dtype)])
    later = torch.tensor([[20], [30]]) if truth.model.config.is_encoder_decoder else torch.zeros(2, 0).long()
    expected = [truth.run(whole.to(truth.model.dtype), fed).logits[0, -1] for fed in (later[0][:0], later[0])]
    yield lm.next_logits([whole, ids(3, 0), ids(9, 0)])[0], expected[0]
    if truth.model.config.is_encoder_decoder:
        return
    for _, state in lm.prefill([torch.tensor(start)], room=2):
        yield lm.step(state, vector).logits[0], expected[0]


def greedy(lm: LanguageModel, truth: Truth) -> Pairs:
    """The tokens that `generate` picks are the best ones of the truth, ties aside."""
    whole = sequences(lm)
    for each, answer in zip(whole, lm.generate(whole, max_new_tokens=6), strict=True):
        written: list[int] = []
        # An end token is left out of the answer.
        # Both chosen and best logit next to the others, so that the deviation is that of all.
        ends = torch.tensor(sorted(end for end in lm.end_ids if end < TOKENS))
        for token in [*answer.ids, *([-1] if answer.stopped == "end" else [])]:
            logits = truth.logits(each, written)
            chosen = logits.clone()
            chosen[logits.argmax()] = logits[ends].max() if token < 0 else logits[token]
            yield chosen, logits
            written.append(token)


def hidden(lm: LanguageModel, truth: Truth) -> Pairs:
    """The last hidden state, from a batch, is what the head of a single pass sees."""
    whole = sequences(lm)
    states = lm.hidden_states(whole)
    for row, each in enumerate(whole):
        yield states[row, -1], _seen_by_head(truth, each)[0]
    # NaN by design where the head's input is not known.
    for rows, state in lm.prefill(whole) if engine_of(lm).paths.hidden else ():
        for row, vector in zip(rows.tolist(), state.hidden, strict=True):
            yield vector, _seen_by_head(truth, whole[row])[0]


def lens(lm: LanguageModel, truth: Truth) -> Pairs:
    """The lens of what enters the norm before the head gives the model's logits."""
    for each in sequences(lm):
        _, before = _seen_by_head(truth, each)
        if before is not None and len(before) == lm.engine.hidden_size:
            yield lm.lens(before[None])[0], truth.logits(each)
    shape = lm.hidden_states([torch.tensor([5, 6])]).shape
    if not lm.lens(torch.zeros(shape)).shape == (*shape[:-1], lm.engine.vocab_size):
        raise AssertionError("the lens has another shape")


def _seen_by_head(truth: Truth, sequence: list[int]) -> tuple[Tensor, Tensor | None]:
    """Return what the head sees [hidden] at the last position, and what entered the norm that gave it."""
    model, seen = truth.model, dict[str, Any]()
    head = model.get_output_embeddings()
    handles = [head.register_forward_pre_hook(lambda _, inputs: seen.update(head=inputs[0]))]
    modules = [(name, module) for name, module in model.named_modules() if name and module is not head]

    def keep(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
            if inputs and isinstance(output, Tensor) and isinstance(inputs[0], Tensor):
                seen[name] = (inputs[0], output)

        return hook

    handles += [module.register_forward_hook(keep(name)) for name, module in modules]
    with suppress(Exception):
        truth.run(torch.tensor(sequence), torch.tensor([], dtype=torch.long))
    for handle in handles:
        handle.remove()
    given = seen.pop("head")
    norms = [
        before
        for name, (before, after) in seen.items()
        if "norm" in type(model.get_submodule(name)).__name__.lower()
        and after.shape == given.shape == before.shape
        and torch.equal(after, given)
    ]
    return given[0, -1], norms[-1][0, -1] if norms else None


def untrained(lm: LanguageModel, truth: Truth) -> Pairs:
    """The untrained twin's batches and steps are its own single passes."""
    with lm.untrained() as twin:
        own = Truth(copy.deepcopy(engine_of(twin).model))
        whole = sequences(lm)
        yield from zip(twin.next_logits(whole), map(own.logits, whole), strict=True)
        for rows, state in twin.prefill(whole, room=2):
            state = twin.step(twin.step(state, torch.full((len(rows),), 5)), torch.full((len(rows),), 6))
            for row, logits in zip(rows.tolist(), state.logits, strict=True):
                yield logits, own.logits(whole[row], [5, 6])


def float64(lm: LanguageModel, truth: Truth) -> Pairs:
    """A model in float64 gives the same within float32's rounding, and gets its own weights back."""
    whole = sequences(lm)
    if lm.dtype != torch.float64:
        before = lm.next_logits(whole)
        # Some architectures cannot compute in float64.
        with suppress(RuntimeError, TypeError), lm.in_float64():
            lm.next_logits(whole)
        yield lm.next_logits(whole), before


def library(lm: LanguageModel, truth: Truth) -> Pairs:
    whole = sequences(lm)
    yield from zip(lm.library_scores(whole), map(truth.logits, whole), strict=True)


def whole_context(lm: LanguageModel, truth: Truth) -> Pairs:
    """The positions that `LanguageModel` says it has are there, in a pass and in steps."""
    context = lm.engine.context
    if context is None or context > LONGEST:
        return
    whole = ids(context, 3)
    yield lm.next_logits([torch.tensor(whole)])[0], truth.logits(whole)
    if not truth.model.config.is_encoder_decoder:
        for _, state in lm.prefill([torch.tensor(whole[:-3])], room=3):
            for step in range(3):
                state = lm.step(state, torch.tensor([whole[step - 3]]))
            yield state.logits[0], truth.logits(whole)


CHECKS: dict[str, Callable[[LanguageModel, Truth], Pairs]] = {
    "batch of ids": batch_of_ids,
    "batch of vectors": batch_of_vectors,
    "batch of both": batch_of_both,
    "steps of ids": steps_of_ids,
    "steps of vectors": steps_of_vectors,
    "steps of both": steps_of_both,
    "branches": branches,
    "shared beginning": shared_beginning,
    "mixture": mixture,
    "greedy": greedy,
    "whole context": whole_context,
    "library": library,
    "hidden states": hidden,
    "lens": lens,
    "untrained": untrained,
    "float64": float64,
}

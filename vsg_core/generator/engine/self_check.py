"""A model's self-check: which ways of computing give what one pass over each sequence alone gives, from its ids.

A few short random sequences are enough: a mask that is ignored, a state that is lost or positions that are counted
otherwise change every logit that follows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import isnan

import torch
from torch import Tensor

from vsg_core.errors import NotEnoughMemory, VsgError
from vsg_core.generator.engine.batching import after_beginning, left_pad, states_after
from vsg_core.generator.engine.configuration import CHUNK, borders, placeholders, stretched
from vsg_core.generator.engine.forward import PaddedEngine, keyword
from vsg_core.generator.engine.gathering import gather
from vsg_core.generator.engine.internals import (
    final_norm,
    float64,
    head_logits,
    last_hidden_states,
    lens,
)
from vsg_core.generator.engine.memory import check_memory
from vsg_core.generator.engine.paths import SLOWEST, Paths
from vsg_core.generator.engine.split import bytes_to_float64, weights_of

# Largest difference of two logits that is rounding, in standard deviations of the logits.
ROUNDING = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}
# Largest difference after an entry per vector was moved by a few units in the last place, in the same unit.
NEAR = 0.3
# Positions before and during the steps of a sequence.
LENGTHS, STEPS = (8, 4, 8), 3
# Positions times parameters of a pass that is worth its time once per model.
AFFORDABLE = 4e11


def self_check(engine: PaddedEngine, tokens: Sequence[int], special: Sequence[int] = ()) -> Paths:
    """Find the ways of computing that are exact for a model. Passes do not count in the engine's meter.

    Where a difference is larger than rounding, and always for 16-bit weights, float64 decides if memory allows.

    Args:
        tokens: ids that are tokens; other rows of the table are not compared.
        special: special tokens, which are put among random ones.

    Raises:
        VsgError: no way is exact; one line that names what differs.
    """
    before = engine.paths
    try:
        with _unmetered(engine):
            _check_weights(engine)
            paths = _decided(engine, tokens, special)
            on_one_card = not engine.split and engine.device.type == "cuda"
            return replace(paths, static=on_one_card and steps_in_place(engine, paths, tokens, special))
    finally:
        engine.paths = before


def steps_in_place(
    engine: PaddedEngine, paths: Paths, tokens: Sequence[int], special: Sequence[int] = ()
) -> bool:
    """Return whether steps in fixed buffers, on a card in CUDA graphs, are as exact as the other ways.

    In the model's own dtype, since a graph reads the weights where they are. A model that cannot be captured, or for
    which memory does not suffice, steps as before.

    Args:
        paths: what was found exact.
        tokens, special: as for `self_check`.
    """
    before = engine.paths
    try:
        check = _Check(engine, tokens, special)
        # Twice, so that the buffers are used again.
        tests = (check.steps, check.sharing, check.steps)
        return paths.shared and check.agrees(replace(paths, static=True), *tests)
    except NotEnoughMemory:
        return False
    finally:
        engine.paths = before
        engine.runners.drop()


def paths_in_float64(engine: PaddedEngine) -> Paths:
    """Return the paths of a model that runs in float64 now.

    Masks of some architectures overflow there, which gives NaN after padding: those run in batches of equal lengths.
    """
    with _unmetered(engine):
        padded = left_pad(engine, [torch.zeros(length, dtype=torch.long) for length in (3, 1)])
        finite = engine.begin(*padded, keep_cache=False).logits[:, : engine.predicted].isfinite().all()
    # A graph reads the weights where they were.
    paths = replace(engine.paths, static=False)
    return paths if finite else replace(paths, batches="equal", shared=False)


@contextmanager
def _unmetered(engine: PaddedEngine) -> Iterator[None]:
    """Keep the passes inside the block out of the engine's meter."""
    meter, engine.meter = engine.meter, type(engine.meter)()
    try:
        yield
    finally:
        engine.meter = meter


def _decided(engine: PaddedEngine, tokens: Sequence[int], special: Sequence[int]) -> Paths:
    check = _Check(engine, tokens, special)
    found = check.outcome()
    if check.doubtful or engine.dtype.itemsize < 4:
        try:
            with _as_float64(engine):
                exact = _Check(engine, tokens, special)
                second = exact.outcome()
            # Some architectures cannot compute in float64.
            found = found if exact.crashed else second
        except NotEnoughMemory:
            pass
    if isinstance(found, VsgError):
        raise found
    return found


@contextmanager
def _as_float64(engine: PaddedEngine) -> Iterator[None]:
    check_memory(f"{_name(engine)} in float64", bytes_to_float64(engine.model), engine.devices)
    with float64(engine.model):
        yield


def _check_weights(engine: PaddedEngine) -> None:
    """Refuse NaN and infinity in the weights."""
    for name, weight in weights_of(engine.model):
        # A sum reads the weights once and allocates nothing.
        weight = weight.detach()
        total = weight.sum(dtype=torch.float32) if weight.is_floating_point() else torch.zeros(())
        if not total.isfinite() and not weight.isfinite().all():
            raise VsgError(
                f"the weights of {_name(engine)} contain NaN or infinity ({name}): no claim is judged"
            )


class _Check:
    """One self-check in the dtype that the model has now.

    Attributes:
        doubtful: a difference was found that could be rounding.
        crashed: the model raised an error on some path.
        fault: the last difference, or error, in words.
    """

    def __init__(self, engine: PaddedEngine, tokens: Sequence[int], special: Sequence[int]) -> None:
        self.engine, self.model = engine, engine.model
        self.tolerance = ROUNDING.get(engine.dtype, ROUNDING[torch.bfloat16])
        self.doubtful = self.crashed = False
        self.fault = ""
        self.known: dict[tuple[int, ...], Tensor] = {}
        text = set(tokens) - placeholders(self.model)
        self.tokens = torch.tensor(sorted(text), device=engine.device)  # [tokens]
        self.generator = torch.Generator().manual_seed(0)
        # The last positions of each sequence are fed step by step.
        room = max(1, (engine.context or sys.maxsize) - STEPS)
        self.whole = [self.draw(min(length, room) + STEPS) for length in LENGTHS]
        for place, token in zip(
            (0, 2, 5, 3, 6), dict.fromkeys(i for i in special if i in text), strict=False
        ):
            self.whole[0][place % len(self.whole[0])] = token

    @property
    def columns(self) -> Tensor:
        """The tokens whose logits are compared: those that the model predicts."""
        return self.tokens[self.tokens < self.engine.predicted]

    def draw(self, length: int) -> Tensor:
        """Draw random ids [length]."""
        if not len(self.tokens):
            raise VsgError(
                "the tokenizer has no token that is a row of the embedding table: give the model's own"
            )
        places = torch.randint(len(self.tokens), (length,), generator=self.generator)
        return self.tokens[places.to(self.tokens.device)]

    def outcome(self) -> Paths | VsgError:
        """Find what is exact, or why nothing is."""
        try:
            self.sound()
            return self.paths()
        except VsgError as error:
            return error
        except Exception as error:
            self.crashed = True
            return VsgError(f"{_name(self.engine)} cannot be checked ({_line(error)}): it cannot be judged")

    def paths(self) -> Paths:
        """Find the fastest ways that are exact.

        Raises:
            VsgError: the model cannot be fed step by step.
        """
        order: Sequence[Paths] = [
            replace(SLOWEST, batches="padded", cached=True),
            replace(SLOWEST, batches="equal", cached=True),
            replace(SLOWEST, batches="padded"),
            replace(SLOWEST, batches="equal"),
            SLOWEST,
        ]
        found = next((paths for paths in order if self.agrees(paths, self.batch, self.steps)), None)
        if found is None:
            raise VsgError(f"{_name(self.engine)} cannot be fed step by step: {self.fault}")
        found = replace(
            found,
            hidden=self.agrees(replace(found, hidden=True), self.hidden),
            lens=self.agrees(replace(found, lens=True), self.lens),
            states=self.agrees(replace(found, hidden=True, states=True), self.states),
        )
        wanted = replace(found, shared=True)
        found = wanted if found.cached and self.agrees(wanted, self.sharing) else found
        found = replace(found, limit=self.limit(found))
        # Once more after all others: nothing that they left behind may matter.
        self.repeats()
        return found

    def sound(self) -> None:
        """Refuse a model whose single passes are not those of a causal language model fed with its embeddings."""
        start, fed = self.whole[0][:4], self.whole[0][4:]
        embed = self.engine.embed
        before = _settings_of(self.model)
        self.demand("gives no logits", lambda: [(self.alone(ids[:4], ids[4:]),) * 2 for ids in self.whole])
        if changed := sorted(before.items() - _settings_of(self.model).items()):
            raise VsgError(
                f"a short pass changes {_name(self.engine)} for good ({changed[0][0]} was {changed[0][1]}): its later "
                "passes are not those of the published model"
            )
        self.repeats()
        later = "is not causal, a later token changes earlier logits"
        self.demand(later, lambda: [(self.alone(start, fed[:4]), self.alone(start, fed)[:5])])
        vectors = "computes from the embeddings of tokens something else than from their ids"
        self.demand(vectors, lambda: [(self.alone(embed(start), embed(fed)), self.alone(start, fed))])
        near = "takes only vectors that are embeddings of tokens"
        self.demand(near, lambda: [(self.nudged(start, fed), self.alone(start, fed))], NEAR)

    def repeats(self) -> None:
        """Refuse a model whose passes depend on chance, or on those before."""
        start, fed = self.whole[0][:4], self.whole[0][4:]
        again = "gives different logits the second time"
        self.demand(again, lambda: [(self.pass_over(start, fed), self.alone(start, fed))])

    def batch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare a batch of embeddings of several lengths with each sequence alone."""
        whole = self.whole
        sequences = [self.engine.embed(ids[: len(ids) - STEPS]) for ids in whole]
        for rows, state in states_after(self.engine, sequences, STEPS, keep_cache=False):
            for row, logits in zip(rows.tolist(), state.logits, strict=True):
                yield logits, self.alone(whole[row][:-STEPS], whole[row][-STEPS:])[0]

    def steps(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare steps after a batch of ids, first of ids and then of vectors, and of branches that took turns."""
        engine, whole = self.engine, self.whole
        for rows, state in states_after(engine, [ids[:-STEPS] for ids in whole], STEPS, keep_cache=True):
            batch = [whole[row] for row in rows.tolist()]
            turned = torch.arange(len(batch)).flip(0).repeat(2)[:2]
            state = engine.feed(state, torch.stack([ids[-STEPS, None] for ids in batch]))
            branch = engine.select(state, turned)
            others = self.draw(2 * len(turned)).reshape(len(turned), 2)
            for step in range(1, STEPS):
                vectors = engine.embed(torch.stack([ids[step - STEPS, None] for ids in batch]))
                state = engine.feed(state, vectors)
                branch = engine.feed(branch, others[:, step - 1, None])
                for logits, ids in zip(state.logits, batch, strict=True):
                    yield logits, self.alone(ids[:-STEPS], ids[-STEPS:])[step + 1]
            for logits, row, fed in zip(branch.logits, turned.tolist(), others, strict=True):
                start = batch[row][:-STEPS]
                yield logits, self.alone(start, torch.cat([batch[row][len(start) : len(start) + 1], fed]))[-1]

    def sharing(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare sequences of different lengths after a beginning computed once, alone and joined with others."""
        engine = self.engine
        sizes = ((8, (5, 1)), (2, (2, 1)))
        common, tails = next(each for each in sizes if engine.can_share(each[0] + max(each[1]) + 1))
        beginning = self.whole[2][:common]
        sequences = [torch.cat([beginning, self.draw(tail)]) for tail in tails]
        start = engine.begin(*left_pad(engine, [beginning]))
        shared = after_beginning(engine, start, [sequence[common:] for sequence in sequences])
        apart = engine.begin(*left_pad(engine, sequences))
        joined = gather(engine, [(shared, torch.tensor([1, 0])), (apart, torch.tensor([0, 1]))])
        fed = self.draw(len(tails)).unsqueeze(1)  # [batch, 1]
        for state, rows in ((shared, [0, 1]), (joined, [1, 0, 0, 1])):
            before = state.logits
            state = engine.feed(state, fed[rows])
            for first, second, row in zip(before, state.logits, rows, strict=True):
                alone = self.alone(sequences[row], fed[row])
                yield first, alone[0]
                yield second, alone[1]

    def limit(self, paths: Paths) -> int | None:
        """Return the positions below the first border that steps or batches cannot cross exactly; None if none."""
        size = sum(weight.numel() for weight in self.model.parameters())
        short = self.whole
        for border in borders(self.model):
            last = self.engine.context or sys.maxsize
            if border >= last:
                return None
            if border * size > AFFORDABLE:
                return border - 1
            self.check_prefixes(border, last)
            # They share a batch: before the steps one is beyond the border, two before it, with padding around it.
            beside = (border + more for more in (2, -1, -3) if border + more > 0)
            self.whole = [self.draw(min(length + STEPS, last)) for length in beside]
            crossed = self.agrees(paths, self.batch, self.steps)
            self.whole = short
            if not crossed:
                return border - 1
        return None

    def check_prefixes(self, border: int, last: int) -> None:
        """Refuse a model in which, beyond a border, a later token changes earlier logits.

        The exception is a context that is stretched beyond its original length: all positions depend on the length.
        """
        if border in stretched(self.model):
            return
        whole = self.draw(min(border + 4 * STEPS, last))
        # Passes over few positions cost little, and faults such as equal scores do not show at every place.
        places = range(0, len(whole) - border, 1 if border <= CHUNK else 4 * STEPS)
        start, fed = whole[:border], whole[border:]
        later = f"is not causal beyond {border} positions, a later token changes earlier logits"
        self.demand(
            later,
            lambda: [(self.alone(start, fed[:n])[-1], self.alone(start, fed)[n]) for n in places],
        )

    def hidden(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare the head's output for what it saw with the logits, except for a shift and a scale."""
        state = self.engine.begin(self.whole[0][None, :4], None, keep_cache=False)
        with torch.no_grad():
            logits = head_logits(self.engine, state.hidden.unsqueeze(1))[0, -1]  # [vocab]
        found, expected = logits[self.columns], state.logits[0, self.columns]
        yield (found - found.mean()) / found.std(), (expected - expected.mean()) / expected.std()

    def lens(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare the lens of what enters the final norm with the logits."""
        engine, seen = self.engine, list[Tensor]()
        hook = final_norm(self.model).register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0][:, -1])
        )
        try:
            state = engine.begin(self.whole[0][None, :4], None, keep_cache=False)
        finally:
            hook.remove()
        yield lens(engine, seen[-1])[0], state.logits[0]

    def states(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Compare the last hidden state by layer with what the head saw."""
        states = last_hidden_states(self.engine, partial(self.engine.forward, self.whole[0][None, :4], None))
        yield states[0, -1], self.engine.last_seen(1)[0].float()

    def agrees(self, paths: Paths, *tests: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> bool:
        """Return whether a model that takes these paths passes the tests."""
        self.engine.paths = paths
        try:
            return all(self.close(found, expected) for test in tests for found, expected in test())
        except VsgError as error:
            self.fault = str(error)
            return False
        except Exception as error:
            self.crashed, self.fault = True, _line(error)
            return False

    def demand(
        self, what: str, pairs: Callable[[], Sequence[tuple[Tensor, Tensor]]], tolerance: float | None = None
    ) -> None:
        """Refuse the model if a pair differs, by more than rounding unless another tolerance is given."""
        self.engine.paths = SLOWEST
        try:
            differs = not all(self.close(found, expected, tolerance) for found, expected in pairs())
        except VsgError:
            raise
        except Exception as error:
            differs, self.crashed, self.fault = True, True, _line(error)
        if differs:
            raise VsgError(f"{_name(self.engine)} {what} ({self.fault}): it cannot be judged")

    def close(self, found: Tensor, expected: Tensor, tolerance: float | None = None) -> bool:
        """Return whether two sets of numbers differ by rounding only, or by no more than `tolerance`."""
        tolerance = tolerance or self.tolerance
        if found.shape != expected.shape:
            self.fault = f"shape {list(found.shape)} for {list(expected.shape)}"
            return False
        if found.shape[-1] == self.engine.vocab_size:
            found, expected = found[..., self.columns], expected[..., self.columns]
        spread = expected.double().std().item() or 1.0
        off = (found.double() - expected.double()).abs().max().item() / spread
        self.fault = f"off by {off:.2g} standard deviations"
        self.doubtful |= off > tolerance
        # Masks overflow in some architectures when they run in float64, which they were not written for.
        self.crashed |= isnan(off) and self.engine.dtype == torch.float64
        # NaN compares False.
        return off <= tolerance

    def alone(self, sequence: Tensor, fed: Tensor) -> Tensor:
        """The logits [fed + 1, vocab] after a sequence and after each position fed; kept if all are ids.

        Args:
            sequence, fed: ids [seq], [fed] or embeddings [seq, hidden], [fed, hidden].

        Raises:
            VsgError: they are not finite.
        """
        if sequence.is_floating_point():
            return self.pass_over(sequence, fed)
        key = (len(sequence), *sequence.tolist(), *fed.tolist())
        if key not in self.known:
            logits = self.known[key] = self.pass_over(sequence, fed)
            if not logits[..., self.columns].isfinite().all():
                raise VsgError(
                    f"the logits of {_name(self.engine)} contain NaN or infinity: no claim is judged"
                )
        return self.known[key]

    def nudged(self, sequence: Tensor, fed: Tensor) -> Tensor:
        """The logits as `alone` gives them, of embeddings that are no longer those of any token."""
        embedded = self.engine.embed(torch.cat([sequence, fed]))
        # One entry per vector, by an amount that hardly matters.
        place = embedded.abs().argmax(-1, keepdim=True)
        moved = embedded.scatter(
            -1, place, embedded.gather(-1, place) * (1 + 2 * torch.finfo(embedded.dtype).eps)
        )
        return self.alone(moved[: len(sequence)], moved[len(sequence) :])

    def pass_over(self, sequence: Tensor, fed: Tensor) -> Tensor:
        """Run one pass over one sequence alone, without mask, position ids and cache, as `alone` describes it."""
        model, inputs = self.model, sequence.unsqueeze(0)
        with torch.no_grad():
            if not self.engine.is_encoder_decoder:
                inputs = torch.cat([sequence, fed]).unsqueeze(0)
                logits = model(**{keyword(inputs): inputs}, use_cache=False).logits[0].float()
                return self.engine.fitted(logits[len(sequence) - 1 :])
            first = torch.tensor([self.engine.decoder_start], device=inputs.device)
            first = self.engine.embed(first) if fed.is_floating_point() else first
            answer = torch.cat([first, fed]).unsqueeze(0)
            options = {keyword(inputs): inputs, f"decoder_{keyword(answer)}": answer}
            return self.engine.fitted(model(**options, use_cache=False).logits[0].float())


def _settings_of(model: torch.nn.Module) -> dict[str, str]:
    """The types of a model's modules and their settings in words, by name: what a pass should not change."""
    found = {}
    for name, module in model.named_modules():
        found[name] = type(module).__name__
        found |= {f"{name}.{key}": value for key, value in vars(module).items() if isinstance(value, str)}
    return found


def _name(engine: PaddedEngine) -> str:
    return type(engine.model).__name__


def _line(error: Exception) -> str:
    """Describe an error in one line.

    Raises:
        NotEnoughMemory: that was the error, which says nothing of the model.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "not enough memory" in str(error):
        raise NotEnoughMemory(
            "the self-check of the model needs more memory than is free: close other programs"
        )
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"

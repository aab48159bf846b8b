"""One context of llama.cpp: a number of sequences, each with cells of its own, and a pass over some of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsg_core.errors import NotEnoughMemory, VsgError
from vsg_core.generator.llama_cpp.library import library, reason

# The most sequences that one context takes (LLAMA_MAX_SEQ), and the step in which it counts cells.
MOST_SEQUENCES, CELLS = 256, 256
# Positions that a pass computes at once, where there are as many.
POSITIONS = 512
# Bytes before the caches in the saved form of a sequence: a magic number, and the sequence's own.
HEADER = 8
FLASH_ATTENTION_OFF = 0

# The cells of one sequence in each cache, as saved: models with attention windows have two caches.
Saved = list[NDArray[np.uint8]]


class Context:
    """A llama_context in which each of `sequences` has `cells` of its own.

    A sequence's cells begin at its first position, so its numbers do not depend on the other sequences.

    Args:
        watch: called for each node of the graph, see ggml_backend_sched_eval_callback; slows every pass down.

    Raises:
        NotEnoughMemory: the library cannot allocate it.
    """

    def __init__(
        self, model: Any, sequences: int, cells: int, threads: int, watch: Callable[..., bool] | None = None
    ) -> None:
        lib = library()
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = sequences * cells
        parameters.n_ubatch = max(POSITIONS, sequences)
        parameters.n_seq_max = parameters.n_outputs_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.type_k = parameters.type_v = lib.GGML_TYPE_F32
        parameters.flash_attn_type = FLASH_ATTENTION_OFF
        parameters.pooling_type = lib.LLAMA_POOLING_TYPE_NONE
        # Each sequence in cells of its own: in shared ones a pass would go over the cells of all sequences.
        parameters.kv_unified = False
        parameters.swa_full = True
        parameters.no_perf = True
        self._watch = lib.ggml_backend_sched_eval_callback(watch) if watch else None
        if self._watch:
            parameters.cb_eval = self._watch
        self._context = lib.llama_init_from_model(model, parameters)
        if not self._context:
            raise NotEnoughMemory(
                f"llama.cpp cannot hold {sequences} sequences of {cells} positions ({reason() or 'no reason'}): "
                "close other programs, or ask for fewer at once"
            )
        self._memory = lib.llama_get_memory(self._context)
        self.cells = cells
        # Which sequences are taken.
        self.taken = np.zeros(sequences, dtype=bool)

    def take(self, count: int) -> int | None:
        """Take that many sequences that lie next to each other; return the first, or None if there are none."""
        run = 0
        for place, taken in enumerate(self.taken.tolist()):
            run = 0 if taken else run + 1
            if run == count:
                first = place + 1 - count
                self.taken[first : place + 1] = True
                return first
        return None

    def free(self, first: int, count: int) -> None:
        """Empty sequences, which can then be taken again."""
        for sequence in range(first, first + count):
            self.forget(sequence)
        self.taken[first : first + count] = False

    def forget(self, sequence: int, begin: int = 0) -> None:
        """Drop a sequence's positions from `begin` on."""
        library().llama_memory_seq_rm(self._memory, sequence, begin, -1)

    def read(
        self,
        sequences: NDArray[np.int32],
        positions: NDArray[np.int32],
        inputs: NDArray[Any],
        output: tuple[int, int] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Read positions of several sequences, and return copies of the logits and hidden states after them.

        Args:
            sequences: [n] the sequence of each position, without gaps between the numbers, in order.
            positions: [n] its place in the sequence, the next one first.
            inputs: ids [n] int32, or vectors [n, hidden] float32.
            output: (vocab, hidden) to get logits [n, vocab] and hidden states [n, hidden]; n at most one per sequence.
        """
        lib, n = library(), len(sequences)
        sequences, positions = (np.ascontiguousarray(each, dtype=np.int32) for each in (sequences, positions))
        inputs = np.ascontiguousarray(inputs)
        one_each = np.ones(n, dtype=np.int32)
        wanted = np.full(n, output is not None, dtype=np.int8)
        addresses = sequences.ctypes.data + sequences.itemsize * np.arange(n, dtype=np.uint64)
        batch = lib.llama_batch(n_tokens=n)
        if inputs.dtype == np.int32:
            batch.token = _pointer(inputs, ctypes.c_int32)
        else:
            assert inputs.dtype == np.float32
            batch.embd = _pointer(inputs, ctypes.c_float)
        batch.pos = _pointer(positions, ctypes.c_int32)
        batch.n_seq_id = _pointer(one_each, ctypes.c_int32)
        batch.seq_id = _pointer(addresses, ctypes.POINTER(ctypes.c_int32))
        batch.logits = _pointer(wanted, ctypes.c_int8)
        # With hidden states llama.cpp gives the logits of every position, so only where all are wanted.
        lib.llama_set_embeddings(self._context, output is not None)
        code = lib.llama_decode(self._context, batch)
        if code:
            raise VsgError(f"llama.cpp stopped in a pass over {n} positions with code {code}: {reason()}")
        if output is None:
            return None
        logits = lib.llama_get_logits(self._context)
        hidden = lib.llama_get_embeddings(self._context)
        return (
            np.ctypeslib.as_array(logits, (n, output[0])).copy(),
            np.ctypeslib.as_array(hidden, (n, output[1])).copy(),
        )

    def save(self, sequence: int) -> Saved:
        """Copy a sequence's cells out of the context."""
        lib = library()
        size = lib.llama_state_seq_get_size(self._context, sequence)
        data = np.empty(size, dtype=np.uint8)
        got = lib.llama_state_seq_get_data(self._context, _pointer(data, ctypes.c_uint8), size, sequence)
        if got != size:
            raise VsgError(f"llama.cpp could not save a sequence: {reason()}")
        return _caches(data, len(self.taken))

    def restore(self, sequence: int, saved: Saved) -> None:
        """Write cells that `save` copied, from any context of the model, into an empty sequence."""
        lib, sequences = library(), len(self.taken)
        magic = np.empty(lib.llama_state_seq_get_size(self._context, sequence), dtype=np.uint8)
        lib.llama_state_seq_get_data(self._context, _pointer(magic, ctypes.c_uint8), len(magic), sequence)
        count = np.array([sequences], dtype=np.uint32).view(np.uint8)
        # The saved form lists all sequences of the context; the cells of the first that has any are taken.
        others = np.zeros(4 * (sequences - 1), dtype=np.uint8)
        data = np.concatenate([magic[:HEADER], *(part for cells in saved for part in (count, cells, others))])
        done = lib.llama_state_seq_set_data(
            self._context, _pointer(data, ctypes.c_uint8), len(data), sequence
        )
        if done != len(data):
            raise VsgError(f"llama.cpp could not restore a sequence: {reason()}")

    def close(self) -> None:
        """Free the memory."""
        if self._context:
            library().llama_free(self._context)
            self._context = None


def _caches(data: NDArray[np.uint8], sequences: int) -> Saved:
    """Find the cells of the one saved sequence in each cache.

    Llama.cpp writes for a cache: the number of sequences, then for each the number of its cells and, if there are
    any, their positions, and layer by layer keys and values.

    Raises:
        VsgError: the data have another form.
    """
    found, place = [], HEADER

    def number(at: int, kind: str = "<u4") -> int:
        return int(data[at : at + np.dtype(kind).itemsize].view(kind)[0])

    while place < len(data):
        if number(place) != sequences:
            break
        place += 4
        for _ in range(sequences):
            begin, count = place, number(place)
            place += 4
            if not count:
                continue
            # Of each cell its position, the number of its sequences, which is one, and that sequence.
            place += 12 * count
            transposed, layers = number(place), number(place + 4)
            place += 8
            for _ in range(layers):
                # The type, the bytes of a cell's keys, and the keys.
                place += 12 + count * number(place + 4, "<u8")
            for _ in range(layers):
                if not transposed:
                    place += 12 + count * number(place + 4, "<u8")
                else:
                    # The type, the bytes of an element, the elements of a cell, and all of them.
                    place += 12 + count * number(place + 4) * number(place + 8)
            found.append(data[begin:place])
    if place != len(data) or not found:
        raise VsgError("llama.cpp saved a sequence in a form that is not known: its version is another one")
    return found


def _pointer(array: NDArray[Any], kind: Any) -> Any:
    """A pointer to an array's numbers; the array must outlive the call."""
    return array.ctypes.data_as(ctypes.POINTER(kind))

"""Thinking in vectors or tokens and answering in tokens, each sequence switching at its own step."""

from __future__ import annotations

import pytest
import torch

from tests.support.architectures import CONTEXT, every_architecture, tiny
from vsg_core.generator.mixing.mixture import Mixture
from vsg_core.generator.mixing.presets import PLAIN, Mixing
from vsg_core.generator.writing.decoding import Trace, Writer, decode, decode_each
from vsg_core.generator.writing.feedback import HiddenState
from vsg_core.generator.writing.thinking import GivenWriter, think
from vsg_core.generator.writing.writers import ColdStop, ConceptToken, ConceptWriter, TokenWriter

SEQUENCES = [torch.arange(3, 9), torch.arange(20, 23), torch.tensor([7]), torch.arange(30, 34)]
SOFT = Mixing(temperature=0.6, top_k=20)
CLOSING = "w40 w41"
causal = pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma3_text"])


def never(token: str) -> bool:
    return False


@causal
def test_a_thought_is_closed_and_answered(architecture):
    """The answer equals that generated after prompt, vectors and closing words given at once."""
    lm = tiny(architecture)
    thinkers: dict[str, Writer] = {"soft": ConceptWriter(lm, SOFT), "greedy": TokenWriter(lm)}
    thoughts = think(lm, SEQUENCES, thinkers, CLOSING, steps=3, answer_tokens=4, ends=never)
    closing = lm.tokenize(CLOSING, special=False)
    for i, sequence in enumerate(SEQUENCES):
        soft, greedy = thoughts["soft"][i], thoughts["greedy"][i]
        vectors = torch.stack([concept.vector for concept in soft.steps])
        after_soft, after_greedy = lm.generate(
            [lm.join(sequence, vectors, closing), torch.cat([sequence, torch.tensor(greedy.steps), closing])],
            4,
        )
        assert greedy.steps == lm.generate([sequence], len(greedy.steps))[0].ids
        assert (soft.answer, greedy.answer) == (after_soft.text, after_greedy.text)
        assert soft.trace == lm.decode([concept.token_id for concept in soft.steps])
        assert greedy.ended == "length" if len(greedy.steps) == 3 else "end"


@causal
def test_thoughts_end_at_their_own_tokens(architecture):
    """A token that ends a thought is not part of it, the others continue, and each is the same as if written alone."""
    lm = tiny(architecture)
    greedy = [trace.steps for trace in decode(lm, SEQUENCES, TokenWriter(lm), 6)]
    stop = lm.token(greedy[0][1])

    def ends(token: str) -> bool:
        return token == stop

    together = think(lm, SEQUENCES, {"": TokenWriter(lm)}, CLOSING, steps=5, answer_tokens=3, ends=ends)[""]
    for i, thought in enumerate(together):
        texts = [lm.token(token) for token in greedy[i][:5]]
        expected = texts.index(stop) if stop in texts else len(texts)
        assert (thought.steps, len(thought.steps)) == (greedy[i][:expected], expected)
        alone = think(lm, [SEQUENCES[i]], {"": TokenWriter(lm)}, CLOSING, steps=5, answer_tokens=3, ends=ends)
        assert alone[""] == [thought]
    assert together[0].ended == "end"
    assert len({len(thought.steps) for thought in together}) > 1, "they should end at different steps"


def test_answers_have_their_own_length_and_end():
    """Answers have at most answer_tokens tokens, fewer if a token ends the line, wherever the thoughts ended."""
    lm = tiny("llama")
    greedy = [trace.steps for trace in decode(lm, SEQUENCES, TokenWriter(lm), 3)]
    closing = lm.tokenize(CLOSING, special=False)
    given = [lm.embed(torch.tensor(steps))[: 1 + i % 3] for i, steps in enumerate(greedy)]
    prompts = [torch.cat([lm.embed(s), g, lm.embed(closing)]) for s, g in zip(SEQUENCES, given, strict=True)]
    whole = [generation.ids for generation in lm.generate(prompts, 5)]
    stop = lm.token(whole[0][2])
    answers = think(
        lm,
        SEQUENCES,
        {"": GivenWriter(given, 0)},
        CLOSING,
        steps=3,
        answer_tokens=5,
        ends=lambda t: t == stop,
    )[""]
    lengths = set()
    for ids, thought in zip(whole, answers, strict=True):
        texts = [lm.token(i) for i in ids]
        expected = ids[: texts.index(stop)] if stop in texts else ids
        assert thought.answer == lm.decode(expected)
        lengths.add(len(expected))
    assert len(lengths) > 1, "they should end at different steps"


def test_a_cold_thought_is_closed():
    """The entropies are far below 100 bits, so the third of three cold steps ends the thought and is not kept."""
    lm, stop = tiny("llama"), ColdStop(100.0, steps=3)
    thinkers: dict[str, Writer] = {
        "soft": ConceptWriter(lm, PLAIN, stop),
        "greedy": TokenWriter(lm, cold_stop=stop),
    }
    cold = think(lm, SEQUENCES, thinkers, CLOSING, steps=6, answer_tokens=2, ends=never)
    thinkers = {"soft": ConceptWriter(lm, PLAIN), "greedy": TokenWriter(lm)}
    short = think(lm, SEQUENCES, thinkers, CLOSING, steps=2, answer_tokens=2, ends=never)
    for name in thinkers:
        for stopped, thought in zip(cold[name], short[name], strict=True):
            assert (len(stopped.steps), stopped.ended) == (2, "cold")
            assert (stopped.trace, stopped.answer) == (thought.trace, thought.answer)


def test_given_vectors_are_written_as_they_are():
    """Vectors given in place of a thought lead to the answer generated from prompt, vectors and closing words."""
    lm = tiny("llama")
    greedy = think(lm, SEQUENCES, {"": TokenWriter(lm)}, CLOSING, steps=3, answer_tokens=4, ends=never)[""]
    given = [lm.embed(torch.tensor(thought.steps))[: 1 + i % 3] for i, thought in enumerate(greedy)]
    again = think(lm, SEQUENCES, {"": GivenWriter(given, 0)}, CLOSING, steps=3, answer_tokens=4, ends=never)[
        ""
    ]
    closing = lm.embed(lm.tokenize(CLOSING, special=False))
    for sequence, vectors, thought in zip(SEQUENCES, given, again, strict=True):
        (expected,) = lm.generate([torch.cat([lm.embed(sequence), vectors, closing])], 4)
        assert thought.answer == expected.text
        assert len(thought.steps) == len(vectors)


@every_architecture
def test_writers_that_share_a_pass_give_what_each_gives_alone(architecture):
    """Each continues from a copy of the same state and does not see what the others wrote."""
    lm = tiny(architecture)
    writers: dict[str, Writer] = {
        "soft": ConceptWriter(lm, SOFT),
        "greedy": TokenWriter(lm),
        "plain": ConceptWriter(lm),
    }
    together = decode_each(lm, SEQUENCES, writers, 4)
    for name, writer in writers.items():
        for one, other in zip(together[name], decode(lm, SEQUENCES, writer, 4), strict=True):
            assert one.stopped == other.stopped
            if name == "greedy":
                assert one.steps == other.steps
                continue
            for concept, expected in zip(one.steps, other.steps, strict=True):
                torch.testing.assert_close(concept.vector, expected.vector, atol=1e-4, rtol=1e-4)


def test_a_thought_stops_at_the_context():
    """At the last position the trace ends, whether in the thought or in the answer."""
    lm = tiny("llama")
    (thought,) = think(
        lm, [torch.arange(3, CONTEXT)], {"": TokenWriter(lm)}, CLOSING, steps=9, answer_tokens=9, ends=never
    )[""]
    assert len(thought.steps) <= 5
    assert thought.answer == ""


def test_a_trace_is_read_as_one_token_per_position():
    """Tokens as they are, of concept tokens the heaviest, of hidden states the most probable one."""
    concept = ConceptToken(torch.zeros(2), Mixture((5, 3), (0.75, 0.25)), entropy=1.0)
    assert Trace([3, concept, HiddenState(torch.zeros(2), 7, 1.0)]).tokens == [3, 5, 7]
    assert Trace().tokens == []

"""What follows a fork and a mixture of its branches, against the same sequences one at a time."""

from __future__ import annotations

import pytest
import torch

from fixtures.forks import (
    CONCEPT,
    DEPTHS,
    EVEN,
    FIRST,
    MIXES,
    NOISE,
    PEAKED,
    measure_depth,
    measure_forks,
    share,
)
from fixtures.readings import noise_as_long_as
from tests.architectures import tiny
from vsg_core.mixture import STUDY, js_divergence_bits
from vsg_core.writers import write_concepts

PROMPTS = ["w5 w9", "w7", "w11 w3 w8 w8 w20", "w4 w4", "w13 w2 w9"]


@pytest.fixture(scope="module")
def lm():
    return tiny("llama")


@pytest.fixture(scope="module")
def forks(lm):
    return measure_forks(lm, PROMPTS)


def test_a_share_is_the_weight_of_a_blend():
    """By hand: a blend lies at its weight, what is off the line at its foot, what is past an end at the end."""
    first, second = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    for point, lies in (
        ([0.6, 0.4, 0], 0.4),
        ([1, 0, 0], 0),
        ([0.5, 0.5, 9], 0.5),
        ([0, 2, 0], 1),
        ([2, 0, 0], 0),
    ):
        assert share(torch.tensor([point]), first, second).item() == pytest.approx(lies)


def follows(lm, prompt, fed):
    """[vocab]: the next distribution when an id or a vector comes after the prompt, alone."""
    vector = lm.embed(torch.tensor([fed])) if isinstance(fed, int) else fed.unsqueeze(0)
    return lm.next_logits([lm.join(prompt, vector)]).softmax(-1)[0]


def test_distances_are_those_of_each_sequence_alone(lm, forks):
    """Branches, mixtures, concept token and noise, batched, give what each gives when it is fed whole."""
    ids = torch.tensor([fork.ids for fork in forks])
    noise = noise_as_long_as(lm.mix(torch.full(ids.shape, 0.5), ids))
    for fork, prompt, random in zip(forks, PROMPTS, noise, strict=True):
        assert fork.ids == lm.next_logits([lm.tokenize(prompt)])[0].topk(2).indices.tolist()
        fed = {
            name: lm.mix(torch.tensor([weights]), torch.tensor([fork.ids]))[0]
            for name, weights in MIXES.items()
        }
        fed[CONCEPT] = write_concepts(lm, [lm.tokenize(prompt)], mixing=STUDY)[0].steps[0].vector
        first, second = (follows(lm, prompt, i) for i in fork.ids)
        after = {name: follows(lm, prompt, vector) for name, vector in {**fed, NOISE: random}.items()}
        assert fork.apart == pytest.approx(js_divergence_bits(first, second).item(), abs=1e-5)
        for name in fed:
            to_first, to_second = (
                js_divergence_bits(after[name], branch).item() for branch in (first, second)
            )
            assert fork.to_first[name] == pytest.approx(to_first, abs=1e-5)
            assert fork.lead(name) == pytest.approx(to_second - to_first, abs=1e-5)
        for name in (EVEN, NOISE):
            blend = js_divergence_bits(after[name], (first + second) / 2).item()
            assert fork.to_blend[name] == pytest.approx(blend, abs=1e-5)
        assert fork.second_share == pytest.approx(share(after[PEAKED], first, second).item(), abs=1e-4)
        assert fork.follows[FIRST] == lm.token(int(first.argmax()))


def test_the_other_prompt_ranks_the_two_the_other_way(lm, forks):
    """The lead elsewhere is that after the next prompt that finds the second token likelier."""
    logits = lm.next_logits([lm.tokenize(prompt) for prompt in PROMPTS])
    turned = 0
    for place, fork in enumerate(forks):
        later = [(place + step) % len(PROMPTS) for step in range(1, len(PROMPTS))]
        other = next((i for i in later if logits[i][fork.ids[1]] > logits[i][fork.ids[0]]), None)
        turned += other is not None
        prompt = PROMPTS[later[0] if other is None else other]
        even = follows(lm, prompt, lm.mix(torch.tensor([[0.5, 0.5]]), torch.tensor([fork.ids]))[0])
        to_first, to_second = (js_divergence_bits(even, follows(lm, prompt, i)).item() for i in fork.ids)
        assert fork.reversed_lead == pytest.approx(to_second - to_first, abs=1e-5)
    assert turned


def test_depth_begins_at_the_weight_and_ends_at_the_next_distribution(lm, forks):
    """The mixture's embedding lies at 0.4; the last column is the next distribution's; the middle one is by hand."""
    depth = measure_depth(lm, forks)
    assert depth.lens.shape == depth.hidden.shape == (len(PROMPTS), len(DEPTHS))
    torch.testing.assert_close(depth.hidden[:, 0], torch.full((len(PROMPTS),), 0.4))
    assert depth.lens[:, -1].tolist() == pytest.approx([fork.second_share for fork in forks])
    mixed = lm.mix(torch.tensor([MIXES[PEAKED]]), torch.tensor([forks[0].ids]))[0]
    rows = [mixed, *lm.embed(torch.tensor(forks[0].ids))]
    states = lm.hidden_states([lm.join(PROMPTS[0], row.unsqueeze(0)) for row in rows])[
        :, 1
    ]  # the middle of two
    seen = lm.lens(states).softmax(-1)
    assert depth.lens[0, 2].item() == pytest.approx(share(*seen).item(), abs=1e-4)
    assert depth.hidden[0, 2].item() == pytest.approx(share(*states).item(), abs=1e-4)

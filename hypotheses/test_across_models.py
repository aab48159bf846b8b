"""Do size, instruction tuning and quantisation change what holds?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsg_core import Evidence, Trial, claim, difference, rate
from vsg_core.errors import NotApplicable, RecordsUnavailable

if TYPE_CHECKING:
    from vsg_core.records.across import ModelPair

REPO = "https://github.com/abstractionlair/vector-space-generation/blob/main"
STUDY = "abstractionlair/vector-space-generation"
# The claims on reading that every kind of model is asked, each with its arm of the nouns' own embeddings.
READING = {
    "mixture_cannot_be_copied": "first noun alone",
    "mixture_cannot_be_read_in_completion_frame": "first noun alone",
    "reader_names_both_components": "the two nouns side by side",
}
LEAST = 40  # pairs of nouns


@dataclass(frozen=True)
class Asked:
    """One mixture that two models read in one frame, in the order of their pair."""

    models: ModelPair
    claim: str
    prompt: str
    nouns: tuple[str, str]
    replies: tuple[str, str]
    read: tuple[bool, bool]
    known: bool  # both name the nouns by their own embeddings in that frame

    def trial(self, value: float) -> Trial:
        names = self.models.first.name, self.models.second.name
        return Trial(
            self.prompt,
            self.replies[1],
            value=value,
            inputs={"asked in": self.claim, "models": " and ".join(names)},
            outputs={"the first model": self.replies[0]},
            cluster=" and ".join(self.nouns),
        )

    def success(self, which: int) -> Trial:
        return Trial(
            self.prompt, self.replies[which], success=self.read[which], cluster=" and ".join(self.nouns)
        )


@claim(
    "Reading ability grows with size within a family: the larger model reads more than 5 in 100 mixtures more",
    source=f"{STUDY}, README, Loose Ends; docs/qwen-implementation.md, Expected Outcomes",
    link="https://github.com/abstractionlair/vector-space-generation#loose-ends",
    reported="a question: could reading emerge in models larger than could be had? GPT-2 and Qwen2.5-1.5B, which were "
    "tried, differ in more than size",
    rule=difference(above=0.05),
    comparisons=["smaller model", "larger model", "also where a noun itself is not named"],
)
def test_reading_grows_with_size(records):
    """Value: the larger model reads a mixture of two nouns, minus the smaller one does, over three claims on reading.

    Paired by the two nouns and the frame. Only where both models name the nouns' own embeddings in that frame, else
    better copying would pass for better reading; and only frames in which the smaller model leaves room for the 5 in
    100 that are claimed. The models share series, kind and form; of more than two sizes the smallest and the largest
    count. Two sizes make one step: that it grows on, or in another family, is not measured.
    """
    from vsg_core.records.across import SIZE

    asked = asked_of_both(records.pairs(SIZE, READING))
    known = with_room([each for each in asked if each.known])
    return Evidence(
        enough([each.trial(each.read[1] - each.read[0]) for each in known]),
        {
            "smaller model": [each.success(0) for each in known],
            "larger model": [each.success(1) for each in known],
            "also where a noun itself is not named": [
                each.trial(each.read[1] - each.read[0]) for each in asked
            ],
        },
    )


@claim(
    "Instruction-tuned models are more brittle to embeddings than base models: they read more than 5 in 100 mixtures "
    "less",
    source=f"{STUDY}, ai-generated-notes/vector-space-write-up-claude.md, 5.2",
    link=f"{REPO}/ai-generated-notes/vector-space-write-up-claude.md",
    reported="chat-formatted embeddings gave empty output, plain ones did not; no base model of the same size was "
    "asked, and slicing the reply explains the emptiness",
    rule=difference(above=0.05),
    positive_controls={"the base model reads": rate(above=0.1)},
    comparisons=["instruction-tuned model", "also where a noun itself is not named"],
)
def test_instruction_tuning_makes_brittle(records):
    """Value: the base model reads a mixture of two nouns, minus the instruction-tuned one does; no chat format.

    A token's own embedding gives what its id gives, so what can break is what is no token: only where both models
    name the nouns' own embeddings in the same frame do the mixtures count. The models share series, size and form.
    """
    from vsg_core.records.across import TUNING

    asked = asked_of_both(records.pairs(TUNING, READING))
    known = [each for each in asked if each.known]
    return Evidence(
        enough([each.trial(each.read[0] - each.read[1]) for each in known]),
        {
            "the base model reads": [each.success(0) for each in known],
            "instruction-tuned model": [each.success(1) for each in known],
            "also where a noun itself is not named": [
                each.trial(each.read[0] - each.read[1]) for each in asked
            ],
        },
    )


def with_room(asked: list[Asked]) -> list[Asked]:
    """Those in frames in which the first model of the pair reads under 95 mixtures in 100."""
    read: dict[tuple[str, str], list[bool]] = {}
    for each in asked:
        read.setdefault((each.models.first.name, each.claim), []).append(each.read[0])
    full = {frame for frame, found in read.items() if sum(found) >= 0.95 * len(found)}
    return [each for each in asked if (each.models.first.name, each.claim) not in full]


def asked_of_both(pairs: list[ModelPair]) -> list[Asked]:
    """What both models of each pair were asked in the claims on reading."""
    found = []
    for pair in pairs:
        for name, alone in READING.items():
            own, other = (by_nouns(record, alone) for record in pair.records[name])
            for nouns in own.keys() & other.keys():
                trials = own[nouns][0], other[nouns][0]
                replies = trials[0].output, trials[1].output
                read = trials[0].success, trials[1].success
                known = own[nouns][1] and other[nouns][1]
                found.append(Asked(pair, name, trials[0].prompt, nouns, replies, read, known))
    return sorted(found, key=lambda each: (each.models.first.name, each.claim, each.nouns))


def by_nouns(record, alone):
    """Each trial by its two nouns, with whether the model names their own embeddings; not all were asked for that."""
    (arm,) = (control for control in record.evidence.arms if control.name == alone)
    named = {re.findall(r"<(\w+)>", trial.prompt)[0]: trial.success for trial in arm.trials}
    found = {}
    for trial in record.evidence.trials:
        (first, _), (second, _) = trial.mixture
        found[first, second] = (trial, named.get(first, False))
    return found


def enough(trials: list[Trial]) -> list[Trial]:
    """The trials, where a mean can be judged of them.

    Raises:
        NotApplicable: they are of under 40 pairs of nouns, or the models never differ.
    """
    values: dict[str | None, list[float]] = {}
    for trial in trials:
        values.setdefault(trial.cluster, []).append(trial.value or 0.0)
    if len(values) < LEAST:
        raise NotApplicable(f"both models name the nouns themselves of {len(values)} pairs, below {LEAST}")
    if len({sum(found) / len(found) for found in values.values()}) == 1:
        raise NotApplicable("the two models differ alike on every pair of nouns, which leaves no interval")
    return trials


@claim(
    "Quantised weights change verdicts: on more than one claim in five",
    source=f"{STUDY}, docs/models-without-quantization.md",
    link=f"{REPO}/docs/models-without-quantization.md",
    reported="not tried: models that fit unquantised were chosen, for clean float16 weights in vector operations",
    rule=rate(above=0.2, trials=20),
    comparisons=["turned round"],
)
def test_quantised_weights_change_verdicts(records):
    """Success: the verdict of a claim on the quantised form is another than on the full form of the same model.

    Not applicable is a verdict here where something was measured, and to or from inconclusive is a change; "turned
    round" counts only holds against refuted. Claims of one question share prompts and vectors and are one unit.
    Identities (always) are left out: they hold for any weights. A GGUF brings its own tokenizer and chat format, whose
    part in a change is not told apart.
    """
    from vsg_core.records.across import QUANTISATION

    both = [
        (pair, full, quantised)
        for pair in records.pairs(QUANTISATION)
        for full, quantised in pair.records.values()
        if full.claim.rule.kind != "always"
    ]
    questions = {full.claim.question for _, full, _ in both}
    if len(questions) < 20:
        raise RecordsUnavailable(
            f"needs records on 20 questions of both forms of a model, has {len(questions)}",
            records.command(QUANTISATION),
        )

    def trials(changed):
        return [
            Trial(
                full.claim.statement,
                f"{quantised.verdict}: {quantised.reason}",
                success=changed(full.verdict, quantised.verdict),
                inputs={"claim": full.claim.id, "models": f"{pair.first.name} and {pair.second.name}"},
                outputs={"full": f"{full.verdict}: {full.reason}"},
                cluster=full.claim.question,
            )
            for pair, full, quantised in both
        ]

    return Evidence(
        trials(lambda full, quantised: full != quantised),
        {"turned round": trials(lambda full, quantised: {full, quantised} == {"holds", "refuted"})},
    )

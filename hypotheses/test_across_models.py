"""Do size, instruction tuning and quantisation change what holds?"""

from __future__ import annotations

from collections.abc import Callable

from fixtures.records import READING, asked_of_both, comparable, losses, mean_value, read
from fixtures.sources import WRITE_UP, study_file
from vsg_core import (
    QUANTISATION,
    SIZE,
    TUNING,
    Evidence,
    Records,
    RecordsUnavailable,
    Trial,
    claim,
    control,
    more,
    mostly,
    rate,
    sometimes,
    trials,
)

FEWEST_QUESTIONS = 20
# With fewer, no count of successes decides about one half.
FEWEST_SERIES = 6
RETAINED, BLEND = "lighter_token_keeps_less_than_half_of_its_weight", "geometric blend"
ALL_NOUNS = "also where a noun itself is not named"


@claim(
    "The instruction-tuned models asked are more brittle to embeddings than their base models: they read more than 5 "
    "in 100 mixtures less",
    source=WRITE_UP("5.2"),
    reported="chat-formatted embeddings gave empty output, plain ones did not; no base model of the same size was "
    "asked, and slicing the reply explains the emptiness",
    rule=more(than=0.05),
    unit="of mixtures",
    positive_controls={
        "the base model reads": control(sometimes(), "the share of these mixtures that it reads")
    },
    comparisons={
        "instruction-tuned model": "the share that the instruction-tuned model reads",
        ALL_NOUNS: "the same difference over all pairs of nouns",
    },
    no_control="the value is a paired difference: the base model is what the instruction-tuned one is "
    "compared with, and nouns that either cannot name from their own embeddings are left out",
)
def test_instruction_tuning_makes_brittle(records: Records) -> Evidence:
    """Value: the base model reads a mixture of two nouns, minus the instruction-tuned one does; no chat format.

    To read is to name the lighter noun, or both nouns where both are asked for, in three claims on reading. A token's
    own embedding gives the same as its id, so only vectors that are not tokens can break a model: the mixtures count
    only where both models name the second noun after the nouns' own embeddings in the same frame. The models share
    series, size and form. The units are pairs of nouns, so the verdict is about the models asked, and not about
    instruction tuning in general.
    """
    asked = asked_of_both(records.pairs(TUNING, READING))
    counted = [one for one in asked if one.known]
    return Evidence(
        comparable(losses(counted)),
        {
            "the base model reads": read(counted, 0),
            "instruction-tuned model": read(counted, 1),
            ALL_NOUNS: losses(asked),
        },
    )


@claim(
    "In most series of models the largest keeps less of a mixture's lighter token than the smallest",
    rule=mostly(trials=FEWEST_SERIES),
    comparisons={
        BLEND: "success if the share falls in the geometric blend too, whose fall is due to sharper predictions alone"
    },
    no_control="both models share series, kind and form, and the claim that their records are of calibrates the share",
)
def test_pruning_grows_with_size(records: Records) -> Evidence:
    """Success: the lighter token's mean retained share is lower on the larger model, for a mixture of 0.7 and 0.3.

    A unit is a series, of which the smallest and the largest model of one kind and form are compared, and not a prompt:
    the sentence is about models. At best six series decide, if all agree: the power is low. The four models
    measured first, of which only two are of one series, had shares of 0.25, 0.24, 0.17 and 0.10 from 135 million to
    1.5 billion parameters, and the direction was chosen by someone who had seen this.
    """
    pairs = records.pairs(SIZE, [RETAINED])
    series = {pair.first.series for pair in pairs}
    if len(series) < FEWEST_SERIES:
        raise RecordsUnavailable(
            f"needs records of {RETAINED} on two sizes of {FEWEST_SERIES} series, has {len(series)}",
            records.command(SIZE),
        )

    def falls(arm: str | None) -> list[Trial]:
        shares = [[mean_value(record, arm) for record in pair.records[RETAINED]] for pair in pairs]
        return trials(
            [f"{pair.first.name} and {pair.second.name}" for pair in pairs],
            success=[larger < smaller for smaller, larger in shares],
            inputs={
                "share on the smaller": [smaller for smaller, _ in shares],
                "share on the larger": [larger for _, larger in shares],
            },
            cluster=[pair.first.series or "" for pair in pairs],
        )

    return Evidence(falls(None), {BLEND: falls(BLEND)})


@claim(
    "Quantised weights change verdicts: on more than one claim in five",
    source=study_file("docs/models-without-quantization.md"),
    reported="not tried: models that fit unquantised were chosen, for clean float16 weights in vector operations",
    rule=rate(above=0.2, trials=20),
    comparisons={"turned round": "holds on one form and is refuted on the other"},
    no_control="evidence is deterministic: the same form judged twice would change no verdict, and such a control "
    "could not fail",
)
def test_quantised_weights_change_verdicts(records: Records) -> Evidence:
    """Success: a claim's verdict on the quantised form differs from that on the full form of the same model.

    *Not applicable* counts as a verdict where something was measured, and a change to or from *inconclusive* counts.
    Claims of one question share prompts and vectors and are one unit. Identities (always) are left out: they hold for
    any weights. A GGUF has its own tokenizer and chat format, whose part in a change is not separated.
    """
    both = [
        (f"{pair.first.name} and {pair.second.name}", full, quantised)
        for pair in records.pairs(QUANTISATION)
        for full, quantised in pair.records.values()
        if full.claim.rule.kind != "always"
    ]
    questions = {full.claim.question for _, full, _ in both}
    if len(questions) < FEWEST_QUESTIONS:
        raise RecordsUnavailable(
            f"needs records on {FEWEST_QUESTIONS} questions of both forms of a model, has {len(questions)}",
            records.command(QUANTISATION),
        )

    def changed(counts: Callable[[str, str], bool]) -> list[Trial]:
        return trials(
            [full.claim.statement for _, full, _ in both],
            output=[f"{quantised.verdict}: {quantised.reason}" for *_, quantised in both],
            success=[counts(full.verdict, quantised.verdict) for _, full, quantised in both],
            inputs={
                "claim": [full.claim.id for _, full, _ in both],
                "models": [models for models, *_ in both],
            },
            outputs={"full": [f"{full.verdict}: {full.reason}" for _, full, _ in both]},
            cluster=[full.claim.question for _, full, _ in both],
        )

    return Evidence(
        changed(lambda full, quantised: full != quantised),
        {"turned round": changed(lambda full, quantised: {full, quantised} == {"holds", "refuted"})},
    )

"""The format of a record: what one claim on one model leaves on disk.

What is deterministic (claim, model, evidence) is kept apart from the run (times, commit, machine), so that two runs
gave the same evidence exactly when `Record.evidence_bytes` are the same bytes.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic.config import JsonDict

from vsg_core.judge.arms import Dose
from vsg_core.judge.rules import Rule
from vsg_core.vocabulary import ACROSS, FIRST_ENGINE, Cause, Outcome, Protects, Role, Status, Verdict
from vsg_core.wording import Unit

SCHEMA_VERSION: Literal[2] = 2
# What computes a model unless another engine is chosen; in older records too.
# -0.0 becomes 0.0, so that equal numbers are equal bytes.
Number = Annotated[float, AfterValidator(lambda number: number + 0.0)]
Interval = tuple[Number, Number]


class Stored(BaseModel):
    """A frozen part of a file. Each field's docstring is its description in the published schema.

    Unknown fields are an error, and so are values of a different type ("1" for 1, 1 for true) and NaN.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class ClaimReference(Stored):
    """The claim as it was when it ran."""

    id: str
    """The name of its function without test_."""

    question: str
    """The question that the claim belongs to."""

    statement: str
    """One sentence that could be false."""

    source: str
    """Where the claim comes from."""

    link: str | None
    """A URL of the source."""

    reported: str
    """What the source saw."""

    reported_verdict: Literal["holds", "refuted"]
    """Whether what the source saw agrees with the statement or with its opposite."""

    rule: Rule
    """What the claim's own trials must show."""

    rules_digest: str
    """A digest of the rule and of every control's: equal digests, and only these, judge alike."""

    rule_text: str
    """The rule and every control's in words, for people to read."""

    no_control: str = ""
    """Why the claim has no control; empty where it has one, and in older records."""

    docstring: str
    """The docstring of the claim's function."""

    seed: int
    """The seed of every random draw."""

    headline: bool
    """Whether it is one of the claims that the study is known for; their questions come first on the page."""

    status: Status = "exploratory"
    """What its verdicts are worth. identity: settled by arithmetic or the harness, so no finding; exploratory: not yet
    confirmed on unseen data, as in all older records."""

    value_unit: str = ""
    """What the values of its trials are in, say bits; empty where they are successes or have no unit."""

    population: str = ""
    """What its items are drawn from at random, which is what its verdict is about; empty for listed items."""

    line: int = 0
    """Where its file declares it, which orders the claims of a question; 0 where that is not known."""


class ModelReference(Stored):
    """The model, and which weights it has."""

    name: str
    """Its name in the registry, or one made from where its weights are."""

    family: str | None = None
    """The family that it belongs to, say qwen."""

    kind: str | None = None
    """base or instruct."""

    parameters: int | None = None
    """The number of its parameters."""

    series: str | None = None
    """Groups models that differ only in size, kind or quantisation."""

    form: str | None = None
    """The form of the weights: Q4_K_M, Q4_1, bfloat16, float32."""

    quantised: bool | None = None
    """Whether the weights have fewer than 16 bits."""

    tied: bool | None = None
    """Whether the embedding table is also the head."""

    file: str | None = None
    """The file of the weights, where they are a single one."""

    sha256: str | None = None
    """The digest of the weights; of hub folders the revision says which bytes are meant."""

    revision: str | None = None
    """The commit of the hub folder that the weights came from."""

    source: str | None = None
    """Where the weights came from."""

    target: str = ""
    """What `pytest --model` takes for this model."""

    @property
    def weights(self) -> str:
        """Identifies the bytes of the model: its sha256, else its revision, else nothing."""
        return self.sha256 or self.revision or ""

    @property
    def is_across(self) -> bool:
        """Return whether this stands for several models, which the claim was judged over."""
        return self.name == ACROSS


class StoredTrial(Stored):
    """One unit of evidence: usually one prompt, with one measured value."""

    prompt: str
    """What the model was asked."""

    output: str
    """What it produced in the trial's main arm."""

    success: bool | None = None
    """What a rate or always rule counts."""

    value: Number | None = None
    """What a difference or equivalence rule averages."""

    mixture: tuple[tuple[str, float], ...] | None = None
    """The tokens and weights of the mixture that went in, heaviest first; weights have six digits."""

    inputs: dict[str, JsonValue] = {}
    """What else went in; numbers have six digits."""

    outputs: dict[str, str] = {}
    """What further named arms of the same trial produced."""

    cluster: str | None = None
    """Trials of the same cluster are one independent unit."""


class Measurement(Stored):
    """An estimate with its interval, as far as there is one."""

    estimate: Number | None = None
    """A rate, a difference of rates, a rate of counterexamples (always), or a mean; rates are 0 to 1."""

    interval: Interval | None = None
    """Confidence interval of the estimate, low then high; a rule compares this one with its limit."""

    n: int | None = None
    """Independent units: trials, those of one cluster counted once."""


def numbers_with_a_verdict(more_with: JsonDict, more_without: JsonDict) -> JsonDict:
    """Return the part of a JSON schema by which a measurement has its numbers exactly where it has a verdict.

    Args:
        more_with, more_without: what else holds of the fields with, and without, a verdict.
    """
    with_verdict: JsonDict = {
        "estimate": {"type": "number"},
        "interval": {"type": "array"},
        "n": {"type": "integer"},
    }
    return {
        "if": {"properties": {"verdict": {"const": "not run"}}},
        "then": {"properties": {**{name: {"type": "null"} for name in with_verdict}, **more_without}},
        "else": {"properties": {**with_verdict, **more_with}},
    }


class StoredArm(Measurement):
    """A control or comparison with its trials."""

    name: str
    """Its name in the claim."""

    role: Role
    """What it is for."""

    rule: Rule | None = None
    """What the arm must show; null for a comparison."""

    sentence: str = ""
    """What the arm is."""

    dose: Dose | None = None
    """How much of something the arm was given, where arms form a curve."""

    protects: Protects | None = None
    """The verdicts that a control guards; null for other arms, and in older records, whose controls guard holds."""

    verdict: Verdict | None = None
    """Whether its rule holds; null for a comparison."""

    trials: tuple[StoredTrial, ...] = ()
    """Every trial of the arm."""

    def unit(self, claim_rule: Rule) -> Unit:
        """The unit of its estimate; a comparison is measured by itself as the claim's rule would measure it."""
        return claim_rule.arm_unit(self.rule)


class NotRun(Stored):
    """Why there is no verdict."""

    cause: Cause
    """"not applicable" is a finding about the model; the other causes say nothing about it."""

    reason: str
    """The cause in one line."""

    command: str = ""
    """The command that would change it; empty where there is none."""

    @property
    def cause_and_reason(self) -> str:
        """The text without the command."""
        return {"not applicable": "not applicable: ", "error": "error: "}.get(self.cause, "") + self.reason

    @property
    def text(self) -> str:
        """Cause, reason and command in one line."""
        shown = self.cause_and_reason
        return f"{shown}; to get them: {self.command}" if self.command else shown


class StoredEvidence(Measurement):
    """Everything that was measured, and what the judge made of it."""

    @model_validator(mode="after")
    def _numbers_with_a_verdict(self) -> Self:
        """Check that a verdict has numbers and trials, and that what did not run has a cause and no numbers."""
        numbers = [value is not None for value in (self.estimate, self.interval, self.n)]
        if (self.verdict == "not run") != (self.not_run is not None):
            raise ValueError("not_run belongs to the verdict 'not run', and to no other")
        if self.verdict == "not run" and any(numbers):
            raise ValueError("what was not run has no estimate, interval or n")
        if self.verdict != "not run" and not (all(numbers) and self.trials):
            raise ValueError("a verdict has an estimate, an interval, n and trials")
        return self

    model_config = ConfigDict(
        json_schema_extra=numbers_with_a_verdict(
            {"trials": {"minItems": 1}, "reason": {"minLength": 1}, "not_run": {"type": "null"}},
            {"not_run": {"type": "object"}},
        )
    )

    verdict: Verdict
    """holds, refuted, negligible or inconclusive; "not run", for which not_run gives the cause, is not a verdict."""

    reason: str
    """The measurement against the rule in one line; empty where not_run says why there is none."""

    not_run: NotRun | None = None
    """Why there is no verdict; null where there is one."""

    p_value: Number | None = None
    """The smallest alpha at which the verdict would still be given; of an inconclusive one, at which it would be
    another. Null where the claim was not run, and in older records."""

    share: Number | None = None
    """The share of the independent units whose value is on the claim's side; null unless the rule averages values,
    and in older records."""

    trials: tuple[StoredTrial, ...] = ()
    """Every trial of the claim's own arm."""

    arms: tuple[StoredArm, ...] = ()
    """The controls and comparisons."""

    dtype: str | None = None
    """What the model was computed in; null where no model had to be loaded."""

    engine: str = FIRST_ENGINE
    """What computed the model's outputs."""

    thinking: Literal["on", "off"] | None = None
    """The run's choice for chat formats that can reason; null left it off, unless the claim asked for it."""

    chosen_trials: int | None = None
    """The run's choice of how many trials a claim draws from its pool; null for the claim's own number."""


class UsedRecord(Stored):
    """A record that a claim across models rests on."""

    claim: str
    """The id of its claim."""

    model: str
    """The name of its model."""

    weights: str
    """The sha256 of the model's weights, or their revision."""

    dtype: str | None
    """What the model was computed in."""

    started: datetime
    """When the record was made."""

    commit: str | None
    """The commit of the code that made it."""


class Run(Stored):
    """The time, place and circumstances of the measurement; nothing in it is evidence."""

    started: datetime
    """When the claim began to run."""

    seconds: float | None = None
    """How long the claim ran, without the time that loading the model took."""

    forward_seconds: float = 0.0
    """How much of that time the model's forward passes took."""

    forward_passes: int = 0
    """How many passes went through the model."""

    tokens: int = 0
    """Token positions that went through the model."""

    device: str | None = None
    """What the model ran on, say cpu."""

    paths: str | None = None
    """The ways of computing that the model's self-check found exact."""

    in_setup: bool = False
    """Whether it ended before the claim's function was called."""

    notes: tuple[str, ...] = ()
    """What the model's tokenizer and chat template do that was taken away or fixed."""

    machine: str | None = None
    """The operating system, cores and memory."""

    environment: dict[str, str] = {}
    """The variables that limit what of the machine the process may use: threads, how they wait, and graphics cards."""

    commit: str | None = None
    """The commit of the code that made the record."""

    dirty: bool | None = None
    """Whether files differed from the commit."""

    code: str | None = None
    """A digest of the files of vsg_core, hypotheses and fixtures: it tells two states with changes apart."""

    versions: dict[str, str] = {}
    """Of Python and the libraries that the result may depend on."""

    engine: dict[str, str] = {}
    """What computed: its name and version, the form of the weights as computed with, dtype, threads and kernels; empty
    where no model had to be loaded, and in older records."""

    records: tuple[UsedRecord, ...] = ()
    """The records that a claim across models was judged over."""


class Key(Stored):
    """All that a verdict rests on, as digests: two measurements of one key give the same evidence."""

    digest: str
    """A digest of all parts."""

    parts: dict[str, str]
    """Each part by name: weights, dtype, rule, claim, "fixture forks", "data open_prompts", generator and so on."""


class RecordedMeasurement(Measurement):
    """The verdict that was accepted before, as the record was compared with it."""

    verdict: Verdict
    """The accepted verdict."""


class Record(Stored):
    """One claim on one model."""

    format: Annotated[Literal[2], Field(alias="schema")] = SCHEMA_VERSION
    """Version of this schema. Another number: another meaning of some field."""

    claim: ClaimReference
    """The claim that was judged."""

    model: ModelReference
    """The model that it ran on."""

    evidence: StoredEvidence
    """What was measured: the same weights, code and seed give the same again."""

    run: Run
    """When, where and how it was measured."""

    recorded: RecordedMeasurement | None = None
    """The verdict accepted before, under the same name; null without one."""

    outcome: Outcome
    """How the verdict compares with the recorded one."""

    key: Key | None = None
    """What the evidence rests on; null where the record was made before records had keys, or where no key was made."""

    model_config = ConfigDict(populate_by_name=True)

    @property
    def verdict(self) -> Verdict:
        return self.evidence.verdict

    @property
    def unit(self) -> Unit:
        """The unit of the claim's estimate."""
        return self.claim.rule.unit

    @property
    def not_run(self) -> NotRun | None:
        return self.evidence.not_run

    @property
    def moved(self) -> bool:
        """Return whether the verdict is the recorded one and its estimate is outside the recorded interval."""
        estimate, before = self.evidence.estimate, self.recorded
        if self.outcome != "same" or estimate is None or before is None or before.interval is None:
            return False
        low, high = before.interval
        # As recorded verdicts are rounded, so that an estimate at an end is not outside for its last digits.
        return not low <= rounded(estimate) <= high

    @property
    def reason(self) -> str:
        """The measurement against the rule, or why there is none, in one line."""
        return self.evidence.reason if self.not_run is None else self.not_run.text

    @property
    def is_finding(self) -> bool:
        """Return whether the record is about the model: a verdict, or that the claim does not apply to it."""
        return self.outcome != "broken" and (self.not_run is None or self.not_run.cause == "not applicable")

    @property
    def weights(self) -> str:
        """Identifies the bytes of the model: its sha256, else its revision, else nothing.

        Of a claim across models: those of every model it rests on, by name.
        """
        if self.run.records:
            return ", ".join(sorted({f"{used.model} {used.weights}" for used in self.run.records}))
        return self.model.weights

    @property
    def evidence_bytes(self) -> bytes:
        """The bytes that are equal exactly when two records are the same evidence.

        No wording is part of them, nor what older records lack although trials and rules determine it: p_value,
        share and protects.
        """
        left_out: dict[str, Any] = {
            "reason": True,
            "p_value": True,
            "share": True,
            "not_run": {"reason", "command"},
            "arms": {"__all__": {"sentence", "dose", "protects"}},
        }
        identity = {
            "claim": self.claim.id,
            "rules": self.claim.rules_digest,
            "seed": self.claim.seed,
            "model": self.model.name,
            "weights": self.weights,
            "evidence": self.evidence.model_dump(mode="json", exclude=left_out),
        }
        return json.dumps(identity, sort_keys=True, allow_nan=False).encode()


def rounded(number: float) -> float:
    """Four significant digits: enough to review, few enough that noise in the last bits changes no file."""
    return float(f"{number:.4g}")


def first_fault(error: ValidationError) -> str:
    """The first fault of a file, with where it is: "evidence.trials.3.value: Input should be a finite number"."""
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else fault["msg"]

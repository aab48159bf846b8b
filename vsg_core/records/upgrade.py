"""Records of schema 1 as records of schema 2.

Schema 1 kept rules, causes and doses as prose. This is the only place that reads prose, and the only one that takes a
record apart by its keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from vsg_core.judge.rules import Rule, rules_digest
from vsg_core.vocabulary import FIRST_ENGINE, RuleKind, Side

Old = Mapping[str, Any]

_NOT_APPLICABLE, _ERROR, _COMMAND = "not applicable: ", "error: ", "; to get them: "
_LIMITS: dict[str, Side] = {"above": "above", "below": "below", "within": "within", "open_rate": "at most"}
_RULE = re.compile(
    r"(?P<kind>rate|difference|equivalence) (?P<side>above|below|within) (?P<limit>[-+]?[\d.]+(?:e[-+]?\d+)?)"
    r"(?: %| points)?(?: more than (?P<quote>['\"])(?P<over>.*)(?P=quote))?, at least (?P<trials>\d+) trials, "
    r"alpha (?P<alpha>[\d.]+(?:e[-+]?\d+)?)"
)
_ALWAYS = re.compile(
    r"always: no counterexample, and at most (?P<limit>[\d.]+(?:e[-+]?\d+)?) % left open, "
    r"alpha (?P<alpha>[\d.]+(?:e[-+]?\d+)?)"
)
_ARM = re.compile(r"; (?P<role>positive control|control) (?P<quote>['\"])(?P<name>.*?)(?P=quote): ")
_RUN = (
    "started", "seconds", "forward_seconds", "forward_passes", "tokens", "device", "machine", "commit", "dirty",
    "versions", "records",
)  # fmt: skip
# A number that stands alone in the name of an arm is its dose; this many make a curve.
_DOSE = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_FEWEST_DOSES = 3


def upgraded(old: Old) -> dict[str, Any]:
    """A record of schema 1 in the form of schema 2, as JSON values that `Record` reads.

    Raises:
        KeyError, TypeError, ValueError: it is not such a record.
    """
    provenance = old["provenance"]
    doses = _doses([arm for arm in old["controls"] if arm["kind"] == "comparison"])
    return {
        "schema": 2,
        "claim": _claim(old),
        "model": _model(old),
        "evidence": {
            "verdict": old["verdict"],
            "reason": "" if old["verdict"] == "not run" else old["reason"],
            "not_run": _not_run(old),
            **{key: old[key] for key in ("estimate", "interval", "n")},
            "trials": [_trial(trial) for trial in old["trials"]],
            "arms": [_arm(arm, doses.get(arm["name"])) for arm in old["controls"]],
            "dtype": provenance.get("dtype"),
            "engine": provenance.get("engine") or FIRST_ENGINE,
        },
        "run": _run(provenance),
        "recorded": old["recorded"],
        "outcome": old["outcome"],
    }


def upgraded_microscope(old: Old) -> dict[str, Any]:
    """A look at concept tokens of schema 1 in the form of schema 2. Errors as of `upgraded`."""
    provenance = old["provenance"]
    return {
        "schema": 2,
        "model": _model(old),
        **{key: old[key] for key in ("mixing", "prompts")},
        "dtype": provenance.get("dtype"),
        "run": _run(provenance),
    }


def _run(provenance: Old) -> dict[str, Any]:
    return {key: provenance[key] for key in _RUN if provenance.get(key) is not None}


def _claim(old: Old) -> dict[str, Any]:
    own, *controls = _rule_parts(old["rule"])
    rule = _rule(own[1])
    # The bound has the limit with all its digits, and the name of the other arm as it is.
    exact = _rule_of_bound(old["bound"])
    rule = replace(rule, limit=exact.limit, over=exact.over) if rule else exact
    rules: dict[str, dict[str, Rule]] = {"positive control": {}, "control": {}}
    for name, text in controls:
        role, _, arm = name.partition(" | ")
        if parsed := _rule(text):
            rules[role][arm] = parsed
    opposite = old["reported"].strip().lower().startswith("the opposite")
    return {
        "id": old["claim"],
        **{
            key: old[key]
            for key in ("question", "statement", "source", "link", "reported", "docstring", "seed")
        },
        "reported_verdict": "refuted" if opposite else "holds",
        "rule": rule,
        "rules_digest": rules_digest(rule, rules["positive control"], rules["control"]),
        "rule_text": old["rule"],
        "headline": old.get("headline", False),
    }


def _rule_parts(text: str) -> list[tuple[str, str]]:
    """The rule's text taken apart: ("", the claim's own rule), then ("role | arm", the arm's rule)."""
    marks = list(_ARM.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)]
    parts = [("", text[: ends[0]])]
    for mark, end in zip(marks, ends[1:], strict=True):
        parts.append((f"{mark['role']} | {mark['name']}", text[mark.end() : end]))
    return parts


def _rule(text: str) -> Rule | None:
    if match := _ALWAYS.match(text):
        limit, alpha = float(match["limit"]) / 100, float(match["alpha"])
        return Rule(kind="always", side="at most", limit=limit, trials=1, alpha=alpha)
    if not (match := _RULE.match(text)):
        return None
    limit = float(match["limit"])
    return Rule(
        kind=cast(RuleKind, match["kind"]),
        side=_LIMITS[match["side"]],
        limit=limit / 100 if match["kind"] == "rate" else limit,
        over=match["over"],
        trials=int(match["trials"]),
        alpha=float(match["alpha"]),
    )


def _rule_of_bound(bound: Old) -> Rule:
    """A rule whose text says neither trials nor alpha: they are the defaults."""
    side, limit = next((_LIMITS[key], bound[key]) for key in _LIMITS if key in bound)
    trials = {"trials": 1} if bound["kind"] == "always" else {}
    return Rule(kind=bound["kind"], side=side, limit=limit, over=bound.get("over"), **trials)


def _model(old: Old) -> dict[str, Any]:
    model = old["model"]
    keys = ("name", "family", "kind", "parameters", "sha256", "revision", "source")
    reference = {key: model[key] for key in keys if model.get(key) is not None}
    if not reference.get("sha256") and old["provenance"].get("model_sha256"):
        reference["sha256"] = old["provenance"]["model_sha256"]
    return {**reference, "target": _target(model)}


def _target(model: Old) -> str:
    """The value for --model: the place of the weights for a folder, a file or a hub id outside the registry."""
    kind, _, place = (model.get("source") or "").partition(" ")
    slug = re.sub(r"[^a-z0-9._-]+", "-", place.replace("/", "--").lower()).strip("-.")
    outside = kind in ("folder", "file") or (kind == "hub" and model["name"] == slug)
    return place if outside else model["name"]


def _not_run(old: Old) -> dict[str, str] | None:
    if old["verdict"] != "not run":
        return None
    reason, _, command = old["reason"].partition(_COMMAND)
    if reason.startswith(_NOT_APPLICABLE):
        return {"cause": "not applicable", "reason": reason.removeprefix(_NOT_APPLICABLE), "command": command}
    if old["outcome"] == "broken" or reason.startswith(_ERROR):
        return {"cause": "error", "reason": reason.removeprefix(_ERROR), "command": command}
    cause = "records" if reason.startswith("needs ") else "memory" if "of memory (" in reason else "weights"
    return {"cause": cause, "reason": reason, "command": command}


def _arm(arm: Old, dose: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": arm["name"],
        "role": arm["kind"],
        "rule": _rule(arm["rule"]) if arm["rule"] else None,
        "dose": dose,
        **{key: arm[key] for key in ("estimate", "interval", "n", "verdict")},
        "trials": [_trial(trial) for trial in arm["trials"]],
    }


def _doses(comparisons: Sequence[Old]) -> dict[str, dict[str, Any]]:
    """By arm, the dose that its name says; a plural does not make another curve ("1 token", "2 tokens")."""
    curves: dict[str, dict[str, float]] = {}
    for arm in comparisons:
        numbers = _DOSE.findall(arm["name"])
        if len(numbers) == 1:
            curve = re.sub(r"s\b", "", _DOSE.sub("…", arm["name"]))
            curves.setdefault(curve, {})[arm["name"]] = float(numbers[0])
    return {
        name: {"value": value, "unit": "", "curve": _DOSE.sub("…", max(names, key=lambda name: names[name]))}
        for names in curves.values()
        if len(names) >= _FEWEST_DOSES
        for name, value in names.items()
    }


def _trial(trial: Old) -> dict[str, Any]:
    inputs, outputs = dict(trial["inputs"] or {}), dict(trial["outputs"])
    return {
        "prompt": trial["prompt"],
        "output": outputs.pop("output"),
        "success": trial["success"],
        "value": trial["value"],
        "mixture": inputs.pop("mixture", None),
        "inputs": inputs,
        "outputs": outputs,
        "cluster": trial["cluster"],
    }

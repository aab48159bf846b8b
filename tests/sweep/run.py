"""Judge every entry of the sweep and write docs/sweep.json: `python -m tests.sweep.run [NAME ...]`.

With names, judges only those and replaces their lines in the file. Exit code 1 if anything is wrong or a traceback.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import transformers

from tests.sweep.building import build, names
from tests.sweep.judging import Outcome, Truth, judge

FILE = Path(__file__).parents[2] / "docs" / "sweep.json"
FAULTS = ("wrong", "traceback")


def outcome_of(name: str) -> Outcome:
    """Build and judge one entry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = build(name)
            # A configuration that the architecture itself cannot run says nothing about the suite.
            if not model.config.is_encoder_decoder:
                Truth(model).logits([5, 6, 7])
        except Exception as error:
            line = (str(error).strip().splitlines() or [""])[0][:160]
            return Outcome("unbuilt", f"{type(error).__name__}: {line}".rstrip(": "))
        return judge(model)


def recorded() -> dict[str, Outcome]:
    """Read the outcomes in docs/sweep.json by entry."""
    if not FILE.exists():
        return {}
    lines = json.loads(FILE.read_text(encoding="utf-8"))["outcomes"]
    return {
        name: Outcome(line["kind"], line["note"], tuple(line.get("without", ())))
        for name, line in lines.items()
    }


def write(outcomes: dict[str, Outcome]) -> None:
    """Write docs/sweep.json, one line per entry."""
    lines = [f"    {json.dumps(name)}: {json.dumps(_plain(outcomes[name]))}" for name in sorted(outcomes)]
    version = json.dumps(transformers.__version__)
    text = f'{{\n  "transformers": {version},\n  "outcomes": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    FILE.write_text(text, encoding="utf-8")


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {key: value for key, value in asdict(outcome).items() if value}


def main(chosen: list[str]) -> int:
    """Judge the chosen entries, or all."""
    transformers.logging.set_verbosity_error()
    entries = names()
    unknown = sorted(set(chosen) - set(entries))
    if unknown:
        print(f"no entry {', '.join(map(repr, unknown))}: see tests/sweep/building.py", file=sys.stderr)
        return 2
    outcomes = {name: outcome for name, outcome in recorded().items() if chosen and name in entries}
    for name in chosen or entries:
        began = time.perf_counter()
        outcomes[name] = outcome_of(name)
        seconds = time.perf_counter() - began
        print(f"{outcomes[name].kind:9} {seconds:4.1f} s  {name}: {outcomes[name].note}", flush=True)
    write(outcomes)
    return int(any(outcome.kind in FAULTS for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Simulate a large run from recorded times: 20 models, 100 claims, and 1, 8 or 64 graphics cards.

`python -m tools.scale_simulation` prints the table of docs/scale-out.md; its options change what is assumed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import ZipFile

from vsg_core.runs.plan import makespan
from vsg_core.runs.shards import packed, parts_of
from vsg_core.weights.engine_names import on_second_engine

RECORDS = Path(__file__).parents[1] / "reports" / "example" / "records.zip"
REFERENCE = "smollm2-135m-instruct"
# Seconds of the groups of claims that share a measurement, on the reference model: what `pytest --collect-only --on
# local:64 --split` plans from the recorded times. The first has 15 claims, 17 of the 31 have one.
GROUPS = (
    113, 73, 66, 31, 26, 24, 24, 24, 16, 16, 16, 14, 14, 13, 13, 10,
    9, 8, 7, 7, 6, 6, 6, 6, 5, 4, 4, 3, 3, 2, 1,
)  # fmt: skip
# The claims in these groups.
CLAIMS = 71
# Billions of parameters of the models: the sizes in which open models are published.
MODELS = (0.135, 0.27, 0.36, 0.5, 0.6, 1, 1, 1.1, 1.5, 1.7, 2, 3, 3, 4, 7, 7, 8, 8, 14, 32)


@dataclass(frozen=True)
class Assumed:
    """Assumptions: whatever is not recorded.

    Args:
        speed: how many times faster a card computes than the cores on which the times were recorded, mostly one.
        start: seconds in which a worker starts, whatever its model: imports, collection, self-check.
        read: bytes per second at which weights are read; 2 bytes per parameter.
        claims: the number of claims; those beyond the recorded ones share nothing and take the median time.
    """

    speed: float = 30
    start: float = 20
    read: float = 1e9
    claims: int = 100


@cache
def recorded() -> dict[str, tuple[int, float]]:
    """Return the parameters of each recorded model and the seconds of the claims that all models have records of."""
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    parameters: dict[str, int] = {}
    with ZipFile(RECORDS) as archive:
        for name in archive.namelist():
            if not name.endswith(".json"):
                continue
            record = json.loads(archive.read(name))
            device = record["run"].get("device") or "cpu"
            # Of other speeds.
            if on_second_engine(record["model"]["name"]) or not device.startswith("cpu"):
                continue
            if record["run"].get("seconds") and record["model"].get("parameters"):
                seconds[record["model"]["name"]][record["claim"]["id"]] = record["run"]["seconds"]
                parameters[record["model"]["name"]] = record["model"]["parameters"]
    common = set.intersection(*map(set, seconds.values()))
    return {name: (parameters[name], sum(own[claim] for claim in common)) for name, own in seconds.items()}


def growth(models: dict[str, tuple[int, float]]) -> float:
    """Return the power of the number of parameters with which the recorded times grow, by least squares."""
    slope, _ = statistics.linear_regression(
        [math.log(size) for size, _ in models.values()], [math.log(time) for _, time in models.values()]
    )
    return slope


def groups_of(model: float, assumed: Assumed) -> list[float]:
    """Return the seconds of each group of claims of a model with that many billions of parameters, on a card."""
    models = recorded()
    size, total = models[REFERENCE]
    scale = total / sum(GROUPS) * (model * 1e9 / size) ** growth(models) / assumed.speed
    more = [statistics.median(GROUPS)] * max(0, assumed.claims - CLAIMS)
    return [seconds * scale for seconds in [*GROUPS, *more]]


def shards_of(model: float, assumed: Assumed, workers: int, split: bool) -> list[float]:
    """Return the seconds of each shard of a model, with the start of its worker; cut as `--split` cuts it."""
    seconds = {str(place): value for place, value in enumerate(groups_of(model, assumed))}
    whole = sum(sum(groups_of(each, assumed)) for each in MODELS)
    number = parts_of(sum(seconds.values()), whole, workers) if split else 1
    parts = packed([[name] for name in seconds], seconds, number)
    begin = assumed.start + 2e9 * model / assumed.read
    return [begin + sum(seconds[name] for name in part) for part in parts]


def duration(cards: int, split: bool, assumed: Assumed) -> tuple[float, float, float, int]:
    """Return the seconds of the whole, of its longest shard, and of all starts together; and the number of shards."""
    shards = [shards_of(model, assumed, cards, split) for model in MODELS]
    starts = sum(
        len(each) * (assumed.start + 2e9 * model / assumed.read)
        for model, each in zip(MODELS, shards, strict=True)
    )
    every = [seconds for each in shards for seconds in each]
    return makespan(every, cards), max(every), starts, len(every)


def rows(assumed: Assumed, cards: Sequence[int] = (1, 8, 64)) -> list[list[str]]:
    """Return the rows of the table: cards with one shard per model, and with models cut into shards."""
    found = [["cards", "shards", "duration", "times faster", "longest shard", "starting workers"]]
    alone, *_ = duration(1, False, assumed)
    for number in cards:
        for split in (False, True) if number > 1 else (False,):
            whole, longest, starts, count = duration(number, split, assumed)
            busy = f"{starts / (whole * number):.0%} of the cards' time".replace("%", " %")
            how = f"{count}, `--split`" if split else str(count)
            found.append([str(number), how, _time(whole), f"{alone / whole:.1f}", _time(longest), busy])
    return found


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def table(**assumed: float) -> str:
    """Return the table of docs/scale-out.md."""
    from tools.doc_tables import markdown

    return markdown(rows(Assumed(**assumed)))  # type: ignore[arg-type]


def growth_text() -> str:
    """Return the sentence on how recorded times grow with the size of the model."""
    models = recorded()
    sizes = sorted(models.items(), key=lambda each: each[1])
    listed = ", ".join(f"{name} {time / 60:.0f} min" for name, (_, time) in sizes)
    return (
        f"The times of the claims recorded on all models, most of them measured in one thread, add up to: {listed}. "
        f"They grow with the {growth(models):.2f}th power of the size."
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name, kind in (("speed", float), ("start", float), ("read", float), ("claims", int)):
        parser.add_argument(
            f"--{name}", type=kind, default=getattr(Assumed, name), help=f"see Assumed.{name}"
        )
    print(growth_text(), table(**vars(parser.parse_args())), sep="\n\n")


if __name__ == "__main__":
    main()

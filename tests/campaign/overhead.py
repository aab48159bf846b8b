"""Compare the duration of whole runs on Ray and on processes of this machine.

`python -m tests.campaign.overhead --runs 3`: tiny random models, the executors in turn, and a table with the median
and the range of each. On a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.campaign.run import CLAIMS, Campaign
from vsg_core.runs.local import cores


def main() -> None:
    """Run every executor in turn, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3, help="runs per executor")
    parser.add_argument("--models", type=int, default=4, help="tiny models")
    given = parser.parse_args()
    executors = (f"local:{cores()}", "ray")
    seconds: dict[str, list[float]] = {where: [] for where in executors}
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        campaign = Campaign(Path(folder), models=given.models)
        for _ in range(given.runs):
            for where in executors:
                seconds[where].append(campaign.seconds(where))
                print(f"{where}: {seconds[where][-1]:.1f} s", file=sys.stderr)
    print(f"{given.models} models with {CLAIMS} claims each, {cores()} cores, {given.runs} runs each:\n")
    print("| | median | shortest to longest |")
    print("|---|---|---|")
    for where, each in seconds.items():
        print(f"| `--on {where}` | {statistics.median(each):.1f} s | {min(each):.1f} to {max(each):.1f} s |")


if __name__ == "__main__":
    main()

"""Kill controllers, workers and Ray's processes at random moments, continue with --resume, and compare the evidence.

`make kills`, or `python -m tests.campaign.run --kills 20 --seed 0`: runs on tiny random models and prints a table.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil

from tests.conftest import CLAIM_HEADER, ROOT, build_llama
from vsg_core.errors import VsgError
from vsg_core.records.files import read_reports

CLAIMS = 5
# Each computes with the model, and takes long enough to be killed in.
BODY = """
import time

@claim("It works: {name}", rule=rate(above=0.5), **ABOUT)
def test_{name}(lm):
    logits = lm.next_logits(["the cat sat", "a dog"])
    time.sleep(0.3)
    return [Trial(f"prompt {{i}}", output=f"{{logits[0, i % 8]:.6g}}", success=i < 38) for i in range(40)]
"""
# Who is killed, by what its command line has.
VICTIMS = {"worker": "--vsg-task", "Ray's process": "ray::", "Ray's node": "raylet/raylet"}
PATIENCE = 300.0
Evidence = dict[tuple[str, str], bytes]


@dataclass
class Tally:
    """Counts of one campaign."""

    where: str
    killed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    finished: int = 0
    lost: int = 0
    half_written: int = 0
    twice: int = 0
    different: int = 0
    children: int = 0

    @property
    def faults(self) -> int:
        return self.lost + self.half_written + self.twice + self.different + self.children

    def row(self) -> list[str]:
        """The row of the table."""
        whom = ", ".join(f"{count} {name}" for name, count in sorted(self.killed.items()))
        counts = (self.finished, self.lost, self.half_written, self.twice, self.different, self.children)
        return [self.where, str(self.killed.total()), whom, str(self.runs), *map(str, counts)]


HEAD = [
    "--on", "kills", "of whom", "runs", "whole sets", "records lost", "half-written", "twice", "different",
    "children left",
]  # fmt: skip


class Campaign:
    """Runs of one project of claims on tiny models, in a folder.

    Args:
        seed: of the moments and victims.
    """

    def __init__(self, folder: Path, seed: int = 0, models: int = 2) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        (folder / "hypotheses").mkdir()
        body = "".join(BODY.format(name=f"claim{i}") for i in range(CLAIMS))
        (folder / "hypotheses" / "things.py").write_text(CLAIM_HEADER + body)
        (folder / "conftest.py").write_text('pytest_plugins = ["vsg_core.plugin", "fixtures.models"]\n')
        shutil.copy(ROOT / "pytest.ini", folder)
        self.models = [str(build_llama(folder / f"model-{seed}", seed)) for seed in range(models)]
        self.reference: Evidence = {}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start pytest on all models."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *(f"--model={model}" for model in self.models),
            *arguments,
        ]
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def evidence(self) -> Evidence:
        """Read the evidence of every claim that has been measured: one that lost its worker twice has no trials.

        Raises:
            VsgError: a record is not whole.
        """
        found = [each for each in read_reports(self.folder / "reports") if each.evidence.trials]
        return {(each.model.name, each.claim.id): each.evidence_bytes for each in found}

    def clear(self) -> None:
        """Remove the reports of the runs before."""
        shutil.rmtree(self.folder / "reports", ignore_errors=True)

    def measure_reference(self) -> None:
        """Run once without a kill, in one process."""
        self.clear()
        if self.start().wait(PATIENCE) != 0:
            raise SystemExit("the run without kills fails")
        self.reference = self.evidence()
        assert len(self.reference) == len(self.models) * CLAIMS

    def seconds(self, where: str) -> float:
        """Return the duration of a run without a kill."""
        self.clear()
        began = time.monotonic()
        if self.start("--on", where).wait(PATIENCE) != 0:
            raise SystemExit(f"the run without kills fails on {where}")
        return time.monotonic() - began

    def run(self, where: str, kills: int) -> Tally:
        """Kill until that many were killed and the last set of records is whole."""
        longest = self.seconds(where)
        tally = Tally(where)
        self.clear()
        while tally.killed.total() < kills or tally.finished == 0 or self.unfinished():
            self.once(tally, where, longest if tally.killed.total() < kills else None)
            self.check(tally)
            print(".", end="", flush=True)
        print()
        return tally

    def once(self, tally: Tally, where: str, longest: float | None) -> None:
        """Run with --resume, and kill one process after a random time, unless the run ends before."""
        if not self.unfinished():
            self.clear()
        tally.runs += 1
        controller = self.start("--on", where, "--resume")
        self.wait(controller, longest)
        if controller.poll() is None:
            started = psutil.Process(controller.pid).children(recursive=True)
            name, victim = self.choose(controller.pid, started)
            before = set(self.reports_now())
            victim.send_signal(signal.SIGKILL)
            tally.killed[name] += 1
            controller.wait(PATIENCE)
            tally.lost += len(before - set(self.reports_now()))
            _, left = psutil.wait_procs([each for each in started if each.is_running()], timeout=20)
            tally.children += sum(
                each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in left
            )

    def wait(self, controller: subprocess.Popen[bytes], longest: float | None) -> None:
        """Wait for a random moment: of the whole run, or of the claims after a record; None is for the end."""
        more = len(self.reports_now()) + self.random.randrange(CLAIMS)
        among_claims = longest is not None and self.random.random() < 0.7
        last = PATIENCE if longest is None or among_claims else self.random.uniform(0, longest)
        until = time.monotonic() + last
        while controller.poll() is None and time.monotonic() < until:
            if among_claims and len(self.reports_now()) >= max(1, more):
                time.sleep(self.random.uniform(0, 0.3))
                return
            time.sleep(0.02)

    def choose(self, controller: int, started: list[psutil.Process]) -> tuple[str, psutil.Process]:
        """Choose whom to kill: the controller in every second case, else a kind of process that there is."""
        kinds: dict[str, list[psutil.Process]] = {}
        for process in started:
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            for name, sign in VICTIMS.items():
                if sign in line:
                    kinds.setdefault(name, []).append(process)
        if not kinds or self.random.random() < 0.5:
            return "controller", psutil.Process(controller)
        name = self.random.choice(sorted(kinds))
        return name, self.random.choice(kinds[name])

    def reports_now(self) -> list[str]:
        """The paths of the records that are there."""
        return [str(path) for path in (self.folder / "reports").glob("records/*/*.json")]

    def unfinished(self) -> bool:
        """Return whether a claim has no evidence yet."""
        try:
            return self.reference.keys() != self.evidence().keys()
        except VsgError:
            return True

    def check(self, tally: Tally) -> None:
        """Count what is wrong with the records that are there."""
        try:
            found = self.evidence()
        except VsgError:
            tally.half_written += 1
            return
        names = [(each.parent.name, each.stem) for each in map(Path, self.reports_now())]
        tally.twice += len(names) - len(set(names) & self.reference.keys())
        tally.different += sum(value != self.reference[name] for name, value in found.items())
        tally.finished += not self.unfinished()


def main() -> None:
    """Run a campaign on each executor, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="kills per executor")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims")
    parser.add_argument("--on", action="append", help="executors [local:2, and ray if it is installed]")
    given = parser.parse_args()
    executors = given.on or ["local:2", *(["ray"] if find_spec("ray") else [])]
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        campaign = Campaign(Path(folder), given.seed)
        campaign.measure_reference()
        tallies = [campaign.run(where, given.kills) for where in executors]
    for row in [HEAD, ["---"] * len(HEAD), *(tally.row() for tally in tallies)]:
        print("| " + " | ".join(row) + " |")
    raise SystemExit(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    main()

"""Claims on a Ray cluster of several nodes: whatever is lost, the results are those of one process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.plugin.test_scatter import (
    HANG,
    LIGHT,
    assert_gone,
    end_by,
    evidence,
    hurry,
    is_running,
    light,
    notes,
    run_light,
    started_apart,
    until,
)
from vsg_core.errors import VsgError
from vsg_core.records.files import read_record
from vsg_core.runs import where
from vsg_core.runs.events import Ended, Event, Reported, Warned
from vsg_core.runs.executor import Place
from vsg_core.runs.local import THREADS
from vsg_core.runs.ray_cluster import RayExecutor
from vsg_core.runs.ray_driver import STORE
from vsg_core.runs.shards import Shard

pytest.importorskip("ray", reason="needs Ray: pip install -e '.[ray]'")

# Until the controller has the first record: what is still on its way is measured again.
ARRIVED = "[time.sleep(0.05) for _ in iter(lambda: any(Path('reports/records').glob('*/one.json')), True)]"
# The worker's parent is Ray's process; a file that exists is not made a second time.
KILLED = (
    f"Path('died').exists() or ({ARRIVED}, Path('died').touch(), "
    "os.kill(os.getppid(), signal.SIGKILL), time.sleep(60))"
)
# The parent of Ray's process is that of the node, which the test kills.
NODE = "Path(f'/proc/{os.getppid()}/stat').read_text().rpartition(')')[2].split()[1]"
LOST = f"Path('died').exists() or ({ARRIVED}, Path('died').write_text({NODE}), time.sleep(600))"


class Machines:
    """A cluster whose head runs no shards, and nodes of one core each."""

    def __init__(self) -> None:
        self.cluster: Any = None
        self.nodes: list[Any] = []

    def kill_when_asked(self, asked: Path, head: bool = False) -> None:
        """Kill the node whose process is named in a file, or the head, once there is one."""

        def wait() -> None:
            until(lambda: asked.exists() and asked.read_text())
            if head:
                self.cluster.remove_node(self.cluster.head_node, allow_graceful=False)
                return
            (node,) = (each for each in self.nodes if raylet(each) == int(asked.read_text()))
            self.nodes.remove(node)
            self.cluster.remove_node(node, allow_graceful=False)

        threading.Thread(target=wait, daemon=True).start()

    def have(self, *environments: dict[str, str]) -> str:
        """Have exactly one node of one core per environment; return the cluster's address."""
        if self.cluster is None:
            self.start()
        plain = [node for node in self.nodes if node.alive() and not node.special]
        keep = plain[: environments.count({})]
        for node in set(self.nodes) - set(keep):
            self.cluster.remove_node(node, allow_graceful=False)
        self.nodes = keep
        for environment in [*[{}] * (environments.count({}) - len(keep)), *filter(None, environments)]:
            node = self.cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars=environment)
            node.special = bool(environment)
            node.alive = lambda node=node: not node.dead_processes()
            self.nodes.append(node)
        return str(self.cluster.address)

    def start(self) -> None:
        """Start the head."""
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)

    def end(self) -> None:
        """Kill every node."""
        if self.cluster is not None:
            self.cluster.shutdown()
        self.cluster, self.nodes = None, []


def raylet(node) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Provide a cluster; the tests are in the order in which the fewest nodes are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for name in THREADS:
            patch.delenv(name, raising=False)
        machines = Machines()
        yield machines
        machines.end()


@pytest.fixture(autouse=True)
def threads_not_set(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)


def assert_two_was_repeated(suite) -> None:
    """Assert that only the second claim was measured twice: last, or in its turn if its start was not reported."""
    assert notes(suite) in (["one", "two", "three", "two"], ["one", "two", "two", "three"])


def test_nodes_that_cannot_run_a_shard_are_avoided(suite, machines, tmp_path):
    """One has other code, one no folder for temporary files: each is named in one line, and another node runs it."""
    other = tmp_path / "other"
    for name in ("vsg_core", "fixtures"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "vsg_core" / "errors.py").open("a") as file:
        file.write("NEW = 1\n")
    address = machines.have({}, {"PYTHONPATH": str(other)}, {"TMPDIR": str(tmp_path / "gone")})
    suite.claims(LIGHT + light("one") + light("two") + light("three"))
    result = run_light(suite, "--on", f"ray:{address}", "--split")
    assert result.ret == 0
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    result.stdout.fnmatch_lines_random(
        [
            "*node * gets no further shards: it runs other code*",
            "*node *: cannot make a temporary folder: No such file or directory: * goes to another node*",
        ]
    )


def test_a_cluster_leaves_what_one_process_leaves(suite, other_llama, machines):
    """Evidence, threads in the provenance, looks at concept tokens, a line per claim; nothing that Ray prints."""
    suite.claims(suite.rate_claim(38) + suite.rate_claim(3, name="two"))
    both = ["--model", other_llama]
    assert run_light(suite, *both).ret == 0
    before = evidence(suite)
    for path in suite.reports.glob("records/*/*"):
        path.unlink()
    result = suite.run(*both, "--on", f"ray:{machines.have({}, {})}")
    assert result.ret == 0
    assert evidence(suite) == before
    assert len(before) == 4
    assert {path.stem for path in suite.reports.glob("microscope/*")} == {"tiny-random", "other-random"}
    for path in suite.reports.glob("records/*random/*"):
        assert read_record(path).run.environment["OMP_NUM_THREADS"] == "1"
    assert "raylet" not in result.stdout.str() + result.stderr.str()


def executor_on(address: str, directory: Path) -> RayExecutor:
    return RayExecutor(address, Place(directory, directory / "reports" / "shards"))


def events_until_end(executor: RayExecutor, shard: str) -> list[Event]:
    found: list[Event] = []

    def has_ended() -> bool:
        found.extend(executor.events(0.2))
        return Ended in map(type, found)

    until(has_ended)
    return [event for event in found if event.shard == shard]


def test_a_project_or_weights_that_no_node_has(machines, tmp_path):
    """A path of this process alone stands for weights that are on this machine and on no node."""
    address = machines.have({}, {})
    gone = executor_on(address, Path("/no/such/folder"))
    try:
        why = gone.misfit(Shard("s", "m", "m", ("c",)))
        assert why.count(": there is no folder /no/such/folder") == 2
    finally:
        gone.close()
    executor = executor_on(address, tmp_path)
    own = os.open(tmp_path, os.O_RDONLY)
    try:
        # Further than a process of Ray has files.
        high = os.dup2(own, 900)
        executor.start(Shard("s", "m", f"/proc/self/fd/{high}", ("c",)))
        *before, end = events_until_end(executor, "s")
        assert [type(event) for event in before] == [Warned]
        assert isinstance(end, Ended)
        assert end.reason.count(f": there are no weights at /proc/self/fd/{high}") == 2
    finally:
        executor.close()
        os.close(own)
        os.close(900)


class Twice(RayExecutor):
    """Runs every shard twice at the same time.

    Args:
        heard: is created as soon as both have reported the two claims that are compared.
    """

    def __init__(self, address: str, place: Place, heard: Path) -> None:
        super().__init__(address, place)
        self.heard = heard
        self.ended: Counter[str] = Counter()

    def start(self, shard: Shard, alone: bool = False) -> None:
        super().start(shard, alone)
        super().start(shard, alone)

    def events(self, seconds: float) -> list[Event]:
        found = super().events(seconds)
        reported = [event for event in found if isinstance(event, Reported)]
        self.ended.update(event.claim for event in reported if event.report["when"] == "teardown")
        if list(self.ended.values()) == [2, 2]:
            self.heard.touch()
        return found


def test_a_duplicated_task(suite, machines, monkeypatch):
    """The same evidence is ignored; different evidence is not reproducible, and both records are kept."""
    address, heard = machines.have({}, {}), suite.pytester.path / "heard"
    monkeypatch.setitem(where.KINDS, "twice", lambda _: lambda place: Twice(address, place, heard))
    first = "\ndef is_first():\n    try: return os.mkdir('first') is None\n    except OSError: return False\n"
    different = light("two").replace("trials(38)", "trials(38 - is_first())")
    last = light("last", "while not Path('heard').exists(): time.sleep(0.01)")
    suite.claims(LIGHT + light("one") + different + last + first)
    result = run_light(suite, "--on", "twice")
    assert Counter(notes(suite)) == {"one": 2, "two": 2, "last": 2}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [path.name for path in sorted(suite.reports.glob("not-reproducible/tiny-random/*"))] == [
        "two-1.json",
        "two-2.json",
    ]
    assert {claim: suite.record(claim).outcome for claim in ("one", "two", "last")} == {
        "one": "new",
        "two": "broken",
        "last": "new",
    }


def test_rays_process_is_killed(suite, machines):
    suite.claims(LIGHT + light("one") + light("two", KILLED) + light("three"))
    result = run_light(suite, "--on", f"ray:{machines.have({}, {})}")
    assert result.ret == 0
    assert_two_was_repeated(suite)
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    assert_gone(suite)


def test_a_stopped_shard_leaves_no_process(suite, machines, monkeypatch):
    hurry(suite, monkeypatch)
    suite.claims(LIGHT + light("one") + light("two", HANG) + light("three"))
    result = run_light(suite, "--on", f"ray:{machines.have({}, {})}", "--shard-timeout", "600")
    assert result.ret == 0
    assert_two_was_repeated(suite)
    assert_gone(suite)


def children(process: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: set[int] = set()
    new = {process}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


@pytest.mark.parametrize("private", [True, False], ids=["private", "cluster"])
def test_a_controller_that_is_killed_or_interrupted_goes_on_with_resume(suite, machines, private):
    """Nothing that it started outlives it; no record is lost, and what has one is not measured again.

    A private Ray ends with its run; a cluster stays, without the workers of the run.
    """
    waits = "while not Path('go').exists(): time.sleep(0.05)"
    suite.claims(LIGHT + light("one") + light("two", waits) + light("three"))
    place = "ray" if private else f"ray:{machines.have({}, {})}"
    kept = b""
    for sent, more in ((signal.SIGKILL, ()), (signal.SIGINT, ("--resume",))):
        controller = started_apart(suite, place, *more)
        until(lambda: list(suite.reports.glob("records/*/one.json")))
        started = children(controller.pid)
        end_by(controller, sent)
        assert_gone(suite)
        until(lambda started=started: not any(map(is_running, started)))
        (path,) = suite.reports.glob("records/*/*.json")
        assert read_record(path).verdict == "holds"
        assert kept in (b"", path.read_bytes())
        kept = path.read_bytes()
    assert controller.returncode == pytest.ExitCode.INTERRUPTED
    (suite.pytester.path / "go").touch()
    # A private Ray has started twice, which takes a while.
    result = run_light(suite, "--on", "local:1" if private else place, "--resume")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["resume: 1 kept, 2 to run: no record (2)"])
    result.assert_outcomes(passed=3)
    assert notes(suite) == ["one", "two", "two", "two", "three"]
    assert len(evidence(suite)) == len(list(suite.reports.rglob("records/*/*.json"))) == 3
    assert path.read_bytes() == kept


def test_a_lost_node_loses_no_record(suite, machines):
    """The records that it had sent are kept, even a large one; the rest runs on another node."""
    large = light("one", "print('x' * 300_000)").replace("trials(38)", "trials(38_000, of=40_000)")
    suite.claims(LIGHT + large + light("two", LOST) + light("three"))
    address = machines.have({}, {})
    machines.kill_when_asked(suite.pytester.path / "died")
    result = run_light(suite, "--on", f"ray:{address}")
    assert result.ret == 0
    assert_two_was_repeated(suite)
    assert len(suite.record("one").evidence.trials) == 40_000
    assert_gone(suite)


def test_the_last_node_is_lost(suite, machines):
    """The run ends, and each claim says why it was not run."""
    suite.claims(LIGHT + light("one") + light("two", LOST) + light("three"))
    address = machines.have({})
    machines.kill_when_asked(suite.pytester.path / "died")
    result = run_light(suite, "--on", f"ray:{address}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert notes(suite) == ["one", "two"]
    assert suite.record("one").verdict == "holds"
    for claim in ("two", "three"):
        assert suite.record(claim).not_run.reason == "no node with a core is left in the cluster"


def test_the_head_is_lost(suite, machines, monkeypatch):
    """The run ends with the same line for each claim that is left, and what was measured stays."""
    # A minute unless it is set.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    suite.claims(LIGHT + light("one") + light("two", LOST) + light("three"))
    address = machines.have({})
    machines.kill_when_asked(suite.pytester.path / "died", head=True)
    result = run_light(suite, "--on", f"ray:{address}")
    machines.end()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert notes(suite) == ["one", "two"]
    assert suite.record("one").verdict == "holds"
    for claim in ("two", "three"):
        reason = suite.record(claim).not_run.reason
        assert re.fullmatch(
            f"the Ray cluster at {address} is gone [(][^][]*[)]: run again with --resume", reason
        )
    assert_gone(suite)


def test_a_private_ray_that_cannot_start_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    executor = executor_on("", tmp_path)
    executor.start(Shard("s", "m", "m", ("c",)))
    (end,) = executor.events(0)
    executor.close()
    assert isinstance(end, Ended)
    assert end.reason == "--on ray: cannot start Ray: No such file or directory"
    assert not list(tmp_path.glob("ray-*"))


def test_a_cluster_that_does_not_answer_is_one_line(suite):
    suite.claims(LIGHT + light("one"))
    result = suite.run("--on", "ray:127.0.0.1:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --on ray:127.0.0.1:1: no Ray cluster answers: *"])


def test_a_client_is_refused():
    with pytest.raises(VsgError, match="a client of Ray cannot follow a run"):
        where.maker_of("ray:ray://127.0.0.1:10001")

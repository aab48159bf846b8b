"""Claims on a Ray cluster of several nodes: whatever is lost, the results are those of one process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.plugin.test_scatter import LIGHT, assert_gone, evidence, is_running, light, notes, until
from vsg_core.errors import VsgError
from vsg_core.records.files import read_record
from vsg_core.runs import where
from vsg_core.runs.events import Ended, Event, Warned
from vsg_core.runs.executor import Place
from vsg_core.runs.local import THREADS
from vsg_core.runs.ray_cluster import RayExecutor
from vsg_core.runs.shards import Shard

pytest.importorskip("ray", reason="needs Ray: pip install -e '.[ray]'")

STORE = 80_000_000
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
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self.cluster.address)
        self.nodes: list = []

    def kill_when_asked(self, asked: Path) -> None:
        """Kill the node whose process is named in a file, once there is one."""

        def wait() -> None:
            until(lambda: asked.exists() and asked.read_text())
            (node,) = (each for each in self.nodes if raylet(each) == int(asked.read_text()))
            self.nodes.remove(node)
            self.cluster.remove_node(node, allow_graceful=False)

        threading.Thread(target=wait, daemon=True).start()

    def have(self, *environments: dict[str, str]) -> str:
        """Have exactly one node of one core per environment; return the cluster's address."""
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
        return self.address


def raylet(node) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for name in THREADS:
            patch.delenv(name, raising=False)
        machines = Machines()
        yield machines
        machines.cluster.shutdown()


@pytest.fixture(autouse=True)
def threads_not_set(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)


def test_a_cluster_leaves_what_one_process_leaves(suite, other_llama, machines):
    """Evidence, threads in the provenance, a line per claim; nothing that Ray prints."""
    suite.claims(suite.rate_claim(38) + suite.rate_claim(3, name="two"))
    both = ["--model", other_llama]
    assert suite.run(*both).ret == 0
    before = evidence(suite)
    for path in suite.reports.glob("records/*/*"):
        path.unlink()
    result = suite.run(*both, "--on", f"ray:{machines.have({}, {})}")
    assert result.ret == 0
    assert evidence(suite) == before
    assert len(before) == 4
    for path in suite.reports.glob("records/*random/*"):
        assert read_record(path).run.environment["OMP_NUM_THREADS"] == "1"
    assert "raylet" not in result.stdout.str() + result.stderr.str()


def assert_two_was_repeated(suite) -> None:
    """Assert that only the second claim was measured twice: last, or in its turn if its start was not reported."""
    assert notes(suite) in (["one", "two", "three", "two"], ["one", "two", "two", "three"])


def test_rays_process_is_killed(suite, machines):
    suite.claims(LIGHT + light("one") + light("two", KILLED) + light("three"))
    result = suite.run("--on", f"ray:{machines.have({}, {})}")
    assert result.ret == 0
    assert_two_was_repeated(suite)
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    assert_gone(suite)


def test_a_lost_node_loses_no_record(suite, machines):
    """The records that it had sent are kept, even a large one; the rest runs on another node."""
    large = light("one", "print('x' * 300_000)").replace("trials(38)", "trials(38_000, of=40_000)")
    suite.claims(LIGHT + large + light("two", LOST) + light("three"))
    address = machines.have({}, {})
    machines.kill_when_asked(suite.pytester.path / "died")
    result = suite.run("--on", f"ray:{address}")
    assert result.ret == 0
    assert_two_was_repeated(suite)
    assert len(suite.record("one").evidence.trials) == 40_000
    assert_gone(suite)


def test_the_last_node_is_lost(suite, machines):
    """The run ends, and each claim says why it was not run."""
    suite.claims(LIGHT + light("one") + light("two", LOST) + light("three"))
    address = machines.have({})
    machines.kill_when_asked(suite.pytester.path / "died")
    result = suite.run("--on", f"ray:{address}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert notes(suite) == ["one", "two"]
    assert suite.record("one").verdict == "holds"
    for claim in ("two", "three"):
        assert suite.record(claim).not_run.reason == "no node with a core is left in the cluster"


def test_nodes_that_cannot_run_a_shard_are_avoided(suite, machines, tmp_path):
    """One has other code, one no folder for temporary files: each is named in one line, and another node runs it."""
    other = tmp_path / "other"
    for name in ("vsg_core", "fixtures"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "vsg_core" / "errors.py").open("a") as file:
        file.write("NEW = 1\n")
    address = machines.have({}, {"PYTHONPATH": str(other)}, {"TMPDIR": str(tmp_path / "gone")})
    suite.claims(LIGHT + light("one", "time.sleep(3)") + light("two", "time.sleep(3)") + light("three"))
    result = suite.run("--on", f"ray:{address}", "--split")
    assert result.ret == 0
    assert {claim for _, claim in evidence(suite)} == {"one", "two", "three"}
    result.stdout.fnmatch_lines_random(
        [
            "*node * gets no further shards: it runs other code*",
            "*node *: cannot make a temporary folder: No such file or directory: * goes to another node*",
        ]
    )


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


def test_a_stopped_shard_leaves_no_process(suite, machines):
    hang = "Path('hung').exists() or (Path('hung').touch(), time.sleep(600))"
    suite.claims(LIGHT + light("one", hang) + light("two"))
    result = suite.run("--on", f"ray:{machines.have({})}", "--shard-timeout", "10")
    assert (result.ret, notes(suite)) == (0, ["one", "two", "one"])
    assert_gone(suite)


class Twice(RayExecutor):
    """Runs every shard twice at the same time."""

    def start(self, shard: Shard, alone: bool = False) -> None:
        super().start(shard, alone)
        super().start(shard, alone)


@pytest.mark.parametrize("same", [True, False])
def test_a_duplicated_task(suite, machines, monkeypatch, same):
    address = machines.have({}, {})
    monkeypatch.setitem(where.KINDS, "twice", lambda _: lambda place: Twice(address, place))
    wait = "while Path('notes').read_text().count('one') < 2: time.sleep(0.01)"
    first = "\ndef is_first():\n    try: return os.mkdir('first') is None\n    except OSError: return False\n"
    body = light("one", wait) + light("two", "time.sleep(1)") + first
    suite.claims(LIGHT + (body if same else body.replace("trials(38)", "trials(38 - is_first())", 1)))
    result = suite.run("--on", "twice")
    assert notes(suite).count("one") == 2
    assert result.ret == (0 if same else pytest.ExitCode.TESTS_FAILED)


def controller_on(suite, where: str) -> subprocess.Popen:
    """Start a run in a process of its own, and wait until its second claim runs."""
    command = [sys.executable, "-m", "pytest", "--model", str(suite.model), "--on", where]
    controller = subprocess.Popen(
        command,
        cwd=suite.pytester.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(lambda: list(suite.reports.glob("records/*/one.json")) and "two" in notes(suite))
    return controller


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


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=lambda sent: sent.name)
@pytest.mark.parametrize("private", [True, False], ids=["private", "cluster"])
def test_nothing_outlives_the_controller(suite, machines, sent, private):
    """A private Ray ends with its run; a cluster stays, without the workers of the run."""
    suite.claims(LIGHT + light("one") + light("two", "time.sleep(600)"))
    controller = controller_on(suite, "ray" if private else f"ray:{machines.have({})}")
    started = children(controller.pid)
    try:
        controller.send_signal(sent)
        controller.wait(timeout=60)
    finally:
        controller.kill()
    assert_gone(suite)
    until(lambda: not any(map(is_running, started)))
    assert suite.record("one").verdict == "holds"


def test_a_cluster_that_does_not_answer_is_one_line(suite):
    suite.claims(LIGHT + light("one"))
    result = suite.run("--on", "ray:127.0.0.1:1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --on ray:127.0.0.1:1: no Ray cluster answers: *"])


def test_a_client_is_refused():
    with pytest.raises(VsgError, match="a client of Ray cannot follow a run"):
        where.maker_of("ray:ray://127.0.0.1:10001")

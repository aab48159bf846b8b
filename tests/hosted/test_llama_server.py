"""A server that is not ours, llama.cpp's own, with the embedded model's file: equal weights give equal verdicts."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import Suite
from vsg_core.hosted.hosted_model import HostedModel
from vsg_core.hosted.local import LocalTextModel
from vsg_core.hosted.server import KEYS, SECONDS
from vsg_core.records.files import read_record, read_records
from vsg_core.records.record import Record, StoredTrial
from vsg_core.weights import loading
from vsg_core.weights.names import DEFAULT_MODEL
from vsg_core.weights.registry import entry
from vsg_core.weights.sources import _local_gguf

ROOT = Path(__file__).parents[2]
ALIAS = "smollm2"
AS_IS = f"{DEFAULT_MODEL}+llama.cpp-as-is"
# A claim, and as few trials as its rule takes: 120 requests.
REAL, TRIALS = "forks_have_more_than_two_bits", 40
USERS_CACHE = os.environ.get("VSG_CACHE")
# Seconds until the server listens, and for the whole life of its process.
STARTS, LIVES = 60, 1200
PROMPTS = [
    "The old man opened the door and", "The capital of France is", "In the morning the children",
    "She looked at the letter and", "The train to the coast", "After the storm the",
]  # fmt: skip
CLAIMS = """
WHO = ("man", "woman", "dog", "girl")
PROMPTS = [f"At {hour} o'clock the {who} went to the" for hour in range(1, 11) for who in WHO]

@claim("Fewer than half of the openings have a token above 0.3", rule=rate(below=0.5), **ABOUT)
def test_is_open(text_model):
    listed = text_model.likely(PROMPTS)
    return [
        Trial(text, output=each.tokens[0], success=each.probabilities[0] > 0.3) for text, each in zip(PROMPTS, listed)
    ]
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None or importlib.util.find_spec("uvicorn") is None,
    reason="llama-cpp-python with its server is not installed: pip install 'llama-cpp-python[server]'",
)


# `python -m llama_cpp.server` without what its command line cannot turn off: rearranged weights, which crash it on
# some processors with AMX (https://github.com/ggml-org/llama.cpp/issues/20824).
SERVER = """
import runpy
from llama_cpp import llama_cpp
defaults = llama_cpp.llama_model_default_params
def without_extra_buffers():
    found = defaults()
    found.use_extra_bufts = False
    return found
llama_cpp.llama_model_default_params = without_extra_buffers
runpy.run_module("llama_cpp.server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def gguf() -> Path:
    """The file of the embedded model, where it is on this machine."""
    found = _local_gguf(entry(DEFAULT_MODEL))
    if found is None:
        pytest.skip(f"the weights of {DEFAULT_MODEL} are not downloaded: vsg models fetch {DEFAULT_MODEL}")
    return found[0]


@pytest.fixture(scope="module")
def target(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the server on a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-c", SERVER, "--model", str(gguf), "--model_alias", ALIAS),
        *("--host", "127.0.0.1", "--port", str(port), "--logits_all", "true", "--n_ctx", "192"),
        *("--n_threads", "1", "--n_threads_batch", "1"),
        # Keys and values in float32, as the engine of this project keeps them.
        *("--type_k", "0", "--type_v", "0", "--flash_attn", "false"),
    ]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        server = subprocess.Popen(["timeout", str(LIVES), *command], stdout=output, stderr=output)
        try:
            _wait(server, port, log)
            yield f"openai:{ALIAS}@http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until something listens."""
    until = time.monotonic() + STARTS
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the server does not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Answers are kept in a folder of the test's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*KEYS, SECONDS):
            patch.delenv(name, raising=False)
        patch.setenv("VSG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def hosted(target: str, local: LocalTextModel, cache: None) -> Iterator[HostedModel]:
    model = loading.load_text_model(target)
    assert isinstance(model, HostedModel)
    yield model
    model.close()


@pytest.fixture(scope="module")
def local(gguf: Path) -> Iterator[LocalTextModel]:
    lm = loading.load_model(DEFAULT_MODEL, fetch=False, progress=False)
    yield LocalTextModel(lm)
    lm.close()


def test_the_server_can_do_all_that_is_asked(hosted: HostedModel) -> None:
    can = hosted.can
    assert (can.completes, can.chats, can.no_list, can.no_bias, can.most_listed) == ("", "", "", "", 20)
    assert can.plain
    assert hosted.kind == "instruct"


def test_it_lists_what_transformers_computes(local: LocalTextModel, hosted: HostedModel) -> None:
    for ours, theirs in zip(local.likely(PROMPTS), hosted.likely(PROMPTS), strict=True):
        together = dict(zip(ours.tokens, ours.probabilities, strict=True))
        shared = [token for token in theirs.tokens if token in together]
        assert len(shared) >= 15
        for token, p in zip(theirs.tokens, theirs.probabilities, strict=True):
            assert abs(p - together.get(token, p)) < 0.05
        # Its kernels round the activations to 8 bits, which here moves a few hundredths of the whole.
        assert ours.rest == pytest.approx(theirs.rest, abs=0.05)


def test_it_continues_and_answers_as_transformers_does(local: LocalTextModel, hosted: HostedModel) -> None:
    """Greedy texts part where two tokens are nearly tied; most begin alike."""
    for ask in ("complete", "ask"):
        ours, theirs = (getattr(model, ask)(PROMPTS, 4) for model in (local, hosted))
        same = sum(a.text.strip() == b.text.strip() for a, b in zip(ours, theirs, strict=True))
        assert same >= len(PROMPTS) // 2, (ours, theirs)


def test_a_bias_forbids_the_same_token(local: LocalTextModel, hosted: HostedModel) -> None:
    prompt = PROMPTS[1]
    texts = [model.complete([prompt], 1, bias=[{" Paris": -100.0}])[0].text for model in (local, hosted)]
    assert texts[0] == texts[1] != " Paris"


def test_the_same_claim_has_the_same_verdict(
    suite: Suite, target: str, local: LocalTextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the user's own cache, where the weights are."""
    for name in (*KEYS, SECONDS, "VSG_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if USERS_CACHE:
        monkeypatch.setenv("VSG_CACHE", USERS_CACHE)
    suite.model = None
    suite.claims(CLAIMS)
    result = suite.run_apart("--model", target, "--model", DEFAULT_MODEL, "-k", "is_open")
    result.assert_outcomes(passed=2)
    records = {path.parent.name: path for path in suite.reports.glob("records/*/is_open.json")}
    assert set(records) == {f"openai-{ALIAS}", DEFAULT_MODEL}
    ours, theirs = (read_record(records[name]) for name in (DEFAULT_MODEL, f"openai-{ALIAS}"))
    assert ours.verdict == theirs.verdict != "inconclusive"
    assert len(theirs.evidence.trials) == len(ours.evidence.trials) == 40


def test_a_real_claim_has_the_verdict_and_the_evidence_of_the_same_file(target: str, tmp_path: Path) -> None:
    """On this machine the same kernels run in llama.cpp: sums of other batches are rounded otherwise, no more.

    Most lists of next tokens are the same to the last digit.
    """
    ours, theirs = _asked_of_both(target, tmp_path)
    assert (ours.evidence.engine, theirs.evidence.engine) == ("llama.cpp", "hosted")
    assert ours.evidence.verdict == theirs.evidence.verdict != "not run"
    arms = zip(ours.evidence.arms, theirs.evidence.arms, strict=True)
    pairs = [
        (ours.evidence.trials, theirs.evidence.trials),
        *((own.trials, other.trials) for own, other in arms),
    ]
    for own, other in pairs:
        given = {trial.prompt: trial for trial in own}
        # An opening may come or go whose most probable token has nearly 0.6.
        shared = [(given[trial.prompt], trial) for trial in other if trial.prompt in given]
        assert len(shared) >= 0.95 * TRIALS
        assert sum(a.success == b.success for a, b in shared) >= 0.95 * len(shared)
        for name in ("least bits", "greatest bits"):
            gaps = [abs(_number(a, name) - _number(b, name)) for a, b in shared]
            assert median(gaps) < 0.001
            assert max(gaps) < 1


def _number(trial: StoredTrial, name: str) -> float:
    value = (trial.inputs or {})[name]
    assert isinstance(value, float)
    return value


def _asked_of_both(target: str, folder: Path) -> tuple[Record, Record]:
    """Ask a real claim of the file on this machine in llama.cpp's own kernels, and of the server."""
    asked = ("--model", DEFAULT_MODEL, "--engine", "llama.cpp", "--weights", "as-is"), ("--model", target)
    # The server's answers are kept apart; the file is in the user's own cache.
    caches = {"VSG_CACHE": USERS_CACHE} if USERS_CACHE else {}, {"VSG_CACHE": str(folder / "cache")}
    for arguments, cache in zip(asked, caches, strict=True):
        plain = {
            name: value for name, value in os.environ.items() if name not in (*KEYS, SECONDS, "VSG_CACHE")
        }
        command = [
            *(sys.executable, "-m", "pytest", "hypotheses/test_described_mixtures.py", *arguments),
            *("--reports", str(folder), "--trials", str(TRIALS), "-k", REAL, "-p", "no:cacheprovider"),
        ]
        ran = subprocess.run(
            command, cwd=ROOT, env=plain | cache, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    found = {record.model.name: record for record in read_records(folder / "records")}
    return found[AS_IS], found[f"openai-{ALIAS}"]

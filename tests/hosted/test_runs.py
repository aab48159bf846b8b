"""Claims on a hosted model, run by pytest from end to end against the stand-in."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Suite
from tests.support.text_server import Fault, TextServer, text_server
from vsg_core.hosted.server import KEYS, SECONDS
from vsg_core.records.files import read_record

SECRET = "sk-very-secret-0123456789"
CLAIMS = """
from vsg_core import Evidence, torch
from vsg_core.errors import NotApplicable

def texts(number=40):
    return [f"text {i}" for i in range(number)]

@claim("It answers", rule=rate(above=0.5), **ABOUT)
def test_answers(text_model):
    replies = text_model.complete(texts(), 3)
    return [Trial(text, output=reply.text, success=bool(reply.text)) for text, reply in zip(texts(), replies)]

@claim("It lists", rule=rate(above=0.5), **ABOUT)
def test_lists(text_model):
    listed = text_model.likely(texts())
    return [Trial(text, output=each.tokens[0], success=len(each.tokens) > 5) for text, each in zip(texts(), listed)]

@claim("It takes vectors", rule=rate(above=0.5), **ABOUT)
def test_takes_vectors(lm):
    return helper(lm)

def helper(lm):
    return trials(40) if lm.embed(torch.tensor([1])) is not None else []

@pytest.fixture
def states(lm):
    return lm.hidden_states(["the cat"])

@claim("It has states", rule=rate(above=0.5), **ABOUT)
def test_has_states(text_model, states):
    return trials(40)

@claim("It could be asked in text", rule=rate(above=0.5), **ABOUT)
def test_could_be_text(lm):
    return trials(40) if lm.generate(["the cat"]) else []

@claim("It is of base models", rule=rate(above=0.5), kinds=["base"], **ABOUT)
def test_of_base_models(text_model):
    return trials(40)
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in (*KEYS, SECONDS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VSG_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def api() -> Iterator[TextServer]:
    with text_server() as state:
        yield state


@pytest.fixture
def hosted(suite: Suite) -> Suite:
    suite.model = None
    suite.claims(CLAIMS)
    return suite


def test_claims_of_text_run_and_others_say_what_they_need(hosted: Suite, api: TextServer) -> None:
    result = hosted.run("--model", api.target, "-rs")
    assert result.ret == 0
    result.assert_outcomes(passed=2, skipped=4)
    text = " ".join(result.stdout.str().split())
    for reason in (
        "needs vectors: an API takes text and gives text",
        "needs hidden states: an API takes text and gives text",
        "asks for `lm`, though text might do",
        "a claim on base models, and openai-tiny is a instruct model",
    ):
        assert reason in text
    record = hosted.record("answers")
    assert (record.model.name, record.model.kind, record.model.target) == (
        "openai-tiny",
        "instruct",
        api.target,
    )
    assert record.model.revision
    assert record.model.revision.endswith("-said-by-server")
    assert (record.evidence.engine, record.evidence.dtype, record.run.device) == ("hosted", None, "hosted")
    assert record.run.forward_passes == 40
    vectors = hosted.record("takes_vectors")
    assert vectors.not_run
    assert vectors.not_run.cause == "not applicable"
    assert vectors.model.revision == record.model.revision
    assert "openai-tiny" in (hosted.reports / "claims.html").read_text()


def test_a_local_model_is_asked_the_same(suite: Suite) -> None:
    suite.claims(CLAIMS)
    suite.run("-k", "answers or lists").assert_outcomes(passed=2)
    assert suite.record("lists").evidence.engine == "transformers"
    assert len(suite.record("answers").evidence.trials) == 40


def test_a_run_resumes_until_the_server_says_that_it_is_another(hosted: Suite, api: TextServer) -> None:
    arguments = ("--model", api.target, "-k", "answers or lists")
    hosted.run(*arguments, "--record").assert_outcomes(passed=2)
    asked = api.asked("/completions")
    # Within one process the server is asked once; the next run is one of its own.
    result = hosted.run_apart(*arguments, "--resume")
    result.stdout.fnmatch_lines(["*2 kept, 0 to run*"])
    kept = hosted.record("answers")
    assert (kept.outcome, kept.evidence.engine) == ("same", "hosted")
    probes = api.asked("/completions") - asked
    # Nothing is kept, but all answers are.
    result = hosted.run_apart(*arguments)
    result.assert_outcomes(passed=2)
    assert hosted.record("answers").outcome == "same"
    assert api.asked("/completions") == asked + 2 * probes
    api.system_fingerprint = "fp_2"
    result = hosted.run_apart(*arguments, "--resume")
    result.stdout.fnmatch_lines(["*0 kept, 2 to run: no record*"])
    # Other weights have a name of their own, as those of this machine do.
    (renamed,) = hosted.reports.glob("records/openai-tiny-*/answers.json")
    assert re.fullmatch("openai-tiny-[0-9a-f]{8}", renamed.parent.name)
    assert read_record(renamed).outcome == "new"


def test_verdicts_of_one_server_are_not_those_of_another(hosted: Suite, api: TextServer) -> None:
    """Both say the same of their models. Records are kept where the same weights are served on another port."""
    arguments = ("-k", "answers or lists")
    hosted.run_apart("--model", api.target, *arguments).assert_outcomes(passed=2)
    with text_server(clock=True) as moved, text_server(weights=1) as other:
        result = hosted.run_apart("--model", moved.target, *arguments, "--resume")
        result.stdout.fnmatch_lines(["*2 kept, 0 to run*"])
        result = hosted.run_apart("--model", other.target, *arguments, "--resume")
        result.stdout.fnmatch_lines(["*0 kept, 2 to run*"])
        both = hosted.run_apart("--model", api.target, "--model", other.target, *arguments)
        both.assert_outcomes(passed=4)
        same = hosted.run_apart("--model", api.target, "--model", moved.target, *arguments)
        assert same.ret == pytest.ExitCode.USAGE_ERROR
        assert "have the same weights" in same.stderr.str()


def test_reasoning_is_not_recorded_as_the_runs_choice(hosted: Suite, api: TextServer) -> None:
    """The server is asked to turn it off, and may not know how to."""
    arguments = ("--model", api.target, "-k", "answers", "--thinking")
    hosted.run(*arguments, "off").assert_outcomes(passed=1)
    assert hosted.record("answers").evidence.thinking is None
    result = hosted.run(*arguments, "on")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*a hosted model is asked to answer without reasoning: leave --thinking on out*"]
    )


def test_what_did_not_apply_is_asked_again_once_the_server_can_do_it(hosted: Suite) -> None:
    """Restarted on another port, with log-probabilities."""
    arguments = ("-k", "answers or lists or of_base", "--resume")
    base = ("/models", "/completions")
    with text_server(can=base, lists=0) as bare, text_server(can=base) as lists:
        hosted.run_apart("--model", bare.target, *arguments).assert_outcomes(passed=2, skipped=1)
        assert hosted.record("lists").verdict == "not run"
        kept = hosted.run_apart("--model", bare.target, *arguments)
        kept.stdout.fnmatch_lines(["*3 kept, 0 to run*"])
        result = hosted.run_apart("--model", lists.target, *arguments)
        result.assert_outcomes(passed=3)
        result.stdout.fnmatch_lines(
            ["*abilities changed (completions to completions, 20 log-probabilities)*"]
        )


def test_a_server_that_is_gone_is_not_run(hosted: Suite) -> None:
    with text_server() as api:
        target = api.target
    result = hosted.run("--model", target, "-k", "answers or lists", "-rs")
    result.assert_outcomes(skipped=2)
    assert "no server answers at" in " ".join(result.stdout.str().split())
    assert hosted.run("--model", target, "-k", "answers", "--require-models").ret == 1


def test_a_proxy_that_cannot_be_used_ends_no_run(hosted: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    result = hosted.run("--model", "openai:tiny@http://example.invalid/v1", "-k", "answers or lists")
    result.assert_outcomes(failed=2)
    assert "INTERNALERROR" not in result.stdout.str()
    # The command that runs it again names no engine: a server's is its own.
    assert "again: pytest" in result.stdout.str()
    assert "--engine" not in result.stdout.str()
    assert "proxy that the environment names" in " ".join(result.stdout.str().split())


def test_a_claim_short_of_trials_is_an_error_and_no_verdict(
    hosted: Suite, api: TextServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(body: dict[str, object]) -> Fault | None:
        return Fault(429, {"Retry-After": "86400"}) if body.get("prompt") == "text 17" else None

    api.fault_of = broken
    result = hosted.run("--model", api.target, "-k", "answers")
    result.assert_outcomes(failed=1)
    assert "17 of 40 requests were answered, too few for a verdict" in " ".join(result.stdout.str().split())
    record = hosted.record("answers")
    assert (record.verdict, record.outcome) == ("not run", "broken")
    # What was answered is kept.
    api.fault_of = None
    hosted.run("--model", api.target, "-k", "answers").assert_outcomes(passed=1)
    assert hosted.record("answers").run.forward_passes == 23


def test_five_log_probabilities_are_few(hosted: Suite) -> None:
    with text_server(lists=5) as five, text_server(lists=0) as none:
        hosted.run("--model", five.target, "-k", "lists").assert_outcomes(passed=1)
        assert hosted.record("lists").verdict == "refuted"
        hosted.run("--model", none.target, "-k", "lists").assert_outcomes(skipped=1)


def test_the_key_is_in_nothing_that_is_written_or_shown(
    hosted: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("VSG_CACHE", str(tmp_path))
    with text_server(key=SECRET, echoes=f" {SECRET}") as api:
        result = hosted.run_apart("--model", api.target, "--record", "-v", "-k", "answers or lists")
        result.assert_outcomes(passed=2)
        api.always["/completions"] = Fault(400, body=f'{{"error": "bad {SECRET}"}}'.encode())
        (tmp_path / "answers").rename(tmp_path / "before")
        failed = hosted.run_apart("--model", api.target, "-v", "-k", "answers or lists", "-l")
    assert failed.ret != 0 or "[key]" in failed.stdout.str()
    written = [
        path for folder in (hosted.pytester.path, tmp_path) for path in folder.rglob("*") if path.is_file()
    ]
    assert any(path.name == "answers.json" for path in written)
    shown = [result.stdout.str(), result.stderr.str(), failed.stdout.str(), failed.stderr.str()]
    texts = [*shown, *(path.read_bytes().decode("utf-8", "replace") for path in written)]
    digest = hashlib.sha256(SECRET.encode()).hexdigest()[:12]
    for text in texts:
        assert SECRET not in text
        assert digest not in text


def test_secrets_in_the_target_are_refused_unseen(hosted: Suite) -> None:
    result = hosted.run("--model", f"openai:tiny@http://user:{SECRET}@127.0.0.1:9/v1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.stderr.str().splitlines() if line.startswith("ERROR")]
    assert lines
    assert SECRET not in "".join(lines)


@pytest.mark.parametrize(
    "arguments", [["--collect-only"], ["-m", "instruct"], ["-m", "headline"], ["--weights", "nf4"]]
)
def test_choices_of_a_run_work_or_are_refused(hosted: Suite, api: TextServer, arguments: list[str]) -> None:
    result = hosted.run("--model", api.target, *arguments)
    expected = {"--weights": pytest.ExitCode.USAGE_ERROR, "headline": pytest.ExitCode.NO_TESTS_COLLECTED}
    assert result.ret == expected.get(arguments[0], expected.get(arguments[-1], 0))
    if "--collect-only" in arguments:
        assert api.requests == []


def test_a_dry_run_takes_claims_of_text(hosted: Suite) -> None:
    result = hosted.run("--dry", "-k", "answers or lists")
    result.stdout.fnmatch_lines(["*2 claims ok*"])


def test_workers_run_hosted_models(hosted: Suite, api: TextServer) -> None:
    result = hosted.run_apart("--model", api.target, "-k", "answers or lists", "--on", "local:1")
    result.assert_outcomes(passed=2)

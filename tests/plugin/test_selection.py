"""The models that a run uses: with -m, with --model, and with neither."""

from __future__ import annotations

import shlex
import shutil
from importlib.metadata import PackageNotFoundError

import pytest

from vsg_core.generator.llama_cpp import library
from vsg_core.plugin import selection
from vsg_core.records.files import read_record
from vsg_core.report.view.origins import command
from vsg_core.weights import loading, registry

REGISTRY = """
[[model]]
name = "smollm2-135m-instruct"
family = "smollm2"
kind = "instruct"
sources = [{ kind = "hub", repo = "nobody/smollm2" }]
size = 98000000

[[model]]
name = "qwen-small"
family = "qwen"
kind = "base"
sources = [{ kind = "hub", repo = "nobody/qwen-small" }]
size = 400000000

[[model]]
name = "qwen-large"
family = "qwen"
kind = "instruct"
sources = [{ kind = "hub", repo = "nobody/qwen-large" }]
size = 15_000_000_000

[[model]]
name = "gemma"
family = "gemma"
kind = "base"
licence = "Gemma terms"
named_only = true
sources = [{ kind = "hub", repo = "nobody/gemma" }]
size = 250000000
"""


@pytest.fixture
def catalogue(suite, tmp_path, monkeypatch):
    """Build a suite that names no model, with a registry of four models, none of which is downloaded."""
    path = tmp_path / "registry.toml"
    path.write_text(REGISTRY)
    monkeypatch.setattr(registry, "REGISTRY", path)
    monkeypatch.setattr(loading, "weights_here", lambda entry: False)
    suite.model = None
    suite.claims(suite.rate_claim(38))
    return suite


def collected(suite, *arguments: str) -> list[str]:
    """List the names of the models that the claims would run on."""
    result = suite.run("--collect-only", "-q", *arguments)
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if "::" in line]


def test_models_are_selected_by_family_kind_or_both(catalogue):
    assert collected(catalogue, "-m", "qwen") == ["qwen-small", "qwen-large"]
    assert collected(catalogue, "-m", "instruct") == ["smollm2-135m-instruct", "qwen-large"]
    assert collected(catalogue, "-m", "qwen and instruct") == ["qwen-large"]
    assert collected(catalogue, "-m", "base and not qwen") == ["gemma"]


def test_the_default_is_every_local_model_or_else_the_embedded_one(catalogue, monkeypatch):
    assert collected(catalogue) == ["smollm2-135m-instruct"]
    monkeypatch.setattr(loading, "weights_here", lambda entry: entry.family in ("qwen", "gemma"))
    assert collected(catalogue) == ["qwen-small", "qwen-large", "gemma"]


def test_a_run_without_a_selection_counts_the_missing_models_in_one_line(catalogue, monkeypatch):
    """Few are named too."""
    monkeypatch.setattr(loading, "weights_here", lambda entry: entry.name == "qwen-small")
    catalogue.claims(catalogue.rate_claim(38).replace("rule=", "kinds=['instruct'], rule="))
    absent = "smollm2-135m-instruct, qwen-large, gemma; to get one: vsg models fetch NAME"
    catalogue.run().stdout.fnmatch_lines([f"3 models of the registry are not downloaded: {absent}"])
    catalogue.run("-m", "base").stdout.no_fnmatch_line("*not downloaded*")
    further = REGISTRY + REGISTRY[REGISTRY.rindex("[[model]]") :].replace('"gemma"', '"gemma-2"', 1)
    path = catalogue.pytester.path / "further.toml"
    path.write_text(further)
    monkeypatch.setattr(registry, "REGISTRY", path)
    catalogue.run().stdout.fnmatch_lines(["4 models of the registry are not downloaded: vsg models --all"])


@pytest.mark.parametrize(
    ("family", "why"),
    [
        ("qwen and instruct", "weights of qwen-large unavailable: 15 GB are fetched only when named*"),
        ("gemma", "weights of gemma unavailable: 0.25 GB, under terms of their own (Gemma terms), are*"),
    ],
)
def test_large_or_restricted_weights_are_skipped_unless_named(catalogue, family, why):
    result = catalogue.run("-m", family, "-rs")
    result.assert_outcomes(skipped=1, deselected=3)
    result.stdout.fnmatch_lines([f"SKIPPED *{why}vsg models fetch *"])
    assert catalogue.run("-m", family, "--require-models").ret == 1


def test_models_without_weights_do_not_stop_a_run_in_workers(catalogue, monkeypatch):
    """No worker is planned for them, so it does not matter that they fit nowhere; they are not run, as without --on."""
    monkeypatch.setattr("vsg_core.runs.local.available", lambda: 1_000_000)
    path = catalogue.pytester.path / "registry.toml"
    path.write_text(REGISTRY.replace("size = 15", "parameters = 7_600_000_000\nsize = 15"))
    monkeypatch.setattr(registry, "REGISTRY", path)
    given = ["-m", "qwen and instruct", "--on", "local:2"]
    result = catalogue.run(*given, "-rs")
    result.assert_outcomes(skipped=1, deselected=3)
    result.stdout.fnmatch_lines(["SKIPPED *weights of qwen-large unavailable: 15 GB are fetched only when*"])
    catalogue.run(*given, "--collect-only").stdout.no_fnmatch_line("*= plan =*")


def test_packed_models_are_recorded_under_names_of_their_own(catalogue):
    """They are the same models of the registry, and are fetched under its names."""
    assert collected(catalogue, "-m", "qwen", "--weights", "nf4") == ["qwen-small-nf4", "qwen-large-nf4"]
    assert collected(catalogue, "--weights", "int8") == ["smollm2-135m-instruct-int8"]
    result = catalogue.run("-m", "qwen and instruct", "--weights", "nf4", "-rs")
    result.stdout.fnmatch_lines(["*weights of qwen-large-nf4 unavailable: *vsg models fetch qwen-large"])


def test_models_on_another_engine_are_recorded_under_names_of_their_own(catalogue, monkeypatch):
    """They are the same models of the registry, and are fetched under its names."""
    monkeypatch.setattr(selection, "check_library", lambda: None)
    named = ["qwen-small+llama.cpp", "qwen-large+llama.cpp"]
    assert collected(catalogue, "-m", "qwen", "--engine", "llama.cpp") == named
    result = catalogue.run("-m", "qwen and instruct", "--engine", "llama.cpp", "-rs")
    result.stdout.fnmatch_lines(
        ["*weights of qwen-large+llama.cpp unavailable: *vsg models fetch qwen-large"]
    )


def test_an_engine_that_is_not_installed_is_one_line_before_anything_is_written(suite, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(library, "version", missing)
    suite.claims(suite.rate_claim(38))
    result = suite.run("--engine", "llama.cpp")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the engine llama.cpp needs llama-cpp-python *: pip install *"])
    assert not (suite.reports / "records").exists()
    assert suite.run("--engine", "llama.cpp", "--collect-only").ret == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--weights", "as-is"], "*transformers cannot compute with weights as-is: add --engine llama.cpp"),
        (
            ["--weights", "nf4", "--engine", "llama.cpp"],
            "*llama.cpp cannot compute with nf4 weights: leave --weights out, or give as-is",
        ),
    ],
)
def test_what_an_engine_cannot_run_is_refused_in_one_line(catalogue, arguments, line):
    result = catalogue.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line}"])


def test_a_choice_about_thinking_is_kept_and_not_compared_with_another(suite):
    """Verdicts recorded before the choice existed have none."""
    suite.claims(suite.rate_claim(38))
    assert suite.run("--record").ret == 0
    assert suite.record("one").evidence.thinking is None
    suite.claims(suite.rate_claim(2))
    result = suite.run("--thinking", "on")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*not comparable: thinking on, recorded with thinking not chosen; now refuted*"]
    )
    record = suite.record("one")
    assert (record.evidence.thinking, record.outcome) == ("on", "not comparable")
    suite.run("--thinking", "on", "--record")
    assert suite.run("--thinking", "on").ret == 0
    assert suite.record("one").outcome == "same"


def test_a_mistyped_marker_is_refused_with_suggestions(catalogue):
    result = catalogue.run("-m", "qwem and instruct")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = (
        "there is no marker 'qwem', did you mean 'qwen'? *gemma*base, instruct. Claims: headline, across."
    )
    result.stderr.fnmatch_lines([f"ERROR: -m 'qwem and instruct': {message}"])
    assert "Traceback" not in result.stderr.str()


def test_families_and_kinds_are_listed_as_markers(catalogue):
    result = catalogue.run("--markers")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.qwen: claims on models of the qwen family", "@pytest.mark.base: *"]
    )


def test_several_models_can_be_named(suite, other_llama):
    suite.claims(suite.rate_claim(38) + suite.rate_claim(2, name="two"))
    result = suite.run("--model", other_llama, "-v")
    result.assert_outcomes(passed=4)
    # Grouped by model, not by claim.
    result.stdout.fnmatch_lines(["*one?tiny*", "*two?tiny*", "*one?other*", "*two?other*"])


def test_the_family_of_a_named_model_is_a_marker(suite):
    suite.claims(suite.rate_claim(38))
    assert collected(suite, "-m", "llama and base") == ["tiny-random"]
    assert collected(suite, "-m", "qwen") == []


def test_headline_claims_have_a_marker(suite):
    """-m headline runs these claims and no others, on the models that a plain run would use."""
    one = suite.rate_claim(38).replace("rule=", "headline=True, rule=")
    suite.claims(one + suite.rate_claim(2, name="two"))
    assert collected(suite, "-m", "headline") == ["tiny-random"]
    assert collected(suite, "-m", "not headline") == ["tiny-random"]
    suite.run("-m", "headline").assert_outcomes(passed=1, deselected=1)


@pytest.mark.parametrize("target", ["smolm2-135m-instruct", "no/such/folder/here", "missing.gguf"])
def test_an_unknown_model_is_one_line(catalogue, target):
    result = catalogue.run("--model", target)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --model {target}: *"])
    assert "Traceback" not in result.stderr.str()
    assert len(result.errlines) <= 2


def test_one_model_under_two_paths_is_refused(suite, tiny_llama, tmp_path):
    shutil.copytree(tiny_llama, tmp_path / "twin" / tiny_llama.name)
    suite.claims(suite.rate_claim(38))
    result = suite.run("--model", tmp_path / "twin" / tiny_llama.name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *tiny-random and *tiny-random have the same weights: give one of them"]
    )


def test_two_models_of_one_name_have_a_column_each(suite, other_llama, tmp_path):
    twin = shutil.copytree(other_llama, tmp_path / "twin" / suite.model.name)
    suite.claims(suite.rate_claim(38) + suite.rate_claim(2, name="two"))
    suite.run("--model", twin).assert_outcomes(passed=4)
    folders = sorted((suite.reports / "records").iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 2]
    assert {read_record(folder / "one.json").weights[:8] for folder in folders} == {
        folder.name.removeprefix("tiny-random-") for folder in folders
    }
    page = (suite.reports / "claims.html").read_text()
    assert all(folder.name in page for folder in folders)


def test_a_folder_with_new_weights_never_shares_a_column_with_the_old(suite, other_llama, tmp_path):
    """As in a loop of fine-tuning, also where the second run measures one claim only."""
    suite.model = shutil.copytree(suite.model, tmp_path / "checkpoint")
    suite.claims(suite.rate_claim(38) + suite.rate_claim(2, name="two"))
    suite.run().assert_outcomes(passed=2)
    shutil.copy(other_llama / "model.safetensors", suite.model)
    suite.run("-k", "one").assert_outcomes(passed=1, deselected=1)
    old, new = sorted((suite.reports / "records").iterdir())
    assert (old.name, len(list(old.iterdir()))) == ("checkpoint", 2)
    (record,) = map(read_record, new.iterdir())
    assert new.name == f"checkpoint-{record.weights[:8]}"
    assert record.weights not in {read_record(each).weights for each in old.iterdir()}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("名前 模型", "名前-模型"),
        ("🙂 a[1] 'q'", "🙂-a-1-q"),
        ("across-models", "across-models-local"),
        ("n" * 250, f"{'n' * 151}-"),
    ],
)
def test_a_folder_of_any_name_runs_and_is_run_again_by_its_command(suite, tmp_path, folder, name):
    suite.model = shutil.copytree(suite.model, tmp_path / folder)
    suite.claims(suite.rate_claim(38))
    result = suite.run("-v", "-p", "no:html")
    result.assert_outcomes(passed=1)
    shown = suite.record("one").model.name
    assert shown.startswith(name)
    assert f"test_one[{shown}]" in result.stdout.str()
    assert shown in (suite.reports / "claims.html").read_text()
    again = shlex.split(command(suite.record("one")))
    suite.model = None
    suite.run(*again[1:], "-p", "no:html").assert_outcomes(passed=1)
    assert suite.record("one").model.name == shown


def test_a_path_that_no_record_can_hold_is_one_line(suite, tmp_path):
    odd = tmp_path / "new\nline"
    shutil.copytree(suite.model, odd)
    suite.model = odd
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --model *new?nline: * has control characters or is not UTF-8: rename it"]
    )


def test_two_claims_with_one_name_are_refused(suite):
    suite.claims(suite.rate_claim(38))
    suite.claims(suite.rate_claim(2), file="more.py")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *more.py::test_one*things.py::test_one* are one claim, one, twice*"])


def test_collecting_imports_no_torch(suite):
    suite.claims(suite.rate_claim(38))
    suite.pytester.path.joinpath("conftest.py").open("a").write(
        "\ndef pytest_unconfigure():\n"
        "    import sys\n"
        "    heavy = {'torch', 'transformers', 'scipy.stats', 'statsmodels'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    result = suite.run_apart("--collect-only")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_one?tiny-random?*", "heavy: []"])


def test_the_default_is_in_the_registry():
    assert registry.entry(registry.DEFAULT_MODEL).kind == "instruct"


def test_a_claim_without_a_model_is_refused_at_collection(suite):
    """Nothing would judge it: it must not pass."""
    suite.claims("""
        @claim("It works", rule=rate(above=0.5), **ABOUT)
        def test_one():
            return trials(40)
        """)
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*things.py::test_one asks for no model*add `lm` (or `records`) to its arguments*"]
    )

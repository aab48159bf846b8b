"""The optional capabilities that claims reach, read from the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import capabilities
from tools.capabilities import MEMBERS, is_across, lacking, optional_capabilities, reached, second_engine
from vsg_core.generator.model.language_model import LanguageModel
from vsg_core.judge.claims import load_claims

CLAIMS = {claim.id: claim for claim in load_claims(capabilities.ROOT / "hypotheses")}
ENGINE = '''
class Base:
    """Half of an engine."""
    def start(self): ...
    def last_hidden_states(self): ...

class Llama(Base):
    def step(self): ...
    def select(self): ...
    def head_table(self): ...
'''


def test_every_optional_capability_has_members_of_the_model() -> None:
    assert optional_capabilities().keys() == MEMBERS.keys()
    for members in MEMBERS.values():
        assert all(hasattr(LanguageModel, name) for name in members)


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        # Called by the claim, by a fixture, and by a function of vsg_core; reached by none.
        ("rounding_changes_mixtures_more_than_tokens", {"RoundedWeights"}),
        ("second_path_is_lost_early", {"LayerStates"}),
        ("lighter_token_keeps_less_than_half_of_its_weight", {"LogitLens"}),
        ("adapter_makes_mixtures_readable", {"Gradients"}),
        ("chat_embeddings_give_empty_output", set()),
        # It only speaks of hidden states and of an untrained model.
        ("concept_tokens_stay_with_greedy_decoding", set()),
    ],
)
def test_a_claim_reaches_what_it_its_fixtures_and_their_functions_use(claim: str, found: set[str]) -> None:
    assert reached(CLAIMS[claim]) == found


def test_claims_across_models_ask_no_engine() -> None:
    assert is_across(CLAIMS["pruning_grows_with_size"])
    assert not is_across(CLAIMS["second_path_is_lost_early"])


def test_the_second_engine_is_found_by_its_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "ENGINES", tmp_path / "engine")
    with pytest.raises(ValueError, match=r"no class of .* has the methods select, start, step of an engine"):
        second_engine()
    (tmp_path / "llama_cpp").mkdir()
    (tmp_path / "llama_cpp" / "engine.py").write_text(ENGINE)
    assert lacking(second_engine()) == MEMBERS.keys() - {"LayerStates", "HeadTable"}

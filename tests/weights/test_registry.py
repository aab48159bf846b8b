"""The registry file: its content, and the errors for a damaged one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from vsg_core.errors import VsgError, WrongUse
from vsg_core.weights import registry
from vsg_core.weights.registry import Entry, Gguf, Hub, Local, Package, Wheels

MODEL = """
[[model]]
name = "one"
family = "some"
kind = "base"
[[model.sources]]
kind = "hub"
repo = "someone/one"
"""


def test_every_model_of_the_study_is_in_the_registry() -> None:
    names = {entry.name for entry in registry.entries()}
    assert {"smollm2-135m-instruct", "gemma-3-270m", "gpt2", "qwen2.5-1.5b-instruct", "flan-t5-base"} <= names
    assert {"smollm2", "qwen", "gpt2", "gpt_neo", "flan_t5"} <= set(registry.families())


def test_a_gguf_and_wheels_are_pinned_by_sha256_and_the_hub_by_a_commit() -> None:
    for entry in registry.entries():
        for source in entry.sources:
            if isinstance(source, Wheels):
                assert entry.gguf
                pins = [entry.gguf.sha256, *(package.sha256 for package in source.packages)]
                assert all(re.fullmatch(r"[0-9a-f]{64}", pin) for pin in pins)
            # No commit of stablelm-2-1_6b-chat could be confirmed, nor of those whose note says so.
            elif (
                isinstance(source, Hub)
                and entry.name != "stablelm-2-1_6b-chat"
                and "not pinned" not in (entry.note or "")
            ):
                assert re.fullmatch(r"[0-9a-f]{40}", source.revision), entry.name


def test_every_gguf_states_the_settings_at_the_start_of_training() -> None:
    """Without them, no claim that compares a model with its initial weights would apply."""
    for entry in registry.entries():
        assert (entry.initial is not None) == (entry.gguf is not None), entry.name


def test_the_form_of_every_gguf_is_stated() -> None:
    """Quantised weights have fewer than 16 bits according to the form, not to the file's name."""
    forms = {entry.name: entry.form for entry in registry.entries() if entry.gguf}
    assert forms["smollm2-135m-instruct"] == "Q4_1"
    assert all(forms.values())
    assert {entry.name for entry in registry.entries() if entry.quantised} == set(forms)
    assert not replace(registry.entry("smollm2-135m-instruct"), form="float16").quantised


def test_every_field_is_described() -> None:
    for model in (Entry, Gguf, Hub, Package, Wheels, Local):
        fields = TypeAdapter(model).json_schema()["properties"]
        assert all("description" in field for name, field in fields.items() if name != "kind"), model
    assert "description" in TypeAdapter(Entry).json_schema()["properties"]["kind"]


def test_encoder_decoders_and_terms_are_marked() -> None:
    assert {entry.name for entry in registry.entries() if entry.encoder_decoder} == {
        "flan-t5-small",
        "flan-t5-base",
    }
    assert registry.entry("gemma-3-270m").named_only


def test_a_further_model_needs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = tmp_path / "registry.toml"
    more.write_text(registry.REGISTRY.read_text() + MODEL)
    monkeypatch.setattr(registry, "REGISTRY", more)
    assert registry.entry("one").sources == (Hub("someone/one"),)
    assert registry.families()[-1] == "some"


def test_an_unknown_name_lists_the_closest() -> None:
    with pytest.raises(WrongUse, match=r"no model 'qwen2.5-05b'.*did you mean qwen2.5-0.5b-instruct"):
        registry.entry("qwen2.5-05b")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "base"', 'kind = "chat"', "kind is 'chat': input should be 'base' or 'instruct'"),
        ('family = "some"', 'family = "gpt-2"', "family 'gpt-2' must be an identifier"),
        ('family = "some"\n', "", "family is missing"),
        ('family = "some"', 'family = "some"\ncolour = "red"', "unknown field colour"),
        ('name = "one"', 'name = "a/b"', "name must be lower case letters"),
        ('kind = "hub"', 'kind = "ftp"', "unknown kind of source 'ftp'; use hub or wheels"),
        ('kind = "hub"\n', "", "sources.0.kind is missing; use hub or wheels"),
        (
            'kind = "hub"\nrepo = "someone/one"',
            'kind = "local"\npath = "/one"',
            "unknown kind of source 'local'; use hub or wheels",
        ),
        ('repo = "someone/one"', "repo = 1", "sources.0.hub.repo is 1: input should be a valid string"),
        ('kind = "base"', 'kind = "base"\nsize = "2 GB"', "size is '2 GB': input should be a valid integer"),
        ("[[model]]", "[[model", "is not a model registry"),
        (MODEL, MODEL + MODEL, "one appears more than once"),
    ],
)
def test_the_fault_in_a_damaged_registry_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(MODEL.replace(old, new, 1))
    with pytest.raises(VsgError) as caught:
        registry._read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)

"""Tokenizers of every habit: what they put around a text, what ends an answer, and ids beyond the table."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import GenerationConfig, PreTrainedTokenizerFast

from tests.support.architectures import ROWS, SPECIAL, TOKENS, WORDS, tiny
from tests.support.engines import engine_of
from vsg_core import LanguageModel
from vsg_core.errors import VsgError, WrongUse

MARKS = ["<s>", "<unk>", "</s>", "[CLS]", "[SEP]", "<|im_end|>"]


def tokenizer_with(template: str, words: list[str] | None = None, **named: Any) -> PreTrainedTokenizerFast:
    """Build a tokenizer of MARKS and words that puts the template around a text."""
    tokens = [*MARKS, *(WORDS[: TOKENS - len(MARKS)] if words is None else words)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    marks = [(mark, vocabulary[mark]) for mark in MARKS]
    inner.post_processor = TemplateProcessing(single=template, special_tokens=marks)
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", **named)


def opened(tokenizer: Any, architecture: str = "llama", thinking: bool | None = None) -> LanguageModel:
    return LanguageModel(engine_of(tiny(architecture)).model, tokenizer, thinking=thinking)


@pytest.mark.parametrize(
    ("template", "named", "before", "notes"),
    [
        ("<s> $A", {"bos_token": "<s>", "eos_token": "</s>"}, ["<s>"], 0),
        ("<s> $A </s>", {"bos_token": "<s>", "eos_token": "</s>"}, ["<s>"], 1),
        ("[CLS] $A [SEP]", {"cls_token": "[CLS]", "sep_token": "[SEP]"}, ["[CLS]"], 1),
        ("<s> <s> $A </s> </s>", {"bos_token": "<s>", "eos_token": "</s>"}, ["<s>"], 2),
        ("$A </s>", {"eos_token": "</s>"}, [], 1),
        ("$A", {}, [], 0),
    ],
    ids=["BOS", "BOS and EOS", "CLS and SEP", "doubled", "EOS alone", "nothing"],
)
def test_a_prompt_has_no_end_and_one_beginning(template, named, before, notes) -> None:
    """The tokens taken away are noted; `join` has the beginning once, and nothing in the middle or at the end."""
    lm = opened(tokenizer_with(template, **named))
    spelled = lm.tokenizer.convert_ids_to_tokens(lm.tokenize("w5 w6").tolist())
    assert spelled == [*before, "w5", "w6"]
    assert len(lm.text_notes) == notes
    joined = lm.join("w5", torch.tensor([9]), "w6")
    ids = [*lm.tokenizer.convert_tokens_to_ids([*before, "w5"]), 9, *lm.tokenize("w6", special=False)]
    assert torch.equal(joined, lm.embed(torch.tensor(ids)))


def test_an_encoder_keeps_the_end_of_its_input() -> None:
    lm = tiny("t5")
    assert lm.tokenizer.convert_ids_to_tokens(lm.tokenize("w5 w6").tolist()) == ["w5", "w6", "</s>"]
    assert lm.text_notes == ()


def test_special_tokens_that_a_text_spells_stay() -> None:
    lm = opened(tokenizer_with("<s> $A </s>", bos_token="<s>", eos_token="</s>"))
    spelled = lm.tokenizer.convert_ids_to_tokens(lm.tokenize("<s> w5 </s>").tolist())
    assert spelled == ["<s>", "w5", "</s>"]


def test_a_tokenizer_that_knows_none_of_the_probes() -> None:
    """Its own words show what it puts around a text."""
    lm = opened(
        tokenizer_with("<s> $A </s>", [f"名{i}" for i in range(20)], bos_token="<s>", eos_token="</s>")
    )
    assert lm.tokenizer.convert_ids_to_tokens(lm.tokenize("名3").tolist()) == ["<s>", "名3"]


def test_a_tokenizer_that_changes_its_text() -> None:
    """Normalised text and a prefix space are not special tokens."""
    tokenizer = tokenizer_with("<s> $A </s>", bos_token="<s>", eos_token="</s>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Prepend("w7 ")]
    )
    assert opened(tokenizer).tokenize("W5").tolist() == tokenizer.convert_tokens_to_ids(["<s>", "w7", "w5"])


def test_an_ordinary_token_with_the_name_of_an_end_does_not_end_an_answer() -> None:
    """Gemma 3 has an ordinary </s>."""
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = copy.deepcopy(engine_of(tiny("llama")).model)
    model.config.eos_token_id = None
    model.generation_config = GenerationConfig()
    ordinary = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    assert LanguageModel(model, ordinary).end_ids == frozenset()
    ordinary.add_special_tokens({"additional_special_tokens": ["</s>"]})
    assert LanguageModel(model, ordinary).end_ids == {2}


TURNS = "{% for m in messages %}<s> {{ m['content'] }} <|im_end|> {% endfor %}"


@pytest.mark.parametrize(
    ("eos", "ends"),
    [
        (7, {7, 5}),
        ([7, 9], {7, 9, 5}),
        (None, {5}),
        ([None, 8], {8, 5}),
        ("7", {7, 5}),
        (-1, {5}),
        (999, {5}),
    ],
)
def test_ends_come_from_configuration_and_chat_template(eos, ends) -> None:
    """The template's end of turn is one; an id outside the table cannot be."""
    model = copy.deepcopy(engine_of(tiny("llama")).model)
    model.config.eos_token_id = None
    model.generation_config = GenerationConfig()
    model.generation_config.eos_token_id = eos
    tokenizer = tokenizer_with("$A", additional_special_tokens=["<|im_end|>"], chat_template=TURNS)
    assert LanguageModel(model, tokenizer).end_ids == ends


def test_an_end_that_is_not_an_id_is_one_line() -> None:
    model = copy.deepcopy(engine_of(tiny("llama")).model)
    model.generation_config = GenerationConfig()
    model.generation_config.eos_token_id = "</s>"
    with pytest.raises(VsgError, match="eos_token_id has '</s>': give the id of a token"):
        LanguageModel(model, tokenizer_with("$A"))


def test_a_tokenizer_larger_than_the_table_is_refused() -> None:
    """The tokens without a row are named at load."""
    words = [f"w{i}" for i in range(ROWS)]
    with pytest.raises(
        VsgError, match=r"has the tokens 'w66' \(72\), 'w67' \(73\).* and 2 more, beyond the 72 rows"
    ):
        opened(tokenizer_with("$A", words))


def test_an_added_padding_token_beyond_the_table_is_noted_and_refused_in_a_text() -> None:
    """Many fine-tunes add a [PAD] that no prompt contains."""
    tokenizer = tokenizer_with("$A", [f"w{i}" for i in range(ROWS - len(MARKS))])
    tokenizer.add_tokens([AddedToken("[PAD]", special=True)])
    lm = opened(tokenizer)
    assert f"'[PAD]' ({ROWS}) has no row" in lm.text_notes[0]
    assert lm.next_logits(["w5 w6"]).shape == (1, ROWS)
    with pytest.raises(WrongUse, match=rf"has the token '\[PAD\]' \({ROWS}\), beyond the {ROWS} rows"):
        lm.next_logits(["w5 [PAD]"])


def test_a_chat_format_with_a_token_beyond_the_table_is_refused() -> None:
    tokenizer = tokenizer_with("$A", [f"w{i}" for i in range(ROWS - len(MARKS))])
    tokenizer.add_tokens([AddedToken("<turn>", special=True)])
    tokenizer.chat_template = "{% for m in messages %}<turn> {{ m['content'] }} {% endfor %}"
    with pytest.raises(VsgError, match=r"'<turn>' \(72\), beyond the 72 rows"):
        opened(tokenizer)


@pytest.mark.parametrize("text", ["", " \n", "\ud800"])
def test_a_text_without_a_token_is_one_line(text: str) -> None:
    with pytest.raises(WrongUse) as raised:
        opened(tokenizer_with("$A </s>", eos_token="</s>")).tokenize(text)
    assert "\n" not in str(raised.value)

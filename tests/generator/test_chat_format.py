"""Chat templates of every kind: the question is in what they write, and they write the same each time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.generator.test_tokenizers import opened, tokenizer_with
from vsg_core import LanguageModel
from vsg_core.errors import NotApplicable
from vsg_core.generator.model import rendering

PLAIN = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} <|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
PARTS = (
    "{% for m in messages %}[{{ m['role'] }}] {% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}"
    "{% endif %}{% endfor %}{% endfor %}[assistant]"
)
QUESTION = "What is <b>5</b> & 6, {{ x }}?"


def with_template(template: Any) -> LanguageModel:
    return opened(tokenizer_with("$A", chat_template=template, additional_special_tokens=["<|im_end|>"]))


@pytest.mark.parametrize("template", [PLAIN, PARTS], ids=["text", "parts"])
def test_the_question_is_in_what_is_written(template: str) -> None:
    """Templates that want a list of parts get one: a text would be dropped silently."""
    lm = with_template(template)
    assert QUESTION in lm.chat(QUESTION)
    both = lm.chat(QUESTION, system="Be brief.")
    assert QUESTION in both
    assert "Be brief." in both
    assert ("chat messages are lists of parts" in lm.text_notes) == (template == PARTS)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("[user] a question [assistant]", "drops or changes the user's text"),
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", "drops or changes the user's text"),
        ("{{ raise_exception('tools are required') }}", "fails: TemplateError: tools are required"),
        ("{% for m in messages %}{{ m.content }", "fails: TemplateSyntaxError"),
        ("{{ messages[0].content | no_such_filter }}", "fails: .*no_such_filter"),
        ({"rag": PLAIN, "tools": PLAIN}, r"has only chat templates by name \(rag, tools\)"),
        ("{{ messages[0].content }} {{ range(100000) | random }}", "writes something random"),
    ],
    ids=["dropped", "changed", "raises", "malformed", "unknown filter", "named", "random"],
)
def test_a_template_that_cannot_be_used_does_not_apply(template: Any, says: str) -> None:
    """The message is the template's own, in one line; the model itself opens, as a base model."""
    lm = with_template(template)
    assert not lm.has_chat
    assert lm.kind == "base"
    with pytest.raises(NotApplicable, match=says) as raised:
        lm.chat(QUESTION)
    assert "\n" not in str(raised.value)


def test_a_template_without_a_system_role() -> None:
    """It formats questions; with a system message it does not apply, with its own words."""
    refusing = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + PLAIN
    )
    lm = with_template(refusing)
    assert QUESTION in lm.chat(QUESTION)
    with pytest.raises(NotApplicable, match="no system role"):
        lm.chat(QUESTION, system="Be brief.")


def test_a_template_that_drops_the_system_message() -> None:
    lm = with_template("{{ messages[-1]['content'] }}")
    with pytest.raises(NotApplicable, match=r"drops or changes the system's text 'Be brief\.'"):
        lm.chat(QUESTION, system="Be brief.")


def test_the_date_is_fixed() -> None:
    """Otherwise the evidence of each day would differ."""
    lm = with_template("Today is {{ strftime_now('%d %b %Y') }}. " + PLAIN)
    assert lm.chat(QUESTION).startswith("Today is 26 Jul 2024. ")
    assert lm.text_notes == ("the date in the chat format is always 26 Jul 2024",)


def test_a_template_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped, and not tried again."""
    monkeypatch.setattr(rendering, "LIMIT", 0.3)
    lm = with_template(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}" + PLAIN
    )
    with pytest.raises(NotApplicable, match=r"does not end within 0\.3 seconds"):
        lm.chat(QUESTION)


SWITCHED = (
    PLAIN + "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)
OPENED = PLAIN + "<think>\n"


def test_thinking_is_a_choice_that_is_off_by_default() -> None:
    lm = with_template(SWITCHED)
    assert lm.chat(QUESTION).endswith("<think>\n\n</think>\n\n")
    assert lm.chat(QUESTION, thinking=True).endswith("[assistant]")
    assert "the chat format turns reasoning off, unless asked for" in lm.text_notes
    with pytest.raises(NotApplicable, match="has no thinking"):
        with_template(PLAIN).chat(QUESTION, thinking=True)


def reasoning_model(template: str, thinking: bool | None = None) -> LanguageModel:
    words = [f"w{i}" for i in range(40)] + (["<think>", "</think>"] if "think" in template else [])
    special = ["<|im_end|>"]
    return opened(
        tokenizer_with("$A", words, chat_template=template, additional_special_tokens=special),
        thinking=thinking,
    )


@pytest.mark.parametrize(
    ("template", "reply", "answer"),
    [
        (SWITCHED, "<think> w5 w6 </think> w7", "w7"),
        (SWITCHED, "<think> w5 w6", ""),
        (SWITCHED, "w7", None),
        (OPENED, "w5 w6 </think> w7", "w7"),
        (OPENED, "w5 w6", ""),
        (PLAIN.replace("[assistant]", "[model]"), "w5 w6", None),
    ],
)
def test_reasoning_is_told_apart_from_the_answer(template: str, reply: str, answer: str | None) -> None:
    """The answer follows the reasoning; it is empty where that does not end, and all of a reply without any."""
    lm = reasoning_model(template)
    prompt = lm.chat("w9", thinking=True) if template == SWITCHED else lm.chat("w9")
    ids = lm.tokenizer(reply, add_special_tokens=False).input_ids
    found = lm.answer_of(prompt, ids)
    assert (found if found is None else found.strip()) == answer


@pytest.mark.parametrize(("choice", "thinks"), [(None, False), (False, False), (True, True)])
def test_a_model_is_loaded_with_a_choice_about_thinking(choice: bool | None, thinks: bool) -> None:
    """A claim that asks for thinking, or for none, gets it; the notes of the run have the choice."""
    lm = reasoning_model(SWITCHED, thinking=choice)
    on, off = lm.chat(QUESTION, thinking=True), lm.chat(QUESTION, thinking=False)
    assert on != off
    assert lm.chat(QUESTION) == (on if thinks else off)
    word = "off, unless asked for" if choice is None else "on, as chosen" if choice else "off, as chosen"
    assert f"the chat format turns reasoning {word}" in lm.text_notes


@pytest.mark.parametrize(
    ("template", "choice", "message"),
    [
        (PLAIN, True, "has no thinking to turn on: leave the choice out"),
        (OPENED, False, "has no switch that turns its thinking off: leave the choice out"),
    ],
)
def test_a_choice_about_thinking_that_the_format_does_not_leave_is_refused(
    template: str, choice: bool, message: str
) -> None:
    with pytest.raises(NotApplicable, match=message):
        reasoning_model(template, thinking=choice)
    assert reasoning_model(template, thinking=not choice).has_chat

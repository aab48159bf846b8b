"""Why a claim does not apply to a hosted model: what it needs besides text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

MODEL, TEXT = "lm", "text_model"
AN_API = "an API takes text and gives text"
# What claims and their fixtures may do with `lm`, by the names that they use for it, and what it needs; the first found
# is given as the reason.
NEEDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("gradients", frozenset({"gradients_after"})),
    (
        "hidden states",
        frozenset({"hidden_states", "final_states", "lens", "write_hidden_states", "final_state_blend", "HiddenState"}),
    ),
    ("the weights themselves", frozenset({"untrained", "rounded", "in_float64", "head_table", "library_scores"})),
    (
        "vectors",
        frozenset(
            {
                "embed", "embed_text", "embedding_table", "embedding_norm", "embedding_norms", "embedding_std",
                "mix", "noise", "noise_like", "nearest_tokens", "decompose", "write_concepts", "think",
                "ConceptWriter", "FeedbackWriter", "GivenWriter", "InputMixtureWriter", "retained_shares",
            }
        ),
    ),
    ("the whole next distribution", frozenset({"next_logits", "prefill", "step", "logits_after", "decode_each"})),
    ("token ids", frozenset({"tokenize", "random_tokens", "token_ids", "token", "is_token"})),
)  # fmt: skip
# Where the functions are that a claim may call by their names.
OWN = ("fixtures.", "hypotheses.")


def more_than_text(item: pytest.Item) -> str:
    """Why a claim needs more than text; empty where it asks for `text_model`, and for `lm` in no other way."""
    if not isinstance(item, pytest.Function):
        return ""
    functions = _asking_for_model(item)
    if functions is None:
        return ""
    words = {word for function in functions for word in _words(function, set())}
    found = next((need for need, names in NEEDS if names & words), "")
    if not found:
        return f"asks for `{MODEL}`, though text might do: it has not been written for `{TEXT}`"
    return f"needs {found}: {AN_API}"


def _asking_for_model(item: pytest.Function) -> list[Callable[..., Any]] | None:
    """The claim and the fixtures by which it asks for `lm`, other than by way of `text_model`; None if it does not."""
    known = item._fixtureinfo.name2fixturedefs
    waiting = list(item._fixtureinfo.initialnames)
    seen: set[str] = set()
    functions: list[Callable[..., Any]] = [item.function]
    while waiting:
        name = waiting.pop()
        if name in seen or name == TEXT:
            continue
        seen.add(name)
        for definition in known.get(name, ())[-1:]:
            waiting += definition.argnames
            # That of the model itself uses nothing of it.
            functions += [definition.func] if name != MODEL else []
    return functions if MODEL in seen else None


def _words(function: Any, seen: set[int]) -> Iterator[str]:
    """The names that a function uses, and those of the project's functions and classes that it calls."""
    plain = getattr(function, "__wrapped__", function)
    if not isinstance(plain, FunctionType) or id(plain) in seen:
        return
    seen.add(id(plain))
    for name in _names(plain.__code__):
        yield name
        called = plain.__globals__.get(name)
        # A named tuple has members of no module.
        module = getattr(called, "__module__", None) or ""
        if module.startswith(OWN) or module == plain.__module__:
            members = vars(called).values() if isinstance(called, type) else (called,)
            for member in members:
                yield from _words(member, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

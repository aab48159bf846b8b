"""The reasons for which claims do not apply to a model behind an API."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vsg_core.plugin import text_only
from vsg_core.plugin.text_only import AN_API, more_than_text

HYPOTHESES = Path(__file__).parents[2] / "hypotheses"


def reason(monkeypatch: pytest.MonkeyPatch, function: Any, **fixtures: Any) -> str:
    """The reason of a claim with these fixtures, each a function whose arguments are the fixtures that it asks for."""
    known = {name: [SimpleNamespace(argnames=arguments(each), func=each)] for name, each in fixtures.items()}
    info = SimpleNamespace(name2fixturedefs=known, initialnames=arguments(function))
    monkeypatch.setattr(text_only, "pytest", SimpleNamespace(Function=SimpleNamespace))
    return more_than_text(SimpleNamespace(_fixtureinfo=info, function=function))  # type: ignore[arg-type]


def arguments(function: Any) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def lm() -> None: ...


def text_model(lm: Any) -> None: ...


def states(lm: Any) -> Any:
    return lm.hidden_states(["a"])


class Reader:
    def read(self, lm: Any) -> Any:
        return lm.embed([0])


def in_text(text_model: Any) -> Any:
    return text_model.complete(["a"])


def with_states(text_model: Any, states: Any) -> Any:
    return text_model.complete(["a"]), states


def by_a_class(lm: Any) -> Any:
    return Reader().read(lm)


def inside(lm: Any) -> Any:
    return [(lambda text: lm.next_logits([text]))(text) for text in ("a", "b")]


def text_might_do(lm: Any) -> Any:
    return " ".join(str(each) for each in lm.generate(["a"]))


@pytest.mark.parametrize(
    ("function", "needs"),
    [
        (in_text, ""),
        (with_states, f"needs hidden states: {AN_API}"),
        (by_a_class, f"needs vectors: {AN_API}"),
        (inside, f"needs the whole next distribution: {AN_API}"),
        (text_might_do, "asks for `lm`, though text might do: it has not been written for `text_model`"),
    ],
)
def test_the_reason_is_what_a_claim_uses(monkeypatch: pytest.MonkeyPatch, function: Any, needs: str) -> None:
    assert reason(monkeypatch, function, lm=lm, text_model=text_model, states=states) == needs


@pytest.mark.parametrize("path", sorted(HYPOTHESES.glob("test_*.py")), ids=lambda path: path.stem)
def test_every_claim_on_a_model_has_a_reason(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    module = import_module(f"hypotheses.{path.stem}")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and {"lm"} & {each.arg for each in node.args.args}:
            assert reason(monkeypatch, getattr(module, node.name), lm=lm)

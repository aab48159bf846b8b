"""Whatever a library raises becomes one line that keeps its message; what stops the process passes through."""

from __future__ import annotations

import json

import pytest

from vsg_core.errors import VsgError, WrongUse
from vsg_core.generator.engine.foreign import LONGEST, foreign_errors

# The class that a panic in a library written in Rust raises; it is not an Exception.
Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\n  second\n\nthird"), "it failed (ValueError: first second third)"),
        (MemoryError(), "it failed (MemoryError)"),
        (RecursionError("too deep"), "it failed (RecursionError: too deep)"),
        (Panic("index out of range"), "it failed (PanicException: index out of range)"),
        (Exception("\x1b[31mred\x1b[0m\x07"), "it failed (Exception: red)"),
        (ValueError("\udcff"), "it failed (ValueError: ?)"),
        (KeyError("name"), "it failed (KeyError: 'name')"),
        (
            ModuleNotFoundError("no gptq", name="gptq.nn"),
            "it failed (ModuleNotFoundError: no gptq): pip install gptq",
        ),
    ],
)
def test_an_error_becomes_one_line(error: BaseException, line: str) -> None:
    with pytest.raises(VsgError) as raised, foreign_errors("it failed"):
        raise error
    assert str(raised.value) == line
    assert raised.value.__cause__ is error


def test_a_long_message_is_cut_and_the_remedy_stays() -> None:
    with pytest.raises(VsgError) as raised, foreign_errors("it failed", "try again"):
        raise ValueError("x" * 10_000)
    assert len(str(raised.value)) < LONGEST + 50
    assert str(raised.value).endswith("…): try again")


def test_errors_of_every_library_that_reads_a_file_are_caught() -> None:
    from safetensors import safe_open
    from tokenizers import Tokenizer

    for read in (
        lambda: json.loads("{"),
        lambda: Tokenizer.from_str("{}"),
        lambda: safe_open(__file__, "numpy"),
    ):
        with pytest.raises(VsgError, match=r"^it failed \(\w+: .+\)$"), foreign_errors("it failed"):
            read()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, pytest.skip.Exception, WrongUse])
def test_what_is_not_the_librarys_passes(error: type[BaseException]) -> None:
    with pytest.raises(error) as raised, foreign_errors("it failed"):
        raise error("as it is")
    assert str(raised.value) == "as it is"

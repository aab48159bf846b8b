"""Generate docs/reference.md: everything public with its signature (`make docs`)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import vsg_core
from tools.doc_tables import SECTIONS, plain, sentence
from vsg_core.cli.main import vsg
from vsg_core.plugin.options import OPTIONS
from vsg_core.report.text.recorded_table import markdown_table

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures"
Rows = list[list[str]]


def reference() -> str:
    """Return the whole page below its first paragraph."""
    return "\n\n".join([*_names(), _fixtures(), _commands(), _options()])


def _names() -> Iterator[str]:
    """One section per room: each name with its signature, each class with its own methods and properties."""
    stub = (Path(vsg_core.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    homes = {name: home for home, name in re.findall(r"from \.([\w.]+) import \w+ as (\w+)", stub)}
    for section, prefixes in SECTIONS.items():
        names = sorted((name for name, home in homes.items() if home.startswith(prefixes)), key=str.lower)
        rows = [row for name in names for row in _entry(name, getattr(vsg_core, name))]
        yield f"## {section}\n\n" + markdown_table(["name", "what it is"], rows)


def _entry(name: str, value: Any) -> Rows:
    rows = [[_code(name + _signature(value)), sentence(value)]]
    if inspect.isclass(value):
        rows += [
            [_code(f".{member}{_signature(found)}"), sentence(found)] for member, found in _members(value)
        ]
    return rows


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that the project's own classes define and describe, in their order."""
    defined: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        if base.__module__.startswith("vsg_core"):
            defined |= vars(base)
    for name, found in defined.items():
        # A class method or a static method holds its function.
        of = getattr(found, "__func__", found)
        described = inspect.getdoc(of) if inspect.isfunction(of) or _is_property(of) else None
        if name[0] != "_" and described:
            yield name, of


def _is_property(found: Any) -> bool:
    return isinstance(found, property) or type(found).__name__ == "cached_property"


def _signature(value: Any) -> str:
    """The parameters with their types and defaults, and the type of the result; empty for a value or property."""
    if _is_property(value):
        of: Any = value.fget if isinstance(value, property) else value.func
        returns = inspect.signature(of).return_annotation
        return "" if returns is inspect.Signature.empty else f": {returns}"
    if not callable(value) or (inspect.isclass(value) and _is_plain(value)):
        return ""
    signature = inspect.signature(value)
    parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    text = str(signature.replace(parameters=parameters))
    text = re.sub(r"(: |-> )'((?:[^'\\]|\\.)*)'", r"\1\2", text)
    # A default that is a function, or is built for each call.
    text = re.sub(r"<(function [^>]*(<lambda>)?[^>]* at 0x\w+|factory)>", "...", text)
    return text.replace("vsg_core.", "")


def _is_plain(value: type) -> bool:
    """Return whether a class is a protocol, an error or a part of a file, which claims do not construct."""
    return (
        issubclass(value, Exception)
        or getattr(value, "_is_protocol", False)
        or hasattr(value, "model_fields")
    )


def _code(text: str) -> str:
    """A code span for a table; three brackets together would end cog's own block."""
    return f"`{text}`".replace("|", "\\|").replace("]]]", "]] ]")


def _fixtures() -> str:
    """List what a claim may request by naming it as an argument, by file."""
    parts = [
        "## Fixtures",
        "A claim requests each by the name of an argument. A model is loaded once per run.",
    ]
    for path in sorted(FIXTURES.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        rows = [_fixture(node) for node in tree.body if isinstance(node, ast.FunctionDef) and _asks(node)]
        if rows:
            title = plain(ast.get_docstring(tree) or path.stem)
            parts.append(
                f"`fixtures/{path.name}`: {title}\n\n" + markdown_table(["fixture", "what it is"], rows)
            )
    return "\n\n".join(parts)


def _asks(node: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)


def _fixture(node: ast.FunctionDef) -> list[str]:
    of = f": {ast.unparse(node.returns)}" if node.returns else ""
    return [_code(node.name + of), plain(ast.get_docstring(node) or "")]


def _commands() -> str:
    """Every command of `vsg` with its arguments and options."""
    parts = ["## The command `vsg`", "Exit codes: 0 done, 1 failed, 2 wrong use."]
    for words, command in _walk("vsg", vsg):
        arguments = [
            each.make_metavar(_context(command, words)) for each in command.params if _is_argument(each)
        ]
        rows = [_option(each) for each in command.params if isinstance(each, click.Option)]
        text = plain((command.help or "").replace("\b", ""))
        table = "\n\n" + markdown_table(["option", "what it does"], rows) if rows else ""
        parts.append(f"### `{' '.join([words, *arguments])}`\n\n{text}{table}")
    return "\n\n".join(parts)


def _walk(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield words, command
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _walk(f"{words} {name}", inner)


def _context(command: click.Command, words: str) -> click.Context:
    return click.Context(command, info_name=words)


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def _option(option: click.Option) -> list[str]:
    takes = "" if option.is_flag else f" {_metavar(option)}"
    default = "" if option.is_flag or not isinstance(option.default, (str, int, float)) else option.default
    shown = f" Default: {default}." if default != "" else ""
    return [_code(f"{', '.join(option.opts)}{takes}"), plain(option.help or "") + shown]


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "[" + "|".join(map(str, option.type.choices)) + "]"
    return option.metavar or option.type.name.upper()


def _options() -> str:
    """The options that the suite adds to pytest."""
    rows = []
    for name, settings in OPTIONS.items():
        choices = "[" + "|".join(settings["choices"]) + "]" if "choices" in settings else ""
        flag = settings.get("action") in ("store_true", "store_false")
        takes = "" if flag else f" {settings.get('metavar') or choices or 'VALUE'}"
        rows.append([_code(f"--{name}{takes}"), plain(settings["help"])])
    head = "## Options of `pytest` in a project of claims"
    note = "Where another plugin has an option of the same name, write `--vsg-` before it: `--vsg-model`."
    return f"{head}\n\n{note}\n\n" + markdown_table(["option", "what it does"], rows)

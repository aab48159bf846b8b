"""Report phrases that read as translated, and comments behind long lines: `python tools/prose.py [FILE ...]`.

Checks Markdown, page templates, comments, docstrings, the messages of `vsg_core` and the sentences in the
decorators of claims. Code, inline code and generated tables are left out, and so are the strings of claims, fixtures
and tests, since a prompt is data. Without arguments, checks every file that git tracks. Exit code 1 if anything is
found.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LONGEST_LINE_WITH_A_COMMENT = 96

# What is counted per unit, and the units, where this project's prose used "a" for "per".
COUNTED = (
    r"(?:rows?|lines?|records?|files?|values?|trials?|samples?|draws?|tokens?|bits|bytes|points|seconds|cells?"
    r"|passes)"
)
UNIT = (
    r"(?:prompt|claim|model|token|trial|run|step|second|minute|cell|row|line|word|pair|question|layer|batch|arm|"
    r"side|wheel|sequence|fork|mixture|vector|noun|file|machine|processor|worker)s?\b"
)


class Pattern(NamedTuple):
    """A phrase to avoid.

    Attributes:
        phrase: matched without regard to case; a blank also matches a line break.
        advice: what to write instead.
    """

    name: str
    phrase: str
    advice: str


PATTERNS = [
    Pattern(
        "distributive a",
        rf"\b(?:one|a|an|two|three|\d+) (?:\w+ )?{COUNTED} an? {UNIT}(?! (?:is|was|has|that|which|can|must|may)\b)"
        rf"|\b(?:bits|bytes|seconds|points|passes) an? {UNIT}"
        rf"|\b(?:once|twice|times) an? {UNIT}(?=\s*(?:[.,;:)]|$| and (?:shared|kept|then)\b))",
        "per: one record per claim and model, once per model",
    ),
    Pattern(
        "another than",
        r"\banother \w+(?: \w+)? than\b|(?<!each )\bother (?!more\b|less\b|rather\b)\w+ than\b",
        "a different X from, X differs from",
    ),
    Pattern(
        "is no",
        r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|doubt\b|different\b|better\b|worse\b|larger\b"
        r"|smaller\b|shorter\b|slower\b|faster\b|lower\b|higher\b|one\b|such\b|guarantee\b)\w+",
        "is not a",
    ),
    Pattern(
        "told", r"\btold\b(?! (?:apart|to|that)\b)", "reported, listed, given, set: unless given, by default"
    ),
    Pattern(
        "tells what",
        r"\btells? (?:what|how|why|which|whether|where|of|the rest)\b",
        "describes, lists, shows",
    ),
    Pattern("be had", r"\bbe had\b", "is available, exists"),
    Pattern("cannot be asked", r"\b(?:can|cannot|could)(?: not)? be asked\b", "the claim does not apply"),
    Pattern("is here", r"\b(?:is|are|was|were)(?: not)? here\b(?! to\b)", "downloaded, cached, local"),
    Pattern("beside", r"\bbeside\b", "next to, with, in addition to"),
    Pattern(
        "stands",
        r"(?<!as it )(?<!as they )\bst(?:ands?|ood|anding)\b(?!-)(?! (?:for|in for|out|up|still|alone|by itself)\b)",
        "is, appears",
    ),
    Pattern("so many", r"\bso many\b(?! (?:that|as)\b)", "N, this many, the number of"),
    Pattern(
        "of those",
        r"(?:^|(?<=[.;:,] ))(?:and )?of th[oe]se\b(?=[^.]*\b(?:whose|which|that)\b)",
        "a relative clause",
    ),
    Pattern("whoever", r"\bwhoever\b|\bnobody\b", "the caller, nothing, no one"),
    Pattern("likelier", r"\blikelie(?:r|st)\b", "more likely, most likely, most probable"),
    Pattern("for want of", r"\bfor want of\b", "for lack of, because ... is missing"),
    Pattern("goes on from", r"\bgo(?:es|ing|ne)? on (?:from|with)\b", "continues, resumed"),
    Pattern("comes of", r"\b(?:comes?|came) of\b", "the result"),
    Pattern("made again", r"\bmade (?:again|anew)\b", "rebuilt"),
    Pattern("put right", r"\bput(?:s|ting)? right\b", "corrected"),
    Pattern("but for", r"\bbut for\b", "except for, except"),
    Pattern("says it all", r"\bsays it (?:all|better)\b", "the fact"),
]

DOCSTRING_HEAD = Pattern(
    "verbless head",
    r"\A(?:Whether|What|Where|Which|How|Who|When)\b(?![^.]*\?)",
    "begin with a verb: Return whether ..., Compute ..., or with a noun phrase",
)
TRAILING_COMMENT = Pattern("comment behind a long line", "", "put the comment above the line it explains")

PHRASES = [(pattern, re.compile(pattern.phrase, re.IGNORECASE)) for pattern in PATTERNS]
HEADS = [(DOCSTRING_HEAD, re.compile(DOCSTRING_HEAD.phrase))]


@dataclass(frozen=True)
class Passage:
    """Running text of a file: its first line, and whether it is a docstring."""

    line: int
    text: str
    docstring: bool = False


@dataclass(frozen=True)
class Finding:
    """A phrase in a file."""

    path: Path
    line: int
    pattern: Pattern
    found: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.pattern.name}: {self.found!r}; write: {self.pattern.advice}"


def main(arguments: list[str]) -> int:
    """Print what is found, with counts per pattern; return the exit code."""
    findings = [finding for path in map(Path, arguments or _tracked()) for finding in check(path)]
    for finding in findings:
        print(finding)
    for name, count in Counter(finding.pattern.name for finding in findings).most_common():
        print(f"{count:5} {name}", file=sys.stderr)
    return int(bool(findings))


def check(path: Path) -> Iterator[Finding]:
    """Yield the findings in a file, in order; none for a kind of file that holds no prose."""
    text = path.read_text(encoding="utf-8") if path.suffix in READERS or path.name == "Makefile" else ""
    found = [finding for passage in passages(path, text) for finding in search(path, passage)]
    if path.suffix == ".py":
        found += _trailing_comments(path, text)
    yield from sorted(found, key=lambda finding: finding.line)


def passages(path: Path, text: str) -> Iterator[Passage]:
    """Yield the prose of a file as passages, each of which is searched as a whole."""
    reader = READERS.get(path.suffix, _hash_comments if path.name == "Makefile" else None)
    if reader is _python:
        yield from _python(text, messages="vsg_core" in path.parts, decorators="hypotheses" in path.parts)
    elif reader:
        yield from reader(text)


def search(path: Path, passage: Passage) -> Iterator[Finding]:
    """Yield what the patterns find in a passage of a file."""
    text = re.sub(r"(?<=\n)[ \t]+", "", _without_code(passage.text))
    one_line = text.replace("\n", " ")
    for pattern, expression in [*PHRASES, *(HEADS if passage.docstring else [])]:
        for match in expression.finditer(one_line):
            yield Finding(path, passage.line + text.count("\n", 0, match.start()), pattern, match[0])


def _without_code(text: str) -> str:
    """Replace `inline code` by one word of the same length."""
    return re.sub(r"(`+)[^`]+?\1", lambda m: re.sub(r"[^\n]", "x", m[0]), text)


def _markdown(text: str) -> Iterator[Passage]:
    generated = re.compile(r"<!--\s*\[\[\[cog.*?\[\[\[end\]\]\].*?-->", re.DOTALL)
    fenced = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    for expression in (generated, fenced, re.compile(r"<!--.*?-->", re.DOTALL), re.compile(r"\]\([^)]*\)")):
        text = expression.sub(_blank, text)
    yield from _paragraphs(text)


def _page(text: str) -> Iterator[Passage]:
    for expression in (r"<(script|style)\b.*?</\1>", r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", r"<[^>]*>"):
        text = re.sub(expression, _blank, text, flags=re.DOTALL)
    yield from _paragraphs(text)


def _blank(match: re.Match[str]) -> str:
    """Replace a match by dots, so that the words around it do not meet; line breaks stay."""
    return re.sub(r"[^\n]", ".", match[0])


def _paragraphs(text: str) -> Iterator[Passage]:
    for match in re.finditer(r"(?:^(?!\s*$).*\n?)+", text, re.MULTILINE):
        yield Passage(1 + text.count("\n", 0, match.start()), match[0])


def _hash_comments(text: str) -> Iterator[Passage]:
    """Yield the comments of TOML, YAML and make; adjacent lines are one passage."""
    comments = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*#+ (.*)|[^\"'#]*(?:\"[^\"]*\"[^\"'#]*)* #+ (.*)", line):
            comments[number] = match[1] or match[2]
    yield from _joined(comments)


def _joined(comments: dict[int, str]) -> Iterator[Passage]:
    for number in comments:
        if number - 1 not in comments:
            lines = [comments[number]]
            while number + len(lines) in comments:
                lines.append(comments[number + len(lines)])
            yield Passage(number, "\n".join(lines))


def _python(text: str, messages: bool = False, decorators: bool = False) -> Iterator[Passage]:
    yield from _joined({line: comment.lstrip("#: ") for line, _, comment in _comments(text)})
    tree = ast.parse(text)
    docstrings = {id(constant) for node in ast.walk(tree) if (constant := _docstring(node))}
    in_decorators = {
        id(constant)
        for node in ast.walk(tree)
        for decorator in getattr(node, "decorator_list", [])
        for constant in ast.walk(decorator)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if id(node) in docstrings:
            yield Passage(node.lineno, node.value, docstring=True)
        elif messages or (decorators and id(node) in in_decorators):
            yield Passage(node.lineno, node.value)


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    first = node.body[0] if node.body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return first.value
    return None


def _comments(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the line, the column and the text of each comment of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield *token.start, token.string


def _trailing_comments(path: Path, text: str) -> Iterator[Finding]:
    """Yield the comments behind code on long lines, except tensor shapes and directives."""
    lines = text.splitlines()
    for line, column, comment in _comments(text):
        shape_or_directive = re.match(r"#\s*(?:type:|noqa|fmt:|pragma|(?:-> )?\[)", comment)
        long = len(lines[line - 1]) > LONGEST_LINE_WITH_A_COMMENT
        if lines[line - 1][:column].strip() and long and not shape_or_directive:
            yield Finding(path, line, TRAILING_COMMENT, comment)


READERS = {
    ".md": _markdown,
    ".html": _page,
    ".py": _python,
    ".pyi": _python,
    ".toml": _hash_comments,
    ".yaml": _hash_comments,
}


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [name for name in listed if not name.startswith("reports/") and Path(name).is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

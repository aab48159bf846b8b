"""tools/prose.py finds the phrases that it names, and ignores ordinary English, code and data."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tools import prose

# A sentence that each pattern must find, and sentences near it that it must not.
EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "distributive a": (
        ["One JSON record a claim and model.", "12 bits a token", "It is measured once a model, then kept."],
        ["One record per claim.", "Once a model is loaded, it stays.", "It gives a file a name."],
    ),
    "another than": (
        ["another rule than before", "other bytes than expected"],
        ["They resemble each other more than any pair.", "another rule", "larger than the other"],
    ),
    "is no": (["A space is no token.", "These are no records."], ["There is no token.", "It is no longer used."]),
    "told": (["0.05 unless told", "It is told as similar."], ["The model is told to answer in one word."]),
    "tells what": (["This page tells how to use it.", "It tells the rest."], ["These two are hard to tell apart."]),
    "be had": (["a model that cannot be had"], ["It has to be handled."]),
    "cannot be asked": (["a claim that cannot be asked of it"], ["The caller asked for it."]),
    "is here": (["The weights are not here.", "It is here, from the hub."], ["It is here to stay."]),
    "beside": (["the file beside it"], ["Besides, it is slow."]),
    "stands": (
        ["the rule stands at the claim", "what stood there"],
        ["It runs as it stands.", "x stands for a token", "the word's stand-in", "It must stand out."],
    ),
    "so many": (["at most so many left"], ["There are so many that none fits."]),
    "of those": (["It counts pairs. Of those the ones whose sum is 1."], ["most of those", "each of these files"]),
    "whoever": (["Whoever calls it", "nobody reads on"], ["the caller, no one"]),
    "likelier": (["the likeliest token"], ["the most likely token"]),
    "for want of": (["skipped for want of weights"], ["They want a model."]),
    "goes on from": (["goes on from there", "gone on with at once"], ["The list goes on."]),
    "comes of": (["what comes of it"], ["It comes off."]),
    "made again": (["the page is made again"], ["made against it"]),
    "put right": (["was put right later"], ["The label is put to the right."]),
    "but for": (["identical but for the times"], ["not for him, but forever"]),
    "says it all": (["The seed says it all."], ["It says that all is well."]),
    "verbless head": (["Whether it ends.", "What a model is."], ["Return whether it ends.", "What holds?"]),
}  # fmt: skip


def found(text: str, file: str = "page.md") -> list[str]:
    """Return the names of the patterns found in a file with this text."""
    path = Path(file)
    return [
        finding.pattern.name
        for passage in prose.passages(path, text)
        for finding in prose.search(path, passage)
    ]


def test_every_pattern_has_examples() -> None:
    assert list(EXAMPLES) == [pattern.name for pattern in [*prose.PATTERNS, prose.DOCSTRING_HEAD]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_pattern_finds_its_phrase_and_nothing_similar(name: str) -> None:
    bad, good = EXAMPLES[name]
    for sentence in bad:
        assert found(f'"""{sentence}"""\n', "module.py") == [name], sentence
        assert found(f'"""{sentence}"""\n'.upper(), "module.py") == [name] or name == "verbless head"
    for sentence in good:
        assert found(f'"""{sentence}"""\n', "module.py") == [], sentence


def test_a_phrase_is_found_across_lines_and_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        dedent('''
        def f():
            """Return it.

            The weights are
            not here.
            """
            # One line
            # a prompt.
        ''')
    )
    assert [(f.line, f.pattern.name, f.found) for f in prose.check(path)] == [
        (5, "is here", "are not here"),
        (8, "distributive a", "One line a prompt"),
    ]


def test_code_and_generated_text_are_skipped() -> None:
    assert found("Call `beside(x)`.\n\n```python\nbeside = 1\n```\n\n[x](beside.md)\n") == []
    generated = "<!-- [[[cog print() ]]] -->\nThis is no table.\n<!-- [[[end]]] -->\n"
    assert found(generated) == []
    assert found(generated + "This is no table.\n") == ["is no"]


def test_strings_are_checked_only_if_they_are_messages() -> None:
    code = (
        '@claim("A space is no token", rule=rate())\ndef test_it(lm):\n    ask("The dog beside the house")\n'
    )
    assert found(code, "tests/test_it.py") == []
    assert found(code, "hypotheses/test_it.py") == ["is no"]
    assert found(code, "vsg_core/cli/it.py") == ["is no", "beside"]


def test_comments_of_toml_and_text_of_templates_are_checked() -> None:
    assert found('name = "beside # it" # the one beside it\n', "registry.toml") == ["beside"]
    assert found("<p title=beside>{{ beside }}{% if beside %}The file\nbeside it</p>", "page.html") == [
        "beside"
    ]


def test_a_comment_behind_a_long_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    call = f"value = f({', '.join(['argument'] * 8)})"
    path.write_text(
        f"{call}  # why it is so\n{call}  # [batch, seq]\n{call}  # type: ignore\nx = 1  # short\n"
    )
    assert [(finding.line, finding.found) for finding in prose.check(path)] == [(1, "# why it is so")]


def test_findings_are_listed_and_make_it_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("One.\nThe page beside it.\n")
    assert prose.main([str(page)]) == 1
    assert capsys.readouterr().out == f"{page}:2: beside: 'beside'; write: next to, with, in addition to\n"
    page.write_text("The page next to it.\n")
    assert prose.main([str(page)]) == 0

"""The data files that code reads: those that it names, or all if it opens files without naming any."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from vsg_core.projects import RECORDED, REGISTERED
from vsg_core.runs.sources import FOREIGN, HOME, Closure
from vsg_core.runs.syntax import digest

# Files of Python.
NOT_DATA = frozenset({".py", ".pyi", ".pyc"})
# Folders of accepted verdicts, of freezes with their ledgers, and of other people's files.
NOT_READ = frozenset({RECORDED, REGISTERED, *FOREIGN})
EXTENSION = re.compile(r"\.[A-Za-z]\w*")
# A string that can be a path.
PATH = re.compile(r"[\w./~-][\w./ ~-]{0,150}")
# Files of a folder outside the project's own that are digested.
MANY = 2000


@dataclass
class DataFiles:
    """The data files of a project.

    Args:
        folders: where they lie, the folders of fixtures and of claims.
    """

    root: Path
    folders: tuple[Path, ...]
    _found: dict[tuple[Path, str], list[Path]] = field(default_factory=dict)

    @cached_property
    def files(self) -> dict[str, Path]:
        """All data files by the name that a key gives them: "open_prompts"; where two share it, with their folder."""
        paths = sorted({path for folder in self.folders for path in _below(folder)})
        stems = [path.stem for path in paths]
        alone = {path for path, stem in zip(paths, stems, strict=True) if stems.count(stem) == 1}
        return {path.stem if path in alone else self._place(path): path for path in paths}

    @cached_property
    def digests(self) -> dict[Path, str]:
        """Those that were asked for, so that each is read once."""
        return {}

    def read_by(self, closure: Closure) -> dict[str, str]:
        """The digest of each data file that code reads, by name."""
        named = self._named_by(closure)
        opens = closure.opens_files
        if opens:
            named |= self._elsewhere(closure)
        if closure.lists_files or (opens and (not named or closure.joins_names)):
            named |= self.files
        return {name: self._digest(path) for name, path in sorted(named.items())}

    def _named_by(self, closure: Closure) -> dict[str, Path]:
        """The files whose name, stem or path is a string of the code, or fits one of its f-strings."""
        constants = closure.constants
        ends = {Path(text).name for text in constants if "/" in text and len(text) < 200}
        patterns = [compiled for pattern in closure.patterns if (compiled := _compiled(pattern))]
        found = {
            name: path
            for name, path in self.files.items()
            if {path.stem, path.name} & (constants | ends)
            or any(each.fullmatch(path.name) for each in patterns)
        }
        return found | self._of_a_kind(closure, found)

    def _of_a_kind(self, closure: Closure, found: Mapping[str, Path]) -> dict[str, Path]:
        """All files with an extension that an f-string gives to names, of which no string of the code is one."""
        ends = {
            pieces[-1]
            for pieces in closure.patterns
            if pieces and pieces[-1] and EXTENSION.fullmatch(pieces[-1])
        }
        ends -= {path.suffix for path in found.values()}
        return {name: path for name, path in self.files.items() if path.suffix in ends}

    def _elsewhere(self, closure: Closure) -> dict[str, Path]:
        """The other files whose path is a string of the code, and all in folders whose path is one.

        A path begins at the project's folder or at that of the code, or is absolute.
        """
        texts = [text for text in closure.constants if PATH.fullmatch(text) and text.strip("./")]
        known = set(self.files.values())
        paths = {path for folder in closure.folders for text in texts for path in self._at(folder, text)}
        return {self._place(path): path for path in paths - known}

    def _at(self, folder: Path, text: str) -> list[Path]:
        """The files of a path."""
        if (folder, text) not in self._found:
            path = Path(os.path.normpath(folder / text))
            found: list[Path] = []
            with suppress(OSError, ValueError):
                if path.is_file():
                    found = [path]
                elif path.is_dir() and not self._is_around(path):
                    found = list(islice(_below(path), MANY))
            self._found[folder, text] = found
        return self._found[folder, text]

    def _is_around(self, path: Path) -> bool:
        """Return whether a folder has the whole project, its sources or what runs write."""
        if {*NOT_READ, "reports"} & set(path.parts):
            return True
        own = (self.root, *self.folders, HOME, HOME.parent)
        return any(each.is_relative_to(path) for each in own) or path.is_relative_to(HOME)

    def _place(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else path.name

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = content_digest(path)
        return self.digests[path]


def content_digest(path: Path) -> str:
    """A digest of what a file says: of TOML its values, so that a comment changes nothing; of others the bytes.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if path.suffix == ".toml":
        try:
            return digest([json.dumps(tomllib.loads(content.decode("utf-8")), default=repr)])
        except ValueError:
            pass
    return digest([content])


def _below(folder: Path) -> Iterable[Path]:
    if not folder.is_dir():
        return []
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in NOT_DATA
        and not NOT_READ & set(path.relative_to(folder).parts[:-1])
        and not path.name.startswith(".")
    ]


def _compiled(pattern: tuple[str | None, ...]) -> re.Pattern[str] | None:
    """An f-string as a pattern of names; None if it fixes no more of a name than its extension."""
    fixed = "".join(filter(None, pattern))
    if not re.search(r"[^\W_]{2}", re.sub(r"\.\w+$", "", fixed)) or "\n" in fixed or len(fixed) > 100:
        return None
    text = "".join(".*" if piece is None else re.escape(piece) for piece in pattern)
    # A pattern that begins with folders fits the name alone.
    return re.compile(text.rpartition("/")[2] or text)

"""The data files that code reads: those that it names, or all if it opens files without naming any."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vsg_core.projects import RECORDED
from vsg_core.runs.sources import FOREIGN, Closure
from vsg_core.runs.syntax import digest

# Files of Python.
NOT_DATA = frozenset({".py", ".pyi", ".pyc"})


@dataclass
class DataFiles:
    """The data files of a project.

    Args:
        folders: where they lie, the folders of fixtures and of claims.
    """

    root: Path
    folders: tuple[Path, ...]

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
        if closure.lists_files or (closure.opens_files and not named):
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
        return found | self._elsewhere(constants)

    def _elsewhere(self, constants: Iterable[str]) -> dict[str, Path]:
        """Files outside the folders whose path from the project's folder is a string of the code."""
        texts = (text for text in constants if "." in text and len(text) < 200 and text.isprintable())
        paths = {self.root / text for text in texts if not text.startswith((".", "/"))}
        known = set(self.files.values())
        return {
            self._place(p): p for p in paths if p.suffix not in NOT_DATA and p not in known and p.is_file()
        }

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
        # No claim reads accepted verdicts.
        and not {RECORDED, *FOREIGN} & set(path.relative_to(folder).parts[:-1])
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

"""The answers of hosted models, kept on disk by request: a run that is repeated or resumed asks nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answers:
    """A folder of answers, one file each, named by the digest of all that an answer depends on.

    Args:
        folder: None keeps nothing.
    """

    folder: Path | None

    def read(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer that is kept for a request; None without one, or where its file is damaged."""
        if self.folder is None:
            return None
        try:
            kept = json.loads(self._file(request).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        fits = (
            isinstance(kept, dict) and kept.get("request") == request and isinstance(kept.get("answer"), dict)
        )
        return kept["answer"] if fits else None

    def keep(self, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep an answer; where the folder cannot be written, the next run asks again."""
        if self.folder is None:
            return
        path = self._file(request)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"request": request, "answer": answer}), encoding="utf-8")
            temporary.replace(path)

    def _file(self, request: Mapping[str, Any]) -> Path:
        text = json.dumps(request, sort_keys=True)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        # So that no folder has a hundred thousand files.
        return Path(self.folder or ".", name[:2], f"{name}.json")

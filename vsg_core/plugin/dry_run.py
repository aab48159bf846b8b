"""One claim on a tiny random model: called as in a run, looked at for its shape alone. No verdict, nothing written."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vsg_core.errors import NotApplicable, VsgError
from vsg_core.judge.shapes import mistakes
from vsg_core.plugin.claim_run import PYTEST_OUTCOMES, UNAVAILABLE, ClaimRun, trace
from vsg_core.plugin.selection import Selected
from vsg_core.vocabulary import KINDS, Kind
from vsg_core.weights.registry import Entry, Local

if TYPE_CHECKING:
    from vsg_core.generator.model.language_model import LanguageModel

# Bytes; a larger file of data gives no words.
LARGEST = 1 << 20
FAMILY = "random"


@dataclass
class Tried:
    """The findings of a dry run so far.

    Attributes:
        outcomes: by claim and model "", or why the claim was not tried there.
        few: why only the arms of a claim could be looked at, and what trials it had.
        wrong: the mistakes of each claim, with the models that showed them.
        let_pass: why `at_least` would have made a claim not applicable, by fixture and model.
    """

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    few: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    wrong: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    let_pass: dict[tuple[str, object], list[str]] = field(default_factory=dict)


TRIED = pytest.StashKey[Tried]()


class RandomModel(Selected):
    """A tiny random model in place of those of the run."""

    def build(self, items: Iterable[pytest.Item], dtype: str | None, device: str) -> LanguageModel:
        """Build it in memory, with the words of these claims, their fixtures and their data."""
        # Imported when the first claim is set up: collecting claims loads no torch.
        from vsg_core.generator.engine.placement import as_device, as_dtype
        from vsg_core.generator.engine.random_model import random_model
        from vsg_core.generator.model.language_model import LanguageModel

        model, tokenizer = random_model(self.entry.kind, texts_of(items))
        model = model.to(as_device("cpu" if device == "auto" else device), as_dtype(dtype))
        return LanguageModel(
            model, tokenizer, name=self.name, family=self.entry.family, kind=self.entry.kind, initial={}
        )


def random_models() -> list[Selected]:
    """A random model of each kind."""
    return [_named(kind) for kind in KINDS]


def _named(kind: Kind) -> Selected:
    name = f"{FAMILY}-{kind}"
    entry = Entry(name=name, family=FAMILY, kind=kind, sources=(Local(Path(name)),))
    return RandomModel(name, entry, name, named=True)


def texts_of(items: Iterable[pytest.Item]) -> list[str]:
    """The sources of these claims and of the fixtures that they reach, and the data next to them."""
    sources: set[Path] = set()
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.function, "claim"):
            fixtures = [each for found in item._fixtureinfo.name2fixturedefs.values() for each in found]
            sources |= {item.path, *(path for each in fixtures if (path := _source(each.func)))}
    data = {file for source in sources for file in source.parent.glob("data/*") if file.is_file()}
    return [text for file in sorted(sources | data) for text in _text(file)]


def _source(function: Any) -> Path | None:
    """The file that defines a fixture; None for one of pytest, or of no Python file."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return None
    return Path(file) if file and "_pytest" not in Path(file).parts else None


def _text(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size <= LARGEST:
            yield file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return


class DryRun(ClaimRun):
    """A claim that is tried: what it returns is checked for its shape and then forgotten."""

    def measure(self, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Call the claim and look at the shape of what it returns. Raises nothing but pytest.exit."""
        from vsg_core.judge.trials import waived_thresholds

        let_pass: list[str] = []
        try:
            with waived_thresholds() as let_pass:
                returned = function(**arguments)
            few = [*let_pass, *self._few_in_fixtures()]
            found = mistakes(self.claim, returned, counted=not few)
        except pytest.exit.Exception:
            raise
        except (Exception, *PYTEST_OUTCOMES) as error:
            # In a run `at_least` would have ended it before.
            self.stop(NotApplicable("; ".join(let_pass)) if let_pass else error)
        else:
            self.end(found)
            if few:
                self._tried.few[self.claim.id, self.name] = few

    def stop(self, error: BaseException) -> None:
        """End without a look at what it returns: not tried for a reason, or a mistake."""
        if not isinstance(error, (*UNAVAILABLE, pytest.skip.Exception)) and (few := self._few_in_fixtures()):
            error = NotApplicable("; ".join(few))
        if isinstance(error, (*UNAVAILABLE, pytest.skip.Exception)):
            self.skipped = f"not tried: {error}"
            self._tried.outcomes[self.claim.id, self.name] = str(error)
        elif isinstance(error, VsgError):
            self.end([error.reason])
        elif isinstance(error, pytest.FixtureLookupError):
            self.end([f"no fixture {error.argname!r}: `pytest --fixtures hypotheses` lists those there are"])
        else:
            self.end(
                [f"{type(error).__name__}: {error}{_place(error, self.item.path.parents[1])}"], trace(error)
            )

    def end(self, found: list[str], details: str = "") -> None:
        """Fail with the mistakes, if there are any."""
        if found:
            self._tried.wrong[self.claim.id, self.name] = found
            lines = "\n".join(f"{self.claim.id}: {line}" for line in found)
            self.fault = f"{lines}\n\n{details}".rstrip()
        else:
            self._tried.outcomes[self.claim.id, self.name] = ""

    @property
    def name(self) -> str:
        """The name of the random model; empty for a claim across models, which reads the records that there are."""
        return self.selected.name if self.selected else ""

    @property
    def _tried(self) -> Tried:
        return self.item.config.stash[TRIED]

    def _few_in_fixtures(self) -> list[str]:
        """List what `at_least` let pass in the fixtures that the claim reaches."""
        let_pass = self._tried.let_pass
        return [
            reason for name in self.item.fixturenames for reason in let_pass.get((name, self.selected), ())
        ]


def _place(error: BaseException, project: Path) -> str:
    """The innermost line of a project's own files that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if Path(frame.filename).is_relative_to(project) and not _is_core(frame.filename)
    ]
    return f", in {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _is_core(file: str) -> bool:
    return Path(file).is_relative_to(Path(__file__).parents[1])

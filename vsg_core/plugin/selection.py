"""The models of a run: --model, -m and the registry, turned into parameters of the fixture `lm`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

import pytest
from _pytest.mark.expression import Expression

from vsg_core.errors import VsgError, WeightsUnavailable
from vsg_core.generator.llama_cpp.library import check_library
from vsg_core.hosted.address import without_secrets
from vsg_core.judge.claims import Claim
from vsg_core.plugin.places import recorded_folders, reports_folder
from vsg_core.records.naming import Named, recorded_names
from vsg_core.vocabulary import AS_IS, KINDS
from vsg_core.weights import loading, registry
from vsg_core.weights.hosted_models import with_asked_kind
from vsg_core.weights.names import shown
from vsg_core.weights.registry import DEFAULT_MODEL, Entry

# The marker of claims declared with headline=True.
HEADLINE = "headline"
# Bytes; anything larger is fetched only when it is named.
FETCHED_UNASKED = 2_000_000_000


@dataclass(frozen=True)
class Selected:
    """One model of this run.

    Args:
        target: what `load_model` takes: a registry name, or what was given to --model; a path is absolute.
        entry: what is known of it before it is loaded.
        name: the name under which it is recorded.
        named: it was named at --model, so its weights are fetched whatever their size.
    """

    target: str
    entry: Entry
    name: str
    named: bool = False

    def check_weights(self) -> None:
        """Check that the weights are downloaded, or that they may be fetched automatically.

        Raises:
            WeightsUnavailable: they are neither.
        """
        entry = self.entry
        if self.named or loading.weights_here(entry):
            return
        size = f"{(entry.size or 0) / 1e9:.2g} GB"
        if entry.named_only:
            why = f"{size}, under terms of their own ({entry.licence}), are fetched only when named"
        elif (entry.size or 0) > FETCHED_UNASKED:
            why = f"{size} are fetched only when named"
        else:
            return
        command = f"vsg models fetch {self.target}"
        raise WeightsUnavailable(f"weights of {entry.name} unavailable: {why}", command)

    @property
    def has_weights(self) -> bool:
        """Return whether the weights are downloaded, or may be fetched automatically."""
        try:
            self.check_weights()
        except WeightsUnavailable:
            return False
        return True


SELECTED = pytest.StashKey[list[Selected]]()


def model_markers() -> list[str]:
    """The markers that choose models: every family, then the kinds."""
    return [*registry.families(), *KINDS]


# After every plugin has registered its markers.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    for family in registry.families():
        config.addinivalue_line("markers", f"{family}: claims on models of the {family} family")
    for kind in KINDS:
        config.addinivalue_line("markers", f"{kind}: claims on {kind} models")
    config.addinivalue_line("markers", f"{HEADLINE}: the claims that the study is known for")
    _check_markers(config)
    _check_engine(config)
    if config.option.vsg_models:
        config.stash[SELECTED] = _named_models(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every claim on every selected model, one model at a time: the scope makes pytest group by it."""
    if hasattr(metafunc.function, "claim") and "lm" in metafunc.fixturenames:
        models = [pytest.param(model, marks=_marks(model.entry)) for model in selected(metafunc.config)]
        metafunc.parametrize("lm", models, indirect=True, scope="session")


def claim_of(item: pytest.Item) -> Claim | None:
    """The claim that a test is; None for other tests."""
    return getattr(getattr(item, "function", None), "claim", None)


def lm_of(item: pytest.Item | None) -> object:
    """The value that a test is parametrized with as `lm`; None for other tests."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return None
    return item.callspec.params.get("lm")


def selected_of(item: pytest.Item | None) -> Selected | None:
    """The model that a test is parametrized with; None for tests on no model of the run."""
    selected = lm_of(item)
    return selected if isinstance(selected, Selected) else None


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a model in the ids of its tests; pytest would escape a name in another script given as `id`."""
    return val.name if isinstance(val, Selected) else None


# Before any are deselected.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the headline claims; refuse claims without a model, and two that would write the same record."""
    seen: dict[tuple[str, object], pytest.Function] = {}
    for item in items:
        claim = claim_of(item)
        if claim is not None and not {"lm", "records"} & set(getattr(item, "fixturenames", ())):
            raise pytest.UsageError(
                f"{item.nodeid} asks for no model, so nothing would judge it: add `lm` (or `records`) to its arguments"
            )
        if claim is not None and claim.headline:
            item.add_marker(HEADLINE)
        if claim is not None and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            first = seen.setdefault((claim.id, item.callspec.params.get("lm")), item)
            if first is not item:
                raise pytest.UsageError(_twice(claim.id, first, item))


def _twice(claim: str, first: pytest.Function, second: pytest.Function) -> str:
    both = f"{first.nodeid} and {second.nodeid} are one claim, {claim}, twice"
    if first.function is second.function:
        return f"{both}: a claim runs once per model, so nothing may repeat it (--count, --flake-finder, parametrize)"
    return f"{both}: rename or merge them"


def left_out(config: pytest.Config) -> list[str]:
    """The registered models that a run without a choice of models left out: their weights are not downloaded."""
    if config.option.vsg_models or _chooses_models(config):
        return []
    taken = {model.target for model in selected(config)}
    return [entry.name for entry in registry.entries() if entry.name not in taken]


def selected(config: pytest.Config) -> list[Selected]:
    """The models of this run.

    Those named at --model; else all of the registry, if -m chooses among them; else those whose weights are
    downloaded; else the embedded one.
    """
    if SELECTED not in config.stash:
        models = [_registered(config, entry) for entry in registry.entries() if _has_form(config, entry)]
        if not _chooses_models(config):
            local = [model for model in models if loading.weights_here(model.entry)]
            models = local or [default_model(config)]
        config.stash[SELECTED] = models
    return config.stash[SELECTED]


def default_model(config: pytest.Config) -> Selected:
    """The embedded model."""
    return _registered(config, registry.entry(DEFAULT_MODEL))


def _registered(config: pytest.Config, entry: Entry) -> Selected:
    """A model of the registry as this run computes it."""
    computed = loading.computed(entry, config.option.vsg_weights, config.option.vsg_engine)
    return Selected(entry.name, computed, computed.name)


def _has_form(config: pytest.Config, entry: Entry) -> bool:
    """Return whether a model has weights of the kind that this run computes with."""
    return config.option.vsg_weights != AS_IS or entry.gguf is not None


def _check_engine(config: pytest.Config) -> None:
    option = config.option
    # A plan computes nothing, and Ray's nodes have their own libraries.
    computes_here = not option.collectonly and not (option.vsg_on or "").startswith("ray")
    try:
        loading.check_engine(option.vsg_weights, option.vsg_engine)
        if option.vsg_engine == "llama.cpp" and computes_here:
            check_library()
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None


def _chooses_models(config: pytest.Config) -> bool:
    """Return whether -m names a family or a kind."""
    return bool(_names(config) & set(model_markers()))


def _names(config: pytest.Config) -> frozenset[str]:
    """The markers that -m names."""
    try:
        return Expression.compile(config.option.markexpr).idents() if config.option.markexpr else frozenset()
    except SyntaxError:
        # pytest reports it.
        return frozenset()


def _check_markers(config: pytest.Config) -> None:
    known = {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}
    for name in sorted(_names(config) - known):
        close = get_close_matches(name, known, n=1)
        hint = f", did you mean {close[0]!r}?" if close else "."
        raise pytest.UsageError(
            f"-m {config.option.markexpr!r}: there is no marker {name!r}{hint} "
            f"Families: {', '.join(registry.families())}. Kinds: {', '.join(KINDS)}. "
            f"Claims: {HEADLINE}, across."
        )


def _named_models(config: pytest.Config) -> list[Selected]:
    described: dict[str, Entry] = {}
    for target in config.option.vsg_models:
        try:
            entry = loading.describe(target, config.option.vsg_weights, config.option.vsg_engine)
        except VsgError as error:
            raise pytest.UsageError(f"--model {shown(without_secrets(target))}: {error}") from None
        if entry.is_hosted and config.option.vsg_thinking == "on":
            raise pytest.UsageError(
                f"--model {shown(without_secrets(target))}: a hosted model is asked to answer without reasoning: leave "
                "--thinking on out"
            )
        if entry.is_hosted and not config.option.collectonly:
            entry = with_asked_kind(entry)
        described[loading.target_of(entry, target)] = entry
    for entry in described.values():
        for marker in (entry.family, entry.kind):
            if marker not in model_markers():
                config.addinivalue_line("markers", f"{marker}: claims on {marker} models")
    names = _names_of(config, described)
    return [Selected(target, entry, names[target], named=True) for target, entry in described.items()]


def _names_of(config: pytest.Config, described: Mapping[str, Entry]) -> dict[str, str]:
    """The names under which models are recorded, by target. A name of the registry is never changed."""
    known = {entry.name for entry in registry.entries()}
    own = {target: entry for target, entry in described.items() if entry.name not in known}
    models = [Named(target, entry.name, partial(loading.weights_id, entry)) for target, entry in own.items()]
    try:
        names = recorded_names(models, reports_folder(config), *recorded_folders(config))
    except VsgError as error:
        raise pytest.UsageError(str(error)) from None
    given = dict(zip(own, names, strict=True))
    return {target: given.get(target, entry.name) for target, entry in described.items()}


def _marks(entry: Entry) -> list[Any]:
    return [getattr(pytest.mark, entry.family), getattr(pytest.mark, entry.kind)]

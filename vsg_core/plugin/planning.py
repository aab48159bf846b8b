"""The plan of `pytest --on`: shards of the collected claims."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vsg_core.generator.engine.memory import BYTES, PACKED_BYTES, bytes_needed
from vsg_core.plugin import resume
from vsg_core.plugin.gates import gate_records
from vsg_core.plugin.options import PREFIX
from vsg_core.plugin.order import model_name
from vsg_core.plugin.places import picks_claims, project_folder, reports_folder
from vsg_core.plugin.pytest_options import OWN_OPTIONS
from vsg_core.plugin.selection import Selected, selected_of
from vsg_core.projects import EXAMPLE
from vsg_core.records import microscope, provenance
from vsg_core.runs.estimates import Estimates
from vsg_core.runs.shards import Shard, packed, parts_of, sharing
from vsg_core.vocabulary import ACROSS

# Leaves out the look at a model's concept tokens.
NO_LOOK = ("-p", "no:vsg_core.plugin.microscope")


def dispatched(config: pytest.Config, items: Iterable[pytest.Item]) -> list[pytest.Function]:
    """The claims on one model each that workers run: not what --resume keeps, nor what has no weights."""
    has_weights = cache(lambda model: model.has_weights)
    return [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and model_name(item) not in (None, ACROSS)
        and not resume.is_kept(config, item.nodeid)
        and has_weights(model_of(item))
    ]


def model_of(item: pytest.Function) -> Selected:
    """The model of a claim on one model."""
    selected = selected_of(item)
    if selected is None:
        raise TypeError(f"{item.nodeid} runs on no model")
    return selected


def shards_of(config: pytest.Config, items: Sequence[pytest.Function], workers: int) -> list[Shard]:
    """The shards of these claims: one per model, and with --split several.

    Args:
        workers: how many shards can run at a time.
    """
    estimates = Estimates.of(reports_folder(config), project_folder(config) / EXAMPLE)
    by_model: dict[Selected, list[pytest.Function]] = {}
    for item in items:
        by_model.setdefault(model_of(item), []).append(item)
    shards: list[Shard] = []
    times = {model: _estimated(estimates, model, claims) for model, claims in by_model.items()}
    whole = sum(sum(seconds.values()) for seconds in times.values())
    for model, claims in by_model.items():
        seconds = times[model]
        parts = [claims]
        if config.option.vsg_split:
            parts = _parts(claims, seconds, parts_of(sum(seconds.values()), whole, workers))
        for number, part in enumerate(parts, 1):
            name = model.name if len(parts) == 1 else f"{model.name}-{number}"
            shard = _shard(config, name, model, part, sum(seconds[item.nodeid] for item in part))
            # One look at a model is enough.
            looks = number == 1 and not picks_claims(config)
            shards.append(shard if looks else replace(shard, arguments=(*NO_LOOK, *shard.arguments)))
    return shards


def _estimated(estimates: Estimates, model: Selected, claims: Iterable[pytest.Function]) -> dict[str, float]:
    """The seconds of each claim, by node id; of one that was never measured the mean of the others."""
    found = {
        item.nodeid: estimates.seconds(str(item.function.claim.id), model.name, model.entry.parameters)
        for item in claims
    }
    known = [value for value in found.values() if value is not None]
    typical = sum(known) / len(known) if known else 0.0
    return {name: typical if value is None else value for name, value in found.items()}


def _parts(
    claims: list[pytest.Function], seconds: dict[str, float], number: int
) -> list[list[pytest.Function]]:
    """The claims in up to `number` parts; those that share a measurement are in the same part."""
    groups = sharing({item.nodeid: _measurements(item) for item in claims})
    by_id = {item.nodeid: place for place, item in enumerate(claims)}
    parts = packed(groups, seconds, number)
    return [[claims[place] for place in sorted(by_id[name] for name in part)] for part in parts]


def _measurements(item: pytest.Function) -> set[str]:
    """The fixtures that a claim shares with others and that rest on the model: what they measure is measured once."""
    known = item._fixtureinfo.name2fixturedefs
    rests: dict[str, bool] = {"lm": True}

    def rests_on_model(name: str) -> bool:
        if name not in rests:
            rests[name] = False
            rests[name] = any(
                rests_on_model(needed) for definition in known.get(name, ()) for needed in definition.argnames
            )
        return rests[name]

    shared = {name for name, definitions in known.items() if definitions[-1].scope != "function"}
    return {name for name in shared - {"lm"} if rests_on_model(name)}


def _shard(
    config: pytest.Config, name: str, model: Selected, items: Sequence[pytest.Function], seconds: float
) -> Shard:
    return Shard(
        name=name,
        model=model.name,
        target=model.target,
        claims=tuple(item.nodeid for item in items),
        named=model.named,
        arguments=tuple(_arguments(config, items)),
        options=_options(config),
        files=dict((*_looks(config, model.name), *gate_records(config, model.name))),
        code=provenance.code_digest(project_folder(config)),
        memory=_memory(config, model),
        seconds=seconds,
    )


def _arguments(config: pytest.Config, items: Iterable[pytest.Function]) -> list[str]:
    """The arguments that pytest reads before it has all its options, then the files of the claims."""
    option = config.option
    given = ["-o", "addopts=", f"--rootdir={_relative(config, config.rootpath)}"]
    if config.inipath:
        given += ["-c", _relative(config, config.inipath)]
    if option.vsg_project:
        given.append(f"{PREFIX}project={_relative(config, Path(option.vsg_project))}")
    given += [f"{PREFIX}claims={name}" for name in option.vsg_claims or ()]
    given.append(f"--import-mode={option.importmode}")
    for flag, values in (("-p", option.plugins), ("-W", option.pythonwarnings), ("-o", option.override_ini)):
        given += [part for value in values or () for part in (flag, value)]
    return given + list(dict.fromkeys(_relative(config, item.path) for item in items))


def _relative(config: pytest.Config, path: Path) -> str:
    """The path from the current folder of the run, which may be elsewhere on another machine."""
    return os.path.relpath(path, config.invocation_params.dir)


def _options(config: pytest.Config) -> dict[str, Any]:
    """The options that claims, fixtures and plugins may look at, as far as they are plain data."""
    values = {name: value for name, value in vars(config.option).items() if name not in OWN_OPTIONS}
    return {name: value for name, value in values.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False


def _looks(config: pytest.Config, name: str) -> Iterator[tuple[str, str]]:
    """The look at the model's concept tokens that an earlier run took, if there is one."""
    member = f"{microscope.FOLDER}/{name}.json"
    with suppress(OSError, ValueError):
        yield member, (reports_folder(config) / member).read_text(encoding="utf-8")


def _memory(config: pytest.Config, model: Selected) -> int:
    """The bytes that a model takes, as loading it counts them; 0 where its parameters are not known."""
    packing, parameters = model.entry.packing, model.entry.parameters
    each = PACKED_BYTES[packing] if packing else BYTES[config.option.vsg_dtype or "float32"]
    return bytes_needed(int(parameters * each)) if parameters else 0

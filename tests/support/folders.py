"""A tiny model folder with something changed, and the one line that refuses it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from safetensors.torch import load_file, save_file

from vsg_core.errors import VsgError
from vsg_core.weights import loading

Changes = Mapping[str, Any]


class Alter(Protocol):
    """Copy a tiny model with settings, files and tensors changed; None removes one."""

    def __call__(
        self,
        config: Changes | None = None,
        files: Mapping[str, str | None] | None = None,
        tensors: Mapping[str, torch.Tensor | None] | None = None,
    ) -> Path: ...


def alter(source: Path, folder: Path, config: Changes, files: Changes, tensors: Changes) -> Path:
    """Copy a model folder with settings, files and tensors changed; None removes one."""
    shutil.copytree(source, folder)
    settings = json.loads((folder / "config.json").read_text()) | dict(config)
    kept = {key: value for key, value in settings.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    if tensors:
        whole = {**load_file(folder / "model.safetensors"), **tensors}
        some = {name: value.clone() for name, value in whole.items() if value is not None}
        save_file(some, folder / "model.safetensors", metadata={"format": "pt"})
    for name, text in files.items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(text)
    return folder


def refusal(folder: Path) -> str:
    """Return the one line that refuses to load a folder."""
    with pytest.raises(VsgError) as raised:
        loading.load_model(folder)
    message = str(raised.value)
    assert "\n" not in message
    assert str(folder) in message
    return message

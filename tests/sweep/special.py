"""What single architectures need in a tiny configuration besides the usual sizes, and their variants, as data."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]

# By architecture; a dictionary under the name of a part (text_config) holds settings of that part.
SETTINGS: dict[str, Settings] = {}
# By "architecture variant".
VARIANTS: dict[str, Settings] = {}
# The class, where it is not that of the mapping.
CLASSES: dict[str, str] = {}
# Entries of transformers' mappings that are not text models, with the reason.
ABSENT: dict[str, str] = {}

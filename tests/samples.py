"""The samples, as `sample_pcaps/index.toml` lists them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "sample_pcaps"
SAMPLES: list[dict[str, Any]] = tomllib.loads((FOLDER / "index.toml").read_text(encoding="utf-8"))["sample"]


def paths(sample: dict[str, Any]) -> list[Path]:
    """The files of a sample, which are read together."""
    return [FOLDER / name for name in sample["files"]]


def name(sample: dict[str, Any]) -> str:
    """A sample's name: that of its first file."""
    return str(sample["files"][0]).partition(".")[0]

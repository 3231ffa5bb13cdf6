"""One cause, many connections."""

from __future__ import annotations

from typing import Any

from wsaudit.model import Connection


def find_incidents(rows: list[Connection]) -> list[dict[str, Any]]:
    """What happened to several connections at once."""
    return []

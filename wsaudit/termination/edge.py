"""Our endings as Cloudflare's edge logs them."""

from __future__ import annotations

from functools import lru_cache

from wsaudit.model import WHO
from wsaudit.registry import cloudflare_close


@lru_cache(1024)
def cloudflare(kind: str, how: str | None, by: int | None, cause: str) -> tuple[str, str] | None:
    """(ConnectionCloseReason, ConnectionCloseSource) of a termination; None when the edge would have logged nothing."""
    found = cloudflare_close(kind, how, None if by is None else WHO[by], cause)
    return None if found is None else (found.reasons[0], found.source or "none")

"""Who says it is a browser."""

from __future__ import annotations

from functools import lru_cache

ENGINES = ("Chrome/", "Firefox/", "Safari/", "Edg/")
NOT_BROWSERS = ("bot", "spider", "curl", "python", "node", "okhttp", "java/")


@lru_cache(1024)
def is_browser(user_agent: str | None) -> bool:
    """Does this User-Agent name a browser? It can lie: what rests on it is never more than information."""
    if user_agent is None or not user_agent.startswith("Mozilla/5.0 ("):
        return False
    lower = user_agent.lower()
    return any(engine in user_agent for engine in ENGINES) and not any(word in lower for word in NOT_BROWSERS)

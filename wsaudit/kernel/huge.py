"""Huge pages. Only compiled it does anything (`inline_huge.pxd`)."""

from __future__ import annotations


def prefer() -> bool:
    """See pages.py."""
    return False

"""Containers of which no cycle of references can come: the collector of cycles need not know them."""

from __future__ import annotations


def untrack(made: object) -> None:
    """Take a new container off the collector's list. Only compiled it does anything (`inline_acyclic.pxd`): when an object goes,
    its neighbours on that list must be written to, and they have long left the processor's caches."""

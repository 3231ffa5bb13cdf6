"""Python's collector of cyclic garbage, told that what is being built is there to stay.

Rows and findings are kept, not freed: left to itself the collector looks at all of them again with every quarter that is added,
which cost as much as judging them (50,000 connections: 2.8 s of 4 s for the report).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def patient() -> Iterator[None]:
    """Within it, the collector looks seldom: what is garbage in a cycle waits for 200,000 new objects."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)

"""Python's collector of cyclic garbage, told that what is being built is there to stay.

Rows and findings are kept, not freed, and what is freed is no cycle: a connection's ring of references is cut when it ends. Every
object that the collector looks at costs it 1 µs, since by then it has left the processor's caches: 1.4 of 19 s for 50,000
connections when it looked at every object once, 2.5 s as it comes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

PATIENCE = 1_000_000
"""New objects that a cycle in them may wait for: those of more than 100,000 connections."""


def be_patient() -> None:
    """Have the collector look seldom. For good: in a process that writes one report and ends, going back would only look at every
    row once more."""
    gc.set_threshold(PATIENCE, 20, 50)


_lock = Lock()
_within: list[tuple[int, int, int]] = []  # the caller's settings, once for each `with` block that is open in some thread


@contextmanager
def patient() -> Iterator[None]:
    """The same until the end of the `with` block; where several threads are in one, until the last is at its end."""
    with _lock:
        _within.append(_within[0] if _within else gc.get_threshold())
        be_patient()
    try:
        yield
    finally:
        with _lock:
            before = _within.pop()
            if not _within:
                gc.set_threshold(*before)

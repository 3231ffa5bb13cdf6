"""Progress on standard error: only on a terminal, only when it takes longer than a second; and Ctrl-C as "that is enough"."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wsaudit.engine import Interrupted

SILENT = 1.0  # seconds
EVERY = 0.1


class Progress:
    """Called once a chunk with the bytes read so far; raises Interrupted between two chunks after Ctrl-C. Copies of this process
    call it too, but they show nothing."""

    def __init__(self, total: int | None, shown: bool) -> None:
        self.total = total
        self.shown = shown
        self.process = os.getpid()
        self.started = time.monotonic()
        self.next = self.started + SILENT
        self.drawn = False
        self.stop = False

    def __call__(self, done: int) -> None:
        if self.stop:
            raise Interrupted
        now = time.monotonic()
        if not self.shown or now < self.next or os.getpid() != self.process:
            return
        self.next = now + EVERY
        self.drawn = True
        rate = done / (now - self.started)
        text = f"{done / 1e6:,.0f} MB  {rate / 1e6:,.0f} MB/s"
        if self.total and done <= self.total:
            text = f"{100 * done / self.total:3.0f} %  {text}  {(self.total - done) / rate:,.0f} s left"
        sys.stderr.write(f"\r\033[K{text}  (Ctrl-C: report what was read so far)")
        sys.stderr.flush()

    def clear(self) -> None:
        if self.drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


@contextmanager
def progress(captures: Sequence[Any], quiet: bool) -> Iterator[Progress]:
    """The progress of reading `captures`; Ctrl-C within ends the reading, not the program. A second Ctrl-C ends the program."""
    total: int | None = 0
    for item in captures:
        if isinstance(item, str) and os.path.isfile(item) and not item.endswith((".gz", ".zst", ".xz", ".bz2", ".lz4")):
            total = (total or 0) + os.path.getsize(item)
        else:
            total = None
            break
    shown = Progress(total, sys.stderr.isatty() and not quiet)

    def interrupt(number: int, frame: Any) -> None:
        shown.stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not the main thread
        before = None
    try:
        yield shown
    finally:
        shown.clear()
        if before is not None:
            signal.signal(signal.SIGINT, before)

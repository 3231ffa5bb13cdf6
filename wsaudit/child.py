"""A child process that does one thing and sends what came of it. A pool of processes does too, but it takes longer to begin and
to end, and sends nothing before all is pickled."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from threading import active_count
from typing import Any


def can_fork() -> bool:
    """Is it safe to go on in a copy of this process? Of its threads only one would, and what the others had locked stays so;
    on macOS the system's own libraries have some."""
    return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin" and active_count() == 1


class Gone(RuntimeError):
    """A child ended before its work was done."""


class Child:
    """Does `work(*arguments)` in another process, from now on: in a copy of this one where that is safe."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("fork" if can_fork() else "spawn")
        self.reading, writing = context.Pipe(duplex=False)
        self.process = context.Process(target=send, args=(work, arguments, writing), daemon=True)  # type: ignore[attr-defined]
        self.process.start()
        writing.close()

    def result(self) -> Any:
        """What came of it, as soon as it is there; raises what it raised, or Gone. Once."""
        try:
            with open(self.reading.fileno(), "rb", closefd=False) as pipe:
                value, error = pickle.load(pipe)
        except (EOFError, pickle.UnpicklingError):
            raise Gone("a worker process ended before its work was done") from None
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """Have it gone: if its result was not asked for, nobody needs it any more."""
        self.process.kill()
        self.process.join()
        self.reading.close()


def send(work: Callable[..., Any], arguments: tuple[Any, ...], writing: Connection) -> None:
    """What the child does."""
    outcome: tuple[Any, Exception | None]
    try:
        outcome = work(*arguments), None
    except KeyboardInterrupt:  # of the whole group: the parent has it, too, and tells
        return
    except Exception as error:
        outcome = None, error
    with open(writing.fileno(), "wb", closefd=False) as pipe:
        pickle.dump(outcome, pipe, pickle.HIGHEST_PROTOCOL)

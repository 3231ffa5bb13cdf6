"""A child process that does one thing and sends what came of it. A pool of processes does too, but its modules, threads and end
take 40 ms, and it sends nothing before all is pickled."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from threading import active_count
from typing import Any, NoReturn


def can_fork() -> bool:
    """Is it safe to go on in a copy of this process? Of its threads only one would, and what the others had locked stays so;
    on macOS the system's own libraries have some."""
    return hasattr(os, "fork") and sys.platform != "darwin" and active_count() == 1


class Child:
    """Does `work(*arguments)` in a copy of this process, from now on."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            send(work, arguments, writing)
        os.close(writing)
        self.pipe = open(reading, "rb")  # noqa: SIM115 - `end` closes it

    def result(self) -> Any:
        """What came of it, as soon as it is there; raises what it raised. Once."""
        try:
            with self.pipe:
                value, error = pickle.load(self.pipe)
        except (EOFError, pickle.UnpicklingError):
            raise RuntimeError("a worker process ended before its work was done") from None
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """Wait until it is gone; if its result was not asked for, nobody needs it any more."""
        if not self.pipe.closed:
            os.kill(self.pid, signal.SIGKILL)
            self.pipe.close()
        os.waitpid(self.pid, 0)


def send(work: Callable[..., Any], arguments: tuple[Any, ...], writing: int) -> NoReturn:
    """What the child does. It never returns into its copy of what called it."""
    try:
        with open(writing, "wb") as pipe:
            outcome: tuple[Any, Exception | None]
            try:
                outcome = work(*arguments), None
            except Exception as error:
                outcome = None, error
            pickle.dump(outcome, pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)

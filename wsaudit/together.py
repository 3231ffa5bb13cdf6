"""All connections of a report, as those see them who compare connections: the groups they fall into, each worked out once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from operator import attrgetter
from typing import Any

from wsaudit.kernel import compare
from wsaudit.kernel.connection import Connection
from wsaudit.model import Termination


class Together(list[Connection]):
    """The connections in their final order. `facts`: what one rule worked out and others ask too."""

    def __init__(self, connections: Iterable[Connection]) -> None:
        super().__init__(connections)
        self.facts: dict[str, Any] = {}

    @cached_property
    def clients(self) -> list[list[Connection]]:
        """The connections of each client: of one host, to one server, with one User-Agent; in the order of their starts."""
        rows = list(self)
        return compare.by_client(rows if compare.in_order_of_start(rows) else sorted(rows, key=attrgetter("started")))

    @cached_property
    def alike(self) -> tuple[list[tuple[Termination, list[Connection]]], list[Connection]]:
        """The connections by how they ended, before anything was found by comparison: of thousands that ended alike, most share
        one object (termination.Explainer). Apart from them those of which nobody knows that they were WebSockets, unless they
        are still open."""
        return compare.alike(list(self))

    @cached_property
    def with_tls(self) -> list[Connection]:
        """The connections of whose TLS something is known."""
        return compare.with_tls(list(self))


def together(connections: Iterable[Connection]) -> Together:
    """What a rule is given, as what it is in a report."""
    return connections if isinstance(connections, Together) else Together(connections)

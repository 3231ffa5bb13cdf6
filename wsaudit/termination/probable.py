"""Connections that may have been WebSockets although nobody could look inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsaudit.model import Connection, Reported, Termination

if TYPE_CHECKING:
    from wsaudit.engine import FailedConnect


def with_failed_connects(rows: list[Connection], failed_connects: Iterable[FailedConnect]) -> list[Connection]:
    """`rows` and one more for each TCP connect that failed at a server where WebSockets were seen."""
    servers = {row.server for row in rows}
    found = list(rows)
    for failed in failed_connects:
        if failed.server in servers:
            found.append(failed_row(failed))
    return found


def failed_row(failed: FailedConnect) -> Connection:
    """A refused or unanswered TCP connect as a connection of the report."""
    row = Connection(failed.first_packet, failed.last_packet, failed.started, failed.ended, failed.client, failed.server)
    row.probable = True
    row.http = None
    row.outcome = "unanswered"
    row.complete = False
    row.termination = Termination(
        "failed", failed.how, 1 if failed.how == "rst" else None, "connect-failed", 0.95,
        reported=(Reported(1006, False, True), Reported(None, None, True)),
    )
    return row

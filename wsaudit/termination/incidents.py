"""One cause, many connections: what shows only when ends are compared.

chance.py     what stands out from what happens by chance
clusters.py   runs of ends that belong together
masses.py     everything one host held ends at once, or a crowd of clients; they come back
aftermath.py  what a server did next: killed, or reloaded
limits.py     the same silence or the same age again and again
legs.py       both sides of a proxy
quiet.py      open connections whose rhythm has stopped
fleets.py     heartbeats that fail together, one release that misbehaves
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wsaudit.kernel.compare import number
from wsaudit.kernel.connection import Connection
from wsaudit.model import timestamp
from wsaudit.registry import load_signatures
from wsaudit.termination.clusters import Incident, Population, name_of
from wsaudit.termination.fleets import bad_releases, heartbeat_storms
from wsaudit.termination.legs import explain_legs, find_legs, one_limit, passed_on, with_legs
from wsaudit.termination.limits import find_limits
from wsaudit.termination.masses import find_masses
from wsaudit.termination.quiet import doubt_open, fell_silent
from wsaudit.together import together

if TYPE_CHECKING:
    from pathlib import Path


def find_incidents(
    connections: Iterable[Connection], signatures: Path | None = None, last_times: Sequence[int] = ()
) -> list[dict[str, Any]]:
    """The incidents among `connections`, the report's in their final order (ids from 1), by time.

    Also gives rows the cause that only the comparison tells: their terminations are changed in place. `signatures`: a file of the
    user's own limits. `last_times`: of the last packet of each input, by its index; without them the connections tell how long
    each went on. Shape of an incident: report.md, with cause, confidence, alternatives and confirm.
    """
    rows = together(connections)
    number(list(rows))
    if all(row.ended == row.started for row in rows):
        return []  # a clock that stood still: all ends would be one event
    known = load_signatures(signatures)
    population = Population(rows)
    legs = find_legs(population)
    origin = passed_on(legs)
    found = find_masses(population.without(origin) if origin else population, known)
    taken = {i for incident in found if incident.kind != "reconnect-storm" for i in incident.connections}
    found += one_limit(find_limits(population, taken.union(origin), known), legs)
    explain_legs(legs, origin, taken)
    found += fell_silent(doubt_open(population, last_times), population)
    found += heartbeat_storms(population)
    found += bad_releases(population)
    found = [with_legs(each, origin) for each in found]
    found.sort(key=order)
    return [incident_dict(each) for each in found]


def order(incident: Incident) -> tuple[int, str, tuple[int, ...]]:
    return incident.start, incident.kind, incident.connections


def incident_dict(incident: Incident) -> dict[str, Any]:
    """One entry of `incidents` in the JSON report."""
    return {
        "kind": incident.kind,
        "server": None if incident.server is None else name_of(incident.server),
        "from": timestamp(incident.start),
        "to": timestamp(incident.end),
        "connections": list(incident.connections),
        "other_legs": incident.other_legs,
        "detail": incident.detail,
        "cause": incident.cause,
        "confidence": incident.confidence,
        "alternatives": [{"cause": cause, "confidence": weight} for cause, weight in incident.alternatives],
        "confirm": incident.confirm,
    }

"""What a server did after everything it held had ended: was it killed, or did it reload?

After a reload somebody else serves what comes, and has served it for some time before the old connections are ended (nginx:
worker_shutdown_timeout, HAProxy: hard-stop-after). A process that was killed is missed until its successor is there: connects are
refused. Recorded with both; how fast the successor comes is the supervisor's doing.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from wsaudit.model import SECOND
from wsaudit.termination.clusters import FEW, Ended, Endpoint, Population
from wsaudit.termination.words import seconds

RETURN = 60 * SECOND  # clients that come back do within this time
SERVED = SECOND // 10  # no supervisor notices a death and has the successor answer within this time
MISSED = SECOND  # the quickest ones do within this
GATEWAY = (502, 503, 504)  # of a proxy whose upstream is gone


class Aftermath(NamedTuple):
    """What a server did next, in words, and what it makes of the ends."""

    fact: str
    cause: str
    confidence: float
    others: tuple[tuple[str, float], ...]


def aftermath(server: Endpoint, burst: list[Ended], opened: int, population: Population) -> Aftermath | None:
    """What followed the end of these `burst` of `opened` connections, None when that tells nothing."""
    end, neighbours = burst[-1].time, population.servers[server]
    if len(burst) < opened:
        last = max(each.row.started for each in burst)
        stayed = neighbours.oldest_open(burst[0].time, {each.row.first_packet for each in burst})
        if stayed is None or stayed <= last or opened - len(burst) < FEW:
            return None  # one of several processes ended, killed or not: the others serve what comes
        fact = f"; {opened - len(burst)} others stayed open, all of them younger: it had been serving new connections elsewhere"
        return Aftermath(fact, "restart", 0.75, (("endpoint-killed", 0.25),))
    times = population.refused.get(server, [])
    refused = times[place] if (place := bisect_right(times, end)) < len(times) else None
    answer = neighbours.next_answer(end)
    if refused is not None and refused - end <= RETURN and (answer is None or refused < answer[0]):
        fact = f"; the next connect, {seconds(refused - end)} later, was refused: nothing listened there"
        if answer is None or answer[0] - end > RETURN:
            return Aftermath(fact, "endpoint-killed", 0.86, (("restart", 0.31),))
        fact += f", and {seconds(answer[0] - refused)} later something did again"
        return Aftermath(fact, "endpoint-killed", 0.75, (("restart", 0.45),))
    if answer is None or answer[0] - end > RETURN:
        return None
    after = f"; the next handshake, {seconds(answer[0] - end)} later, was answered"
    if answer[1] in GATEWAY:
        return Aftermath(f"{after} {answer[1]}: what is behind it was gone", "endpoint-killed", 0.8, (("restart", 0.35),))
    if answer[0] - end <= SERVED:
        fact = f"{after}: something had been listening all the time"
        return Aftermath(fact, "restart", 0.6, (("endpoint-killed", 0.35),))
    return Aftermath(after, "endpoint-killed", 0.55, (("restart", 0.5),)) if answer[0] - end <= MISSED else None

"""The one place that decides: which rules are asked, what verdict an answer gets, what is folded, what is in doubt.

Most connections break no rule, so the work is to find that out fast. What depends on few facts is asked once per combination of
them and remembered when the answer was "nothing": frames by shape, Close frames by code and reason, handshakes by the fields
that rules look at. What depends on times is asked only on its occasion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from wsaudit.model import CLIENT, SERVER, SIDES, Connection, Fault, Finding, Place
from wsaudit.options import Options
from wsaudit.rules import frame as frames
from wsaudit.rules.agents import is_browser
from wsaudit.rules.frame import Frame
from wsaudit.rules.rule import CATALOGUE, INFO, MUST, SHOULD, CloseBody, Offences, Rule
from wsaudit.rules.signature import signature
from wsaudit.session import Party, Session, Shape
from wsaudit.websocket.extensions import PERMESSAGE_DEFLATE, RSV1_EXTENSIONS

VERDICTS = {MUST: "violation", SHOULD: "non-strict", INFO: "informational"}
UNVERIFIABLE = "unverifiable"
REMEMBERED = 4096  # combinations of facts known to be clean, of each kind: hostile traffic can have any number

Answer = str | Fault | tuple[int, Fault] | list[Any] | None


class Judge:
    """Judges connection by connection, then all of them together."""

    def __init__(self, options: Options) -> None:
        self.limit = options.limits.findings
        self.chosen = frozenset(rule.id for rule in CATALOGUE.values() if is_chosen(rule, options))
        self.all_chosen = len(self.chosen) == len(CATALOGUE)
        self.shape_rules = rules_of("shape")
        self.close_rules = rules_of("close")
        self.handshake_rules = rules_of("handshake")
        self.occasions = [
            (applies, rules)
            for when, applies in OCCASIONS.items()
            if (rules := tuple(rule for rule in CATALOGUE.values() if rule.kind == "session" and rule.when == when))
        ]
        self.reactions = [
            (applies, rules)
            for when, applies in OCCASIONS.items()
            if (rules := tuple(rule for rule in CATALOGUE.values() if rule.kind == "reaction" and rule.when == when))
        ]
        self.reactions_to_offences = tuple(rule for rule in rules_of("reaction") if rule.when == "offended")
        self.clean_shapes: set[tuple[Any, ...]] = set()
        self.clean_closes: set[CloseBody] = set()
        self.clean_handshakes: set[tuple[Any, ...]] = set()

    def session(self, session: Session) -> list[Finding]:
        """The findings about one connection whose history is complete, in the order of their packets."""
        found: list[Finding] = []
        client, server = session.client, session.server
        if session.handshake is not None:
            self.judge_handshake(session, found)
        extensions = extensions_of(session)
        shapes = (client.frames.shape_ids(), server.frames.shape_ids(), extensions)
        if shapes not in self.clean_shapes:
            self.judge_shapes(session, extensions, shapes, found)
        if client.closes or server.closes:
            self.judge_closes(session, found)
        for applies, rules in self.occasions:
            if applies(session, client, server):
                for rule in rules:
                    if rule.at_fault != "server":
                        found += self.findings(rule, session, CLIENT, rule.body(session, client, server))
                    if rule.at_fault != "client":
                        found += self.findings(rule, session, SERVER, rule.body(session, server, client))
        if found:
            found = without_noise(found)
        self.judge_reactions(session, found)
        return self.sift(session, found) if found else found

    def report(self, connections: Sequence[Connection], findings: Sequence[Finding]) -> list[Finding]:
        """What only shows when connections are compared."""
        found: list[Finding] = []
        for rule in rules_of("report"):
            if rule.id in self.chosen:
                for connection, side, fault in rule.body(connections, findings):
                    found.append(make(rule, side, connection.first_packet, fault))
        return found

    # -- the kinds of evidence ---------------------------------------------------------------------------------------------------

    def judge_handshake(self, session: Session, found: list[Finding]) -> None:
        handshake = session.handshake
        key = signature(session)
        if key in self.clean_handshakes:
            return
        before = len(found)
        for rule in self.handshake_rules:
            side = SERVER if rule.at_fault == "server" else CLIENT
            found += self.findings(rule, session, side, rule.body(handshake, session))
        if len(found) == before:
            remember(self.clean_handshakes, key)

    def judge_shapes(self, session: Session, extensions: int, key: tuple[Any, ...], found: list[Finding]) -> None:
        before = len(found)
        for party in session.parties:
            folded: dict[str, Finding] = {}
            for shape in party.shapes():
                seen = Frame(party.side, shape.shape, shape.length, extensions)
                hits = [(rule, detail) for rule in self.shape_rules if (detail := rule.body(seen)) is not None]
                alien = [hit for hit in hits if hit[0].id == ALIEN]
                for rule, detail in alien or hits:
                    fold(folded, self.one(rule, session, party.side, fault_of(shape, detail)))
                if alien:
                    break  # what follows is no sequence of frames
            found += folded.values()
        if len(found) == before:
            remember(self.clean_shapes, key)

    def judge_closes(self, session: Session, found: list[Finding]) -> None:
        handshake = session.handshake
        browser = handshake is not None and is_browser(handshake.user_agent)
        subprotocol = handshake.subprotocol if handshake is not None else None
        host = handshake.host if handshake is not None else None
        for party in session.parties:
            folded: dict[str, Finding] = {}
            first = session.parties[1 - party.side].close
            for close in party.closes:
                echo = first is not None and first.code == close.code and close.acked >= first.end
                body = CloseBody(close.side, close.code, close.reason, close.length, close.lost, echo, browser, subprotocol, host)
                if body in self.clean_closes:
                    continue
                clean = True
                for rule in self.close_rules:
                    if rule.at_fault == SIDES[1 - close.side]:
                        continue
                    detail = rule.body(body)
                    if detail is not None:
                        clean = False
                        fold(folded, self.one(rule, session, close.side, Fault(detail, close.place)))
                if clean:
                    remember(self.clean_closes, body)
            found += folded.values()

    def judge_reactions(self, session: Session, found: list[Finding]) -> None:
        """What one side did, given what is proven about the other."""
        client, server = session.client, session.server
        offences: Offences = (offences_of(found, CLIENT), offences_of(found, SERVER)) if found else ((), ())
        for applies, rules in self.reactions:
            if applies(session, client, server):
                for rule in rules:
                    if rule.at_fault != "server":
                        found += self.findings(rule, session, CLIENT, rule.body(session, client, server, offences))
                    if rule.at_fault != "client":
                        found += self.findings(rule, session, SERVER, rule.body(session, server, client, offences))
        for party, peer in ((client, server), (server, client)):
            if offences[party.side]:
                for rule in self.reactions_to_offences:
                    found += self.findings(rule, session, party.side, rule.body(session, party, peer, offences))

    # -- answers to findings -----------------------------------------------------------------------------------------------------

    def findings(self, rule: Rule, session: Session, side: int, answer: Answer) -> Iterable[Finding]:
        """One answer of a rule as findings. `side`: sender of the bytes judged, where the answer does not say."""
        if answer is None:
            return ()
        if isinstance(answer, str):
            return (self.one(rule, session, side, Fault(answer, default_place(session, side))),)
        if isinstance(answer, Fault):
            return (self.one(rule, session, side, answer),)
        if isinstance(answer, tuple):
            sender, fault = answer
            return (self.one(rule, session, sender, fault),)
        return [each for part in answer for each in self.findings(rule, session, side, part)]

    def one(self, rule: Rule, session: Session, side: int, fault: Fault) -> Finding:
        if fault.doubt is None:
            doubt = doubt_of(rule, session, side, fault.place)
            if doubt is not None:
                fault = fault._replace(doubt=doubt)
        return make(rule, side, session.first_packet, fault)

    def sift(self, session: Session, found: list[Finding]) -> list[Finding]:
        """Only what was asked for, in order, not more than the limit."""
        if not self.all_chosen:
            found = [each for each in found if each.rule in self.chosen]
        if len(found) > 1:
            found.sort(key=by_place)
        if len(found) > self.limit:
            session.notices.append(f"{len(found) - self.limit} more findings about this connection were left out")
            del found[self.limit :]
        return found


ALIEN = "FR-13"  # bytes of another protocol: all that the shape rules would say about them follows from that


def rules_of(kind: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in CATALOGUE.values() if rule.kind == kind)


def is_chosen(rule: Rule, options: Options) -> bool:
    """`select` and `ignore` hold ids, beginnings of ids and names."""
    if options.select and not any(matches(rule, selector) for selector in options.select):
        return False
    return not any(matches(rule, selector) for selector in options.ignore)


def matches(rule: Rule, selector: str) -> bool:
    return rule.id.startswith(selector.upper()) or rule.name == selector


def remember(clean: set[Any], key: Any) -> None:
    if len(clean) >= REMEMBERED:
        clean.clear()
    clean.add(key)


def by_place(finding: Finding) -> tuple[int, int, int, str]:
    return (finding.place.time, finding.place.packet, finding.place.offset, finding.rule)


def make(rule: Rule, side: int, key: int, fault: Fault) -> Finding:
    """The finding for what a rule saw: here, and nowhere else, a verdict is chosen."""
    verdict, detail = VERDICTS[rule.level], fault.detail
    if fault.doubt is not None:
        verdict, detail = UNVERIFIABLE, f"{detail}; not certain: {fault.doubt}"
    place = fault.place
    return Finding(rule.id, verdict, blamed(rule, side), side, key, place, fault.last_packet or place.packet, fault.count, detail)


def blamed(rule: Rule, side: int) -> str:
    if rule.at_fault == "sender":
        return SIDES[side]
    if rule.at_fault == "receiver":
        return SIDES[1 - side]
    return rule.at_fault


def fault_of(shape: Shape, detail: str) -> Fault:
    return Fault(detail, shape.place, shape.count, shape.last_packet)


def fold(folded: dict[str, Finding], finding: Finding) -> None:
    """The same rule broken by frames of several shapes is one finding, told by the first."""
    first = folded.get(finding.rule)
    if first is None:
        folded[finding.rule] = finding
    else:
        last = max(first.last_packet, finding.last_packet)
        folded[finding.rule] = first._replace(count=first.count + finding.count, last_packet=last)


def without_noise(found: list[Finding]) -> list[Finding]:
    """Without what was read into bytes of another protocol."""
    border = {each.side: each.place.offset for each in found if each.rule == ALIEN}
    if not border:
        return found
    return [each for each in found if each.rule == ALIEN or each.place.offset < border.get(each.side, each.place.offset + 1)]


def offences_of(found: Iterable[Finding], side: int) -> tuple[Finding, ...]:
    """What is proven against the frames of `side`: breaches of a MUST, and what else its peer must fail for."""
    proven = [each for each in found if each.side == side and each.at_fault == SIDES[side] and is_offence(each)]
    return tuple(sorted(proven, key=by_place))


def is_offence(finding: Finding) -> bool:
    rule = CATALOGUE[finding.rule]
    in_frames = rule.kind in ("shape", "close", "session")
    return in_frames and finding.verdict != UNVERIFIABLE and (rule.level == MUST or rule.must_fail)


def default_place(session: Session, side: int) -> Place:
    """Where a sentence about a side as a whole points: its head in the handshake, else the connection's first packet."""
    handshake = session.handshake
    head = None if handshake is None else handshake.request if side == CLIENT else handshake.response
    if head is None:
        return Place(session.first_packet, session.started, 0)
    return Place(head.packet, head.time, head.offset)


# -- doubt -----------------------------------------------------------------------------------------------------------------------


def doubt_of(rule: Rule, session: Session, side: int, place: Place) -> str | None:
    """Why what `rule` saw is not certain, or None.

    A gap within a payload of known length leaves the scanner in step: header positions behind it are as certain as before.
    Content that it hit is nobody's evidence (the scanner and the inflater leave it out). A gap that hit a header loses the
    step, and where frames were found again is inference.
    """
    if rule.kind == "handshake":
        return None
    party = session.parties[side]
    if rule.whole:
        for each in (party, session.parties[1 - side]):
            if lost_step(each):
                return lost_bytes(each, None)
    elif lost_step(party):
        return lost_bytes(party, place.offset)
    return None


def lost_step(party: Party) -> bool:
    return bool(party.gaps) and (party.resyncs > 0 or party.frames.lost)


def lost_bytes(party: Party, before: int | None) -> str | None:
    """What is missing of `party`; None when all of it lies behind offset `before`."""
    for gap in party.gaps:
        if before is None or gap.offset <= before:
            amount = "bytes" if gap.length is None else frames.size(gap.length)
            return f"{amount} of the {SIDES[party.side]} lost to the capture ({gap.reason})"
    return None


# -- facts that choose what is asked ---------------------------------------------------------------------------------------------


def extensions_of(session: Session) -> int:
    """What is known of the extensions in use: one of the constants in frame.py."""
    handshake = session.handshake
    if handshake is None or handshake.response is None:
        return frames.UNKNOWN
    if handshake.extensions_lines:
        names = {part.partition(";")[0].strip().lower() for line in handshake.extensions_lines for part in line.split(",")} - {""}
        if names == {PERMESSAGE_DEFLATE}:
            return frames.DEFLATE
        if names:
            return frames.COMPRESSING if names <= RSV1_EXTENSIONS else frames.FOREIGN
    if any(PERMESSAGE_DEFLATE in line.lower() for line in handshake.extensions_offered_lines):
        return frames.OFFERED
    return frames.NONE


def always(session: Session, client: Party, server: Party) -> bool:
    return True


def opened(session: Session, client: Party, server: Party) -> bool:
    """A 101 was sent, or frames were seen."""
    return session.midstream or (session.handshake is not None and session.handshake.status == 101) or bool(client.frames.headers)


def closed(session: Session, client: Party, server: Party) -> bool:
    """At least one side sent a Close."""
    return bool(client.closes or server.closes)


def dropped(session: Session, client: Party, server: Party) -> bool:
    """An open connection ended without any Close."""
    return not (client.closes or server.closes or session.ongoing) and opened(session, client, server)


def cut(session: Session, client: Party, server: Party) -> bool:
    """A side stopped within a frame or a message."""
    a, b = client.frames, server.frames
    return bool(a.incomplete or b.incomplete or a.message > 0 or b.message > 0)


def lost(session: Session, client: Party, server: Party) -> bool:
    """Frames could not be followed to the end."""
    return bool(client.frames.lost or server.frames.lost or client.resyncs or server.resyncs)


def keys(session: Session, client: Party, server: Party) -> bool:
    """Masking keys that were zero or repeated."""
    return bool(client.frames.zero_keys or client.frames.same_keys)


def heartbeat(session: Session, client: Party, server: Party) -> bool:
    """Pings or Pongs."""
    return bool(client.pings or server.pings or client.pongs or server.pongs)


def text(session: Session, client: Party, server: Party) -> bool:
    """Text that is not UTF-8, or could not be checked."""
    a, b = client.frames, server.frames
    if a.bad_text or b.bad_text or a.unverified_text or b.unverified_text:
        return True
    return any(party.inflation is not None and party.inflation.bad_text is not None for party in session.parties)


def deflate(session: Session, client: Party, server: Party) -> bool:
    """permessage-deflate was agreed."""
    return session.deflate is not None


def encrypted(session: Session, client: Party, server: Party) -> bool:
    """An open connection with TLS around it."""
    return session.tls is not None and opened(session, client, server)


OCCASIONS: dict[str, Callable[[Session, Party, Party], bool]] = {
    each.__name__: each for each in (always, opened, closed, dropped, cut, lost, keys, heartbeat, text, deflate, encrypted)
}

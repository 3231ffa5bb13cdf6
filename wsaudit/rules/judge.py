"""The one place that decides: which rules are asked, what verdict an answer gets, what is folded, what is in doubt.

Most connections break no rule, so the work is to find that out fast. What depends on few facts is asked once per combination of
them and remembered: frames by shape, when they are clean, Close frames by code and reason, handshakes by the fields
that rules look at. What depends on times is asked only on its occasion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from wsaudit.kernel.connection import Connection
from wsaudit.kernel.constants import BIT, SHAPES
from wsaudit.kernel.findings import Findings
from wsaudit.kernel.party import CloseFrame, Party, Shape
from wsaudit.model import CLIENT, SERVER, SIDES, Fault, Finding, Place
from wsaudit.options import Options
from wsaudit.rules import frame as frames
from wsaudit.rules.agents import is_browser
from wsaudit.rules.frame import Frame
from wsaudit.rules.occasions import occasions_of
from wsaudit.rules.rule import CATALOGUE, INFO, MUST, SHOULD, CloseBody, Offences, Rule
from wsaudit.rules.signature import signature
from wsaudit.session import Session
from wsaudit.together import together
from wsaudit.websocket.extensions import PERMESSAGE_DEFLATE, RSV1_EXTENSIONS

VERDICTS = {MUST: "violation", SHOULD: "non-strict", INFO: "informational"}
UNVERIFIABLE = "unverifiable"
REMEMBERED = 4096  # combinations of facts known to be clean, of each kind: hostile traffic can have any number

BySide = tuple[tuple[Rule, ...], tuple[Rule, ...]]
About = tuple[str | None, str | None, str | None]  # User-Agent, subprotocol, Host
NOBODY: About = (None, None, None)
# Occasions on which nothing is said that gives the peer a reason to react, or explains the end.
ASKED_ALONE = ("failed", "unanswered", "pongs", "heartbeat", "browser pings", "hasty")
Answer = str | Fault | tuple[int, Fault] | list[Any] | None


class Judge:
    """Judges connection by connection, then all of them together."""

    def __init__(self, options: Options) -> None:
        self.limit = options.limits.findings
        self.chosen = frozenset(rule.id for rule in CATALOGUE.values() if is_chosen(rule, options))
        self.all_chosen = len(self.chosen) == len(CATALOGUE)
        self.shape_rules = rules_of("shape")
        self.close_rules = tuple(
            tuple(rule for rule in rules_of("close") if rule.at_fault != SIDES[1 - side]) for side in (CLIENT, SERVER)
        )
        self.handshake_rules = rules_of("handshake")
        self.offences = frozenset(rule.id for rule in CATALOGUE.values() if is_offence(rule))
        self.plans: dict[int, Plan] = {}
        self.clean_shapes: defaultdict[tuple[int, int], bytearray] = defaultdict(no_shapes)  # by side and extensions
        self.closes: dict[tuple[Any, ...], list[tuple[Rule, str, bool]]] = {}
        self.handshakes: dict[tuple[Any, ...], list[Finding]] = {}

    def session(self, session: Session) -> list[Finding]:
        """The findings about one connection whose history is complete, in the order of their packets."""
        client, server = session.client, session.server
        found: list[Finding] = []
        extensions = extensions_of(session)
        clean = self.clean_shapes
        if not client.frames.has_only(clean[CLIENT, extensions]):
            self.judge_shapes(session, client, extensions, found)
        if not server.frames.has_only(clean[SERVER, extensions]):
            self.judge_shapes(session, server, extensions, found)
        if client.closes or server.closes:
            self.judge_closes(session, found)
        plan = self.plan(occasions_of(session))
        self.ask(session, plan, found)
        if found:
            found = without_noise(found)
        if found or plan.reacts:
            self.judge_reactions(session, plan, found)
        if session.handshake is not None:  # last, because nobody reacts to its faults in frames (is_offence)
            found = self.judge_handshake(session) + found
        return self.sift(session, found) if found else found

    def only(self, session: Session, occasions: int) -> list[Finding]:
        """No more than what is to be said on some of the occasions ASKED_ALONE: in any order, and all of it."""
        found: list[Finding] = []
        plan = self.plan(occasions)
        self.ask(session, plan, found)
        self.judge_reactions(session, plan, found)
        return found if self.all_chosen else [each for each in found if each.rule in self.chosen]

    def report(self, connections: Sequence[Connection], findings: Findings) -> list[Finding]:
        """What only shows when connections are compared."""
        found: list[Finding] = []
        connections = together(connections)
        for rule in rules_of("report"):
            if rule.id in self.chosen:
                for connection, side, fault in rule.body(connections, findings):
                    found.append(make(rule, side, connection.first_packet, fault))
        return found

    def ask(self, session: Session, plan: Plan, found: list[Finding]) -> None:
        """Each rule about a whole connection about each side that can be at fault."""
        client, server = session.parties
        for rule in plan.client:
            answer = rule.body(session, client, server)
            if answer:
                found += self.findings(rule, session, CLIENT, answer)
        for rule in plan.server:
            answer = rule.body(session, server, client)
            if answer:
                found += self.findings(rule, session, SERVER, answer)

    # -- the kinds of evidence ---------------------------------------------------------------------------------------------------

    def plan(self, occasions: int) -> Plan:
        """Which rules to ask on these occasions."""
        plan = self.plans.get(occasions)
        if plan is None:
            plan = self.plans[occasions] = make_plan(occasions)
        return plan

    def judge_handshake(self, session: Session) -> list[Finding]:
        """Fleets repeat the same handshake, faults and all, so hits about heads as such are remembered too."""
        key = signature(session)
        known = self.handshakes.get(key)
        if known is not None:
            return [with_head(each, session) for each in known]
        hits: list[Finding] = []
        for rule in self.handshake_rules:
            side = SERVER if rule.at_fault == "server" else CLIENT
            hits += self.findings(rule, session, side, rule.body(session.handshake, session))
        if all(each.place == default_place(session, each.side) for each in hits):  # not about first frames, which differ
            if len(self.handshakes) >= REMEMBERED:
                self.handshakes.clear()
            self.handshakes[key] = hits
        return hits

    def judge_shapes(self, session: Session, party: Party, extensions: int, found: list[Finding]) -> None:
        """Whether a shape is clean depends on nothing but who sent it and what was agreed, so it is asked once."""
        clean = self.clean_shapes[party.side, extensions]
        folded: dict[str, Finding] = {}
        for shape in party.shapes():
            if clean[shape.shape]:
                continue
            seen = Frame(party.side, shape.shape, shape.length, extensions)
            hits = [(rule, detail) for rule in self.shape_rules if (detail := rule.body(seen)) is not None]
            if not hits:
                clean[shape.shape] = 1
            alien = [hit for hit in hits if hit[0].id == ALIEN]
            for rule, detail in alien or hits:
                fold(folded, self.one(rule, session, party.side, fault_of(shape, detail)))
            if alien:
                break  # what follows is no sequence of frames
        found += folded.values()

    def judge_closes(self, session: Session, found: list[Finding]) -> None:
        """What is wrong with a Close depends on what it says, and on who says it to whom: that, too, is asked once."""
        handshake = session.handshake
        about = NOBODY if handshake is None else (handshake.user_agent, handshake.subprotocol, handshake.host)
        for party, peer in ((session.client, session.server), (session.server, session.client)):
            folded: dict[str, Finding] = {}
            first = peer.closes[0] if peer.closes else None
            for close in party.closes:
                echo = first is not None and first.code == close.code and close.acked >= first.end
                key = (close.side, close.code, close.reason, close.length, close.lost, echo, about)
                hits = self.closes.get(key)
                if hits is None:
                    hits = self.closes[key] = self.close_hits(close, echo, about)
                for rule, detail, excused in hits:
                    doubt = None
                    if excused and any(session.in_tls or gap.offset < close.acked for gap in peer.gaps):
                        doubt = "it may repeat a Close of the peer that was not captured"
                    fold(folded, self.one(rule, session, close.side, Fault(detail, close.place, doubt=doubt)))
            if folded:
                found += folded.values()

    def close_hits(self, close: CloseFrame, echo: bool, about: About) -> list[tuple[Rule, str, bool]]:
        """The rules that a Close breaks, with what they say, and whether an echo would be excused."""
        if len(self.closes) >= REMEMBERED:
            self.closes.clear()
        user_agent, subprotocol, host = about
        body = CloseBody(
            close.side, close.code, close.reason, close.length, close.lost, echo, is_browser(user_agent), subprotocol, host
        )
        hits = [(rule, detail) for rule in self.close_rules[close.side] if (detail := rule.body(body)) is not None]
        return [(rule, detail, rule.body(body._replace(echo=True)) is None) for rule, detail in hits]

    def judge_reactions(self, session: Session, plan: Plan, found: list[Finding]) -> None:
        """What one side did, given what is proven about the other."""
        proven = [each for each in found if each.rule in self.offences and each.verdict != UNVERIFIABLE]
        if not proven:
            if plan.reacts:
                self.ask_reactions(session, plan.reactions, NO_OFFENCES, found)
            return
        offences = of_side(proven, CLIENT), of_side(proven, SERVER)
        alien = any(each.rule == ALIEN for each in proven)  # a Close that was read into bytes of another protocol is none
        client, server = ((), ()) if alien else plan.reactions
        rules = (
            client + OFFENDED[CLIENT] if offences[CLIENT] else client,
            server + OFFENDED[SERVER] if offences[SERVER] else server,
        )
        self.ask_reactions(session, rules, offences, found)

    def ask_reactions(self, session: Session, rules: BySide, offences: Offences, found: list[Finding]) -> None:
        """Each rule about the reactions of a side, that of the client first."""
        client, server = session.parties
        for rule in rules[CLIENT]:
            answer = rule.body(session, client, server, offences)
            if answer:
                found += self.findings(rule, session, CLIENT, answer)
        for rule in rules[SERVER]:
            answer = rule.body(session, server, client, offences)
            if answer:
                found += self.findings(rule, session, SERVER, answer)

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


class Plan(NamedTuple):
    """The rules to ask on the same occasions: about each side, and, when the other findings are known, about its reactions, if
    there are any."""

    client: tuple[Rule, ...]
    server: tuple[Rule, ...]
    reactions: BySide
    reacts: bool


def make_plan(occasions: int) -> Plan:
    asked = by_side(rule for rule in rules_of("session") if BIT[rule.when] & occasions)
    reactions = by_side(rule for rule in rules_of("reaction") if BIT[rule.when] & occasions)
    return Plan(*asked, reactions, any(reactions))


def by_side(rules: Iterable[Rule]) -> BySide:
    """Those that the client can have broken, and those that the server can."""
    known = tuple(rules)
    return tuple(rule for rule in known if rule.at_fault != "server"), tuple(rule for rule in known if rule.at_fault != "client")


ALIEN = "FR-13"  # bytes of another protocol: all that the shape rules would say about them follows from that


def rules_of(kind: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in CATALOGUE.values() if rule.kind == kind)


OFFENDED = by_side(rule for rule in rules_of("reaction") if rule.when == "offended")
NO_OFFENCES: Offences = ((), ())


def is_chosen(rule: Rule, options: Options) -> bool:
    """`select` and `ignore` hold ids, beginnings of ids and names."""
    if options.select and not any(matches(rule, selector) for selector in options.select):
        return False
    return not any(matches(rule, selector) for selector in options.ignore)


def matches(rule: Rule, selector: str) -> bool:
    return rule.id.startswith(selector.upper()) or rule.name == selector


def no_shapes() -> bytearray:
    """For each shape: is it one of these? None is."""
    return bytearray(SHAPES)


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


def of_side(proven: Iterable[Finding], side: int) -> tuple[Finding, ...]:
    """What the frames of `side` are guilty of, in order."""
    return tuple(sorted((each for each in proven if each.side == side and each.at_fault == SIDES[side]), key=by_place))


def is_offence(rule: Rule) -> bool:
    """Whether breaking it is a reason for the peer to give up: when it must, and for any MUST about frames, compression and
    Closes. Nobody gives up for weak masking keys or a wrong Pong."""
    return rule.must_fail or (rule.level == MUST and (rule.kind in ("shape", "close") or rule.when == "deflate"))


def with_head(template: Finding, session: Session) -> Finding:
    """The same about the head of another connection."""
    place = default_place(session, template.side)
    return template._replace(key=session.first_packet, place=place, last_packet=place.packet)


def default_place(session: Session, side: int) -> Place:
    """Where a sentence about a side as a whole points: its head in the handshake, else the connection's first packet."""
    handshake = session.handshake
    if handshake is not None:
        head = handshake.request if side == CLIENT else handshake.response
        if head is not None:
            return Place(head.packet, head.time, head.offset)
    return Place(session.first_packet, session.started, 0)


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
    return extensions_in(handshake.extensions_offered_lines, handshake.extensions_lines)


@lru_cache(256)
def extensions_in(offered: tuple[str, ...], accepted: tuple[str, ...]) -> int:
    """The same, by the lines of request and answer."""
    if accepted:
        names = {part.partition(";")[0].strip().lower() for line in accepted for part in line.split(",")} - {""}
        if names == {PERMESSAGE_DEFLATE}:
            return frames.DEFLATE
        if names:
            return frames.COMPRESSING if names <= RSV1_EXTENSIONS else frames.FOREIGN
    if any(PERMESSAGE_DEFLATE in line.lower() for line in offered):
        return frames.OFFERED
    return frames.NONE

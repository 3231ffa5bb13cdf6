"""A ladder on a terminal: one line per event, what a rule said right below it, and how it ended and why behind the last.

80 columns, a pager's plain text: nothing is said by colour alone. The arrow leans to the side that its frame goes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wsaudit.report import story
from wsaudit.report.printable import fit, terminal
from wsaudit.report.printable import width as columns_of
from wsaudit.report.text import CLASS_STYLES, SEVERITY_STYLES, Page

Record = dict[str, Any]

FRAME_STYLES = {"close": "bold", "ping": "dim", "pong": "dim", "reserved": "red"}
EVENT_STYLES = {"rst": "red", "gap": "yellow", "retransmissions": "yellow", "icmp": "red", "tls-alert": "red", "folded": "dim"}
SIGNS = {"violation": "!", "non-strict": "!", "informational": "i", "unverifiable": "?"}
USUAL = {("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")}
IN_HEAD = {"user-agent", "server"}
PAYLOAD_LINES = 4
LONGEST = 4096
"""Characters of one payload looked at; PAYLOAD_LINES of them are shown."""
FACTS = 8
SILENCE = 1_000_000_000
"""ns without any event that are worth a line, if they are also at least a twentieth of what is shown."""


class Columns:
    """Where things stand, as narrow as these events allow."""

    def __init__(self, events: Sequence[Record], started: int) -> None:
        frames = [event for event in events if event["event"] == "frame"]
        self.started = started
        self.seconds = max([7, *(len(self.since(event)) for event in events)])
        self.packet = max([6, *(len(f"{event['packet'] or 0:,}") for event in events)])
        self.type = max([5, *(len(frame["type"]) for frame in frames)])
        self.length = max([5, *(len(f"{frame['length']:,}") for frame in frames)])
        self.flags = max([5, *(len(flags(frame)) for frame in frames)])
        self.text = self.seconds + self.packet + 12
        self.note = self.text + self.type + self.length + self.flags + 5

    def since(self, event: Record) -> str:
        """Seconds since the connection's first packet, with the digits that packet times have."""
        return f"{(story.nanoseconds(event['time']) - self.started) / 1e9:.6f}" if event["time"] else ""


def render_ladder(
    name: str,
    connection: Record,
    count: int,
    events: Sequence[Record],
    findings: Sequence[Record],
    width: int = 80,
    color: bool = False,
) -> str:
    """The ladder as text for a terminal of `width` columns (at least 60); ends with a newline.

    `name`: the capture, as it was named. `connection`, `findings`: of the report, redacted. `count`: connections in the report.
    """
    page = Page(max(width, 60), color)
    write_head(page, name, connection, count)
    if events:
        write_events(page, connection, events)
    else:
        page.write()
        page.paragraph(nothing_inside(connection), style="yellow")
    write_ending(page, connection, findings)
    return "\n".join(page.lines) + "\n"


def write_head(page: Page, name: str, connection: Record, count: int) -> None:
    """Who, when, over what."""
    ending = connection["termination"]
    page.write(page.paint(fit(terminal(name), page.width), "bold"))
    title = f"connection {connection['id']:,} of {count:,}: {ending['class']}"
    if ending["cause"] not in ("none", "unknown", "normal"):
        title += f", {story.cause_words(ending['cause'])}"
    page.write(page.paint(title, CLASS_STYLES.get(ending["class"], "")))
    page.write()
    handshake = connection["handshake"]
    for side, software in (("client", handshake["user_agent"]), ("server", handshake["server"])):
        words = f"{story.endpoint(connection[side])}   {terminal(software or '', 120)}"
        page.paragraph(words.rstrip(), 11, first=f"  {side}")
    started, ended = connection["started"] or "?", connection["ended"]
    span = f"{started[:10]} {story.clock(started, 6)} UTC, for {story.seconds(connection['duration'])}"
    packets = f"packets {connection['first_packet']:,} to {connection['last_packet']:,}" if ended else ""
    page.paragraph(", ".join(filter(None, (span, packets))), 11, first="  opened")
    tls = connection["tls"]
    if tls:
        opened = "decrypted" if tls["decrypted"] else f"not decrypted ({tls['why_not'] or 'no keys'})"
        known = (tls["version"], tls["cipher"], tls["sni"] and f"for {terminal(tls['sni'], 80)}", tls["alpn"], opened)
        page.paragraph(", ".join(filter(None, known)), 11, first="  over")


def nothing_inside(connection: Record) -> str:
    if connection["websocket"] == "probable":
        return "Nobody could look inside this connection, so there are no frames to show: it may have been a WebSocket."
    return "Nothing of this connection was captured that could be shown."


# -- the rungs -------------------------------------------------------------


def write_events(page: Page, connection: Record, events: Sequence[Record]) -> None:
    """The ladder itself."""
    started = story.nanoseconds(connection["started"]) if connection["started"] else 0
    columns = Columns(events, started)
    head = f"{'seconds':>{columns.seconds}}  {'packet':>{columns.packet}}".ljust(columns.text)
    head += f"{'frame':<{columns.type}} {'bytes':>{columns.length}}  {'flags':<{columns.flags}}  message"
    page.heading((head, 0))
    source = events[0]["input"]
    times = [story.nanoseconds(event["time"]) for event in events if event["time"]]
    silence = max(SILENCE, (max(times) - min(times)) // 20)
    before = times[0]
    for event in events:
        at = story.nanoseconds(event["time"]) if event["time"] else before
        if at - before >= silence:
            page.write(" " * columns.text + page.paint(f"({story.seconds((at - before) / 1e9)} of silence)", "yellow"))
        before = at + round(event["duration"] * 1e9) if "duration" in event else at
        if event["input"] not in (source, None):
            source = event["input"]
            page.paragraph(f"(from here on in capture {source + 1}, whose packets count anew)", columns.text, "dim")
        write_event(page, columns, event)
        for finding in event["findings"]:
            write_finding(page, columns.text, finding)


def write_event(page: Page, columns: Columns, event: Record) -> None:
    packet = f"{event['packet']:,}" if event["packet"] else ""
    lead = f"{columns.since(event):>{columns.seconds}}  {packet:>{columns.packet}}  {arrow(page, event)}  "
    if event["event"] == "frame":
        write_frame(page, columns, lead, event)
    elif event["event"] == "folded":
        page.paragraph(folded_words(event), columns.text, "dim", first=" " * (columns.text - 4) + "...")
        return
    elif event["event"] == "finding":
        return
    else:
        page.paragraph(words(event), columns.text, EVENT_STYLES.get(event["event"], ""), first=lead)
        for name, value in event.get("fields", ()):
            if name not in IN_HEAD and (name, value.lower()) not in USUAL:
                page.paragraph(f"{name.removeprefix('sec-websocket-')}: {terminal(value, 300)}", columns.text + 2, "dim")


def arrow(page: Page, event: Record) -> str:
    """Client and server stand left and right."""
    line = "─" if page.color else "-"
    if event["event"] == "folded" or event["side"] is None:
        return " " * 6
    if event["event"] == "gap":
        return "  ??  "
    return page.paint(f"{line * 2}> {' ' * 2}", "cyan") if event["side"] == "client" else page.paint(f"  <{line * 2} ", "green")


def write_frame(page: Page, columns: Columns, lead: str, frame: Record) -> None:
    """One frame: type, size, flags, message number, and what a control frame says."""
    style = FRAME_STYLES.get(frame["type"], "")
    line = f"{page.paint(frame['type'].ljust(columns.type), style)} {frame['length']:>{columns.length},}"
    line += f"  {flags(frame):<{columns.flags}}  "
    notes = frame_notes(frame)
    if columns_of(notes) <= page.width - columns.note:
        page.write(lead + line + page.paint(notes, style))
    else:
        page.write(lead + line)
        page.paragraph(notes, columns.text + 2, style)
    payload = frame.get("payload")
    if payload:
        room = page.width - columns.text - 2
        text = terminal(payload, LONGEST)
        for start in range(0, len(text), room):
            if start == room * PAYLOAD_LINES:
                page.write(" " * (columns.text + 2) + page.paint("...", "dim"))
                break
            page.write(" " * columns.text + page.paint("| ", "dim") + text[start : start + room])


def flags(frame: Record) -> str:
    return " ".join((["FIN"] if frame["fin"] else []) + frame["rsv"] + (["mask"] if frame["masked"] else []))


def frame_notes(frame: Record) -> str:
    """What there is to say of a frame beside its header."""
    notes = []
    if frame["message"]:
        notes.append(f"#{frame['message']:,}" + (f".{frame['fragment']:,}" if frame["fragment"] else ""))
    if frame["type"] == "close":
        code = f"{frame['code']} {frame['name']}" if frame["code"] is not None else frame["name"] or "its body is lost"
        notes.append(code + (f' "{terminal(frame["reason"])}"' if frame["reason"] else ""))
    if not frame["complete"]:
        notes.append("incomplete")
    elif frame["last_packet"] != frame["packet"]:
        notes.append(f"to packet {frame['last_packet']:,}")
    return "  ".join(notes)


def folded_words(event: Record) -> str:
    """A folded run: "4,212 frames in 3 min 12 s: client 12 pong; server 4,188 text (1,204,000 bytes), 12 ping"."""
    sides = []
    for side in ("client", "server"):
        kinds = [
            f"{count:,} {kind}" + (f" ({event['bytes'][side][kind]:,} bytes)" if kind in ("text", "binary") else "")
            for kind, count in event["counts"][side].items()
        ]
        if kinds:
            sides.append(f"{side} {', '.join(kinds)}")
    return f"{story.many(event['frames'], 'frame')} in {story.seconds(event['duration'])}: {'; '.join(sides)}"


def words(event: Record) -> str:
    """An event that is no frame, in words."""
    kind, side = event["event"], event["side"]
    if kind == "request":
        return f"{terminal(event['method'])} {terminal(event['target'], 400)}"
    if kind == "response":
        return f"{event['status']} {terminal(event['reason'])}".rstrip()
    if kind == "gap":
        size = "bytes" if event["length"] is None else story.many(event["length"], "byte")
        return f"{size} of the {side} missing: {event['reason']}"
    if kind == "retransmissions":
        outcome = "answered at last" if event["answered"] else "never acknowledged"
        times = story.many(event["count"], "time")
        return f"its last bytes retransmitted {times} over {story.seconds(event['duration'])}, {outcome}"
    if kind == "keepalives-unanswered":
        return f"{story.many(event['count'], 'TCP keep-alive probe')} without an answer"
    if kind == "rst":
        return "RST" + (f" ({event['count']} of them)" if event["count"] > 1 else "")
    if kind == "tls-alert":
        return f"TLS alert: {event['name'].replace('_', ' ')}" + (" (fatal)" if event["fatal"] else "")
    if kind == "icmp":
        return f"ICMP: {terminal(event['text'])}"
    return {"syn": "SYN", "syn-ack": "SYN, ACK", "fin": "FIN", "capture-end": "(the capture ends)"}[kind]


def write_finding(page: Page, indent: int, finding: Record) -> None:
    """What a rule said, below the line it is about."""
    by = "" if finding["verdict"] == "informational" else f" ({finding['severity']}, {finding['at_fault']})"
    times = f", {finding['count']:,} times" if finding["count"] > 1 and f"{finding['count']:,}" not in finding["detail"] else ""
    text = f"{finding['rule']} {finding['name']}{by}: {terminal(finding['detail'], 300)}{times}"
    style = SEVERITY_STYLES.get(finding["severity"], "") if finding["verdict"] in ("violation", "non-strict") else "dim"
    page.paragraph(text, indent + 2, style, first=" " * indent + SIGNS[finding["verdict"]])


# -- the end -------------------------------------------------------------


def write_ending(page: Page, connection: Record, findings: Sequence[Record]) -> None:
    """How it ended, what each endpoint's API reported, why, and how to be sure."""
    ending = connection["termination"]
    page.heading(("Ending", 0))
    page.paragraph(story_of(ending), 11, CLASS_STYLES.get(ending["class"], ""), first="  wire")
    for side in ("client", "server"):
        page.paragraph(told_words(connection["reported"][side], ending), 11, first=f"  {side}")
    cause = story.probability_words(ending)
    if cause and (ending["cause"] != "none" or ending["alternatives"]):
        page.paragraph(cause, 11, "bold", first="  cause")
    for fact in ending["evidence"][:FACTS]:
        page.paragraph(terminal(fact, 300), 13, first=" " * 11 + "-")
    if ending["confirm"]:
        page.paragraph(terminal(ending["confirm"], 400), 11, "cyan", first="  be sure")
    evidence = connection["evidence"]
    if not evidence["complete"] and connection["websocket"] == "confirmed":
        page.paragraph("part of this connection was not captured: what rests on that is uncertain", 11, "yellow", "  gaps")
    rules = list(dict.fromkeys(finding["rule"] for finding in findings if finding["verdict"] in ("violation", "non-strict")))
    page.heading(("Next", 0))
    page.write(f"  {display_filter(connection)}")
    page.write(page.paint("    this connection in Wireshark", "dim"))
    for rule in rules[:3]:
        page.write(f"  wsaudit rules {rule}")


def story_of(ending: Record) -> str:
    """Class and transport in words: "dropped: FIN by the server, no Close before it"."""
    how = {
        "fin": "FIN",
        "rst": "RST",
        "silent": "silence",
        "capture-end": "the end of the capture",
        "tls-alert": "a TLS alert",
        "stream-reset": "a stream reset",
        "goaway": "GOAWAY",
    }.get(ending["how"] or "", "")
    by = {"client": " by the client", "server": " by the server", "both": " by both sides"}.get(ending["by"] or "", "")
    first = " first" if by and ending["by"] != "both" else ""
    return str(ending["class"]) + (f", {how}{by}{first}" if how else "")


def told_words(reported: Record, ending: Record) -> str:
    """What one endpoint's API reported."""
    if reported["code"] is None:
        if ending["class"] == "ongoing":
            return "still open"
        if reported.get("deviation"):
            return terminal(reported["deviation"], 200)
        return "its API reports nothing" if reported["certain"] else "what its API reported cannot be told"
    clean = {True: ", clean", False: ", not clean", None: ""}[reported["was_clean"]]
    sure = "" if reported["certain"] else " (probably)"
    text = f"its API reports {reported['code']} {story.code_words(str(reported['code']))}{clean}{sure}"
    return text + (f"; {terminal(reported['deviation'], 200)}" if reported.get("deviation") else "")


def display_filter(connection: Record) -> str:
    """A Wireshark display filter for this connection's packets."""
    client, server = connection["client"], connection["server"]
    kind = "ipv6" if ":" in client["address"] else "ip"
    addresses = dict.fromkeys(f"{kind}.addr == {end['address']}" for end in (client, server))
    return " && ".join((*addresses, f"tcp.port == {client['port']}", f"tcp.port == {server['port']}"))

"""The report on a terminal: verdict first, then the story, the distribution, the faults, and what to do next.

Plain text of 80 columns that loses nothing without colour. It reads the summary, the incidents, the findings and a handful of
connections, never all of
them: the first screen of 50,000 connections takes as long as that of five.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wsaudit.report import story
from wsaudit.report.printable import fit, terminal
from wsaudit.report.printable import width as columns_of
from wsaudit.report.redact import ReportLike

Record = dict[str, Any]

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "alarm": "1;31",
    "calm": "1;32",
}
CLASS_STYLES = {
    "closed": "green",
    "close-unanswered": "yellow",
    "dropped": "red",
    "refused": "yellow",
    "failed": "red",
    "ongoing": "blue",
}
SEVERITY_STYLES = {"error": "red", "warning": "yellow", "info": "blue"}
GROUPS = 6
"""Rows a section shows before it says "and N more"."""


def render_text(report: ReportLike, width: int = 80, color: bool = False) -> str:
    """The report as text for a terminal of `width` columns (at least 60), with ANSI colour when `color`; ends with a newline."""
    page = Page(max(width, 60), color)
    write_header(page, report)
    write_verdict(page, report)
    causes = story.abnormal_groups(report, examples=True) if (report.summary.get("abnormal") or {}).get("count") else []
    if report.summary["connections"]:
        write_incidents(page, report)
        write_endings(page, report.summary)
        write_codes(page, report.summary["close_codes"])
        write_causes(page, causes)
        write_violations(page, report)
    write_probable(page, report)
    write_notices(page, report)
    write_next(page, report, causes)
    return "\n".join(page.lines) + "\n"


class Page:
    """Lines being written. Text is measured before it is painted, so colour never moves a column."""

    def __init__(self, width: int, color: bool) -> None:
        self.width = width
        self.color = color
        self.lines: list[str] = []

    def paint(self, text: str, style: str = "") -> str:
        """`text` in `style`, or as it is when the page has no colour."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color and style and text.strip() else text

    def bar(self, count: int, most: int, size: int, style: str) -> str:
        """A bar of `size` columns: at least one mark for anything above zero."""
        length = max(round(size * count / most), 1) if count and most else 0
        return self.paint(("█" if self.color else "#") * length, style) + " " * (size - length)

    def heading(self, *cells: tuple[str, int]) -> None:
        """A blank line and a section's title; further cells are column titles, each right-aligned to end at its column."""
        title = ""
        for text, end in cells:
            title += text if not title else text.rjust(end - len(title))
        self.lines += ["", self.paint(title.rstrip(), "bold")]

    def write(self, line: str = "") -> None:
        """One finished line."""
        self.lines.append(line.rstrip())

    def paragraph(self, text: str, indent: int = 0, style: str = "", first: str = "") -> None:
        """`text` wrapped at the page's width; `first` stands in the indent of the first line."""
        for number, line in enumerate(wrap(text, self.width - indent)):
            lead = first.ljust(indent) if not number else " " * indent
            self.lines.append((lead + self.paint(line, style)).rstrip())


def wrap(text: str, columns: int) -> Iterator[str]:
    """`text` in lines of at most `columns` terminal columns, broken at spaces, within a word only when it does not fit a line."""
    line = ""
    for word in text.split(" "):
        while columns_of(word) > columns:
            if line:
                yield line
                line = ""
            part = fit(word, columns + 1)[:-1] or word[0]
            yield part
            word = word[len(part) :]
        if line and columns_of(line) + 1 + columns_of(word) > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def write_header(page: Page, report: ReportLike) -> None:
    """Which captures, how much, from when to when."""
    packets = story.many(sum(entry.get("packets") or 0 for entry in report.inputs), "packet")
    times = [entry[key] for entry in report.inputs for key in ("first_time", "last_time") if entry.get(key)]
    span = f"{min(times)[:10]} {story.clock(min(times), 0)} to {story.clock(max(times), 0)} UTC" if times else "no packet time"
    name = terminal(str(report.inputs[0]["path"])) if len(report.inputs) == 1 else story.many(len(report.inputs), "capture")
    found = story.many(report.summary["connections"], "WebSocket connection")
    line = "   ".join((name, packets, span, found))
    if columns_of(line) <= page.width:
        page.write(page.paint(name, "bold") + line[len(name) :])
    else:
        page.write(page.paint(fit(name, page.width), "bold"))
        page.write("   ".join((packets, span, found)))
    encrypted = story.tls_words(report)
    if encrypted:
        page.paragraph(encrypted)


def write_verdict(page: Page, report: ReportLike) -> None:
    """The verdict in words; for a capture without WebSockets, what was there instead."""
    abnormal = (report.summary.get("abnormal") or {}).get("count")
    page.write()
    if not report.summary["connections"]:
        page.paragraph(story.verdict(report)[0], style="bold")
        for fact in story.seen_instead(report):
            page.paragraph(fact, 2)
        return
    sentences = story.verdict(report)
    text = " ".join(sentences)
    page.paragraph(text, style="alarm" if abnormal else "calm")


def write_incidents(page: Page, report: ReportLike) -> None:
    """What happened to many connections at once."""
    if not report.incidents:
        return
    page.heading(("Incidents", 0))
    for incident in report.incidents[:GROUPS]:
        line = "; ".join(filter(None, (terminal(story.incident_words(incident)), story.probability_words(incident))))
        page.paragraph(line, 17, "red", first=f"  {story.clock(incident.get('from'))}")
        page.paragraph(terminal(incident.get("detail") or "", 400), 17)
        if incident.get("confirm"):
            page.paragraph("to be sure: " + terminal(incident["confirm"], 400), 17, "cyan")
    write_more(page, len(report.incidents) - GROUPS, "incident")


def write_endings(page: Page, summary: Record) -> None:
    """How connections ended on the wire, beside what each endpoint's API was told."""
    page.heading(("Endings", 0), ("clients were told", 59), ("servers were told", 79))
    endings = [(name, summary["terminations"][name]) for name in story.CLASSES if summary["terminations"].get(name)]
    told = [
        sorted(summary["reported_codes"].get(side, {}).items(), key=lambda item: -item[1])[: GROUPS + 1]
        for side in ("client", "server")
    ]
    most = max((count for _, count in endings), default=0)
    for row in range(max(len(endings), *map(len, told))):
        line = "  " + " " * 38
        if row < len(endings):
            name, count = endings[row]
            line = f"  {name:<17}{count:>7,}  " + page.bar(count, most, 12, CLASS_STYLES.get(name, "dim"))
        cells = []
        for codes in told:
            code, count = codes[row] if row < len(codes) else ("", 0)
            cells.append(page.paint(f"{code:>11}", code_style(code)) + (f"{count:>8,}" if code else " " * 8))
        page.write(line + " ".join(cells))


def code_style(code: str) -> str:
    """The colour of a reported close code: green for the two polite ones, red for 1006."""
    return {"1000": "green", "1001": "green", "1006": "red", "unknown": "dim"}.get(code, "yellow" if code else "")


def write_codes(page: Page, codes: Record) -> None:
    """Close codes on the wire by sender, with bars."""
    sides = [codes.get("client", {}), codes.get("server", {})]
    names = sorted(set(sides[0]) | set(sides[1]), key=story.code_order)
    if not names:
        return
    page.heading(("Close codes on the wire", 0), ("by client", 46), ("by server", 66))
    most = max(max(side.values(), default=0) for side in sides)
    shown = names if len(names) <= 12 else sorted(names, key=lambda n: -(sides[0].get(n, 0) + sides[1].get(n, 0)))[:12]
    for name in [name for name in names if name in shown]:
        label = story.code_words(name) if name in {"none", "empty", "unknown"} else f"{name} {story.code_words(name)}"
        line = f"  {fit(label, 35):<35}"
        for side in sides:
            line += f"{side.get(name, 0):>9,} " + page.bar(
                side.get(name, 0), most, 10, "dim" if name == "none" else code_style(name)
            )
        page.write(line)
    write_more(page, len(names) - len(shown), "code")


def write_causes(page: Page, groups: list[story.CauseGroup]) -> None:
    """Abnormal ends by cause, each with one worked example: the facts, their packets, and how to be sure."""
    if not groups:
        return
    page.heading(("Abnormal ends by cause", 0), ("connections", 46), ("confidence", 66))
    most = max(group.count for group in groups)
    for group in groups[:GROUPS]:
        ending = (group.example or {}).get("termination") or {}
        confidence = f"{ending['confidence']:.2f}" if ending.get("confidence") else ""
        line = f"  {page.paint(f'{group.words:<33}', 'bold')}{group.count:>11,} {page.bar(group.count, most, 12, 'red')}"
        page.write(line + f"{confidence:>7}")
        if group.example:
            write_example(page, group.example)
    write_more(page, len(groups) - GROUPS, "cause")


def write_example(page: Page, connection: Record) -> None:
    """One connection's ending in a few lines."""
    handshake = connection.get("handshake") or {}
    target = terminal(handshake.get("target") or "", 60)
    where = f"{story.endpoint(connection['client'])} to {story.endpoint(connection['server'])} {target}"
    page.paragraph(
        f"{where.rstrip()}, {story.seconds(connection.get('duration'))}", 11, "dim", first=f"    -c {connection['id']}"[:11]
    )
    ending = connection["termination"]
    for fact in (ending.get("evidence") or [])[:4]:
        page.paragraph(terminal(fact, 240), 13, first="           -")
    others = "; ".join(
        f"{story.cause_words(other['cause'])}, {other['confidence']:.2f}" for other in ending.get("alternatives") or []
    )
    if others:
        page.paragraph(f"or {others}", 11, "dim")
    if ending.get("confirm"):
        page.paragraph("to be sure: " + terminal(ending["confirm"], 240), 11, "cyan")


def write_violations(page: Page, report: ReportLike) -> None:
    """Which rules were broken, in how many connections, and who is at fault."""
    groups = story.rule_groups(report)
    verdicts = report.summary.get("verdicts") or {}
    if groups:
        page.heading(("Violations", 0), ("connections", 55), ("  at fault".ljust(15), 72))
        for group in groups[:GROUPS]:
            severity = page.paint(f"{group.severity:<8}", SEVERITY_STYLES.get(group.severity, ""))
            page.write(
                f"  {fit(f'{group.rule} {group.name}', 34):<35}{severity}{len(group.connections):>10,}  {group.at_fault:<13}"
            )
            where = ", ".join(filter(None, (story.packet_words(group.first), offender(report, group.first))))
            page.paragraph(terminal(group.first.get("detail") or "", 200) + (f" ({where})" if where else ""), 8, "dim")
        write_more(page, len(groups) - GROUPS, "rule")
    also = [f"{verdicts[name]:,} {name}" for name in ("informational", "unverifiable") if verdicts.get(name)]
    if also:
        total = sum(verdicts.get(name, 0) for name in ("informational", "unverifiable"))
        if not groups:
            page.heading(("Violations", 0))
            page.write("  none")
        page.paragraph(
            f"also {' and '.join(also)} {'finding' if total == 1 else 'findings'}: -f html or -f json lists them", 2, "dim"
        )


def offender(report: ReportLike, finding: Record) -> str:
    """ ", okhttp/4.9.3": which software the finding's first connection had on the client's side, when the client is at fault."""
    number = finding.get("connection")
    if finding["at_fault"] != "client" or not number or number > report.connection_count():
        return ""
    agent = (report.connection(number - 1).get("handshake") or {}).get("user_agent")
    return terminal(story.short_agent(agent), 40) if agent else ""


def write_probable(page: Page, report: ReportLike) -> None:
    """Connections that could not be looked into."""
    probable = report.summary.get("probable")
    if probable:
        page.write()
        page.paragraph(story.probable_words(probable), style="yellow")


def write_notices(page: Page, report: ReportLike) -> None:
    """What the reader of a capture has to know before trusting a figure."""
    notices = story.notice_texts(report)
    if notices:
        page.heading(("Notices", 0))
        for text in notices[:GROUPS]:
            page.paragraph(terminal(text, 300), 2)
        write_more(page, len(notices) - GROUPS, "notice")


def write_next(page: Page, report: ReportLike, causes: list[story.CauseGroup]) -> None:
    """Commands that answer the next question."""
    path = story.captures_words(report)
    steps = []
    worst = next((number for incident in report.incidents for number in incident.get("connections") or []), None)
    if worst:
        steps.append((f"wsaudit show {path} -c {worst}", "first of the incident"))
    elif example := next((group.example for group in causes if group.example), None):
        steps.append((f"wsaudit show {path} -c {example['id']}", "an abnormal end, frame by frame"))
    broken = story.rule_groups(report)
    if broken:
        steps.append((f"wsaudit rules {broken[0].rule}", "what this rule means"))
    if (report.summary.get("seen") or {}).get("tls_without_keys"):
        steps.append((f"wsaudit audit {path} --keylog KEYS", "look inside TLS"))
    if report.summary["connections"]:
        steps.append((f"wsaudit audit {path} -f html -o report.html", "in a browser"))
    if not steps:
        return
    page.write()
    room = max((columns_of(command) for command, why in steps if 10 + columns_of(command) + len(why) <= page.width), default=0)
    for number, (command, why) in enumerate(steps):
        lead = page.paint("Next", "bold") + "   " if not number else " " * 7
        if columns_of(command) <= room and 10 + room + len(why) <= page.width:
            page.write(f"{lead}{command}{' ' * (room - columns_of(command))}   {page.paint(why, 'dim')}")
        else:
            page.write(f"{lead}{command}")
            page.write(f"{' ' * 9}{page.paint(why, 'dim')}")


def write_more(page: Page, hidden: int, noun: str) -> None:
    """A line that says how much a section left out."""
    if hidden > 0:
        page.write(page.paint(f"  and {story.many(hidden, 'more ' + noun)}", "dim"))

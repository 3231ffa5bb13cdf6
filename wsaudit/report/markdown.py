"""The report as Markdown, to paste into an issue or a chat: the verdict, then what supports it, without HTML and within an
issue's 65,536 characters.

Every text from traffic stands in a code span, where it can neither format nor link nor mention anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wsaudit.report import story
from wsaudit.report.printable import markdown as code
from wsaudit.report.redact import ReportLike

Record = dict[str, Any]

ROWS = 20
"""Rows of one table, and items of one list."""


def render_markdown(report: ReportLike) -> str:
    """The report as Markdown; ends with a newline."""
    sections = [
        header(report),
        incidents(report.incidents),
        endings(report.summary),
        codes(report.summary),
        causes(report),
        rules(report),
        [story.probable_words(report.summary["probable"])] if report.summary.get("probable") else [],
        notices(report),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def header(report: ReportLike) -> list[str]:
    """The verdict, and what was read."""
    packets = sum(entry.get("packets") or 0 for entry in report.inputs)
    times = [entry[key] for entry in report.inputs for key in ("first_time", "last_time") if entry.get(key)]
    span = f", {min(times)[:10]} {story.clock(min(times), 0)} to {story.clock(max(times), 0)} UTC" if times else ""
    names = ", ".join(code(str(entry["path"])) for entry in report.inputs[:3]) + (", ..." if len(report.inputs) > 3 else "")
    found = story.many(report.summary["connections"], "WebSocket connection")
    first, *others = story.verdict(report)
    lines = [f"**{first}**", *[" ".join(others)] * bool(others), "", f"{names}: {story.many(packets, 'packet')}{span}, {found}"]
    return lines if report.summary["connections"] else [*lines, "", *(f"- {fact}" for fact in story.seen_instead(report))]


def incidents(found: list[Record]) -> list[str]:
    """What happened to many connections at once."""
    lines = ["### Incidents", ""] if found else []
    for incident in found[:ROWS]:
        lines.append(f"- {story.clock(incident.get('from'))} UTC: {code(story.incident_words(incident))}")
        if incident.get("cause"):
            lines.append(f"  - **{story.probability_words(incident)}**")
        if incident.get("detail"):
            lines.append(f"  - {code(incident['detail'], 300)}")
        if incident.get("confirm"):
            lines.append(f"  - to be sure: {code(incident['confirm'], 300)}")
    return lines + more(len(found))


def endings(summary: Record) -> list[str]:
    """How connections ended."""
    found = [
        (name, words, summary["terminations"][name]) for name, words in story.CLASSES.items() if summary["terminations"].get(name)
    ]
    return table("Endings", ("class", "connections", "meaning"), ((name, f"{count:,}", words) for name, words, count in found))


def codes(summary: Record) -> list[str]:
    """Close codes on the wire and as the APIs reported them."""
    columns = [summary.get(name, {}).get(side, {}) for name in ("close_codes", "reported_codes") for side in ("client", "server")]
    names = sorted({name for column in columns for name in column}, key=story.code_order)
    rows = (
        (
            story.code_words(name) if not name.isdecimal() else f"{name} {story.code_words(name)}",
            *(f"{column[name]:,}" if column.get(name) else "" for column in columns),
        )
        for name in names
    )
    return table("Close codes", ("code", "sent by client", "sent by server", "client was told", "server was told"), rows)


def causes(report: ReportLike) -> list[str]:
    """Abnormal ends by cause, each with one worked example."""
    groups = story.abnormal_groups(report, examples=True) if (report.summary.get("abnormal") or {}).get("count") else []
    lines = ["### Abnormal ends by cause", ""] if groups else []
    for group in groups[:ROWS]:
        lines.append(f"- **{group.words}**: {story.many(group.count, 'connection')}")
        if group.example:
            ending = group.example["termination"]
            ends = f"{story.endpoint(group.example['client'])} to {story.endpoint(group.example['server'])}"
            sure = f", confidence {ending['confidence']:.2f}" if ending.get("confidence") else ""
            lines.append(f"  - e.g. connection {group.example['id']}, {ends}{sure}")
            lines += [f"  - {code(fact, 300)}" for fact in (ending.get("evidence") or [])[:4]]
            if ending.get("confirm"):
                lines.append(f"  - to be sure: {code(ending['confirm'], 300)}")
    return lines + more(len(groups))


def rules(report: ReportLike) -> list[str]:
    """Which rules were broken, and by whom."""
    rows = (
        (
            f"{group.rule} {group.name}",
            group.severity,
            f"{len(group.connections):,}",
            group.at_fault,
            ": ".join(filter(None, (story.packet_words(group.first), code(group.first.get("detail") or "", table=True)))),
        )
        for group in story.rule_groups(report)
    )
    return table("Broken rules", ("rule", "severity", "connections", "at fault", "first seen"), rows)


def notices(report: ReportLike) -> list[str]:
    """What to know before trusting a figure."""
    found = story.notice_texts(report)
    return [*(["### Notices", ""] if found else []), *(f"- {code(text, 300)}" for text in found[:ROWS]), *more(len(found))]


def table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A section with a table; nothing when there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return []
    return [f"### {title}", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines[:ROWS], *more(len(lines))]


def more(count: int) -> list[str]:
    """A line that says how much a section left out."""
    return ["", f"and {count - ROWS:,} more"] if count > ROWS else []

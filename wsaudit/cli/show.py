"""`wsaudit show CAPTURE -c N`: one connection, frame by frame."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from wsaudit.cli.options import make_options, reading_options

if TYPE_CHECKING:
    from wsaudit.engine import Audit
    from wsaudit.options import Options
    from wsaudit.report.ladder import Ladder
    from wsaudit.report.records import Records
    from wsaudit.report.redact import RedactedReport, Redactor

LINES = 100
"""Frames shown of a long connection: its story in a few screens."""
AROUND = 40
PREVIEW = 512
"""Bytes kept of each payload: as many as the lines shown of one can hold."""
SCHEMA = "wsaudit.show/1"


@click.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@click.option("-c", "--connection", "number", type=click.IntRange(1), metavar="N", help="Which one, as audit numbers them.")
@click.option("--payload", is_flag=True, help="Show what messages say; implies --show-payload.")
@click.option("--around", type=click.IntRange(1), metavar="PACKET", help=f"The {AROUND} frames around this packet.")
@click.option("--lines", type=click.IntRange(1), metavar="N", help=f"Show so many frames and fold the others. [default: {LINES}]")
@click.option("-f", "--format", "format_", type=click.Choice(("text", "json")), default="text", show_default=True)
@click.option("--pseudonymize", is_flag=True, help="Replace addresses by others, consistently.")
@reading_options
def show(
    captures: tuple[str, ...],
    number: int | None,
    payload: bool,
    around: int | None,
    lines: int | None,
    format_: str,
    pseudonymize: bool,
    **given: Any,
) -> None:
    """Show one connection as a ladder: TCP, handshake, every frame of both sides, findings where they belong, and the end.

    Of a long connection, runs of frames are folded. -f json has every frame, unless --lines or --around choose some.
    """
    from wsaudit.errors import InputError, UsageError
    from wsaudit.report.redact import RedactedReport, Redactor

    given["show_payload"] = given["show_payload"] or payload
    options = make_options(given)._replace(payload=payload)
    try:
        named = rereadable(captures)
        records = read(named, options, given["quiet"])
        number = pick(records, number, around)
        kept = read_again(named, options, records.rows[number - 1].first_packet, given["quiet"])
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except InputError as error:
        click.echo(f"wsaudit: {error}", err=True)
        sys.exit(3)
    redactor = Redactor(given["show_payload"], pseudonymize)
    view = RedactedReport(records, redactor)
    findings = [finding for finding in view.findings if finding["connection"] == number]
    ladder = ladder_of(kept, findings, redactor)
    shown = frames_shown(ladder, around, lines, everything=format_ == "json")
    if format_ == "json":
        write_json(view, number, findings, ladder, shown)
    else:
        name = captures[0] if len(captures) == 1 else f"{len(captures)} captures"
        write_text(name, view, number, findings, ladder, shown, given["no_color"])
    sys.exit(3 if records.unread else 0)


# -- reading: once to number the connections, once more to keep the frames of one -----------------


def rereadable(captures: Sequence[str]) -> list[Any]:
    """The captures as what can be read twice: standard input goes to memory."""
    return [sys.stdin.buffer.read() if name == "-" else name for name in captures]


def read(named: Sequence[Any], options: Options, quiet: bool) -> Records:
    """The first pass. Raises InputError when nothing could be read."""
    from wsaudit.errors import InputError
    from wsaudit.report.records import Records

    records = Records(run(named, options, quiet), options)
    for entry in records.unread:
        click.echo(f"wsaudit: {entry.path}: {entry.error}", err=True)
    if len(records.unread) == len(records.inputs):
        raise InputError(records.unread[0].path, records.unread[0].error or "cannot be read")
    return records


def read_again(named: Sequence[Any], options: Options, first_packet: int, quiet: bool) -> Audit:
    """The second pass: it keeps the history and the frames of the connection that begins with `first_packet`."""
    limits = options.limits._replace(preview=min(options.limits.preview, PREVIEW))
    return run(named, options._replace(keep=first_packet, jobs=1, limits=limits), quiet)


def run(named: Sequence[Any], options: Options, quiet: bool) -> Audit:
    from wsaudit import engine
    from wsaudit.cli.progress import progress

    with progress(named, quiet) as shown:
        return engine.run(named, options, shown)


def pick(records: Records, number: int | None, around: int | None) -> int:
    """The connection meant by -c, or the only one. Raises UsageError with what there is."""
    from wsaudit.errors import UsageError
    from wsaudit.model import packet_number

    count = records.connection_count()
    if not count:
        raise UsageError("no WebSocket connection was found; wsaudit audit says what there was instead")
    if number is None:
        if count > 1:
            raise UsageError(f"which of the {count:,} connections? Name one with -c; wsaudit audit says which are worth a look")
        number = 1
    if number > count:
        there = "there is one connection" if count == 1 else f"there are {count:,} connections"
        raise UsageError(f"-c {number}: {there}")
    row = records.rows[number - 1]
    end = row.detail.last_packet
    first, last = packet_number(row.first_packet), packet_number(end)
    if around is not None and row.first_packet >> 40 == end >> 40 and not first <= around <= last:
        raise UsageError(f"--around {around}: connection {number} goes from packet {first} to {last}")
    return number


# -- writing -------------------------------------------------------------


def ladder_of(kept: Audit, findings: list[dict[str, Any]], redactor: Redactor) -> Ladder | None:
    """The ladder; None when nobody could look inside the connection."""
    from wsaudit.report.ladder import Ladder

    if kept.kept is None:
        return None
    return Ladder(kept.kept, kept.frames[0] if kept.frames else None, findings, redactor)


def frames_shown(ladder: Ladder | None, around: int | None, lines: int | None, everything: bool) -> set[int] | None:
    """Which frames are not folded; None: none is. `everything`: unless --around or --lines choose."""
    if ladder is None:
        return None
    if around is not None:
        return ladder.around(around, lines or AROUND)
    if everything and lines is None:
        return None
    return ladder.chosen(lines or LINES)


def write_text(
    name: str,
    view: RedactedReport,
    number: int,
    findings: list[dict[str, Any]],
    ladder: Ladder | None,
    shown: set[int] | None,
    no_color: bool,
) -> None:
    import shutil

    from wsaudit.report.ladder_text import render_ladder

    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size().columns, 120) if terminal else 80
    events = [] if ladder is None else list(ladder.events(shown))
    color = terminal and not no_color
    text = render_ladder(name, view.connection(number - 1), view.connection_count(), events, findings, width, color)
    click.echo(text, nl=False)


def write_json(
    view: RedactedReport, number: int, findings: list[dict[str, Any]], ladder: Ladder | None, shown: set[int] | None
) -> None:
    """One event per line, written as it is made: a connection of a million frames is no problem."""
    import json

    from wsaudit import __version__

    head = {
        "schema": SCHEMA,
        "tool": {"name": "wsaudit", "version": __version__},
        "inputs": [entry["path"] for entry in view.inputs],
        "connection": view.connection(number - 1),
        "findings": findings,
    }
    sys.stdout.write(json.dumps(head, indent=2)[:-2] + ',\n  "events": [')
    separator = "\n    "
    for event in ladder.events(shown) if ladder is not None else ():
        sys.stdout.write(separator + json.dumps(event))
        separator = ",\n    "
    sys.stdout.write("\n  ]\n}\n")

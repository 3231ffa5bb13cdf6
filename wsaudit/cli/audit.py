"""`wsaudit audit`: read captures, write a report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from wsaudit.cli.options import FAIL_ON, make_options, reading_options

if TYPE_CHECKING:
    from wsaudit.report.records import Records
    from wsaudit.report.redact import ReportLike

FORMATS = ("text", "json", "html", "markdown", "csv", "parquet", "sarif", "junit")
FOLDERS = ("csv", "parquet")  # several tables: -o names a folder


@click.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")
@reading_options
@click.option(
    "-f", "--format", "format_", type=click.Choice(FORMATS), default="text", show_default=True, help="What the report looks like."
)
@click.option(
    "-o", "--output", default="-", metavar="PATH", help="Where it goes; - is standard output. csv and parquet need a folder."
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="never",
    show_default=True,
    help="Exit 1 if a finding is at least this severe.",
)
@click.option("--pseudonymize", is_flag=True, help="Replace addresses by others, consistently.")
def audit(captures: tuple[str, ...], format_: str, output: str, fail_on: str, pseudonymize: bool, **given: Any) -> None:
    """Audit captures and report what happened to each WebSocket connection in them.

    CAPTURE is a pcap or pcapng file, compressed or not, a folder of them, or - for standard input. Several captures are one
    audit, in the order of their packets' time.
    """
    from wsaudit.cli.progress import progress
    from wsaudit.engine import run
    from wsaudit.errors import InputError, UsageError
    from wsaudit.kernel.pages import prefer_huge
    from wsaudit.report.records import Records
    from wsaudit.report.redact import redacted

    if format_ in FOLDERS and output == "-":
        raise click.UsageError(f"-f {format_} writes several tables: name a folder with -o")
    options = make_options(given)
    prefer_huge()
    try:
        with progress(captures, given["quiet"]) as shown:
            found = run(captures, options, shown)
        report = Records(found, options)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except InputError as error:
        click.echo(f"wsaudit: {error}", err=True)
        sys.exit(3)
    for entry in report.unread:
        click.echo(f"wsaudit: {entry.path}: {entry.error}", err=True)
    if report.unread and len(report.unread) == len(report.inputs):
        sys.exit(3)
    color = not given["no_color"] and output == "-" and sys.stdout.isatty()
    write(redacted(report, given["show_payload"], pseudonymize), format_, output, color)
    sys.exit(130 if found.interrupted else exit_code(report, fail_on))


def write(report: ReportLike, format_: str, output: str, color: bool) -> None:
    """The report in one of FORMATS to a path or standard output."""
    if format_ == "csv":
        from pathlib import Path

        from wsaudit.report.csv_tables import write_csv

        write_csv(report, Path(output))
        return
    if format_ == "parquet":
        from pathlib import Path

        from wsaudit.report.parquet import write_parquet

        write_parquet(report, Path(output))
        return
    if output == "-":
        render(report, format_, sys.stdout, color)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as stream:
            render(report, format_, stream, False)
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None


def render(report: ReportLike, format_: str, stream: Any, color: bool) -> None:
    """One text stream of the report."""
    if format_ == "text":
        from wsaudit.report.text import render_text

        width = 80
        if stream.isatty():
            import shutil

            width = min(shutil.get_terminal_size().columns, 120)
        stream.write(render_text(report, width, color))
    elif format_ == "json":
        from wsaudit.report.json_format import write_json

        write_json(report, stream)
    elif format_ == "html":
        from wsaudit.report.html import write_html

        write_html(report, stream)
    elif format_ == "markdown":
        from wsaudit.report.markdown import render_markdown

        stream.write(render_markdown(report))
    elif format_ == "sarif":
        from wsaudit.report.sarif import render as render_sarif

        stream.write(render_sarif(report))
    else:
        from wsaudit.report.junit import render as render_junit

        stream.write(render_junit(report))


def exit_code(report: Records, fail_on: str) -> int:
    """3 when an input could not be read or a bug in us kept a connection out, 1 for findings at or above `fail_on`, else 0."""
    if report.unread or report.audit.crashes:
        return 3
    if fail_on != "never":
        level = FAIL_ON.index(fail_on)
        if any(FAIL_ON.index(report.severity(found)) <= level for found in report.judged if found.verdict != "unverifiable"):
            return 1
    return 0

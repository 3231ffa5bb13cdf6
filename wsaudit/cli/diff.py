"""`wsaudit diff`: two JSON reports, what changed."""

from __future__ import annotations

from pathlib import Path

import click

from wsaudit.errors import UsageError


@click.command("diff", short_help="two JSON reports: what changed")
@click.argument("old")
@click.argument("new")
@click.option("-f", "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-o", "--output", default="-", metavar="PATH", help="- is standard output.")
@click.option("--fail-on-new", is_flag=True, help="Exit 1 when NEW has a fault that OLD has not.")
@click.pass_context
def diff(context: click.Context, old: str, new: str, form: str, output: str, fail_on_new: bool) -> None:
    """Compare two JSON reports (wsaudit audit -f json): faults that came and went, and how the distributions moved.

    \b
    Exit codes
      0  compared
      1  --fail-on-new, and there are new faults
      2  usage: a report that cannot be read
    """
    from wsaudit.gate.baseline import load_report
    from wsaudit.gate.diff import compare, render_json, render_text

    try:
        difference = compare(load_report(Path(old), old), load_report(Path(new), new))
        text = render_json(difference) if form == "json" else render_text(difference, old, new)
        with click.open_file(output, "w", encoding="utf-8") as stream:
            stream.write(text)
    except (UsageError, OSError) as error:
        click.echo(f"wsaudit diff: {error}", err=True)
        context.exit(2)
    context.exit(1 if fail_on_new and difference.came else 0)

"""`wsaudit rules [RULE]`: the rule catalogue, all of it or one rule explained."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wsaudit.rules.rule import Rule

WIDTH = 79
NAME = 35
COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
AT_FAULT = {
    "sender": "the sender of the bytes",
    "receiver": "their receiver, for what it did or did not do",
    "client": "the client",
    "server": "the server",
    "intermediary": "a proxy or gateway on the path",
    "capture": "nobody: the capture lost evidence",
}
VERDICTS = {"MUST": "violation", "SHOULD": "non-strict", "INFO": "informational"}


@click.command()
@click.argument("rule", required=False)
@click.option("-f", "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Text (default) or JSON.")
def rules(rule: str | None, form: str) -> None:
    """Explain a rule: what the RFC says, why it matters, what to do.

    RULE is an id (FR-01), a name (unmasked-client-frame) or the beginning of ids (FR). Without it: the table of all rules.
    """
    from wsaudit.rules.rule import ordered

    every = ordered()
    chosen = every if rule is None else named(rule, every)
    if form == "json":
        one = rule is not None and len(chosen) == 1
        click.echo(json.dumps(as_dict(chosen[0]) if one else [as_dict(each) for each in chosen], indent=2, ensure_ascii=False))
    elif rule is not None and len(chosen) == 1:
        echo_page(chosen[0])
    else:
        echo_table(chosen)


def named(text: str, every: list[Rule]) -> list[Rule]:
    """The rules that `text` names; a usage error (exit code 2) if there is none."""
    from wsaudit.report.rulebook import nearest

    wanted = text.casefold()
    exact = [rule for rule in every if wanted in (rule.id.casefold(), rule.name)]
    found = exact or [rule for rule in every if rule.id.casefold().startswith(wanted)]
    if not found:
        near = nearest(text, [name for rule in every for name in (rule.id, rule.name)])
        hint = f"; did you mean {near}?" if near else "; wsaudit rules lists them"
        raise click.BadParameter(f"there is no rule {text!r}{hint}", param_hint="RULE")
    return found


def echo_table(every: list[Rule]) -> None:
    section = None
    for rule in every:
        if rule.section != section:
            click.secho(("" if section is None else "\n") + rule.section, bold=True)
            section = rule.section
        severity = click.style(f"{rule.severity:<8}", fg=COLOURS[rule.severity])
        name = rule.name if len(rule.name) < NAME else f"{rule.name[: NAME - 2]}…"
        click.echo(f"  {rule.id:<8}{name:<{NAME}}{rule.level:<8}{severity}{rule.at_fault}")
    click.echo(f"\n{len(every)} rules. wsaudit rules {every[0].id} explains one of them.")


def echo_page(rule: Rule) -> None:
    click.secho(f"{rule.id} {rule.name}", bold=True)
    click.echo(textwrap.fill(f"{rule.title}.", WIDTH))
    click.echo()
    rows = (
        ("Level", f"{rule.level}: a finding is called {VERDICTS[rule.level]}"),
        ("Severity", rule.severity),
        ("At fault", AT_FAULT[rule.at_fault]),
        ("Reference", rule.reference),
    )
    for label, value in rows:
        click.echo(f"{label:<11}{value}")
    for label, text in (("The RFC says", rule.says), ("Why it matters", rule.why), ("What to do", rule.do)):
        click.secho(f"\n{label}", bold=True)
        # a command in backquotes is for copying: hyphens in it are no place to break a line
        click.echo(
            textwrap.fill(text[:1].upper() + text[1:], WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        )


def as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "section": rule.section,
        "title": rule.title,
        "level": rule.level,
        "severity": rule.severity,
        "at_fault": rule.at_fault,
        "reference": rule.reference,
        "says": rule.says,
        "why": rule.why,
        "do": rule.do,
    }

"""`wsaudit check`: the CI gate."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsaudit.cli.options import make_options, reading_options
from wsaudit.errors import InputError, UsageError

if TYPE_CHECKING:
    from wsaudit.gate.policy import Policy
    from wsaudit.gate.verdict import Verdict
    from wsaudit.report.redact import ReportLike

FORMATS = ("text", "json", "report", "sarif", "junit", "gitlab", "github", "markdown")
COLOURS = {"fail": "red", "pass": "green", "error": "red", "warning": "yellow", "info": "cyan", "faint": "bright_black"}
STDOUT = "-"
NUMBERING = (("keylog", "keylog"), ("port", "ports"), ("client-net", "client_nets"))


@click.command("check", short_help="the CI gate: policy, baseline, exit code")
@click.argument("captures", nargs=-1, metavar="CAPTURE...")
@click.option("--policy", "policy_file", metavar="FILE", help="The policy; default: the nearest wsaudit.toml or [tool.wsaudit].")
@click.option("--baseline", metavar="REPORT.json", help="An earlier JSON report: what it knows does not fail.")
@click.option("--update-baseline", is_flag=True, help="Write this audit to the --baseline file, then check against it.")
@click.option("--fail-on", type=click.Choice(["error", "warning", "info", "never"]), help="Severity that fails; default error.")
@click.option(
    "--expect-connections", type=click.IntRange(min=1), metavar="N", help="Fail (exit 4) below N connections; default 1."
)
@click.option("-f", "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Repeatable, each with its -o.")
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="PATH", help="Where the -f of the same position goes; - is stdout."
)
@click.option("--explain-policy", is_flag=True, help="Print the policy in force and where each value came from.")
@click.option("--today", metavar="YYYY-MM-DD", help="The day that expiry dates are held against; default: the clock's, in UTC.")
@reading_options
@click.pass_context
def check(context: click.Context, /, captures: tuple[str, ...], **options: Any) -> None:
    """Check recorded WebSocket sessions against the RFC and a policy.

    \b
    Exit codes
      0  nothing at or above --fail-on
      1  findings at or above --fail-on, or a limit of the policy passed
      2  usage: options, policy or baseline cannot be used
      3  an input could not be read (what could be read is reported)
      4  no WebSocket connection, or fewer than --expect-connections
    """
    try:
        code = run(captures, options)
    except UsageError as error:
        click.echo(f"wsaudit check: {error}", err=True)
        code = 2
    except InputError as error:
        click.echo(f"wsaudit check: {error}", err=True)
        code = 3
    context.exit(code)


def run(captures: tuple[str, ...], options: Mapping[str, Any]) -> int:
    """The command with its options parsed; returns the exit code. What can be wrong in the call is found before the audit."""
    policy, source = effective_policy(options)
    if options["explain_policy"]:
        from wsaudit.gate.screen import explain

        click.echo(explain(policy, source), nl=False)
        return 0
    if not captures:
        raise UsageError("no CAPTURE given; `wsaudit check --help` shows how")
    targets = pair(options["formats"], options["outputs"])
    today = day(options["today"])
    known = known_faults(options)
    report = audit(captures, options)
    verdict = decide(report, policy, today, known, options)
    publish(report, verdict, targets, screen_of(verdict, captures, options))
    publish_for_ci(report, verdict, {name for name, _ in targets}, os.environ)
    return verdict.exit_code


def effective_policy(options: Mapping[str, Any]) -> tuple[Policy, str]:
    """The policy in force, and the file it was read from as a person may see it."""
    from wsaudit.gate.policy import find_policy, load_policy, narrow
    from wsaudit.report.rulebook import rulebook

    given = options["policy_file"]
    path = Path(given) if given else find_policy(Path.cwd())
    shown = given or (os.path.relpath(path) if path else "none")
    policy = load_policy(path, rulebook(), shown=shown)
    policy = narrow(policy, rulebook(), options["select"], options["ignore"])
    for key in ("fail_on", "expect_connections"):
        if options[key] is not None:
            policy = policy.override(key, options[key], "--" + key.replace("_", "-"))
    return policy, shown


def pair(formats: tuple[str, ...], outputs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each -f with its -o. One -f alone goes to standard output; of several, each needs a place of its own."""
    if outputs and not formats:
        raise UsageError("-o needs a -f")
    if len(formats) == 1 and not outputs:
        return [(formats[0], STDOUT)]
    if len(formats) != len(outputs):
        raise UsageError(f"{len(formats)} -f and {len(outputs)} -o: give each -f its -o (-o - is standard output)")
    if len(set(outputs)) != len(outputs):
        raise UsageError("two -f go to the same -o")
    return list(zip(formats, outputs, strict=True))


def day(text: str | None) -> datetime.date:
    """The day for expiry dates. This is the only place that reads a clock, and the day is printed nowhere."""
    if text is None:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--today {text}: not a day such as 2027-01-31") from error


def known_faults(options: Mapping[str, Any]) -> frozenset[str]:
    """The fingerprints in the baseline; none when there is none or when it is about to be written."""
    from wsaudit.gate.baseline import fingerprints, load_report

    if options["update_baseline"] and not options["baseline"]:
        raise UsageError("--update-baseline needs --baseline REPORT.json")
    if not options["baseline"] or options["update_baseline"]:
        return frozenset()
    return fingerprints(load_report(Path(options["baseline"]), options["baseline"]))


def audit(captures: tuple[str, ...], options: Mapping[str, Any]) -> ReportLike:
    """The report on the captures, as it may leave the house. Every rule is judged, so that a baseline written from it is
    complete."""
    from wsaudit import engine
    from wsaudit.kernel.pages import prefer_huge
    from wsaudit.report.records import Records
    from wsaudit.report.redact import redacted

    prefer_huge()
    chosen = make_options({**options, "select": (), "ignore": ()})
    return redacted(Records(engine.run(captures, chosen), chosen), show_payload=options["show_payload"])


def decide(
    report: ReportLike, policy: Policy, today: datetime.date, known: frozenset[str], options: Mapping[str, Any]
) -> Verdict:
    """The verdict. With --update-baseline the baseline is written first, unless the audit saw too little: an empty recording
    must not empty it."""
    from wsaudit.gate.baseline import fingerprints
    from wsaudit.gate.verdict import judge

    verdict = judge(report, policy, today=today, baseline=known, unreadable=unreadable(report))
    if not options["update_baseline"]:
        return verdict
    if verdict.unreadable or verdict.too_few:
        click.echo(f"wsaudit check: {options['baseline']} left as it is", err=True)
        return verdict
    from wsaudit.gate.outputs import report_json

    write(options["baseline"], report_json(report, verdict))
    known = fingerprints({"findings": report.findings})
    return judge(report, policy, today=today, baseline=known, unreadable=unreadable(report))


def unreadable(report: ReportLike) -> list[str]:
    """A sentence for each input of which nothing could be read."""
    return [f"{each['path']}: {each['error']}" for each in report.inputs if each.get("error")]


def screen_of(verdict: Verdict, captures: tuple[str, ...], options: Mapping[str, Any]) -> str:
    """The text for the terminal; empty when there is nothing to say."""
    from wsaudit.gate import screen

    if options["quiet"] and verdict.exit_code == 0:
        return ""
    plain = options["no_color"] or "NO_COLOR" in os.environ
    return screen.render(verdict, captures=captures, options=numbering(options), style=screen.plain if plain else coloured)


def numbering(options: Mapping[str, Any]) -> list[str]:
    """The options on which the numbers of the connections depend, as `wsaudit show` must get them again."""
    words = [f"--{name}={value}" for name, key in NUMBERING for value in options[key]]
    return [*words, "--no-midstream"] if options["no_midstream"] else words


def coloured(text: str, role: str) -> str:
    """The text in the colour of its role; click takes colours out where nobody sees them."""
    return click.style(text, fg=COLOURS[role], bold=role in ("fail", "pass"))


def publish(report: ReportLike, verdict: Verdict, targets: list[tuple[str, str]], screen: str) -> None:
    """Each format to its place. The screen goes to standard output, or to standard error when data takes that."""
    from wsaudit.gate.outputs import RENDERERS

    for name, path in targets:
        if (name, path) == ("text", STDOUT):
            click.echo(screen, nl=False)
        elif path == STDOUT:
            sys.stdout.write(RENDERERS[name](report, verdict))
        else:
            write(path, RENDERERS[name](report, verdict))
    if "text" not in [name for name, _ in targets]:
        click.echo(screen, nl=False, err=STDOUT in [path for _, path in targets])


def publish_for_ci(report: ReportLike, verdict: Verdict, named: set[str], environ: Mapping[str, str]) -> None:
    """What GitHub and GitLab jobs show, unless it was asked for by name. Annotations go to standard error, which the runner
    reads as well."""
    from wsaudit.gate.outputs import RENDERERS
    from wsaudit.report.gitlab import FILE

    if environ.get("GITHUB_ACTIONS") == "true":
        if "github" not in named:
            click.echo(RENDERERS["github"](report, verdict), nl=False, err=True)
        if "markdown" not in named and (page := environ.get("GITHUB_STEP_SUMMARY")):
            write(page, RENDERERS["markdown"](report, verdict), mode="a")
    if environ.get("GITLAB_CI") == "true" and "gitlab" not in named:
        write(FILE, RENDERERS["gitlab"](report, verdict))


def write(path: str, text: str, mode: str = "w") -> None:
    """A whole file, with the same bytes on every system."""
    try:
        with open(path, mode, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error

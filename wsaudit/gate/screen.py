"""A verdict for a person: what failed, why, where and how to reproduce it, in one screen of 80 columns.

No line starts with text from traffic, and `##[` is broken up: a build log is read by the CI runner too, and GitHub's takes
both for commands.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Sequence

from wsaudit.report.issue import BASELINE, REPORTED, UNVERIFIABLE, WAIVED, Fold, fold, times
from wsaudit.report.printable import terminal

from .policy import Policy
from .verdict import Verdict

SHOWN = 4
"""Faults shown in full: with four lines each and a gap, they fit in 24 lines with head and foot."""

WIDTH = 80

Style = Callable[[str, str], str]
"""(text, role) to the text as it is printed; roles are "fail", "pass", "error", "warning", "info", "faint"."""


def plain(text: str, role: str) -> str:
    """No colours."""
    return text


def quiet(text: str, limit: int = 200) -> str:
    """Text from traffic, harmless for terminals and for CI runners."""
    return terminal(text, limit).replace("##[", "# #[")


def show_command(captures: Sequence[str], connection: int, options: Sequence[str] = ()) -> str:
    """The command that shows a connection of an audit of `captures`."""
    return shlex.join(["wsaudit", "show", *captures, *options, "-c", str(connection)])


def render(verdict: Verdict, *, captures: Sequence[str] = (), options: Sequence[str] = (), style: Style = plain) -> str:
    """The screen. `captures` and `options` (key logs, ports) are those of the command line, for the commands that reproduce."""
    captures = captures or verdict.captures
    lines = [*head(verdict, captures, style), ""]
    folds = fold(verdict.failing)
    for each in folds[:SHOWN]:
        lines += [*fault(each, captures, options, style), ""]
    if len(folds) > SHOWN:
        lines += [f"and {times(len(folds) - SHOWN, 'more fault')}; -f json or -f sarif has all of them"]
    lines += foot(verdict)
    return "\n".join(lines).rstrip("\n") + "\n"


def head(verdict: Verdict, captures: Sequence[str], style: Style) -> list[str]:
    """The verdict first."""
    what = quiet(captures[0]) if len(captures) == 1 else times(len(captures), "capture")
    connections = times(verdict.connections, "WebSocket connection")
    word = style("PASS", "pass") if verdict.exit_code == 0 else style("FAIL", "fail")
    lines = [f"{word}  {what}   {connections}   {outcome(verdict)}"]
    lines += [f"      could not be read: {quiet(reason, 400)}" for reason in verdict.unreadable]
    if verdict.too_few:
        lines.append(f"      {too_few(verdict)}")
    return lines


def outcome(verdict: Verdict) -> str:
    """What decides: the number of faults, what was not examined, or that there is nothing."""
    faults = len(fold(verdict.failing))
    if faults:
        return f"{times(faults, 'fault')} at or above {verdict.policy.fail_on}"
    if verdict.unreadable:
        return "not everything could be read"
    if verdict.too_few:
        return "too few connections"
    return "nothing fails" if verdict.policy.fail_on == "never" else f"nothing at or above {verdict.policy.fail_on}"


def too_few(verdict: Verdict) -> str:
    """Why too few connections fail, and what to look at."""
    expected = times(verdict.policy.expect_connections, "connection")
    text = f"{expected} expected ({verdict.policy.origin('expect-connections')}), {verdict.connections} found"
    if verdict.probable:
        text += f"; {verdict.probable} more may be WebSocket but are encrypted or failed: is a --keylog missing?"
    return text


def fault(folded: Fold, captures: Sequence[str], options: Sequence[str], style: Style) -> list[str]:
    """Four lines: which rule, what was seen, where, how to see it again."""
    issue = folded.first
    rule = issue.name if issue.rule.startswith("policy/") else f"{issue.rule} {issue.name}"
    blame = f"{issue.at_fault} at fault" if issue.at_fault else "limit of the policy"
    often = f"{folded.count:,}x" if folded.count > 1 else ""
    if len(folded.connections) > 1:
        often += f" in {times(len(folded.connections), 'connection')}"
    lines = ["   ".join(part for part in (f"{style(f'{issue.severity:7}', issue.severity)}  {rule}", blame, often) if part)]
    reference = f" ({quiet(issue.reference)})" if issue.reference and issue.reference not in issue.detail else ""
    lines += wrap("seen: " + quiet(issue.detail) + reference)
    if issue.note:
        lines += wrap(quiet(issue.note, 400))
    where = [f"connection {issue.connection}"] if issue.connection is not None else []
    where += [f"packet {issue.packet}"] if issue.packet else []
    where += [quiet(issue.path, 60)] if issue.path else []
    if where:
        lines += wrap("in " + ", ".join(where))
    if issue.connection is not None:
        lines.append("         " + style(quiet(show_command(captures, issue.connection, options), 1000), "faint"))
    return lines


def wrap(text: str) -> list[str]:
    """Indented under the rule."""
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9, break_on_hyphens=False)


def foot(verdict: Verdict) -> list[str]:
    """What did not count, and what can be tidied up."""
    counted = (
        (BASELINE, "known from the baseline"),
        (WAIVED, "allowed by the policy"),
        (REPORTED, f"below {verdict.policy.fail_on}" if verdict.policy.fail_on != "never" else "not failing"),
        (UNVERIFIABLE, "unverifiable (evidence lost)"),
    )
    parts = [f"{len(folds)} {text}" for status, text in counted if (folds := fold(verdict.having(status)))]
    lines = [f"not counted: {', '.join(parts)}"] if parts else []
    return lines + [f"note: {quiet(note, 400)}" for note in verdict.notes]


def explain(policy: Policy, source: str) -> str:
    """The effective policy in the form of a policy file, each value with where it came from. `source` names the file it was
    read from."""
    rows: list[tuple[str, str]] = [("fail-on = " + toml(policy.fail_on), policy.origin("fail-on"))]
    rows.append((f"expect-connections = {policy.expect_connections}", policy.origin("expect-connections")))
    rows.append(("select = " + toml(list(policy.select)), policy.origin("select") + ("" if policy.select else ": every rule")))
    rows.append(("ignore = " + toml(list(policy.ignore)), policy.origin("ignore")))
    rows += [("", ""), ("[severity]", "every other rule as `wsaudit rules` says")]
    rows += [(f"{rule} = {toml(severity)}", policy.origin(f"severity.{rule}")) for rule, severity in policy.severity.items()]
    rows += [("", ""), ("[limits]", "no limit where none is given")]
    rows += limit_rows(policy)
    for codes in policy.close_codes:
        rows += [("", ""), ("[[close-codes]]", codes.origin)]
        rows += [
            (f"{key} = {toml(value)}", "") for key, value in (("path", codes.place.path), ("host", codes.place.host)) if value
        ]
        rows.append(("allow = " + toml([each[0] if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in codes.allow]), ""))
    for waiver in policy.waivers:
        fields = (
            ("rule", waiver.selector),
            ("path", waiver.place.path),
            ("host", waiver.place.host),
            ("at-fault", waiver.at_fault),
            ("reason", waiver.reason),
        )
        rows += [("", ""), ("[[allow]]", waiver.origin)]
        rows += [(f"{key} = {toml(value)}", "") for key, value in fields if value]
        rows.append((f"expires = {waiver.expires}", ""))
    width = min(max(len(left) for left, _ in rows), 44)
    lines = [f"{left:{width}}  # {right}" if right else left for left, right in rows]
    return "\n".join([f"# effective policy; file: {source}", *lines]) + "\n"


def limit_rows(policy: Policy) -> list[tuple[str, str]]:
    """The limits that are set."""
    limits = policy.limits
    values = {
        "abnormal-rate": limits.abnormal_rate,
        "abnormal-count": limits.abnormal_count,
        "handshake-latency": limits.handshake_latency,
        "ping-rtt": limits.ping_rtt,
        "message-size": limits.message_size,
    }
    rows = [(f"{key} = {value}", policy.origin(f"limits.{key}")) for key, value in values.items() if value is not None]
    shares = limits.close_code_share.items()
    return rows + [
        (f"close-code-share.{code} = {share}", policy.origin(f"limits.close-code-share.{code}")) for code, share in shares
    ]


def toml(value: str | Sequence[object]) -> str:
    """A TOML text or list. JSON's escapes are TOML's too, but for DEL and surrogates, which no policy read from TOML holds
    unescaped."""
    import json

    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

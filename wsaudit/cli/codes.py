"""`wsaudit codes [CODE]`: the close codes, all of them or one explained."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    # at run time inside the command only: `wsaudit --help` imports every command but needs no registry
    from wsaudit.registry.close_codes import CloseCode, PrivateCode

WIDTH = 79
SENDER = {
    "both": "client and server",
    "client": "the client only",
    "server": "the server (from a client: unusual, not forbidden)",
    "nobody": "nobody",
}
#: Codes that no frame carries but APIs report (RFC 6455 section 7.4.1): the page says so, because people search for them there.
API_ONLY = (1005, 1006, 1015)


def parse_code(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """The argument as a number that fits into the two bytes of a close code; anything else is a usage error (exit code 2)."""
    if value is None:
        return None
    from wsaudit.registry.close_codes import MAX_CODE

    # isdecimal: int() would take "1_006", " 1006 " and digits of other scripts, which are slips here
    if not (value.isascii() and value.isdecimal() and len(value) <= 5 and int(value) <= MAX_CODE):
        raise click.BadParameter(f"a close code is a number from 0 to {MAX_CODE}, not {value!r}")
    return int(value)


@click.command()
@click.argument("code", required=False, callback=parse_code)
@click.option("-f", "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Text (default) or JSON.")
def codes(code: int | None, form: str) -> None:
    """Explain a close code: its name, who may send it, what it means, usual causes, what to do.

    Without CODE: the table of all codes.
    """
    from wsaudit.registry.close_codes import close_code, listed, private_meanings

    if code is None:
        every = sorted(listed(), key=lambda entry: entry.first)
        if form == "json":
            _echo_json([_as_dict(entry) for entry in every])
        else:
            _echo_table(every)
    elif form == "json":
        _echo_json(_as_dict(close_code(code)) | {"private": [_private_as_dict(each) for each in private_meanings(code)]})
    else:
        _echo_page(close_code(code), private_meanings(code))


def _echo_table(every: list[CloseCode]) -> None:
    click.secho(f"{'Code':<13}{'Name':<30}May be sent by", bold=True)
    for entry in every:
        click.echo(f"{_numbers(entry):<13}{entry.name:<30}{entry.sender}")
    click.echo("\n1005, 1006 and 1015 never travel: APIs report them when no code arrived.")
    click.echo("wsaudit codes 1006 explains one of them.")


def _echo_page(entry: CloseCode, private: tuple[PrivateCode, ...]) -> None:
    click.secho(f"{entry.code} {entry.name}" + ("" if entry.is_listed else f" (one of {_numbers(entry)})"), bold=True)
    click.echo(f"Sent by    {SENDER[entry.sender]}" + (": APIs report it, no frame carries it" if entry.code in API_ONLY else ""))
    click.echo(f"Reference  {entry.reference}\n")
    click.echo(textwrap.fill(entry.meaning, WIDTH))
    _echo_list("Usual causes", entry.causes)
    _echo_list("What to do", entry.advice)
    _echo_list("Known private meanings", tuple(f"{each.name} ({each.owner}): {each.meaning}" for each in private))


def _echo_list(title: str, items: tuple[str, ...]) -> None:
    if not items:
        return
    click.secho(f"\n{title}", bold=True)
    for item in items:
        # a command in backquotes is for copying: hyphens in it are no place to break a line
        click.echo(textwrap.fill(item, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False))


def _echo_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _numbers(entry: CloseCode) -> str:
    return str(entry.first) if entry.is_listed else f"{entry.first}-{entry.last}"


def _as_dict(entry: CloseCode) -> dict[str, Any]:
    return {
        "code": entry.code,
        "first": entry.first,
        "last": entry.last,
        "name": entry.name,
        "sender": entry.sender,
        "meaning": entry.meaning,
        "causes": list(entry.causes),
        "advice": list(entry.advice),
        "reference": entry.reference,
    }


def _private_as_dict(each: PrivateCode) -> dict[str, str]:
    return {"name": each.name, "meaning": each.meaning, "owner": each.owner, "source": each.source}

"""Options that every command that reads captures has, and how they become `Options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wsaudit.errors import UsageError
from wsaudit.options import Limits, Options

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])

FAIL_ON = ("error", "warning", "info", "never")


def network(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        return ()
    from ipaddress import ip_network

    for value in values:
        try:
            ip_network(value, strict=False)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return values


def limit(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Limits:
    changed = {}
    names = Limits._fields
    for value in values:
        name, equals, number = value.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names or not number.strip().isdigit():
            raise click.BadParameter(f"{value!r} is not NAME=NUMBER with one of {', '.join(names)}")
        changed[name] = int(number)
    return Limits(**changed)


READING = (
    click.option(
        "--keylog",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="NSS key log to open TLS with. Repeatable.",
    ),
    click.option(
        "--port", "ports", multiple=True, type=click.IntRange(1, 65535), help="Look at this server port only. Repeatable."
    ),
    click.option(
        "--client-net",
        "client_nets",
        multiple=True,
        callback=network,
        metavar="CIDR",
        help="Addresses of clients, where the capture does not tell who the client is.",
    ),
    click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Worker processes."),
    click.option("--no-midstream", is_flag=True, help="Only connections whose handshake was captured."),
    click.option("--select", multiple=True, metavar="RULE", help="Judge these rules only (id or prefix: FR, CL-05). Repeatable."),
    click.option("--ignore", multiple=True, metavar="RULE", help="Do not judge these rules. Repeatable."),
    click.option(
        "--signatures",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="More timeout signatures (TOML, same form as the built-in ones).",
    ),
    click.option(
        "--limit",
        "limits",
        multiple=True,
        callback=limit,
        metavar="NAME=N",
        help="Change a memory limit; docs/limits.md names them.",
    ),
    click.option("--show-payload", is_flag=True, help="Show payloads, tokens, cookies and query values (redacted by default)."),
    click.option("--quiet", "-q", is_flag=True, help="No progress, no messages."),
    click.option("--no-color", is_flag=True, help="Plain text."),
)


def reading_options(command: F) -> F:
    """The options above, on a command; it gets them as one mapping, see `make_options`."""
    for option in reversed(READING):
        command = option(command)
    return command


def as_path(name: str) -> Path:
    from pathlib import Path

    return Path(name)


def make_options(given: dict[str, Any], **more: Any) -> Options:
    """`Options` of what a command was given."""
    try:
        return Options(
            keylogs=tuple(map(as_path, given["keylog"])),
            ports=given["ports"],
            client_nets=given["client_nets"],
            jobs=given["jobs"],
            midstream=not given["no_midstream"],
            select=given["select"],
            ignore=given["ignore"],
            signatures=as_path(given["signatures"]) if given["signatures"] else None,
            limits=given["limits"],
            payload=given["show_payload"],
            **more,
        )
    except UsageError as error:
        raise click.UsageError(str(error)) from None

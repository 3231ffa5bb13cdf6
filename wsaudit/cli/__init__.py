"""The command line: one module per command, loaded when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from wsaudit import __version__
from wsaudit.collector import be_patient

COMMANDS = {
    "audit": "The audit report of one or more captures.",
    "check": "The CI gate: policy, baseline, exit code.",
    "show": "One connection as a ladder of frames, TCP end and findings.",
    "codes": "Close codes: name, who may send it, meaning, what to do.",
    "rules": "The rule catalogue; one rule explained.",
    "diff": "What changed between two JSON reports.",
}


class LazyGroup(click.Group):
    """Knows its commands' names and one-line helps without importing them: `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"wsaudit.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else " To audit a capture: wsaudit audit CAPTURE"
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)


def print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from wsaudit.kernel import compiled

    click.echo(f"wsaudit {__version__} ({'compiled' if compiled() else 'pure Python'} kernel)")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and the kernel that runs.",
)
def cli() -> None:
    """Why did this WebSocket connection end, what did each side's API report, and who broke the protocol?

    Reads pcap and pcapng captures. Never sends a packet.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 findings at or above --fail-on, 2 usage, 3 an input could not be read, 4
    nothing to check."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # starting numpy's threads takes 40 ms; nothing here does algebra
    be_patient()
    try:
        cli.main(args=arguments, prog_name="wsaudit")
    except SystemExit as done:
        leave(done.code)
    leave(0)


def leave(status: str | int | None) -> NoReturn:
    """End the process without freeing its objects one by one: for the rows of 50,000 connections that was 1.5 of 19 s."""
    code = status if isinstance(status, int) else int(status is not None)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        code = code or 1
    os._exit(code)

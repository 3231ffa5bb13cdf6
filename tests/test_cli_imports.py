"""`wsaudit --help` is instant because it imports nothing heavy. The imports are counted, not the milliseconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"pandas", "numpy", "scapy", "rich", "cryptography", "jinja2", "dpkt", "pyarrow", "zstandard", "ssl", "asyncio"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["audit", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from wsaudit.cli import cli
try:
    cli.main({arguments!r})
except SystemExit as done:
    assert not done.code, done.code
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())

"""The process that `wsaudit` is: what it leaves behind when it ends at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import wire
from wire import C, S

COMMAND = [sys.executable, "-m", "wsaudit"]


def capture(folder: Path) -> Path:
    path = folder / "a.pcap"
    path.write_bytes(wire.Conversation().open().upgrade().text(C, "x").close(S, 1016).fin(S).fin(C).pcap())
    return path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["audit", "CAPTURE"], 0),
        (["audit", "CAPTURE", "--fail-on", "error"], 1),
        (["audit", "CAPTURE", "--no-such-option"], 2),
        (["audit", "missing.pcap"], 3),
        (["--help"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int, tmp_path: Path) -> None:
    path = capture(tmp_path)
    done = subprocess.run([*COMMAND, *[str(path) if a == "CAPTURE" else a for a in arguments]], capture_output=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr


def test_a_pipe_and_a_file_get_all_of_it(tmp_path: Path) -> None:
    path = capture(tmp_path)
    piped = subprocess.run([*COMMAND, "audit", path.name, "-f", "json"], capture_output=True, cwd=tmp_path).stdout
    subprocess.run([*COMMAND, "audit", path.name, "-f", "json", "-o", "out.json"], check=True, cwd=tmp_path)
    assert piped.endswith(b"}\n")
    assert (tmp_path / "out.json").read_bytes() == piped


def test_nobody_reads(tmp_path: Path) -> None:
    """`wsaudit audit ... | head -0`: no traceback."""
    command = f"{sys.executable} -m wsaudit audit {capture(tmp_path).name} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, cwd=tmp_path)
    assert done.stderr == b""

"""On every TLS sample, what we decrypt is what tshark decrypts with the same key log, byte for byte."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from oracle.tshark import TSHARK
from tls.flows import plaintext, read_flows, run

from wsaudit.tls.keylog import KeyStore

FOLDER = Path(__file__).resolve().parents[2] / "sample_pcaps" / "tls"
CONNECTIONS = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))["connections"]
# tshark shows early data even if the server rejected it, and then what the client sent again (RFC 8446 4.2.10).
REJECTED = ("tls13-early-data-rejected", 1)

pytestmark = pytest.mark.skipif(TSHARK is None, reason="no tshark")


def tsharks_plaintext(name: str, number: int) -> tuple[bytes, bytes]:
    """What client and server said in the TCP connection `number` of a capture."""
    keys = f"tls.keylog_file:{FOLDER / f'{name}.keys.log'}"
    command = [str(TSHARK), "-n", "-q", "-r", str(FOLDER / f"{name}.pcap"), "-o", keys, "-z", f"follow,tls,raw,{number}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    said = [line for line in shown if line.strip() and set(line.strip()) <= set("0123456789abcdef")]
    first = "".join(line for line in said if not line.startswith("\t"))
    other = "".join(line.strip() for line in said if line.startswith("\t"))
    if any(line.startswith("Node 0:") and line.endswith(":443") for line in shown):  # who had a record opened first
        first, other = other, first
    return bytes.fromhex(first), bytes.fromhex(other)


@pytest.mark.parametrize(("name", "number"), [(name, i) for name, count in CONNECTIONS.items() for i in range(count)])
def test_plaintext_is_tsharks(name: str, number: int) -> None:
    keys = KeyStore()
    keys.add((FOLDER / f"{name}.keys.log").read_bytes())
    ours = plaintext(run(read_flows(FOLDER / f"{name}.pcap")[number], keys)[1])
    client, server = tsharks_plaintext(name, number)
    if (name, number) == REJECTED:
        early = client[: client.index(b"\r\n\r\n") + 4]
        client = client.removeprefix(early)
    assert ours == (client, server)

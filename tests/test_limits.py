"""Each of wsaudit.options.Limits is kept to, and hitting it is said in the report."""

from __future__ import annotations

import io
import random
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
import wire
from wire import C, S

import wsaudit
from wsaudit.options import Limits

DOCS = Path(__file__).resolve().parent.parent / "docs" / "limits.md"
TLS = Path(__file__).resolve().parent.parent / "sample_pcaps" / "tls"
PMD = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def audit(capture: bytes, **limits: int) -> dict[str, Any]:
    report: dict[str, Any] = wsaudit.audit(capture, limits=Limits(**limits)).to_dict()
    return report


def connection(capture: bytes, **limits: int) -> dict[str, Any]:
    (row,) = audit(capture, **limits)["connections"]
    assert isinstance(row, dict)
    return row


def ended(talk: wire.Conversation) -> bytes:
    return talk.close(C, 1000).close(S, 1000).fin(S).fin(C).pcap()


def talk(**how: Any) -> wire.Conversation:
    return wire.Conversation(**how).open().upgrade()


def test_the_documentation_names_each_limit_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+)", DOCS.read_text(encoding="utf-8"), re.M))
    assert {name: int(value.replace(",", "")) for name, value in rows.items()} == Limits._field_defaults


def test_flows() -> None:
    clients = [wire.Conversation(client=("10.0.0.1", 40000 + i)).open() for i in range(40)]
    capture = wire.pcap(wire.merge(*clients))
    assert audit(capture)["notices"] == []
    (notice,) = audit(capture, flows=20)["notices"]
    assert "limit flows" in notice["text"]


def test_a_connection_that_is_followed_no_longer_is_not_accused() -> None:
    talks = [talk(client=("10.0.0.1", 40000 + i), start=wire.START + i).text(C, "hi") for i in range(30)]
    report = audit(wire.pcap(wire.merge(*talks)), flows=20)
    assert "limit flows" in report["notices"][0]["text"]
    assert {row["termination"]["class"] for row in report["connections"]} == {"ongoing"}


def test_segment_buffer() -> None:
    made = talk()
    for _ in range(5):
        made.text(S, "lost").drop().text(S, "x" * 300).text(S, "y" * 300)
    capture = ended(made)
    assert connection(capture)["notices"] == []
    assert "limit segment_buffer" in connection(capture, segment_buffer=500)["notices"][0]


def test_head() -> None:
    made = wire.Conversation().open().upgrade(request={"Cookie": "c" * 2000})
    capture = ended(made.text(C, "hi"))
    assert audit(capture)["notices"] == []
    report = audit(capture, head=1000)
    assert [notice["packet"] for notice in report["notices"]] == [4]
    assert "limit head" in report["notices"][0]["text"]


def test_bytes_before_the_answer_that_are_not_kept() -> None:
    made = wire.Conversation(mss=60_000).open().send(C, wire.request())
    for _ in range(20):
        made.binary(C, bytes(60_000), mask=b"abcd")
    capture = ended(made.send(S, wire.response()).text(C, "hi").text(S, "hello"))
    row = connection(capture)
    assert "were not read" in row["notices"][0]
    assert row["messages"]["server"]["text"] == 1


def compressed(payload: bytes) -> bytes:
    return ended(
        wire.Conversation().open().upgrade(request=PMD, response=PMD).frame(S, wire.BINARY, wire.deflate(payload), rsv=wire.RSV1)
    )


def test_message() -> None:
    capture = compressed(random.Random(1).randbytes(5000))
    assert connection(capture)["notices"] == []
    assert connection(capture)["messages"]["server"]["bytes"] == 5000
    assert "limit message" in connection(capture, message=1000)["notices"][0]


def test_inflate_ratio() -> None:
    def found(ratio: int) -> bool:
        report = audit(compressed(bytes(2 << 20)), inflate_ratio=ratio)
        return any("bomb" in finding["name"] for finding in report["findings"])

    assert len(zlib.compress(bytes(2 << 20), 6)) * 500 < 2 << 20
    assert found(500)
    assert not found(5000)


def test_findings() -> None:
    made = talk()
    for opcode in range(3, 8):
        made.frame(C, opcode, b"x", rsv=wire.RSV2, mask=None)
    capture = ended(made)
    row = connection(capture)
    assert row["notices"] == []
    report = audit(capture, findings=2)
    assert len([finding for finding in report["findings"] if finding["connection"] == 1]) <= 3
    assert "more findings about this connection were left out" in report["connections"][0]["notices"][0]


def test_resync() -> None:
    """What is searched in vain is told as skipped, however far the search may go."""
    made = talk().text(S, "a").text(S, "b" * 500).drop()
    for _ in range(50):
        made.send(S, bytes(range(0x30, 0x70)) * 20)
    capture = ended(made)
    for limit in (2000, 64 << 10):
        report = audit(capture, resync=limit)
        assert any("could not be read" in finding["detail"] for finding in report["findings"])


def test_tls_buffer() -> None:
    """Keys that come behind the packets: what waited for them is read, as far as it was kept."""
    capture = (TLS / "tls13-aes128-gcm.pcap").read_bytes()
    late = with_late_keys(capture, (TLS / "tls13-aes128-gcm.keys.log").read_bytes())
    (row,) = wsaudit.audit(io.BytesIO(late)).to_dict()["connections"]
    assert (row["tls"]["decrypted"], row["notices"]) == (True, [])
    (row,) = wsaudit.audit(io.BytesIO(late), limits=Limits(tls_buffer=5000)).to_dict()["connections"]
    assert any("limit tls_buffer" in notice for notice in row["notices"])


def with_late_keys(capture: bytes, keys: bytes) -> bytes:
    """The packets of a pcap as a pcapng file whose keys come behind them."""
    from fuzz import captures

    found = captures.read(capture)
    assert found is not None
    blocks = captures.write_pcapng(found)
    secrets = captures.write_pcapng(captures.Capture(found.linktype, [], keys))[len(captures.write_pcapng(captures.Capture(1))) :]
    return blocks + secrets


@pytest.mark.parametrize("limit", [10, 1000])
def test_preview(limit: int) -> None:
    report = wsaudit.audit(ended(talk().text(S, "x" * 300)), frames=True, payload=True, limits=Limits(preview=limit))
    payloads = [payload for one in report.audit.frames for payload in one.log.payloads or ()]
    assert max(map(len, payloads)) == min(limit, 300)

"""scapy packets as input are audited like the capture they came from."""

from __future__ import annotations

import io

import pytest
import wire
from wire import C, S

import wsaudit


@pytest.mark.parametrize(("kind", "linktype"), [("ethernet", 1), ("raw", 101)])
def test_a_list_of_packets(kind: str, linktype: int) -> None:
    from scapy.utils import rdpcap

    talk = wire.Conversation(kind=kind).open().upgrade("/s").text(C, "x").close(S, 1001).close(C, 1001).fin(S).fin(C)
    data = talk.pcap()
    packets = list(rdpcap(io.BytesIO(data)))
    found, expected = wsaudit.audit(packets).to_dict(), wsaudit.audit(data).to_dict()
    assert found["connections"] == expected["connections"]
    assert found["findings"] == expected["findings"]


def test_no_packets() -> None:
    from wsaudit.net.scapy_packets import as_pcap

    assert wsaudit.audit(as_pcap([])).to_dict()["connections"] == []

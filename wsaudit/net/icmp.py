"""ICMP errors: what they say, and about which TCP flow (RFC 792, RFC 4443)."""

from __future__ import annotations

UNREACHABLE4 = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed (path MTU)",
    9: "network prohibited",
    10: "host prohibited",
    13: "communication prohibited by a filter",
}
UNREACHABLE6 = {
    0: "no route",
    1: "prohibited by a filter",
    3: "address unreachable",
    4: "port unreachable",
    5: "source policy",
    6: "route rejected",
}


def read_icmp(data: bytes, version: int) -> tuple[str, bytes, int, bytes, int] | None:
    """An IP packet with ICMP in it → (words, source, source port, target, target port) of the TCP packet it is about, or None."""
    if not data:
        return None
    start = (data[0] & 15) << 2 if version == 4 else 40
    if len(data) < start + 8:
        return None
    kind, code = data[start], data[start + 1]
    words = None
    if version == 4:
        if kind == 3:
            words = UNREACHABLE4.get(code, f"unreachable, code {code}")
        elif kind == 11:
            words = "time to live exceeded"
    elif kind == 1:
        words = UNREACHABLE6.get(code, f"unreachable, code {code}")
    elif kind == 2:
        words = "packet too big (path MTU)"
    elif kind == 3:
        words = "hop limit exceeded"
    if words is None:
        return None
    inner = data[start + 8 :]
    if len(inner) < 24:
        return None
    if inner[0] >> 4 == 4 and inner[9] == 6:
        header, addresses = (inner[0] & 15) << 2, inner[12:20]
    elif inner[0] >> 4 == 6 and inner[6] == 6:
        header, addresses = 40, inner[8:40]
    else:
        return None
    ports = inner[header : header + 4]
    half = len(addresses) // 2
    if len(ports) < 4 or half not in (4, 16):
        return None
    return words, addresses[:half], int.from_bytes(ports[:2], "big"), addresses[half:], int.from_bytes(ports[2:], "big")

"""Compare an audit with the truth of a generated capture.

    wsaudit audit chat.pcap -f json -o chat.json
    python benchmarks/check.py chat.json chat.pcap.truth.json

Prints what differs; exit code 1 if anything does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SIDES = {"client": "c2s", "server": "s2c"}
OPCODES = {"continuation": "0", "text": "1", "binary": "2", "close": "8", "ping": "9", "pong": "10"}
ENDINGS = {  # what the report says about an ending, in the generator's words
    ("closed", "fin"): "clean",
    ("close-unanswered", "fin"): "no_reply",
    ("dropped", "rst"): "rst",
    ("dropped", "fin"): "fin",
    ("ongoing", "capture-end"): "vanish",
}

Json = dict[str, Any]


def found(report: Json) -> Json:
    """A JSON report in the form of a truth, as far as the two speak of the same."""
    connections = confirmed(report)
    messages = {direction: total(connections, "messages", side) for side, direction in SIDES.items()}
    return {
        "connections": report["summary"]["connections"],
        "packets": sum(each["packets"] for each in report["inputs"]),
        "frames": {
            direction: {OPCODES.get(name, name): n for name, n in total(connections, "frames", side).items() if n}
            for side, direction in SIDES.items()
        },
        "messages": {direction: {kind: sums[kind] for kind in ("text", "binary")} for direction, sums in messages.items()},
        "message_bytes": {direction: sums["bytes"] for direction, sums in messages.items()},
        "close_frames": {direction: close_codes(report, side) for side, direction in SIDES.items()},
        "first_close_code": dict(Counter(first_close(each) for each in connections)),
        "endings": dict(Counter(ending(each) for each in connections)),
        "bad_utf8_messages": violations(report, "TX-01"),
        "unmasked_c2s_frames": violations(report, "FR-01"),
    }


def confirmed(report: Json) -> list[Json]:
    """Without those that nobody could look into: what looks like TLS in `noise` may have been anything."""
    return [connection for connection in report["connections"] if connection["websocket"] == "confirmed"]


def total(connections: list[Json], table: str, side: str) -> Counter[str]:
    """The sum of a table of one side over all connections."""
    sums = Counter[str]()
    for connection in connections:
        sums.update(connection[table][side])
    return sums


def close_codes(report: Json, side: str) -> dict[str, int]:
    """Close frames by code: the report calls one without a code "empty" and no Close at all "none"."""
    codes = report["summary"]["close_codes"][side]
    return {"none" if code == "empty" else code: n for code, n in codes.items() if code != "none"}


def close_code(close: Json | None) -> str:
    return "-" if close is None else "none" if close["code"] is None else str(close["code"])


def first_close(connection: Json) -> str:
    closes = [close for side in SIDES if (close := connection["close"][side])]
    return close_code(min(closes, key=lambda close: int(close["packet"]), default=None))


def ending(connection: Json) -> str:
    how = connection["termination"]["class"], connection["termination"]["how"]
    return ENDINGS.get(how, f"{how[0]}, {how[1]}")


def violations(report: Json, rule: str) -> int:
    return sum(each["count"] for each in report["findings"] if each["rule"] == rule and each["verdict"] == "violation")


def expected(truth: Json) -> Json:
    """A truth in the report's terms: a client that resets the connection inside the server's frame is one that resets it."""
    endings: Counter[str] = Counter(truth["endings"])
    endings["rst"] += endings.pop("cut", 0)
    return {**truth, "endings": dict(+endings)}


def differences(report: Json, truth: Json) -> dict[str, tuple[Any, Any]]:
    """(found, true) of what is not equal."""
    true = expected(truth)
    return {name: (value, true[name]) for name, value in found(report).items() if name in true and value != true[name]}


def main(report: str, truth: str) -> int:
    different = differences(json.loads(Path(report).read_text()), json.loads(Path(truth).read_text()))
    for name, (ours, theirs) in different.items():
        print(f"{name}: found {ours}, true is {theirs}")
    print("differs" if different else "exact")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The public case list of the Autobahn testsuite, groups 2 to 7, as hand-built bytes: what each case must be called and what not.

Autobahn plays one endpoint and grades the other. Here its own side of each case is audited: what it sends to see a library pass
accuses nobody, and what it sends to see a connection fail names the fault.
"""

from __future__ import annotations

from itertools import product

import pytest

from tests.rules.talks import C, S, Talk, judged, talk, told
from wsaudit.registry.close_codes import is_sendable

EURO = "Hello-µ@ßöäüàá-UTF-8!!".encode()
KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")  # the Greek word of the list
BAD = KOSME + b"\xed\xa0\x80" + b"edited"  # 6.3: a surrogate in the middle


def fuzzed(*steps: tuple[object, ...]) -> Talk:
    """The client's side of a case: (opcode, payload, how) each, echoed by nobody."""
    conversation = talk()
    for opcode, payload, *how in steps:
        conversation.frame(C, opcode, payload, **(how[0] if how else {}))  # type: ignore[arg-type]
    return conversation


def fragments(opcode: int, *pieces: bytes) -> list[tuple[object, ...]]:
    """A message in these pieces."""
    last = len(pieces) - 1
    return [(0 if i else opcode, piece, {"fin": i == last}) for i, piece in enumerate(pieces)]


def bytewise(payload: bytes) -> list[tuple[object, ...]]:
    return fragments(1, *(payload[i : i + 1] for i in range(len(payload))))


def rsv(bits: int) -> dict[str, int]:
    return {"rsv": bits}


PART = {"fin": False}
P = (9, b"ping")
T = (1, b"hi")

NONCHARACTERS = [plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)]

PASSES: dict[str, list[tuple[object, ...]]] = {
    "1.1.1": [(1, b"")],
    "1.1.6": [(1, b"*" * 65535)],
    "1.1.7": [(1, b"*" * 65536)],
    "1.2.8": [(2, b"\xfe" * 65536)],
    "2.1": [(9, b"")],
    "2.2": [(9, b"Hello, world!")],
    "2.3": [(9, bytes([0, 255, 254, 253, 252, 251, 0, 255]))],
    "2.4": [(9, b"\xfe" * 125)],
    "2.6": [(9, b"\xfe" * 125)],
    "2.7": [(10, b"")],
    "2.8": [(10, b"unsolicited pong payload")],
    "2.9": [(10, b"unsolicited"), (9, b"ping payload")],
    "2.10": [(9, b"payload-%d" % i) for i in range(10)],
    "2.11": [(9, b"payload-%d" % i) for i in range(10)],
    "5.3": fragments(1, b"fragment1", b"fragment2"),
    "5.4": fragments(1, b"fragment1", b"fragment2"),
    "5.5": bytewise(b"fragment1fragment2"),
    "5.6": [(1, b"fragment1", PART), P, (0, b"fragment2")],
    "5.7": [(1, b"fragment1", PART), P, (0, b"fragment2")],
    "5.8": [(1, b"fragment1", PART), P, (0, b"fragment2")],
    "5.19": [(1, b"1", PART), (0, b"2", PART), P, (0, b"3", PART), (0, b"4", PART), P, (0, b"5")],
    "5.20": [(1, b"1", PART), (0, b"2", PART), P, (0, b"3", PART), (0, b"4", PART), P, (0, b"5")],
    "6.1.1": [(1, b"")],
    "6.1.2": fragments(1, b"", b"", b""),
    "6.1.3": fragments(1, b"", b"middle frame payload", b""),
    "6.2.1": [(1, EURO)],
    "6.2.2": fragments(1, EURO[:7], EURO[7:]),
    "6.2.3": bytewise(EURO),
    "6.2.4": bytewise(KOSME),
    "6.5.1": [(1, KOSME)],
    **{f"6.6.{cut}": [(1, KOSME[:cut])] for cut in (2, 5, 7, 9, 11)},
    "6.7.1": [(1, b"\x00")],
    "6.7.2": [(1, b"\xc2\x80")],
    "6.7.3": [(1, b"\xe0\xa0\x80")],
    "6.7.4": [(1, b"\xf0\x90\x80\x80")],
    "6.9.1": [(1, b"\x7f")],
    "6.9.2": [(1, b"\xdf\xbf")],
    "6.9.3": [(1, b"\xef\xbf\xbf")],
    "6.9.4": [(1, b"\xf4\x8f\xbf\xbf")],
    "6.11.1": [(1, b"\xed\x9f\xbf")],
    "6.11.2": [(1, b"\xee\x80\x80")],
    "6.11.3": [(1, b"\xef\xbf\xbd")],
    "6.11.4": [(1, b"\xf4\x8f\xbf\xbf")],
    **{f"6.22.{i + 1}": [(1, chr(point).encode())] for i, point in enumerate(NONCHARACTERS)},
    **{f"6.23.{i + 1}": [(1, bytes.fromhex(text))] for i, text in enumerate(
        ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"])},
    "7.1.1": [(1, b"hello world")],
    "7.3.1": [(8, b"")],
    "7.3.3": [(8, b"\x03\xe8")],
    "7.3.4": [(8, b"\x03\xe8Hello World!")],
    "7.3.5": [(8, b"\x03\xe8" + b"*" * 123)],
    **{f"7.7.{i + 1}": [(8, code.to_bytes(2, "big"))] for i, code in enumerate(
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])},
}  # fmt: skip

FAILS: dict[str, tuple[str, list[tuple[object, ...]]]] = {
    "2.5": ("CT-01", [(9, b"\xfe" * 126)]),
    "3.1": ("FR-04", [(1, b"*" * 9, rsv(1))]),
    "3.2": ("FR-04", [T, (1, b"hi", rsv(2)), (9, b"")]),
    "3.3": ("FR-04", [T, (1, b"hi", rsv(3)), (9, b"")]),
    "3.4": ("FR-04", [T, (1, b"hi", rsv(4)), (9, b"")]),
    "3.5": ("FR-04", [(2, b"\x00\xff\xfe\xfd", rsv(5))]),
    "3.6": ("FR-04", [(9, b"hi", rsv(6))]),
    "3.7": ("FR-04", [(8, b"\x03\xe8", rsv(7))]),
    "4.1.1": ("FR-05", [(3, b"")]),
    "4.1.2": ("FR-05", [(4, b"reserved opcode payload")]),
    "4.1.3": ("FR-05", [T, (5, b""), (9, b"")]),
    "4.1.4": ("FR-05", [T, (6, b"reserved"), (9, b"")]),
    "4.1.5": ("FR-05", [T, (7, b"reserved"), (9, b"")]),
    "4.2.1": ("FR-05", [(11, b"")]),
    "4.2.2": ("FR-05", [(12, b"reserved")]),
    "4.2.3": ("FR-05", [T, (13, b""), (9, b"")]),
    "4.2.4": ("FR-05", [T, (14, b"reserved"), (9, b"")]),
    "4.2.5": ("FR-05", [T, (15, b"reserved"), (9, b"")]),
    "5.1": ("FG-03", [(9, b"frag", PART), (0, b"ment")]),
    "5.2": ("FG-03", [(10, b"frag", PART), (0, b"ment")]),
    "5.9": ("FG-01", [(0, b"non-continuation payload"), (1, b"Hello, world!")]),
    "5.10": ("FG-01", [(0, b"non-continuation payload"), (1, b"Hello, world!")]),
    "5.11": ("FG-01", [(0, b"non-continuation payload"), (1, b"Hello, world!")]),
    "5.12": ("FG-01", [(0, b"non-continuation payload", PART), (1, b"Hello, world!")]),
    "5.13": ("FG-01", [(0, b"non-continuation payload", PART), (1, b"Hello, world!")]),
    "5.14": ("FG-01", [(0, b"non-continuation payload", PART), (1, b"Hello, world!")]),
    "5.15": ("FG-01", [*fragments(1, b"fragment1", b"fragment2"), (0, b"fragment3", PART), (1, b"fragment4")]),
    "5.16": ("FG-01", [(0, b"fragment1", PART), *fragments(1, b"fragment2", b"fragment3")]),
    "5.17": ("FG-01", [(0, b"fragment1"), *fragments(1, b"fragment2", b"fragment3")]),
    "5.18": ("FG-02", [(1, b"fragment1", PART), (1, b"fragment2")]),
    "6.3.1": ("TX-01", [(1, BAD)]),
    "6.3.2": ("TX-01", bytewise(BAD)),
    "6.4.1": ("TX-01", fragments(1, KOSME + b"\xf4", b"\x90\x80\x80", b"edited")),
    "6.4.2": ("TX-01", fragments(1, KOSME + b"\xf4\x90", b"\x80\x80edited")),
    "6.4.3": ("TX-01", [(1, KOSME + b"\xf4\x90\x80\x80edited")]),
    "6.4.4": ("TX-01", [(1, KOSME + b"\xf4\x90\x80\x80edited")]),
    **{f"6.6.{cut}": ("TX-01", [(1, KOSME[:cut])]) for cut in (1, 3, 4, 6, 8, 10)},
    "6.8.1": ("TX-01", [(1, b"\xf8\x88\x80\x80\x80")]),
    "6.8.2": ("TX-01", [(1, b"\xfc\x84\x80\x80\x80\x80")]),
    "6.10.1": ("TX-01", [(1, b"\xf7\xbf\xbf\xbf")]),
    "6.10.2": ("TX-01", [(1, b"\xfb\xbf\xbf\xbf\xbf")]),
    "6.10.3": ("TX-01", [(1, b"\xfd\xbf\xbf\xbf\xbf\xbf")]),
    "6.11.5": ("TX-01", [(1, b"\xf4\x90\x80\x80")]),
    "6.12.1": ("TX-01", [(1, b"\x80")]),
    "6.12.2": ("TX-01", [(1, b"\xbf")]),
    **{f"6.12.{n + 1}": ("TX-01", [(1, (b"\x80\xbf" * 4)[:n])]) for n in range(2, 8)},
    "6.13.1": ("TX-01", [(1, b" ".join(bytes([lead]) for lead in range(0xC0, 0xE0)))]),
    "6.13.2": ("TX-01", [(1, b" ".join(bytes([lead]) for lead in range(0xE0, 0xF0)))]),
    "6.13.3": ("TX-01", [(1, b" ".join(bytes([lead]) for lead in range(0xF0, 0xF8)))]),
    "6.13.4": ("TX-01", [(1, b" ".join(bytes([lead]) for lead in range(0xF8, 0xFC)))]),
    "6.13.5": ("TX-01", [(1, b"\xfc \xfd ")]),
    **{f"6.14.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(
        ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"])},
    "6.15.1": ("TX-01", [(1, bytes.fromhex("c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"))]),
    **{f"6.16.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(["fe", "ff", "fefeffff"])},
    **{f"6.17.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(
        ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"])},
    **{f"6.18.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(
        ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"])},
    **{f"6.19.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(
        ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"])},
    **{f"6.20.{i + 1}": ("TX-01", [(1, bytes.fromhex(text))]) for i, text in enumerate(
        ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"])},
    **{f"6.21.{i + 1}": ("TX-01", [(1, bytes.fromhex(high + low))]) for i, (high, low) in enumerate(
        product(["eda080", "edadbf", "edae80", "edafbf"], ["edb080", "edbfbf"]))},
    "7.1.2": ("CL-11", [(8, b"\x03\xe8"), (8, b"\x03\xe8")]),
    "7.1.3": ("PP-09", [(8, b"\x03\xe8"), (9, b"")]),
    "7.1.4": ("CL-10", [(8, b"\x03\xe8"), (1, b"Hello World!")]),
    "7.1.5": ("CL-10", [(1, b"fragment1", PART), (8, b"\x03\xe8"), (0, b"fragment2")]),
    "7.1.6": ("CL-10", [(2, b"*" * 262_144), (1, b"Hello World!"), (8, b"\x03\xe8"), (1, b"late")]),
    "7.3.2": ("CL-01", [(8, b"a")]),
    "7.3.6": ("CL-21", [(8, b"\x03\xe8" + b"*" * 124)]),
    "7.5.1": ("TX-04", [(8, b"\x03\xe8" + BAD)]),
    **{f"7.9.{i + 1}": (fault, [(8, code.to_bytes(2, "big"))]) for i, (code, fault) in enumerate(
        [(0, "CL-04"), (999, "CL-04"), (1004, "CL-03"), (1005, "CL-02"), (1006, "CL-02"), (1016, "CL-05"), (1100, "CL-05"),
         (2000, "CL-05"), (2999, "CL-05")])},
    "7.13.1": ("CL-06", [(8, (5000).to_bytes(2, "big"))]),
    "7.13.2": ("CL-06", [(8, (65535).to_bytes(2, "big"))]),
}  # fmt: skip

# What else a case shows: half a control frame leaves a stray continuation behind.
BESIDES = {"5.1": {"FG-01"}, "5.2": {"FG-01"}, "7.7.9": {"CL-09"}, "7.7.11": {"CL-07"}}


def ended(steps: list[tuple[object, ...]]) -> bytes:
    """The case and its end: a Close by each side, unless the client sent its own."""
    conversation = fuzzed(*steps)
    if not any(step[0] == 8 for step in steps):
        conversation.close(C, 1000)
        answer = 1000
    else:
        first = next(step[1] for step in steps if step[0] == 8)
        assert isinstance(first, bytes)
        answer = int.from_bytes(first[:2], "big") if len(first) > 1 else None
    if answer is not None and not is_sendable(answer):
        answer = 1002
    return conversation.close(S, answer).fin(S).fin(C).pcap()


@pytest.mark.parametrize("case", PASSES)
def test_legal_cases_accuse_nobody(case: str) -> None:
    assert set(told(judged(ended(PASSES[case])))) == {f"{rule} client" for rule in BESIDES.get(case, ())}


@pytest.mark.parametrize("case", FAILS)
def test_illegal_cases_name_the_fault(case: str) -> None:
    rule, steps = FAILS[case]
    found = judged(ended(steps))
    assert f"{rule} client" in told(found)
    accused = {each.rule for each in found if each.verdict == "violation"}
    assert accused <= {rule} | BESIDES.get(case, set())
    assert all(each.at_fault == "client" for each in found if each.verdict == "violation")

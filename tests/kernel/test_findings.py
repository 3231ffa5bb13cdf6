"""Findings in columns: what is taken out is what was put in, in both forms of the kernel."""

from __future__ import annotations

import pickle
from array import array
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.kernel.findings import Findings
from wsaudit.model import Finding, Place

WIDE = Finding("FR-01", "violation", "client", 0, 1 << 41, Place(1 << 41, 1 << 60, 7), 9, 3, "what was seen")
NARROW = Finding("CL-02", "informational", "server", 1, 2, Place(0, 0, -1), 0, 1, "")


@pytest.fixture(params=["pure_kernel", "compiled_kernel"])
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    found: SimpleNamespace = request.getfixturevalue(request.param)
    return found


def kept(kernel: SimpleNamespace, *findings: Finding) -> Any:
    found = kernel.findings.Findings()
    found.extend(findings)
    return found


def finding(key: int, packet: int = 0, rule: str = "X-1", side: int = 0, detail: str = "", **more: Any) -> Finding:
    return Finding(rule, "violation", "client", side, key, Place(packet, 0, 0), 0, 1, detail)._replace(**more)


def test_what_was_put_in(kernel: SimpleNamespace) -> None:
    found = kept(kernel, WIDE, NARROW, WIDE)
    assert list(found) == [WIDE, NARROW, WIDE]
    assert {type(each) for each in found} == {Finding}
    assert {type(each.place) for each in found} == {Place}
    assert len(found.kinds) == 2
    assert found.kind_of(NARROW._replace(key=3)) == 1
    assert (len(found), found[1]) == (3, NARROW)
    for index in (3, -1):
        with pytest.raises(IndexError):
            found[index]


def test_many(kernel: SimpleNamespace) -> None:
    findings = [finding(i, i * i, detail=str(i % 7)) for i in range(1000)]
    assert list(kept(kernel, *findings)) == findings


def test_merged(kernel: SimpleNamespace) -> None:
    found = kept(kernel, WIDE)
    found.merge(kept(kernel, NARROW, WIDE))
    found.merge(kept(kernel))
    assert list(found) == [WIDE, NARROW, WIDE]


def test_a_copy_is_one_of_its_own(kernel: SimpleNamespace) -> None:
    first = kept(kernel, WIDE)
    second = first.copy()
    second.extend([NARROW])
    assert (list(first), list(second)) == ([WIDE], [WIDE, NARROW])
    assert list(kept(kernel).copy()) == []


def test_sent_to_another_process() -> None:
    found = Findings()
    assert list(pickle.loads(pickle.dumps(found))) == []
    found.extend([WIDE, NARROW])
    received = pickle.loads(pickle.dumps(found))
    received.extend([WIDE])
    assert list(received) == [WIDE, NARROW, WIDE]


few = st.integers(0, 3)
said = st.builds(finding, few, few, st.sampled_from(["X-1", "X-2"]), st.integers(0, 1), st.sampled_from(["a", "b"]))


def place_of(found: Finding) -> tuple[Any, ...]:
    return found.key, found.place.packet, found.rule, found.side, found.detail


@given(st.lists(said))
def test_in_order(compiled_kernel: SimpleNamespace, pure_kernel: SimpleNamespace, findings: list[Finding]) -> None:
    findings = [each._replace(count=number) for number, each in enumerate(findings)]  # equal ones are left as they came
    for kernel in (compiled_kernel, pure_kernel):
        assert list(kept(kernel, *findings).in_order()) == sorted(findings, key=place_of)


def test_of_a_rule(kernel: SimpleNamespace) -> None:
    findings = [finding(7), finding(8, rule="X-2"), finding(9, detail="a")]
    assert kept(kernel, *findings).of_rule("X-1") == [findings[0], findings[2]]
    assert kept(kernel, *findings).of_rule("X-3") == []


def test_groups(kernel: SimpleNamespace) -> None:
    doubt = finding(7, verdict="unverifiable")
    findings = [finding(3), finding(7), finding(7, detail="a"), doubt, finding(8, at_fault="server"), finding(9), finding(11)]
    found = kept(kernel, *findings).groups(array("q", [4, 7, 7, 8, 11]))  # of the two that share a packet the later one's
    assert list(found.items()) == [
        (("X-1", "violation"), (findings[0], [3, 4, 5], {"client": 5, "server": 1})),
        (("X-1", "unverifiable"), (doubt, [3], {"client": 1})),
    ]
    assert kept(kernel).groups(array("q")) == {}

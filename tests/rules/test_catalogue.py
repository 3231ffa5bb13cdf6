"""The catalogue as a whole: every rule is explained, and tested in both directions."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from wsaudit.kernel import constants
from wsaudit.rules import frame
from wsaudit.rules.rule import CATALOGUE, INFO, MUST, SECTIONS, Rule, ordered, rule

HERE = Path(__file__).parent
RULES = ordered()


def tested(*beginnings: str) -> set[str]:
    """The rules with an entry in a table of cases whose name begins so, in any module beside this one."""
    found = set()
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"tests.rules.{path.stem}")
        for name, table in vars(module).items():
            if name.startswith(beginnings) and isinstance(table, (list, tuple)):
                found |= {each if isinstance(each, str) else each[0] for each in table}
    return found


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.id)
def test_is_explained(each: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each.name)
    assert re.fullmatch(r"RFC \d+ §[\d.]+|(WHATWG|W3C|IANA) .+", each.reference)
    assert each.title[0].isupper()
    assert len(each.title) <= 100
    for text in (each.says, each.why, each.do):
        assert 8 <= len(text) <= 600
        assert text.endswith((".", ")", "?"))
    assert each.section == SECTIONS[each.family]


def test_every_rule_has_a_firing_case() -> None:
    fires = tested("FIRING", "COMPARING", "ENCRYPTED", "UNVERIFIABLE")
    assert [each.id for each in RULES if each.id not in fires] == []


def test_every_rule_has_a_near_miss() -> None:
    assert [each.id for each in RULES if each.id not in tested("NEAR")] == []


def test_what_breaks_a_must_accuses_and_what_does_not_cannot_be_an_error_of_the_protocol() -> None:
    """INFO with severity "error" is for what nobody may ignore although no RFC forbids it."""
    assert {each.id for each in RULES if each.level == INFO and each.severity == "error"} == {"FR-13"}
    assert all(each.level == MUST or each.id == "FR-13" for each in RULES if each.must_fail)


def test_slips_in_a_rule_are_noticed() -> None:
    def some_fault(frame: object) -> None:
        """A title.

        The RFC says: this.

        Why it matters: that.

        What to do: something.
        """

    for id, level, at_fault in (
        ("FR-01", MUST, "sender"),
        ("XX-01", MUST, "sender"),
        ("FR-99", "MAY", "sender"),
        ("FR-99", MUST, "me"),
    ):
        with pytest.raises(ValueError):
            rule(id, "", level, "error", at_fault, "shape")(some_fault)
    some_fault.__doc__ = "A title and nothing else."
    with pytest.raises(ValueError, match="not explained"):
        rule("FR-99", "", MUST, "error", "sender", "shape")(some_fault)
    assert "FR-99" not in CATALOGUE


def test_a_frame_names_what_its_bits_say() -> None:
    seen = frame.Frame(1, 0x80 | 0x40 | 9 | constants.MASKED | constants.AFTER_CLOSE | constants.FORM_16, 1234, frame.NONE)
    assert (seen.fin, seen.rsv, seen.opcode, seen.masked, seen.after_close, seen.length_bits) == (True, 4, 9, True, True, 16)
    assert (seen.in_message, seen.message_unknown, seen.oversize, seen.longer_form, seen.length_top_bit) == (False,) * 5
    assert str(seen) == "Ping frame of 1,234 bytes"
    assert str(frame.Frame(0, 11, 1, frame.NONE)) == "frame with opcode 11 of 1 byte"

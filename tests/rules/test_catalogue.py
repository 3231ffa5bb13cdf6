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


def in_tables(*beginnings: str) -> set[str]:
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


# Rules whose cases do not fit into a table: the tests in which they fire, and in which they nearly do.
ELSEWHERE = {
    "HS-C10": ("request", "one_key_for_several_connections", "other_keys_are_fresh"),
    "HS-C18": ("request", "data_before_the_answer", "data_that_acknowledges_the_answer_is_not_early"),
    "HS-C20": ("request", "handshakes_at_once", "handshakes_one_after_the_other_or_of_two_clients"),
    "HS-C23": ("exposure", "no_server_name", "a_server_name_that_is_there_or_cannot_be"),
    "HS-C27": ("request", "a_browser_does_not_follow_redirects", "a_browser_does_not_follow_redirects"),
    "HS-S17": ("response", "bytes_before_the_acceptance", "near_misses"),
    "HS-S23": ("response", "no_answer", "an_answer_may_come_after_the_capture"),
    "HS-S24": ("response", "a_lenient_client", "a_client_that_goes_on_after_a_valid_acceptance"),
    "HS-S25": ("response", "the_first_frame_with_the_acceptance", "the_first_frame_with_the_acceptance"),
    "RC-01": ("reconnect", "without_delay", "with_a_delay_or_without_need"),
    "RC-02": ("reconnect", "all_together", "too_few_or_spread_or_at_once"),
    "RC-03": ("reconnect", "a_constant_delay", "growing_or_short_or_long_enough"),
    "RC-04": ("reconnect", "a_loop_of_fatal_codes", "no_loop"),
    "RC-05": ("reconnect", "haste_after_overload", "haste_after_overload"),
    "SEC-01": ("exposure", "cleartext_is_told_once_for_a_server", "what_stays_on_one_machine_is_not_exposed"),
    "SEC-07": ("exposure", "an_insecure_page_over_tls", "an_insecure_page_over_tls"),
    "SEC-08": ("exposure", "weak_tls", "tls_that_is_not_known_to_be_weak"),
    "SEC-14": ("exposure", "predictable_masking_keys", "random_masking_keys"),
    "SEC-15": ("exposure", "a_decompression_bomb", "messages_that_compress_well_are_no_bombs"),
}


def test_every_rule_has_a_firing_case() -> None:
    fires = in_tables("FIRING", "COMPARING", "ENCRYPTED", "UNVERIFIABLE")
    assert [each.id for each in RULES if each.id not in fires and each.id not in ELSEWHERE] == []


def test_every_rule_has_a_near_miss() -> None:
    near = in_tables("NEAR")
    assert [each.id for each in RULES if each.id not in near and each.id not in ELSEWHERE] == []


@pytest.mark.parametrize("id", ELSEWHERE)
def test_is_tested_elsewhere(id: str) -> None:
    module, *names = ELSEWHERE[id]
    path = next(HERE.glob(f"test_*{module}.py"))
    for name in names:
        assert callable(getattr(importlib.import_module(f"tests.rules.{path.stem}"), f"test_{name}"))
    assert id in CATALOGUE


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
    assert "FR-99" not in CATALOGUE


def test_a_frame_names_what_its_bits_say() -> None:
    seen = frame.Frame(1, 0x80 | 0x40 | 9 | constants.MASKED | constants.AFTER_CLOSE | constants.FORM_16, 1234, frame.NONE)
    assert (seen.fin, seen.rsv, seen.opcode, seen.masked, seen.after_close, seen.length_bits) == (True, 4, 9, True, True, 16)
    assert (seen.in_message, seen.message_unknown, seen.oversize, seen.longer_form, seen.length_top_bit) == (False,) * 5
    assert str(seen) == "Ping frame of 1,234 bytes"
    assert str(frame.Frame(0, 11, 1, frame.NONE)) == "frame with opcode 11 of 1 byte"

from __future__ import annotations

import pytest

from tests.gate.fake import BOOK
from wsaudit.report.rulebook import families, nearest


@pytest.mark.parametrize(
    ("selector", "rules"),
    [
        ("FR-01", {"FR-01"}),
        ("wrong-accept", {"HS-S05"}),
        ("FR", {"FR-01", "FR-02"}),
        ("HS", {"HS-C14", "HS-S05"}),
        ("HS-C", {"HS-C14"}),
        ("F", set()),
        ("FR-0", set()),
        ("", set()),
    ],
)
def test_selectors_are_ids_names_and_families(selector, rules):
    assert BOOK.select(selector) == rules


def test_families():
    assert families("HS-C08") == {"HS", "HS-C"}
    assert families("H2-01") == {"H2"}
    assert families("PMD-20") == {"PMD"}


def test_slips_are_recognised():
    assert BOOK.nearest("unmasked-frame") == "unmasked-client-frame"
    assert BOOK.nearest("fr-01") == "FR-01"
    assert BOOK.nearest("zzzzzz") is None
    assert nearest("fail_on", ["fail-on", "ignore"]) == "fail-on"

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsaudit.report import printable

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates too
DOORS = [printable.terminal, printable.html, printable.xml, printable.csv, printable.markdown]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Grüße, 日本語, 🙂", "plain text, Grüße, 日本語, 🙂"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\x00b\r\n\tc", "a\\x00b\\r\\n\\tc"),
        ("\x9b2J", "\\x9b2J"),
        ("evil\u202etxt.exe", "evil\\u202etxt.exe"),
        ("\u2066\u200b\ufeff\u00ad", "\\u2066\\u200b\\ufeff\\xad"),
        ("\ud800", "\\ud800"),
        ("\U000e0041\u3164\ufe0f", "\\U000e0041\\u3164\\ufe0f"),
        ("\u2028\u00a0", "\\u2028\\xa0"),
        (r"C:\x1b", r"C:\x1b"),
        ("", ""),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert printable.printable(text) == shown


@pytest.mark.parametrize("door", DOORS)
@given(text=ANY_TEXT)
def test_nothing_unprintable_passes_any_door(door, text: str) -> None:
    shown = door(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    shown.encode("utf-8")


@given(text=ANY_TEXT)
def test_escaping_is_idempotent(text: str) -> None:
    once = printable.printable(text)
    assert printable.printable(once, len(once)) == once


@given(text=st.text(min_size=1), limit=st.integers(1, 50))
def test_length_is_bounded(text: str, limit: int) -> None:
    shown = printable.printable(text, limit)
    assert len(shown) <= 10 * limit
    assert shown.endswith("…") or len(text) <= limit


def test_a_megabyte_is_cut() -> None:
    assert printable.printable("\x00" * 10**6, 3) == "\\x00\\x00…"


@given(text=ANY_TEXT)
def test_xml_is_legal(text: str) -> None:
    from xml.etree import ElementTree

    element = ElementTree.Element("t")
    element.text = printable.xml(text)
    assert ElementTree.fromstring(ElementTree.tostring(element)).text in {
        element.text,
        None if not element.text else element.text,
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "'=1", "＝1", '"=1'])
def test_formulas_become_inert_in_csv(text: str) -> None:
    assert printable.csv(text) == "'" + text


@pytest.mark.parametrize("text", ["\t=1", "\r=1"])
def test_tab_and_return_before_a_formula_are_visible(text: str) -> None:
    assert printable.csv(text)[0] == "\\"


def test_ordinary_text_is_untouched_in_csv() -> None:
    assert printable.csv("a=b") == "a=b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a`b``c", "```a`b``c```"),
        ("@x #1", "`@x #1`"),
        ("", ""),
        (" ", ""),
    ],
)
def test_markdown_is_a_code_span(text: str, shown: str) -> None:
    assert printable.markdown(text) == shown


def test_markdown_table_cells_escape_the_bar() -> None:
    assert printable.markdown("a|b", table=True) == "`a\\|b`"
    assert printable.markdown("a|b") == "`a|b`"


def test_terminal_columns() -> None:
    assert printable.width("日本") == 4
    assert printable.width("e\u0301") == 1
    assert printable.fit("日本語", 4) == "日…"
    assert printable.fit("abc", 3) == "abc"


@given(text=st.text(), columns=st.integers(1, 30))
def test_fit_fits(text: str, columns: int) -> None:
    assert printable.width(printable.fit(printable.printable(text), columns)) <= columns

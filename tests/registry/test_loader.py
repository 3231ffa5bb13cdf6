import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from wsaudit.errors import UsageError
from wsaudit.registry.loader import FILES, Entry, Shipped, entries, parse, read, read_user_file


def test_every_data_file_is_named_and_says_where_its_facts_come_from_and_when() -> None:
    here = {file.name for file in (files("wsaudit.registry") / "data").iterdir() if file.name.endswith(".toml")}
    assert here == set(FILES)
    for name in FILES:
        document = read(name)
        assert document["source"].strip()
        year, month, day = map(int, document["date"].split("-"))
        assert year >= 2026
        assert 1 <= month <= 12
        assert 1 <= day <= 31


def test_what_python_keeps_of_a_file_is_the_file_and_goes_when_it_changes(tmp_path: Path) -> None:
    for file in (files("wsaudit.registry") / "data").iterdir():
        if file.name.endswith(".toml"):
            assert read(file.name) == read(file.name) == tomllib.loads(file.read_text("utf-8"))
    path = tmp_path / "mine.toml"
    for text in ("a = 1", "a = [1.5, true]"):
        path.write_text(text)
        for _ in range(2):
            code = Shipped("mine.toml", str(path)).get_code("mine.toml")
            assert code is not None
            assert eval(code) == tomllib.loads(text)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: cannot be read"):
        read_user_file(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml: cannot be read"):
        read_user_file(binary)


def test_bad_toml_is_named_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"mine\.toml: not valid TOML: .*line 2"):
        parse("a = 1\nb = \n", "mine.toml")


def entry(text: str) -> Entry:
    return Entry(tomllib.loads(text), "file: entry[1]")


@pytest.mark.parametrize(
    ("text", "getter", "complaint"),
    [
        ("", "text", "is missing"),
        ("key = 1", "text", "must be text"),
        ('key = "  "', "text", "must not be empty"),
        ('key = "x"', "texts", "must be a list of texts"),
        ("key = [1]", "texts", "must be a list of texts"),
        ("key = true", "integer", "must be a whole number"),
        ("key = 1.5", "integer", "must be a whole number"),
        ("key = true", "positive", "must be a number"),
        ("key = 0", "positive", "greater than 0"),
        ("key = -1.5", "positive", "greater than 0"),
        ("key = inf", "positive", "finite"),
        ("key = nan", "positive", "finite"),
        ("key = 1", "flag", "must be true or false"),
        ('key = "("', "pattern", "not a regular expression"),
    ],
)
def test_a_bad_value_is_named_with_file_entry_and_key(text: str, getter: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=rf"file: entry\[1\]: key: .*{complaint}"):
        getattr(entry(text), getter)("key")


def test_choices_are_closed() -> None:
    with pytest.raises(UsageError, match="key: must be one of a, b, not 'c'"):
        entry('key = "c"').choice("key", ("b", "a"))
    with pytest.raises(UsageError, match="key: must be of a, b, not 'c'"):
        entry('key = ["a", "c"]').choices("key", ("b", "a"))


def test_a_key_nobody_asked_for_is_refused() -> None:
    table = entry('seconds = 1\nslakc = 2')
    assert table.positive("seconds") == 1.0
    with pytest.raises(UsageError, match=r"slakc: unknown key; known are seconds"):
        table.done()


def test_optional_keys_and_defaults() -> None:
    table = entry("")
    for getter in ("optional_text", "optional_integer", "optional_positive", "optional_pattern"):
        assert getattr(table, getter)("a") is None
    assert table.text("e", "x") == "x"
    assert table.texts("f", ("y",)) == ("y",)
    assert table.positive("g", 2.0) == 2.0
    assert table.flag("h") is False
    assert list(table.entries("i")) == []


def test_entries_are_named_by_number_and_name() -> None:
    found = list(entries({"limit": [{"name": "first"}, {}]}, "limit", "mine.toml"))
    assert [each.where for each in found] == ["mine.toml: limit[1] (first)", "mine.toml: limit[2]"]
    with pytest.raises(UsageError, match=r"limit: must be a list of tables"):
        list(entries({"limit": 1}, "limit", "mine.toml"))
    with pytest.raises(UsageError, match=r"limit\[1\]: must be a table"):
        list(entries({"limit": [1]}, "limit", "mine.toml"))

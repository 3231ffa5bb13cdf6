"""docs/ci.md promises policies, options and formats; what it promises must work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wsaudit.cli.check import FORMATS, check
from wsaudit.gate.policy import KEYS, LIMIT_KEYS, load_policy
from wsaudit.report.rulebook import rulebook

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "ci.md").read_text(encoding="utf-8")
POLICIES = re.findall(r"^ *```toml\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", POLICIES)
def test_the_policies_are_policies(tmp_path, text):
    (tmp_path / "wsaudit.toml").write_text(text)
    assert load_policy(tmp_path / "wsaudit.toml", rulebook()).expect_connections == 12


def test_the_longest_policy_has_every_key():
    text = max(POLICIES, key=len)
    assert [key for key in (*KEYS, *LIMIT_KEYS) if key not in text] == []


def test_every_option_on_the_page_exists():
    known = {name for parameter in check.params for name in parameter.opts}
    used = {word for line in PAGE.splitlines() if "wsaudit check" in line for word in re.findall(r"(?<!\S)--[a-z-]+", line)}
    assert len(used) >= 3
    assert used <= known


def test_every_format_is_on_the_page():
    assert [name for name in FORMATS if f"| `{name}` |" not in PAGE] == []

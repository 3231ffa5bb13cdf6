from __future__ import annotations

import pytest

from wsaudit.gate.positions import Positions

TEXT = """\
# a comment = with an equals sign
fail-on = "error"
select = [
    "FR",
    "HS-C14",
]

[severity]
FR-01 = "warning"
"unmasked-client-frame" = "info"

[limits]
close-code-share.1011 = 0.1
inline = { a = 1, b = 2 }

[[allow]]
rule = "FR-01"

[[allow]]
  rule = "FR-02"
  [allow.deeper]
  key = 1

[tool . "ws.audit"]
x = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("fail-on",), 2),
        (("select", "HS-C14"), 5),
        (("select",), 3),
        (("severity",), 8),
        (("severity", "FR-01"), 9),
        (("severity", "unmasked-client-frame"), 10),
        (("limits", "close-code-share", "1011"), 13),
        (("limits", "inline", "b"), 14),
        (("allow", 0), 16),
        (("allow", 0, "rule"), 17),
        (("allow", 1, "rule"), 20),
        (("allow", 1, "deeper", "key"), 22),
        (("tool", "ws.audit", "x"), 25),
        (("nowhere",), 1),
    ],
)
def test_everything_has_a_line(path, line):
    assert Positions(TEXT).line(path) == line

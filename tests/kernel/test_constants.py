"""Numbers that the C compiler knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wsaudit.kernel

PXDS = sorted(path for path in Path(wsaudit.kernel.__file__).parent.glob("*.pxd") if path.with_suffix(".py").exists())


@pytest.mark.parametrize("pxd", PXDS, ids=lambda path: path.stem)
def test_what_is_const_is_assigned_in_its_own_module(pxd: Path) -> None:
    """Cython makes a `cdef const` whose value is imported a constant 0, and says nothing."""
    declared = re.findall(r"^cdef const [a-z ]+? ([A-Z][A-Z_0-9, ]*)$", pxd.read_text(encoding="utf-8"), re.MULTILINE)
    names = {name for line in declared for name in line.split(", ")}
    assigned = set()
    for statement in ast.parse(pxd.with_suffix(".py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                assigned |= {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
    assert names <= assigned

"""Fuzzing: a harness for each layer and for the whole audit, what mutates their inputs, and what runs them. See docs/fuzzing.md.

With `WSAUDIT_PURE=1` in the environment the kernel runs as plain Python, by the same switch as the tests.
"""

from __future__ import annotations

import os

if os.environ.get("WSAUDIT_PURE") == "1":
    import tests.conftest  # noqa: F401 - puts the finder of the plain kernel in place

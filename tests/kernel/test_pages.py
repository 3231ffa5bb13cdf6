"""Objects in huge pages: in a process of its own, since it is for good."""

from __future__ import annotations

import subprocess
import sys

CHURN = """
import gc, sys
from wsaudit.kernel.pages import is_compiled, prefer_huge
before = [f"before {i}" for i in range(100_000)]
assert prefer_huge() == prefer_huge() == (is_compiled() and sys.platform == "linux")

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

def churn():
    # Small objects come in arenas, larger ones from the C library.
    kept = [(f"small {i}", bytes([i & 255]) * (513 + i % 3000)) for i in range(20_000)]
    assert all(small == f"small {i}" and large == bytes([i & 255]) * len(large) for i, (small, large) in enumerate(kept))

def deep(n):
    return n and 1 + deep(n - 1)

sys.setrecursionlimit(20_000)
for _ in range(3):  # frames take memory where arenas come from
    churn()
    assert deep(15_000) == 15_000
assert before == [f"before {i}" for i in range(100_000)]
del before
gc.collect()
if sys.platform == "linux":
    first = peak()
for _ in range(6):
    churn()
if sys.platform == "linux":
    assert peak() < 1.2 * first, (peak(), first)
"""


def test_what_is_made_stays_what_it_was_and_what_is_freed_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", CHURN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

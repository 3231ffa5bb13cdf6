"""Objects in huge pages.

What is known of thousands of open connections are small objects all over some dozen megabytes. With pages of 4 KiB that is more
of them than the processor keeps the addresses of, so that each packet has to wait for some of them to be looked up: 8 % of the
time of 50,000 connections. Linux gives pages of 2 MiB to whom asks for them, unless its administrator said "never".
"""

from __future__ import annotations

from wsaudit.kernel import huge, mode


def is_compiled() -> bool:
    return bool(mode.COMPILED)


def prefer_huge() -> bool:
    """Take memory for objects in huge pages from now on, where the system has them. For good and for the whole process: that is
    for a command to do, and not for a library. False: nothing changed."""
    return huge.prefer()

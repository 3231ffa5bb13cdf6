"""Findings of one rule with one verdict, told together: all that most renderers want of 70,000 findings."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple


class RuleGroup(NamedTuple):
    """All findings of one rule. `first`: the first of them, `connections`: the ids of all that it was found in."""

    rule: str
    name: str
    verdict: str
    severity: str
    first: dict[str, Any]
    connections: list[int]
    faults: Counter[str]

    @property
    def at_fault(self) -> str:
        """Who is at fault, in one word: "both" when findings name the client and the server."""
        if len(self.faults) == 1:
            return next(iter(self.faults))
        return "both" if set(self.faults) == {"client", "server"} else "several"

    @property
    def fault_words(self) -> str:
        """Who is at fault: "fault of the client", "fault of client and server"."""
        names = [name for name, _ in self.faults.most_common()]
        return f"fault of the {names[0]}" if len(names) == 1 else f"fault of {', '.join(names[:-1])} and {names[-1]}"

"""What a rule is called and what it says, for everything that prints: a flat copy of the catalogue, and the selectors that
name rules.

A selector is what a policy or a command line may write: an id (`FR-01`), a name (`unmasked-client-frame`) or a family (`FR`,
`HS-C`).
"""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """One rule as text. `level` is MUST, SHOULD or INFO; `severity` error, warning or info; the four long texts may be empty."""

    id: str
    name: str
    level: str
    severity: str
    at_fault: str
    reference: str
    title: str
    says: str = ""
    why: str = ""
    do: str = ""


def families(rule: str) -> set[str]:
    """The families an id belongs to: HS-C08 is of `HS` and of `HS-C`, FR-01 of `FR`."""
    return {rule.split("-", 1)[0], rule.rstrip("0123456789").rstrip("-")}


class Rulebook:
    """All rules, by id and by selector."""

    def __init__(self, rules: Iterable[RuleInfo]) -> None:
        self.rules: Mapping[str, RuleInfo] = {rule.id: rule for rule in sorted(rules, key=lambda rule: rule.id)}
        self.selectors: dict[str, set[str]] = {}
        for rule in self.rules.values():
            for selector in (rule.id, rule.name, *families(rule.id)):
                self.selectors.setdefault(selector, set()).add(rule.id)

    def get(self, rule: str) -> RuleInfo | None:
        """The rule with this id."""
        return self.rules.get(rule)

    def select(self, selector: str) -> frozenset[str]:
        """The ids that `selector` names; empty when it names nothing."""
        return frozenset(self.selectors.get(selector, ()))

    def nearest(self, selector: str) -> str | None:
        """The selector that was probably meant."""
        return nearest(selector, self.selectors)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The member of `known` that `word` is probably a slip of, upper and lower case being one; None when nothing is near."""
    by_fold = {name.casefold(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.casefold(), list(by_fold), n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


@functools.cache
def rulebook() -> Rulebook:
    """The rules of this version."""
    return Rulebook(read_catalogue())


def read_catalogue() -> list[RuleInfo]:
    """The catalogue as text. The only place outside `rules/` that knows the shape of a Rule."""
    catalogue = importlib.import_module("wsaudit.rules.rule").CATALOGUE
    return [
        RuleInfo(
            id=rule.id,
            name=rule.name,
            level=str(rule.level),
            severity=str(rule.severity),
            at_fault=str(rule.at_fault),
            reference=rule.reference,
            title=rule.title,
            says=rule.says,
            why=rule.why,
            do=rule.do,
        )
        for rule in catalogue.values()
    ]

"""Two JSON reports side by side: which faults came and went, how the distributions moved, and whether that is more than
chance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wsaudit.gate.chance import SURE, holm, two_by_two
from wsaudit.report.fingerprint import normal_path
from wsaudit.report.issue import RANK, times
from wsaudit.report.printable import terminal

SCHEMA = "wsaudit.diff/1"

DISTRIBUTIONS = (
    ("endings", ("terminations",)),
    ("causes", ("causes",)),
    ("close codes by the client", ("close_codes", "client")),
    ("close codes by the server", ("close_codes", "server")),
    ("codes clients were told", ("reported_codes", "client")),
    ("codes servers were told", ("reported_codes", "server")),
)
"""Name and where it is in the summary of a report."""

ABNORMAL = "abnormal endings"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fingerprint with how often it was seen in the old and in the new report. `path` is the normalised request target."""

    rule: str
    name: str
    severity: str
    at_fault: str | None
    direction: str | None
    path: str
    old: int
    new: int
    fingerprint: str
    connection: int | None


@dataclass(frozen=True, slots=True)
class Move:
    """One category of a distribution: counts, totals, and the probability of such a difference by chance, corrected for the
    number of categories."""

    category: str
    old: int
    old_total: int
    new: int
    new_total: int
    probability: float

    @property
    def more_than_chance(self) -> bool:
        """Whether the difference is unlikely to be chance."""
        return self.probability < SURE


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed. `moves` has every distribution that is not empty, its categories with the surest change first."""

    came: tuple[Fault, ...]
    went: tuple[Fault, ...]
    stayed: tuple[Fault, ...]
    moves: Mapping[str, tuple[Move, ...]]
    connections: tuple[int, int]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """The difference of two reports of schema wsaudit.report/1. Findings whose evidence was lost are left out: they state
    nothing."""
    before, after = faults(old), faults(new)
    every = [fault(key, before, after) for key in before.keys() | after.keys()]
    every.sort(key=lambda each: (RANK.get(each.severity, 9), each.rule, each.path, each.fingerprint))
    return Difference(
        came=tuple(each for each in every if not each.old),
        went=tuple(each for each in every if not each.new),
        stayed=tuple(each for each in every if each.old and each.new),
        moves={name: moves for name, moves in distributions(old["summary"], new["summary"]) if moves},
        connections=(old["summary"]["connections"], new["summary"]["connections"]),
    )


@dataclass(slots=True)
class Seen:
    """A fingerprint in one report: its first finding, the path of that connection, and how often."""

    finding: Mapping[str, Any]
    path: str
    count: int = 0


def faults(report: Mapping[str, Any]) -> dict[str, Seen]:
    """The fingerprints of one report."""
    targets = {each["id"]: (each.get("handshake") or {}).get("target") for each in report["connections"]}
    found: dict[str, Seen] = {}
    for finding in report["findings"]:
        if finding["verdict"] != "unverifiable":
            path = normal_path(targets.get(finding.get("connection")))
            found.setdefault(finding["fingerprint"], Seen(finding, path)).count += finding.get("count") or 1
    return found


def fault(key: str, before: Mapping[str, Seen], after: Mapping[str, Seen]) -> Fault:
    """One fingerprint of either report; shown as the newer one has it."""
    seen = after.get(key) or before[key]
    return Fault(
        rule=seen.finding["rule"],
        name=seen.finding["name"],
        severity=seen.finding["severity"],
        at_fault=seen.finding.get("at_fault"),
        direction=seen.finding.get("direction"),
        path=seen.path,
        old=before[key].count if key in before else 0,
        new=after[key].count if key in after else 0,
        fingerprint=key,
        connection=seen.finding.get("connection"),
    )


def distributions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[tuple[str, tuple[Move, ...]]]:
    """Every distribution of two summaries, compared."""
    for name, keys in DISTRIBUTIONS:
        yield name, moves(counts(old, keys), counts(new, keys))
    a, b = old["abnormal"], new["abnormal"]
    share = Move(
        "1006 at either end", a["count"], a["of"], b["count"], b["of"], two_by_two(a["count"], a["of"], b["count"], b["of"])
    )
    yield ABNORMAL, (share,) if a["of"] or b["of"] else ()


def counts(summary: Mapping[str, Any], keys: Iterable[str]) -> Counter[str]:
    """One distribution of a summary; empty when the report has none."""
    found: Any = summary
    for key in keys:
        found = found.get(key) or {}
    return Counter(found)


def moves(old: Counter[str], new: Counter[str]) -> tuple[Move, ...]:
    """Category by category, each against all others, the surest change first."""
    categories = sorted(old.keys() | new.keys())
    of_old, of_new = old.total(), new.total()
    probabilities = holm([two_by_two(old[each], of_old, new[each], of_new) for each in categories])
    found = [Move(each, old[each], of_old, new[each], of_new, p) for each, p in zip(categories, probabilities, strict=True)]
    return tuple(sorted(found, key=lambda each: (each.probability, -max(each.old, each.new), each.category)))


def render_json(difference: Difference) -> str:
    """Schema wsaudit.diff/1."""
    document = {
        "schema": SCHEMA,
        "connections": {"old": difference.connections[0], "new": difference.connections[1]},
        "came": [asdict(each) for each in difference.came],
        "went": [asdict(each) for each in difference.went],
        "stayed": [asdict(each) for each in difference.stayed],
        "distributions": {
            name: [{**asdict(each), "more_than_chance": each.more_than_chance} for each in moves]
            for name, moves in difference.moves.items()
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def render_text(difference: Difference, old: str, new: str) -> str:
    """For a terminal of 80 columns: first what came, then what went, then what moved."""
    before, after = difference.connections
    lines = [f"{terminal(old)} -> {terminal(new)}   {before:,} -> {times(after, 'WebSocket connection')}", ""]
    lines += [headline(difference), ""]
    for title, sign, found in (("New", "+", difference.came), ("Gone", "-", difference.went)):
        if found:
            lines += [f"{title} faults", *(fault_line(each, sign) for each in found), ""]
    changed = {name: [each for each in moves if each.more_than_chance] for name, moves in difference.moves.items()}
    if any(changed.values()):
        lines.append(f"{'Moved more than chance':32}{'old':>14} {'new':>14}   by chance")
        for name, moves in changed.items():
            lines += [f"  {name}"] * bool(moves) + [move_line(each) for each in moves]
        lines += [
            "",
            "Chance: each connection counts as independent; one incident that ended many makes",
            "differences look surer than they are.",
        ]
    else:
        lines.append(f"No distribution moved more than chance would (p < {SURE}).")
    return "\n".join(lines).rstrip("\n") + "\n"


def headline(difference: Difference) -> str:
    """The answer in a sentence."""
    came, went, stayed = (len(each) for each in (difference.came, difference.went, difference.stayed))
    return f"{times(came, 'new fault')}, {went:,} gone, {stayed:,} in both."


def fault_line(found: Fault, sign: str) -> str:
    """One fault that came or went."""
    blame = f"{found.at_fault} at fault" if found.at_fault else ""
    often = f"{found.new or found.old:,}x"
    return f"  {sign} {found.severity:7}  {found.rule} {found.name}   {blame}   {often}   {terminal(found.path, 60)}"


def move_line(move: Move) -> str:
    """One category with its shares."""
    old, new = share(move.old, move.old_total), share(move.new, move.new_total)
    return f"    {terminal(move.category, 26):26}  {old} {new}   {chance(move.probability)}"


def share(count: int, total: int) -> str:
    """`31  14.8 %`, in a column."""
    return f"{count:>6,} {100 * count / total:5.1f} %" if total else f"{'none':>14}"


def chance(probability: float) -> str:
    """A probability as one reads it."""
    return "p < 0.0001" if probability < 0.0001 else f"p = {probability:.4f}"

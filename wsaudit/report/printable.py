"""The one door for text that came from traffic.

Host names, paths, close reasons and payloads are written by whoever talked on the wire. Before such a text reaches a terminal,
a page, XML,
a spreadsheet or a chat, it passes here: what does not print, what reorders the line and what cannot be seen becomes a visible
escape
(`\\x1b`, `\\u202e`), and the length is bounded. What remains is ordinary text in any script.

Escaping does not touch the backslash itself. So it is idempotent, a text may pass the door twice, and Windows paths stay
readable; the price is that a
literal `\\x1b` in traffic looks like an escaped one, which harms nobody.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 200
"""Characters of one text kept by default: a long path is readable, a megabyte of header is not."""

# str.isprintable() is false for controls, format characters (bidi, zero width, tags), surrogates, private use, unassigned, and
# every space but the
# plain one. It is true for these, which draw nothing either: joiners and fillers, variation selectors, the blank Braille pattern.
INVISIBLE = "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"

NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
FORMULA = frozenset("=+-@＝＋－＠")


def escape(character: str) -> str:
    """The visible escape of one character, as Python would write it."""
    code = ord(character)
    if code < 0x100:
        return NAMED.get(character) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(text: str, limit: int = LIMIT) -> str:
    """`text` with every invisible or reordering character escaped, at most `limit` of its characters, "…" where it was cut."""
    if len(text) > limit:
        return printable(text[: max(limit - 1, 0)], limit) + "…"
    if text.isprintable() and (text.isascii() or not re.search(INVISIBLE, text)):
        return text
    return "".join(c if c.isprintable() and not re.match(INVISIBLE, c) else escape(c) for c in text)


def terminal(text: str, limit: int = LIMIT) -> str:
    """For a terminal: no escape sequence, no carriage return, no reordering can get through."""
    return printable(text, limit)


def html(text: str, limit: int = LIMIT) -> str:
    """For a page: a plain str. Markup is the template engine's business (autoescape), invisible characters are ours."""
    return printable(text, limit)


def xml(text: str, limit: int = LIMIT) -> str:
    """For an XML writer that escapes markup: only characters that XML 1.0 allows (no NUL, no surrogates, no U+FFFE)."""
    return printable(text, limit)


def csv(text: str, limit: int = 32_000) -> str:
    """For a spreadsheet cell: a text that could be taken for a formula gets a leading apostrophe. 32,767 characters is a cell's
    limit in Excel."""
    safe = printable(text, limit)
    return "'" + safe if safe.lstrip(" \"'")[:1] in FORMULA else safe


def markdown(text: str, limit: int = LIMIT, *, table: bool = False) -> str:
    """A Markdown code span: inside it there is no markup, no link and no @mention. `table` also escapes the column bar, as GFM
    tables ask."""
    safe = printable(text, limit)
    if not safe.strip():
        return ""
    runs = [len(run) for run in re.findall("`+", safe)]
    fence = "`" * next(size for size in range(1, len(runs) + 2) if size not in runs)
    padding = " " if safe[0] in "` " or safe[-1] in "` " else ""
    return f"{fence}{padding}{safe}{padding}{fence}".replace("|", "\\|" if table else "|")


def width(text: str) -> int:
    """Columns that a printable `text` takes on a terminal: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, columns: int) -> str:
    """`text` cut ("…") to at most `columns` terminal columns."""
    if width(text) <= columns:
        return text
    used, kept = 1, ""
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept += character
    return kept + "…"

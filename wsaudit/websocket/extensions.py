"""`Sec-WebSocket-Extensions`: its grammar (RFC 6455 §9.1) and what two such headers agree about permessage-deflate (RFC 7692 §7).

Everything here is a fact about two heads. Nothing raises on bad traffic, and the work is linear in the length of the headers.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CLIENT, SERVER = 0, 1

PERMESSAGE_DEFLATE = "permessage-deflate"

# Extensions known to give RSV1 a meaning; no two of them can be in use at once (RFC 7692 §5).
RSV1_EXTENSIONS = frozenset(
    {
        PERMESSAGE_DEFLATE,
        "deflate-frame",
        "perframe-deflate",
        "permessage-bzip2",
        "permessage-compress",
        "permessage-snappy",
        "x-webkit-deflate-frame",
        "x-webkit-permessage-compress",
    }
)

# Names (extensions and parameters together) that are read from the headers of one head. Browsers send 2 to 4; a head of 10,000
# offers is an attack, and what comes after the limit is not needed to say so.
MAX_NAMES = 1024

# More faults of one kind in one head are an attack, not news.
_MAX_FAULTS = 16

# A quoted string, possibly cut short; a separator; or a run of anything else. The alternatives exclude each other at the first
# character, so matching never backtracks.
_PIECES = re.compile(r'"(?:[^"\\]|\\.)*+["\\]?|[,;=]|[^",;=]+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_WINDOW_BITS = re.compile(r"[89]|1[0-5]")
_SPACE = " \t"


class Parameter(NamedTuple):
    """One extension parameter. `value` is unquoted; None when there is no `=`."""

    name: str
    value: str | None
    quoted: bool


class Extension(NamedTuple):
    """One element of the list: an offer in a request, an accepted extension in a response."""

    name: str
    params: tuple[Parameter, ...]


class ExtensionList(NamedTuple):
    """All elements in the order sent, and the short names of the faults of form, each once:

    `empty-element` (legal for a reader, RFC 9110 §5.6.1), `empty-list`, `empty-parameter`, `bad-name`, `bad-value`,
    `missing-value`, `unterminated-quote`, `quoted-not-token`, `too-many-names` (reading stopped at `MAX_NAMES`).
    """

    offers: tuple[Extension, ...]
    faults: tuple[str, ...]


def parse_extensions(lines: Sequence[bytes]) -> ExtensionList:
    """Read the values of all `Sec-WebSocket-Extensions` lines of one head, in order.

    White space is allowed around every separator: RFC 6455 §9.1 uses the implied `*LWS` of RFC 2616. What is malformed is kept
    as far as it can be read, so that one can still say what an endpoint probably made of it.
    """
    reader = _Reader()
    for line in lines:
        if not reader.read(line.decode("latin-1")):
            break
    if lines and not reader.offers:
        reader.note("empty-list")
    return ExtensionList(tuple(reader.offers), tuple(reader.faults))


class _Reader:
    """Elements and faults gathered over the lines of one head."""

    def __init__(self) -> None:
        self.offers: list[Extension] = []
        self.faults: dict[str, None] = {}
        self.names = 0

    def note(self, fault: str) -> None:
        self.faults[fault] = None

    def read(self, line: str) -> bool:
        """Read one line; False when the limit was reached."""
        for element in _split(_PIECES.findall(line), ","):
            parts = list(_split(element, ";"))
            if not any(parts):
                self.note("empty-element" if len(parts) == 1 else "bad-name")
                continue
            if self.names + len(parts) > MAX_NAMES:
                self.note("too-many-names")
                return False
            self.names += len(parts)
            self.offers.append(self._extension(parts))
        return True

    def _extension(self, parts: list[list[str]]) -> Extension:
        name = "".join(parts[0]).strip(_SPACE)
        if not _TOKEN.fullmatch(name):
            self.note("bad-name")
        if not all(parts[1:]):
            self.note("empty-parameter")
        return Extension(name, tuple(self._parameter(part) for part in parts[1:] if part))

    def _parameter(self, part: list[str]) -> Parameter:
        has_value = "=" in part
        equals = part.index("=") if has_value else len(part)
        name = "".join(part[:equals]).strip(_SPACE)
        if not _TOKEN.fullmatch(name):
            self.note("bad-name")
        if not has_value:
            return Parameter(name, None, False)
        return Parameter(name, *self._value([piece for piece in part[equals + 1 :] if piece.strip(_SPACE)]))

    def _value(self, pieces: list[str]) -> tuple[str, bool]:
        if not pieces:
            self.note("missing-value")
            return "", False
        if len(pieces) == 1 and pieces[0].startswith('"'):
            return self._unquote(pieces[0]), True
        text = "".join(pieces).strip(_SPACE)
        if not _TOKEN.fullmatch(text):
            self.note("bad-value")
        return text, False

    def _unquote(self, piece: str) -> str:
        whole = _QUOTED.fullmatch(piece)
        if whole is None:
            self.note("unterminated-quote")
        text = _QUOTED_PAIR.sub(r"\1", whole[1] if whole else piece[1:])
        if not _TOKEN.fullmatch(text):
            self.note("quoted-not-token")
        return text


def _split(pieces: list[str], separator: str) -> Iterator[list[str]]:
    """Cut at a separator that stands alone (one within quotes is part of a longer piece). Blank parts come out empty."""
    part: list[str] = []
    for piece in pieces:
        if piece == separator:
            yield part if any(text.strip(_SPACE) for text in part) else []
            part = []
        else:
            part.append(piece)
    yield part if any(text.strip(_SPACE) for text in part) else []


class DeflateSide(NamedTuple):
    """What one side promised about the messages it sends."""

    no_takeover: bool
    window_bits: int


class DeflateFault(NamedTuple):
    """Something the heads alone prove: the rule it touches, the side at fault (0 client, 1 server), and one sentence."""

    rule: str
    side: int
    detail: str


class DeflateAgreement(NamedTuple):
    """permessage-deflate as accepted by the server.

    `sides[0]` governs what the client sends, `sides[1]` what the server sends. `offer` is the index, among the offers of
    permessage-deflate, of the one accepted: a response does not say which, so it is the first that the response fits, else the
    one it contradicts least; None when the request is not known or offered none. `client_must_fail` has a sentence for each
    reason why a client has to refuse this response (RFC 7692 §7.1); whether it did is for those who see the frames.
    `client_hint` tells that the client offered client_no_context_takeover and the server did not repeat it: the client is free
    to do it or not (§7.1.1.2).
    """

    sides: tuple[DeflateSide, DeflateSide]
    faults: tuple[DeflateFault, ...]
    offer: int | None
    client_must_fail: tuple[str, ...]
    client_hint: bool


def agree_deflate(request: ExtensionList | None, response: ExtensionList | None) -> DeflateAgreement | None:
    """Say what the two heads agree about permessage-deflate; None when the response does not accept it.

    `request` is None when it was not captured: then the response is taken at its word and only its own faults are told.
    """
    accepted = _named(response)
    if response is None or not accepted:
        return None
    answer = _Config(accepted[0])
    faults = _answer_faults(answer)
    must_fail = tuple(fault.detail for fault in faults)
    faults += _shared_rsv1(response)

    offers = [_Config(offer) for offer in _named(request)]
    if not offers:
        return DeflateAgreement(_sides(answer, answer.client_bits), tuple(faults), None, must_fail, False)
    mismatches = [_mismatches(offer, answer) for offer in offers]
    chosen = min(range(len(offers)), key=lambda index: len(mismatches[index]))
    faults += mismatches[chosen] + list(deflate_offer_faults(request))
    # A limit on the client that the client never allowed does not bind it: it has to fail the connection instead.
    client_bits = answer.client_bits if offers[chosen].has_client_bits else None
    hint = offers[chosen].client_no_takeover and not answer.client_no_takeover
    return DeflateAgreement(_sides(answer, client_bits), tuple(faults), chosen, must_fail, hint)


def _sides(answer: "_Config", client_bits: int | None) -> tuple[DeflateSide, DeflateSide]:
    client = DeflateSide(answer.client_no_takeover, client_bits or 15)
    return client, DeflateSide(answer.server_no_takeover, answer.server_bits or 15)


def deflate_offer_faults(request: ExtensionList | None) -> tuple[DeflateFault, ...]:
    """Invalid values in the client's own offers, accepted or not (PMD-16). `agree_deflate` reports them too when it agrees."""
    seen = dict.fromkeys(fault for offer in _named(request) for fault in _Config(offer).invalid)
    return tuple(DeflateFault("PMD-16", CLIENT, f"The offer has {fault}.") for fault in list(seen)[:_MAX_FAULTS])


def _named(extensions: ExtensionList | None) -> list[Extension]:
    return [extension for extension in extensions.offers if extension.name == PERMESSAGE_DEFLATE] if extensions else []


class _Config:
    """One permessage-deflate element, its parameters understood.

    Of a repeated parameter the first counts. `undefined` names unknown and repeated parameters, `invalid` those whose value is
    allowed neither in an offer nor in a response; both stop at `_MAX_FAULTS`.
    """

    def __init__(self, extension: Extension) -> None:
        self.client_no_takeover = self.server_no_takeover = False
        self.has_client_bits = self.has_server_bits = False
        self.bare_client_bits = False
        self.client_bits: int | None = None
        self.server_bits: int | None = None
        self.undefined: dict[str, None] = {}
        self.invalid: dict[str, None] = {}
        seen: set[str] = set()
        for name, value, _ in extension.params:
            if name in seen:
                _add(self.undefined, f"the parameter {_short(name)} more than once")
            else:
                seen.add(name)
                self._take(name, value)

    def _take(self, name: str, value: str | None) -> None:
        match name:
            case "client_no_context_takeover":
                self.client_no_takeover = True
                self._flag(name, value)
            case "server_no_context_takeover":
                self.server_no_takeover = True
                self._flag(name, value)
            case "client_max_window_bits":
                self.has_client_bits = True
                self.bare_client_bits = value is None
                self.client_bits = None if value is None else self._bits(name, value)
            case "server_max_window_bits":
                self.has_server_bits = True
                self.server_bits = self._bits(name, value)
            case _:
                _add(self.undefined, f"the parameter {_short(name)}, which RFC 7692 does not define")

    def _flag(self, name: str, value: str | None) -> None:
        if value is not None:
            _add(self.invalid, f"{name} with the value {_short(value)}, where none is allowed")

    def _bits(self, name: str, value: str | None) -> int | None:
        if value is not None and _WINDOW_BITS.fullmatch(value):
            return int(value)
        fault = "without a value" if value is None else f"with the value {_short(value)}, which is not an integer from 8 to 15"
        _add(self.invalid, f"{name} {fault}")
        return None


def _add(faults: dict[str, None], fault: str) -> None:
    if len(faults) < _MAX_FAULTS:
        faults[fault] = None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."


def _answer_faults(answer: _Config) -> list[DeflateFault]:
    """What is wrong with a response whatever was offered."""
    faults = [DeflateFault("HS-S13", SERVER, f"The response has {fault}.") for fault in answer.undefined]
    faults += [DeflateFault("PMD-16", SERVER, f"The response has {fault}.") for fault in answer.invalid]
    if answer.bare_client_bits:
        faults.append(DeflateFault("PMD-15", SERVER, "The response has client_max_window_bits without a value."))
    return faults


def _mismatches(offer: _Config, answer: _Config) -> list[DeflateFault]:
    """Why `answer` cannot be a proper acceptance of `offer`; empty when it can."""
    faults = [("PMD-10", f"The server accepted an offer that has {fault}.") for fault in (*offer.undefined, *offer.invalid)]
    if offer.server_no_takeover and not answer.server_no_takeover:
        faults.append(("PMD-14", "The response does not repeat the offered server_no_context_takeover."))
    if offer.server_bits and not answer.has_server_bits:
        faults.append(("PMD-13", f"The response leaves out server_max_window_bits, the client asked for {offer.server_bits}."))
    if (answer.server_bits or 0) > (offer.server_bits or 15):
        detail = f"The response has server_max_window_bits={answer.server_bits}, the client allows at most {offer.server_bits}."
        faults.append(("PMD-13", detail))
    if answer.has_client_bits and not offer.has_client_bits:
        faults.append(("PMD-12", "The response has client_max_window_bits, which the client did not offer."))
    elif (answer.client_bits or 0) > (offer.client_bits or 15):
        detail = f"The response has client_max_window_bits={answer.client_bits}, the client offered at most {offer.client_bits}."
        faults.append(("PMD-15", detail))
    return [DeflateFault(rule, SERVER, detail) for rule, detail in faults]


def _shared_rsv1(response: ExtensionList) -> list[DeflateFault]:
    users = [extension.name for extension in response.offers if extension.name in RSV1_EXTENSIONS]
    if len(users) < 2:
        return []
    return [DeflateFault("PMD-17", SERVER, f"The server accepts {len(users)} extensions that use RSV1 ({', '.join(users[:4])}).")]

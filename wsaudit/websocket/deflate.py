"""What compressed messages hold: permessage-deflate (RFC 7692) as a reader of one direction sees it.

An endpoint stops at the first fault; an auditor wants to know which of several faults it was. So a message is always decoded with
the largest window, and whether the sender kept to what was agreed is judged beside that. Nothing here raises on bad traffic.

The state between messages is the text of the last 32 KiB and nothing else: every message gets a new zlib context that is given
this history as its dictionary. For a message of 126 bytes that costs 0.5 µs more than keeping the context (3.5 against 3.0) and
is worth it: a direction holds at most 48 KiB, not zlib's 41 KiB and a history besides; a message can be decoded twice, with and
without history; a final block needs nothing special.
"""

import zlib
from typing import NamedTuple

from wsaudit.websocket.utf8 import Utf8Check

CORRUPT = "corrupt"
TOO_FAR_BACK = "too-far-back"
TRUNCATED = "truncated-block"

WINDOW = 32768
# The history grows to this length before it is cut back to WINDOW, so that most messages do not move 32 KiB.
_HISTORY = WINDOW + 16384

# A sender flushes with an empty stored block and leaves out these four bytes of it (RFC 7692 §7.2.1).
TAIL = b"\x00\x00\xff\xff"
# An empty final block. A decoder reads it as such, to the last byte and without output, only where a block may begin: this tells
# a message that stops within a block from a complete one, which zlib's own answers do not.
_PROBE = b"\x01\x00\x00\xff\xff"

# Output is made in steps of at most this size, input is taken in pieces: 4 KiB can become 4 MiB, and what zlib could not yet take
# of a piece is copied at every step.
_STEP = 65536
_PIECE = 4096

# A message with more final blocks than any flush pattern explains costs a new context for each of them.
_MAX_FINAL_BLOCKS = 1024
# Compressed bytes kept for a second reading. It can only be needed until WINDOW bytes came out.
_MAX_KEPT = 65536
# Repetitive data reaches a ratio of 1000 legally; below this size that hurts nobody.
_BOMB_FLOOR = 1 << 20

# How zlib checks distances: against the window and what the *same call* has put out. So output of 1 byte a call is exact, at
# 0.3 µs a byte, and output of n bytes overlooks distances that exceed the window by less than n. Senders that ignore the limit
# use all of the 32 KiB and are found either way; the exact check is spent on the first bytes of a direction that could break the
# limit, after them a step is an eighth of the window.
_EXACT_BYTES = 4096
# How much of one message is checked for its window; a bomb of 64 MiB would take seconds and say nothing new.
_CHECKED_BYTES = 1 << 18

# zlib's deflate never refers further back than its window less 262 bytes (MIN_LOOKAHEAD), see `Inflater._reach`.
_LOOKAHEAD = 262

_decompressobj = zlib.decompressobj


class MessageFacts(NamedTuple):
    """What is known about one compressed message. Sizes in bytes.

    `inflated_bytes` is None when the message could not be decoded; with `over_limit` it is where measuring stopped, the message
    is larger. `text_valid` is None unless the message is text and its bytes are known to their end (False also when a
    fault came before the limit); `text_invalid_at` is the offset in the inflated text. `error` is None, `corrupt`, `too-far-back`
    or `truncated-block` (RFC 7692 §7.2.2). `unverifiable`: history was lost, nothing can be said and nothing is shown.
    `takeover_used`: the message needs the history although none was to be used; None when that cannot be told.
    `final_block`: a block with BFINAL; `bare_final`: the message ends with that block and lacks the octet that must follow
    (§7.2.3.4).
    `kept_tail`: ends with 00 00 ff ff. `window_exceeded`: refers further back than the agreed window.
    `preview` holds the first bytes of the message, as many as were asked for, and only when the message is sound.
    """

    compressed_bytes: int
    inflated_bytes: int | None
    text_valid: bool | None = None
    text_invalid_at: int | None = None
    preview: bytes | None = None
    error: str | None = None
    unverifiable: bool = False
    empty_payload: bool = False
    kept_tail: bool = False
    final_block: bool = False
    bare_final: bool = False
    window_exceeded: bool = False
    takeover_used: bool | None = False
    over_limit: bool = False
    bomb: bool = False


class Inflater:
    """Reads the compressed messages of one direction, in order.

    `no_takeover` and `window_bits` (8 to 15) are what was agreed for the sender. At most `max_message` bytes of a message are
    inflated, `max_ratio` is the ratio from which a message above 1 MiB is called a bomb. Memory: 48 KiB between messages, not
    more than 0.5 MiB within one, nothing before the first.

    A whole message goes to `message`; a fragmented one to `start_message`, `feed` for each payload (unmasked, cut anywhere) and
    `end_message`, with the same facts. Whoever misses a message, or a part of one, calls `lost`.
    """

    __slots__ = (
        "_bits",
        "_check",
        "_compressed",
        "_exact",
        "_fast_limit",
        "_history",
        "_is_text",
        "_kept",
        "_lost",
        "_max_message",
        "_max_ratio",
        "_no_takeover",
        "_preview",
        "_reach",
        "_reading",
        "_retried",
        "_whole",
    )

    def __init__(
        self, no_takeover: bool = False, window_bits: int = 15, max_message: int = 64 << 20, max_ratio: int = 100
    ) -> None:
        self._no_takeover = no_takeover
        self._bits = window_bits
        self._max_message = max_message
        self._max_ratio = max_ratio
        # `message` looks back only so far that a text shorter than the limit cannot have exceeded the agreed window anywhere: at
        # its byte n a distance of `_reach + n` is the largest possible. A message that needs more is read the long way.
        window = 1 << window_bits
        lookahead = 0 if no_takeover else min(_LOOKAHEAD, window // 2)
        self._reach = 0 if no_takeover else WINDOW if window_bits == 15 else window - lookahead
        self._fast_limit = 1 + min(_STEP, max_message, window if no_takeover else _STEP if window_bits == 15 else lookahead)
        self._exact = _EXACT_BYTES
        # What was inflated last, at most _HISTORY bytes; `_whole` as long as nothing is missing from it.
        self._history = bytearray()
        self._whole = True
        # Takeover and a gap: the sender's window is unknown for good, since nothing on the wire says when it starts afresh.
        self._lost = False
        self._reading: _Reading | None = None
        self._check: _WindowCheck | None = None
        self._compressed = 0
        self._is_text = False
        self._preview = 0
        self._kept: list[bytes] | None = None
        self._retried = False

    def message(self, data: bytes, is_text: bool, preview: int = 0) -> MessageFacts:
        """Read one whole message. The common case is decided in one pass; whatever is unusual is read again the long way."""
        if self._reading is not None:
            return self._message(data, is_text, preview)
        if self._lost:
            return MessageFacts(len(data), None, unverifiable=True)
        history = self._history
        # bytes, not a view: a view of a bytearray would have to be let go before the history can grow.
        decoder = _decompressobj(-15, history[-self._reach :] if self._reach else b"")
        try:
            text = decoder.decompress(data + TAIL, _STEP)
            sound = not decoder.decompress(_PROBE, 1) and decoder.eof and not decoder.unused_data
        except zlib.error:
            sound = False
        if not sound or len(text) >= self._fast_limit:
            return self._message(data, is_text, preview)
        history += text
        if len(history) > _HISTORY:
            del history[:-WINDOW]
        shown = text[:preview] if preview else None
        if not is_text:
            return MessageFacts(len(data), len(text), None, None, shown)
        if text.isascii():
            return MessageFacts(len(data), len(text), True, None, shown)
        try:
            text.decode()
        except UnicodeDecodeError as fault:
            return MessageFacts(len(data), len(text), False, fault.start, shown)
        return MessageFacts(len(data), len(text), True, None, shown)

    def _message(self, data: bytes, is_text: bool, preview: int) -> MessageFacts:
        self.start_message(is_text, preview)
        self.feed(data)
        return self.end_message()

    def start_message(self, is_text: bool, preview: int = 0) -> None:
        """The first frame of a compressed message; one that was begun and not ended is forgotten, which loses the history."""
        if self._compressed and self._reading is not None:
            self.lost()
        self._is_text = is_text
        self._preview = preview
        self._compressed = 0
        self._retried = False
        self._kept = None
        self._reading = self._check = None
        if self._lost:
            return
        history = b"" if self._no_takeover else bytes(self._history[-WINDOW:])
        self._reading = self._read_with(history)
        if self._no_takeover and self._history:
            self._kept = []
        if self._bits < 15:
            self._check = _WindowCheck(history, self._bits, self._exact)

    def feed(self, data: bytes) -> None:
        """The next piece of the message's payload."""
        self._compressed += len(data)
        reading = self._reading
        if reading is None:
            return
        reading.feed(data)
        if self._check is not None:
            self._check.feed(data)
        if self._kept is not None:
            self._keep(self._kept, data)

    def _keep(self, kept: list[bytes], data: bytes) -> None:
        """Keep the payload as long as a second reading may be needed, and do that reading when it is."""
        assert self._reading is not None
        kept.append(data)
        if self._reading.error == TOO_FAR_BACK:
            # No context was to be taken over: does the message make sense with the one of the messages before (§7.1.1)?
            self._reading = self._read_with(bytes(self._history[-WINDOW:]))
            self._retried = True
            self._check = None
            for piece in kept:
                self._reading.feed(piece)
            self._kept = None
        elif self._reading.inflated >= WINDOW:
            self._kept = None
        elif self._compressed > _MAX_KEPT:
            self._kept = None
            self._history.clear()
            self._whole = False

    def _read_with(self, history: bytes) -> "_Reading":
        return _Reading(history, self._max_message, self._is_text, self._preview)

    def end_message(self) -> MessageFacts:
        """The message is complete: what is known about it."""
        reading, self._reading = self._reading, None
        check, self._check = self._check, None
        self._kept = None
        if reading is None:
            return MessageFacts(self._compressed, None, unverifiable=True)
        if not self._compressed:
            # The sender's compressor was not asked, so the history stays as it is.
            return MessageFacts(0, 0, True if self._is_text else None, preview=b"" if self._preview else None, empty_payload=True)
        reading.finish()
        facts = self._facts(reading, check)
        self._remember(reading, check)
        return facts

    def _facts(self, reading: "_Reading", check: "_WindowCheck | None") -> MessageFacts:
        inflated = reading.inflated
        takeover_used: bool | None = False
        if reading.error:
            if self._no_takeover and (self._retried or (reading.error == TOO_FAR_BACK and not self._whole)):
                takeover_used = None
            return MessageFacts(
                self._compressed,
                None,
                error=reading.error,
                final_block=reading.final_blocks > 0,
                takeover_used=takeover_used,
            )
        too_much = inflated > _BOMB_FLOOR and inflated > self._max_ratio * self._compressed
        return MessageFacts(
            self._compressed,
            inflated,
            reading.text_valid(),
            reading.text.invalid_at if reading.text is not None else None,
            bytes(reading.preview) if self._preview and not reading.over_limit else None,
            kept_tail=reading.kept_tail,
            final_block=reading.final_blocks > 0,
            bare_final=reading.bare_final,
            window_exceeded=check is not None and check.error == TOO_FAR_BACK,
            takeover_used=self._retried,
            over_limit=reading.over_limit,
            bomb=reading.over_limit or too_much,
        )

    def _remember(self, reading: "_Reading", check: "_WindowCheck | None") -> None:
        if check is not None:
            self._exact = check.exact
        if reading.error or reading.over_limit:
            self.lost()
        elif self._no_takeover and not self._retried:
            _append(self._history, reading.history)
        else:
            self._history = reading.history

    def lost(self) -> None:
        """Something of this direction is missing: the history is worth nothing any more.

        With takeover every later message is `unverifiable`, for good. Without it the next message stands for itself.
        """
        self._history = bytearray()
        self._whole = False
        self._lost = not self._no_takeover
        self._reading = self._check = self._kept = None


class _Reading:
    """One attempt to inflate one message with a given history."""

    __slots__ = (
        "_bits",
        "_decoder",
        "_end",
        "_limit",
        "_preview_bytes",
        "bare_final",
        "error",
        "final_blocks",
        "history",
        "inflated",
        "kept_tail",
        "over_limit",
        "preview",
        "text",
    )

    def __init__(self, history: bytes, limit: int, is_text: bool, preview: int, bits: int = 15) -> None:
        self.history = bytearray(history)
        self._limit = limit
        self._bits = bits
        self._decoder: zlib._Decompress | None = None
        self._end = b""
        self._preview_bytes = preview
        self.preview = bytearray()
        self.text = Utf8Check() if is_text else None
        self.inflated = 0
        self.error: str | None = None
        self.final_blocks = 0
        self.bare_final = False
        self.kept_tail = False
        self.over_limit = False

    def feed(self, data: bytes) -> None:
        """Inflate the next piece of the payload, in steps whose output is looked at and thrown away."""
        self._end = (self._end + data[-4:])[-4:]
        try:
            for start in range(0, len(data), _PIECE):
                if self.error or self.over_limit:
                    return
                self._inflate(data[start : start + _PIECE])
        except zlib.error as fault:
            self.error = TOO_FAR_BACK if "too far back" in str(fault) else CORRUPT

    def _inflate(self, piece: bytes) -> None:
        while piece or self._decoder is not None:
            if self._decoder is None:
                self._decoder = _decompressobj(-self._bits, bytes(self.history[-WINDOW:]))
            size = self._step()
            output = self._decoder.decompress(piece, size)
            self._take(output)
            if self._decoder.eof:
                # After a final block a new stream begins, which may refer to the same window (§7.2.3.4).
                piece = self._decoder.unused_data
                self._decoder = None
                self.final_blocks += 1
                self.over_limit = self.over_limit or self.final_blocks > _MAX_FINAL_BLOCKS
            else:
                piece = self._decoder.unconsumed_tail
                if len(output) < size:
                    return
            if self.over_limit:
                return

    def _step(self) -> int:
        """The most that the next call may put out."""
        return min(_STEP, self._limit + 1 - self.inflated)

    def _take(self, output: bytes) -> None:
        self.inflated += len(output)
        self.over_limit = self.inflated > self._limit
        _append(self.history, output)
        if self.text is not None:
            self.text.feed(output)
        if len(self.preview) < self._preview_bytes:
            self.preview += output[: self._preview_bytes - len(self.preview)]

    def finish(self) -> None:
        """The payload is complete: does it end where a message may end?"""
        if self.error or self.over_limit:
            return
        if self._decoder is None:
            self.bare_final = True
        elif self._end == TAIL and _at_block_start(self._decoder.copy()):
            self.kept_tail = True
        elif not _takes_tail(self._decoder):
            self.error = TRUNCATED
        self._decoder = None

    def text_valid(self) -> bool | None:
        """Is the text valid? None for binary messages and for texts whose end is not known and whose beginning is fine."""
        if self.text is None:
            return None
        if self.over_limit:
            return False if self.text.invalid_at is not None else None
        return self.text.finish()


class _WindowCheck(_Reading):
    """The same message once more with the agreed window: `error` is `too-far-back` when the sender exceeded it."""

    __slots__ = ("_before", "exact")

    def __init__(self, history: bytes, bits: int, exact: int) -> None:
        super().__init__(history, _CHECKED_BYTES, False, 0, bits)
        self._before = len(history)
        self.exact = exact

    def _step(self) -> int:
        most = super()._step()
        # No distance exceeds the window before as many bytes as that exist.
        free = (1 << self._bits) - self._before - self.inflated
        if free > 0:
            return min(free, most, _STEP)
        if self.exact > 0:
            self.exact -= 1
            return 1
        return min(1 << (self._bits - 3), most)


def _append(history: bytearray, output: bytes | bytearray) -> None:
    if len(output) >= WINDOW:
        history[:] = output[-WINDOW:]
    else:
        history += output
        if len(history) > _HISTORY:
            del history[:-WINDOW]


def _takes_tail(decoder: "zlib._Decompress") -> bool:
    try:
        return not decoder.decompress(TAIL, 1) and not decoder.eof and _at_block_start(decoder)
    except zlib.error:
        return False


def _at_block_start(decoder: "zlib._Decompress") -> bool:
    """Uses the decoder up."""
    try:
        return not decoder.decompress(_PROBE, 1) and decoder.eof and not decoder.unused_data
    except zlib.error:
        return False

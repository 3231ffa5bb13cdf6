"""Is a stream of bytes UTF-8? Checked piece by piece, so that a message need not be kept (RFC 6455 §5.6 and §8.1, RFC 3629)."""

import codecs
from codecs import BufferedIncrementalDecoder

_Decoder = codecs.getincrementaldecoder("utf-8")


class Utf8Check:
    """The validity of one text, fed in pieces that may split a code point anywhere.

    Strict as RFC 3629 asks: overlong forms, surrogates and everything above U+10FFFF are faults. They are found at the first byte
    that no valid text could have there, surrogates at their third byte. `invalid_at` is None as long as all is well, then the
    offset in the text at which the faulty sequence begins.
    """

    __slots__ = ("_decoder", "_length", "invalid_at")

    def __init__(self) -> None:
        self._decoder: BufferedIncrementalDecoder | None = None
        self._length = 0
        self.invalid_at: int | None = None

    def feed(self, data: bytes) -> None:
        """Check the next piece. After a fault the rest is not looked at."""
        if self.invalid_at is None:
            # Most traffic is JSON in ASCII: isascii() costs a tenth of decoding, and a decoder is only made for the others.
            if self._decoder is None and not data.isascii():
                self._decoder = _new_decoder()
            if self._decoder is not None:
                self._decode(self._decoder, data, final=False)
            self._length += len(data)

    def finish(self) -> bool:
        """The text is complete: True when it is valid. A code point cut short at the end is a fault."""
        if self.invalid_at is None and self._decoder is not None:
            self._decode(self._decoder, b"", final=True)
        return self.invalid_at is None

    def _decode(self, decoder: BufferedIncrementalDecoder, data: bytes, final: bool) -> None:
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(data, final)
        except UnicodeDecodeError as fault:
            self.invalid_at = self._length - held + fault.start


def _new_decoder() -> BufferedIncrementalDecoder:
    decoder = _Decoder("strict")
    assert isinstance(decoder, BufferedIncrementalDecoder)
    return decoder

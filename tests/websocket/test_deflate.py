"""Inflater: what it says about the messages of one direction, sound ones and others."""

import itertools
import os
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate
from wsproto.frame_protocol import Opcode as WsprotoOpcode
from wsproto.frame_protocol import RsvBits

from wsaudit.websocket.deflate import CORRUPT, TAIL, TOO_FAR_BACK, TRUNCATED, Inflater, MessageFacts

HELLO = bytes.fromhex("f248cdc9c90700")  # "Hello", RFC 7692 §7.2.3.1
HELLO_AGAIN = bytes.fromhex("f200110000")  # the same, from the window, §7.2.3.2
HELLO_STORED = bytes.fromhex("000500faff48656c6c6f00")  # §7.2.3.3
HELLO_FINAL = bytes.fromhex("f348cdc9c9070000")  # §7.2.3.4
HELLO_TWO_BLOCKS = bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))  # §7.2.3.5


class Sender:
    """A sender of compressed messages: zlib, as every endpoint uses it."""

    def __init__(self, bits: int = 15, level: int = 6, takeover: bool = True) -> None:
        self._make = lambda: zlib.compressobj(level, wbits=-bits)
        self._takeover = takeover
        self._deflate = self._make()

    def send(self, message: bytes) -> bytes:
        if not self._takeover:
            self._deflate = self._make()
        data = self._deflate.compress(message) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        return data[:-4]


class Bits:
    """Writes a DEFLATE stream bit by bit: what no compressor would make."""

    def __init__(self) -> None:
        self._bits: list[int] = []

    def number(self, value: int, width: int) -> "Bits":
        self._bits += [value >> place & 1 for place in range(width)]
        return self

    def code(self, value: int, width: int) -> "Bits":
        """A Huffman code: most significant bit first."""
        self._bits += [value >> place & 1 for place in reversed(range(width))]
        return self

    def fixed(self, final: bool = False) -> "Bits":
        return self.number(int(final), 1).number(1, 2)

    def literals(self, data: bytes) -> "Bits":
        for byte in data:
            if byte < 144:
                self.code(0x30 + byte, 8)
            else:
                self.code(0x190 + byte - 144, 9)
        return self

    def match3(self, distance: int) -> "Bits":
        """Copy 3 bytes from `distance` back."""
        self.code(1, 7)
        symbol, base, extra = 0, 1, 0
        while distance >= base + (1 << extra):
            base += 1 << extra
            symbol += 1
            extra = max(0, symbol // 2 - 1)
        return self.code(symbol, 5).number(distance - base, extra)

    def end(self) -> "Bits":
        return self.code(0, 7)

    def flush(self) -> bytes:
        """The header of an empty stored block, padded: the end of a proper message."""
        self.number(0, 3)
        return self.bytes()

    def bytes(self) -> bytes:
        padded = self._bits + [0] * (-len(self._bits) % 8)
        return bytes(sum(bit << place for place, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8))


def in_pieces(inflater: Inflater, data: bytes, cuts: list[int], is_text: bool = True, preview: int = 0) -> MessageFacts:
    bounds = [0, *sorted(cuts), len(data)]
    inflater.start_message(is_text, preview)
    for a, b in itertools.pairwise(bounds):
        inflater.feed(data[a:b])
    return inflater.end_message()


def read_both(data: bytes, before: list[bytes] | None = None, is_text: bool = True, preview: int = 99, **agreed) -> MessageFacts:
    """Read the message at once, in one piece and byte by byte: the facts must be the same."""
    answers = []
    for way in range(3):
        inflater = Inflater(**agreed)
        for message in before or []:
            inflater.message(message, False)
        if way == 0:
            answers.append(inflater.message(data, is_text, preview))
        else:
            cuts = list(range(len(data))) if way == 2 else []
            answers.append(in_pieces(inflater, data, cuts, is_text, preview))
    assert answers[0] == answers[1] == answers[2]
    return answers[0]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def clean(compressed: int, text: bytes, is_text: bool = True) -> MessageFacts:
    return MessageFacts(compressed, len(text), True if is_text else None, None, text[:99])


class TestSoundMessages:
    @pytest.mark.parametrize("data", [HELLO, HELLO_STORED, HELLO_TWO_BLOCKS])
    def test_examples_of_the_rfc(self, data):
        assert read_both(data) == clean(len(data), b"Hello")

    def test_context_is_taken_over(self):
        assert read_both(HELLO_AGAIN, [HELLO]) == clean(5, b"Hello")

    def test_empty_message(self):
        assert read_both(b"\x00") == clean(1, b"")
        assert read_both(HELLO_AGAIN, [HELLO, b"\x00"]) == clean(5, b"Hello")

    def test_empty_blocks_within(self):
        data = b"\x00" + TAIL + b"\x00" + TAIL + HELLO
        assert read_both(data) == clean(len(data), b"Hello")

    def test_preview_is_only_what_was_asked_for(self):
        assert read_both(HELLO, preview=3).preview == b"Hel"
        assert read_both(HELLO, preview=0).preview is None

    @pytest.mark.parametrize("takeover", [True, False])
    @pytest.mark.parametrize("bits", range(9, 16))
    def test_zlib_with_every_window(self, bits, takeover):
        """What zlib makes for a window keeps to it: no false accusation, sizes from 0 to far above the window."""
        sender = Sender(bits, takeover=takeover)
        whole = Inflater(not takeover, bits)
        cut = Inflater(not takeover, bits)
        chooser = random.Random(bits)
        words = [noise(chooser.randrange(1, 40), seed) for seed in range(60)]
        for size in [0, 1, 5, 30, 200, 1000, 3, 9000, 50, 40, 300, 7]:
            text = b"".join(chooser.choices(words, k=size))
            data = sender.send(text)
            facts = whole.message(data, False, 99)
            assert facts == clean(len(data), text, is_text=False)
            assert in_pieces(cut, data, [chooser.randrange(len(data) + 1) for _ in range(3)], False, 99) == facts

    def test_zlibs_nine_bits_fit_in_eight(self):
        """zlib has no window of 256 bytes and takes 512 instead, but it never looks back more than 250."""
        sender, inflater = Sender(9, 9), Inflater(window_bits=8)
        text = noise(3000) * 3 + b"abc" * 999
        for at in range(0, len(text), 100):
            assert not inflater.message(sender.send(text[at : at + 100]), False).window_exceeded

    @pytest.mark.parametrize("strategy", [zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FILTERED])
    @pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH])
    def test_other_ways_to_compress(self, strategy, flush):
        inflater = Inflater()
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8, strategy)
        for seed in range(30):
            text = noise(seed * 9, seed) + b"the same words again and again " * seed
            data = (deflate.compress(text) + deflate.flush(flush))[:-4]
            assert inflater.message(data, False, 99) == clean(len(data), text, is_text=False)

    def test_long_message(self):
        text = noise(700_000) + bytes(300_000)
        data = Sender().send(text)
        assert read_long(data) == MessageFacts(len(data), len(text), None, None, text[:9])

    @settings(max_examples=40)
    @given(st.lists(st.text(max_size=80), max_size=8), st.booleans(), st.booleans(), st.integers(9, 15))
    def test_websockets_as_oracle(self, texts, client_fresh, server_fresh, bits):
        sender = PerMessageDeflate(client_fresh, server_fresh, bits, bits)
        inflater = Inflater(server_fresh, bits)
        for text in texts:
            frame = sender.encode(Frame(Opcode.TEXT, text.encode()))
            if frame.rsv1:
                data = bytes(frame.data)
                assert inflater.message(data, True, 999) == MessageFacts(
                    len(data), len(text.encode()), True, None, text.encode()[:999]
                )

    @settings(max_examples=40)
    @given(st.lists(st.text(max_size=80), max_size=8), st.booleans(), st.integers(9, 15))
    def test_wsproto_as_oracle(self, texts, fresh, bits):
        sender = WsprotoDeflate(client_no_context_takeover=fresh, client_max_window_bits=bits)
        sender.accept(sender.offer())
        sender.finalize(f"permessage-deflate; client_max_window_bits={bits}" + ("; client_no_context_takeover" if fresh else ""))
        inflater = Inflater(fresh, bits)
        for text in texts:
            _, data = sender.frame_outbound(_Client(), WsprotoOpcode.TEXT, _RSV, text.encode(), True)
            facts = inflater.message(data, True, 999)
            assert facts == MessageFacts(len(data), len(text.encode()), True, None, text.encode()[:999])


class _Client:
    client = True


_RSV = RsvBits(False, False, False)


def read_long(data: bytes, preview: int = 9, **agreed) -> MessageFacts:
    answer = Inflater(**agreed).message(data, False, preview)
    assert in_pieces(Inflater(**agreed), data, list(range(0, len(data), 1000)), False, preview) == answer
    return answer


class TestText:
    def test_validity_is_that_of_the_inflated_bytes(self):
        data = Sender().send("κόσμε".encode())
        assert read_both(data).text_valid is True
        assert read_both(data, is_text=False).text_valid is None

    @pytest.mark.parametrize(
        ("text", "at"), [(b"ab\xff", 2), (b"\xed\xa0\x80", 0), (b"a\xc0\x80", 1), (b"abc\xe2\x82", 3), (b"\xf4\x90\x80\x80", 0)]
    )
    def test_invalid(self, text, at):
        facts = read_both(Sender().send(text))
        assert (facts.text_valid, facts.text_invalid_at) == (False, at)
        assert read_both(Sender().send(text), is_text=False).text_valid is None

    def test_invalid_deep_in_a_long_message(self):
        text = "\u20ac".encode() * 100_000 + b"\xff"
        data = Sender().send(text)
        assert Inflater().message(data, True).text_invalid_at == 300_000

    def test_invalid_text_leaves_the_context_alone(self):
        sender, inflater = Sender(), Inflater()
        inflater.message(sender.send(b"Hello\xff"), True)
        assert inflater.message(sender.send(b"Hello"), True).text_valid is True


class TestFaultsOfForm:
    """Near misses are the sound messages above: `clean` has every fault unset."""

    def test_corrupt(self):
        assert read_both(b"\xff\xff\xff") == MessageFacts(3, None, error=CORRUPT)

    def test_corrupt_stored_lengths(self):
        assert read_both(bytes.fromhex("000500faf048656c6c6f00")).error == CORRUPT

    def test_too_far_back(self):
        assert read_both(HELLO_AGAIN) == MessageFacts(5, None, error=TOO_FAR_BACK)

    @pytest.mark.parametrize("keep", range(1, 7))
    def test_truncated_hello(self, keep):
        facts = read_both(HELLO[:keep])
        assert (facts.error, facts.inflated_bytes, facts.preview) == (TRUNCATED, None, None)

    @pytest.mark.parametrize("level", [1, 6, 9])
    def test_truncated_anywhere(self, level):
        data = Sender(level=level).send(noise(60) + b"some words, some words, other words" * 20)
        for keep in range(1, len(data)):
            facts = Inflater().message(data[:keep], False, 9)
            assert facts.error in (TRUNCATED, CORRUPT)
            assert facts.preview is None

    def test_truncated_final_block_that_the_tail_completes(self):
        stored = b"\x01\x04\x00\xfb\xff"  # a final stored block of four bytes, none of which is there
        assert read_both(stored).error == TRUNCATED
        assert read_both(b"\x01\x09\x00\xf6\xff").error == TRUNCATED

    def test_block_end_without_the_empty_block(self):
        assert read_both(Bits().fixed().literals(b"abc").end().bytes() + b"").error is None
        assert read_both(b"\x00\x03\x00\xfc\xffabc").error == TRUNCATED

    def test_after_an_error_nothing_is_claimed(self):
        inflater = Inflater()
        inflater.message(HELLO, True)
        assert inflater.message(b"\xff\xff", True).error == CORRUPT
        assert inflater.message(HELLO, True, 9) == MessageFacts(7, None, unverifiable=True)

    def test_after_an_error_a_fresh_context_reads_on(self):
        inflater = Inflater(no_takeover=True)
        assert inflater.message(b"\xff\xff", True).error == CORRUPT
        assert inflater.message(HELLO, True, 9) == clean(7, b"Hello")

    @pytest.mark.parametrize("text", [b"Hello", noise(50), noise(50) * 200, bytes(40_000)])
    def test_kept_tail(self, text):
        data = Sender().send(text) + TAIL
        facts = read_both(data)
        assert facts == clean(len(data), text, is_text=False)._replace(
            kept_tail=True, text_valid=facts.text_valid, text_invalid_at=facts.text_invalid_at
        )

    def test_kept_tail_leaves_the_context_alone(self):
        assert read_both(HELLO_AGAIN, [HELLO + TAIL]) == clean(5, b"Hello")

    def test_tail_as_data_is_not_a_kept_tail(self):
        data = b"\x00\x04\x00\xfb\xff" + TAIL + b"\x00"
        assert read_both(data, is_text=False) == clean(len(data), TAIL, is_text=False)

    def test_empty_payload(self):
        expected = MessageFacts(0, 0, True, None, b"", empty_payload=True)
        assert read_both(b"") == expected
        assert read_both(b"", [HELLO]) == expected
        assert read_both(HELLO_AGAIN, [HELLO, b""]) == clean(5, b"Hello")

    def test_final_block(self):
        assert read_both(HELLO_FINAL) == clean(8, b"Hello")._replace(final_block=True)

    def test_final_block_keeps_the_window(self):
        assert read_both(HELLO_AGAIN, [HELLO_FINAL]) == clean(5, b"Hello")
        again = Bits().fixed(final=True).match3(5).end().bytes() + b"\x00"
        assert read_both(again, [HELLO_FINAL]) == clean(len(again), b"Hel")._replace(final_block=True)

    def test_stream_goes_on_after_a_final_block(self):
        data = HELLO_FINAL[:-1] + HELLO_AGAIN
        assert read_both(data) == clean(len(data), b"HelloHello")._replace(final_block=True)

    def test_bare_final_block(self):
        assert read_both(HELLO_FINAL[:-1]) == clean(7, b"Hello")._replace(final_block=True, bare_final=True)

    def test_final_blocks_without_end(self):
        facts = read_both(b"\x03\x00" * 3000)
        assert facts.over_limit
        assert facts.final_block
        assert not read_both(b"\x03\x00" * 1000 + b"\x00").over_limit


class TestTakeover:
    def test_used_although_none_was_agreed(self):
        facts = read_both(HELLO_AGAIN, [HELLO], no_takeover=True)
        assert facts == clean(5, b"Hello")._replace(takeover_used=True)

    def test_not_used(self):
        assert read_both(HELLO, [HELLO], no_takeover=True) == clean(7, b"Hello")

    def test_used_by_a_real_sender_over_many_messages(self):
        sender, inflater = Sender(), Inflater(no_takeover=True)
        texts = [b'{"number": %d, "price": %d}' % (number, number * number) for number in range(2000)]
        facts = [inflater.message(sender.send(text), True, 99) for text in texts]
        assert [fact.preview for fact in facts] == texts
        assert facts[0].takeover_used is False
        assert all(fact.takeover_used for fact in facts[1:])

    def test_seen_late_in_a_message(self):
        """32,000 bytes that stand alone, then one reference to the message before."""
        first = noise(400)
        body = noise(32_000, 2)
        sender = Sender()
        before = sender.send(first)
        data = sender.send(body + first[:50])
        assert read_both(data, [before], is_text=False, no_takeover=True).takeover_used is True

    def test_message_that_helps_itself_after_32_KiB(self):
        """Beyond 32 KiB of its own every reference is within the message."""
        text = noise(40_000) * 2
        assert read_long(Sender().send(text), no_takeover=True).takeover_used is False

    def test_reference_to_nothing_is_not_takeover(self):
        far = Bits().fixed().match3(20_000).end().flush()
        assert read_both(far, [HELLO], no_takeover=True) == MessageFacts(len(far), None, error=TOO_FAR_BACK, takeover_used=None)
        assert read_both(far, no_takeover=True) == MessageFacts(len(far), None, error=TOO_FAR_BACK)

    def test_after_a_gap_takeover_cannot_be_told(self):
        inflater = Inflater(no_takeover=True)
        inflater.message(HELLO, True)
        inflater.lost()
        facts = inflater.message(HELLO_AGAIN, True, 9)
        assert facts == MessageFacts(5, None, error=TOO_FAR_BACK, takeover_used=None)


class TestLost:
    def test_with_takeover_nothing_is_said_any_more(self):
        sender, inflater = Sender(), Inflater()
        inflater.message(sender.send(b"first"), True)
        inflater.lost()
        for text in [b"second", b"not like the others", b""]:
            data = sender.send(text)
            assert inflater.message(data, True, 99) == MessageFacts(len(data), None, unverifiable=True)
            assert in_pieces(inflater, data, [1], preview=99) == MessageFacts(len(data), None, unverifiable=True)

    def test_without_takeover_the_next_message_is_read(self):
        inflater = Inflater(no_takeover=True)
        inflater.lost()
        assert inflater.message(HELLO, True, 99) == clean(7, b"Hello")

    @pytest.mark.parametrize("no_takeover", [True, False])
    def test_within_a_message(self, no_takeover):
        inflater = Inflater(no_takeover)
        inflater.start_message(True, 99)
        inflater.feed(HELLO[:3])
        inflater.lost()
        inflater.feed(HELLO[5:])
        assert inflater.end_message() == MessageFacts(5, None, unverifiable=True)
        assert inflater.message(HELLO, True).unverifiable is not no_takeover

    def test_message_left_open_loses_the_context(self):
        inflater = Inflater()
        inflater.start_message(True)
        inflater.feed(HELLO)
        assert in_pieces(inflater, HELLO, []).unverifiable

    def test_whole_message_within_an_open_one_loses_the_context(self):
        inflater = Inflater()
        inflater.start_message(True)
        inflater.feed(HELLO)
        assert inflater.message(HELLO, True).unverifiable

    def test_message_never_started(self):
        assert Inflater().end_message().unverifiable


class TestWindow:
    @staticmethod
    def far(distance: int, before: int = 0) -> bytes:
        """A message whose last three bytes refer `distance` back, `before` bytes of it into the messages before."""
        return Bits().fixed().literals(noise(distance - before)).match3(distance).end().flush()

    @pytest.mark.parametrize("bits", range(8, 15))
    @pytest.mark.parametrize("no_takeover", [True, False])
    def test_one_byte_too_far(self, bits, no_takeover):
        size = 1 << bits
        agreed = {"window_bits": bits, "no_takeover": no_takeover, "is_text": False}
        assert read_both(self.far(size), **agreed).window_exceeded is False
        facts = read_both(self.far(size + 1), **agreed)
        assert facts.window_exceeded is True
        assert (facts.inflated_bytes, facts.error) == (size + 4, None)

    @pytest.mark.parametrize("bits", range(8, 15))
    @pytest.mark.parametrize("own", [0, 1, 100])
    def test_one_byte_too_far_into_the_message_before(self, bits, own):
        size = 1 << bits
        earlier = [Sender(level=0).send(noise(size + 50, 3))]
        for distance in (size, size + 1):
            facts = read_both(self.far(distance, distance - own), earlier, is_text=False, window_bits=bits)
            assert facts.window_exceeded is (distance > size)

    @pytest.mark.parametrize("bits", range(9, 15))
    def test_sender_with_a_larger_window(self, bits):
        text = noise(20_000)
        sender, inflater = Sender(15), Inflater(window_bits=bits)
        assert not inflater.message(sender.send(text), False).window_exceeded
        facts = inflater.message(sender.send(text), False, 9)
        assert facts.window_exceeded
        assert (facts.inflated_bytes, facts.preview) == (20_000, text[:9])

    def test_found_after_the_exact_check_is_spent(self):
        sender, inflater = Sender(15), Inflater(window_bits=10)
        text = noise(3000)
        found = [inflater.message(sender.send(text), False).window_exceeded for _ in range(20)]
        assert found == [False] + [True] * 19

    def test_full_window_is_never_exceeded(self):
        assert read_both(self.far(32_768), is_text=False).window_exceeded is False


class TestBombs:
    def test_a_thousand_to_one(self):
        data = Sender(level=9).send(bytes(20_000_000))
        facts = read_long(data)
        assert facts.inflated_bytes == 20_000_000
        assert facts.bomb
        assert not facts.over_limit

    def test_legal_compression_is_no_bomb(self):
        assert not read_long(Sender().send(bytes(1_000_000))).bomb
        assert not read_long(Sender().send(noise(100_000) * 20)).bomb

    @pytest.mark.parametrize("limit", [100, 65_535, 65_536, 1_000_000])
    def test_limit_is_exact(self, limit):
        data = Sender().send(bytes(limit))
        assert not read_long(data, max_message=limit).over_limit
        data = Sender().send(bytes(limit + 1))
        facts = read_long(data, max_message=limit)
        assert (facts.over_limit, facts.bomb, facts.inflated_bytes, facts.preview) == (True, True, limit + 1, None)

    def test_text_over_the_limit(self):
        inflater = Inflater(no_takeover=True, max_message=10)
        assert inflater.message(Sender().send(b"a" * 20), True).text_valid is None
        assert inflater.message(Sender().send(b"\xff" + b"a" * 20), True).text_valid is False

    def test_over_the_limit_loses_the_context(self):
        sender = Sender()
        inflater = Inflater(max_message=1000)
        assert inflater.message(sender.send(bytes(1001)), False).over_limit
        assert inflater.message(sender.send(b"Hello"), True).unverifiable
        inflater = Inflater(no_takeover=True, max_message=1000)
        assert inflater.message(Sender().send(bytes(1001)), False).over_limit
        assert inflater.message(HELLO, True, 99) == clean(7, b"Hello")

    @pytest.mark.parametrize("window_bits", [15, 9])
    def test_memory_is_bounded(self, window_bits):
        """30 MB in 29 kB, stopped at 20 MB, in less than 1 MiB of memory."""
        data = Sender(9, level=9).send(bytes(30_000_000))
        inflater = Inflater(window_bits=window_bits, max_message=20_000_000)
        tracemalloc.start()
        try:
            facts = inflater.message(data, True)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert facts.over_limit
        assert peak < 1 << 20

    def test_memory_between_messages_is_bounded(self):
        own = tracemalloc.Filter(True, "*/websocket/deflate.py")
        for no_takeover in (True, False):
            inflater, sender = Inflater(no_takeover), Sender(takeover=not no_takeover)
            tracemalloc.start()
            try:
                for seed in range(100):
                    inflater.message(sender.send(noise(3000, seed)), False)
                held = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([own]).traces)
            finally:
                tracemalloc.stop()
            assert held < 64 << 10


class TestHostile:
    @settings(max_examples=300)
    @given(
        st.lists(
            st.binary(max_size=60)
            | st.binary(max_size=300).map(lambda text: Sender().send(text))
            | st.tuples(st.binary(max_size=100), st.integers(0, 200), st.integers(0, 255)).map(
                lambda made: mutate(Sender().send(made[0]), made[1], made[2])
            ),
            max_size=4,
        ),
        st.lists(st.integers(0, 80), max_size=5),
        st.booleans(),
        st.sampled_from([8, 9, 12, 15]),
        st.sampled_from([50, 1 << 20]),
    )
    def test_any_bytes_in_any_cut_give_the_same_facts(self, messages, cuts, no_takeover, bits, limit):
        whole, cut = Inflater(no_takeover, bits, limit), Inflater(no_takeover, bits, limit)
        for data in messages:
            assert whole.message(data, True, 9) == in_pieces(cut, data, [min(at, len(data)) for at in cuts], True, 9)

    def test_long_noise(self):
        for seed in range(50):
            read_long(noise(2000, seed))
        assert read_long(os.urandom(50_000)).error


def mutate(data: bytes, at: int, value: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([value]) + data[at + 1 :]
